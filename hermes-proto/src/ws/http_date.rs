//! HTTP dates, in the three forms of RFC 9110 §5.6.7.

const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The days of each month in a leap year.
const LENGTHS: [u64; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// 1970-01-01 was a Thursday.
const EPOCH_WEEKDAY: u64 = 3;

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: u64 = 719_468;

/// The seconds from 1970 to a date. `None` if it is not one, including a weekday of another date and
/// a year before 1970.
pub(super) fn parse(date: &str) -> Option<u64> {
    [imf_fixdate, rfc850_date, asctime_date].into_iter().find_map(|form| {
        let mut reader = Reader(date);
        let seconds = form(&mut reader)?;
        reader.0.is_empty().then_some(seconds)
    })
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf_fixdate(reader: &mut Reader<'_>) -> Option<u64> {
    let weekday = reader.short_weekday()?;
    reader.text(", ")?;
    let day = reader.number(2)?;
    reader.text(" ")?;
    let month = reader.month()?;
    reader.text(" ")?;
    let year = reader.number(4)?;
    reader.text(" ")?;
    let time = reader.time()?;
    reader.text(" GMT")?;
    Some(days(weekday, year, month, day)? * 86_400 + time)
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc850_date(reader: &mut Reader<'_>) -> Option<u64> {
    let weekday = reader.one_of(WEEKDAYS.iter().copied())?;
    reader.text(", ")?;
    let day = reader.number(2)?;
    reader.text("-")?;
    let month = reader.month()?;
    reader.text("-")?;
    let year = reader.number(2)?;
    reader.text(" ")?;
    let time = reader.time()?;
    reader.text(" GMT")?;
    // Without a clock the century is that of the years that Unix time began with.
    let year = if year < 70 { year + 2_000 } else { year + 1_900 };
    Some(days(weekday, year, month, day)? * 86_400 + time)
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime_date(reader: &mut Reader<'_>) -> Option<u64> {
    let weekday = reader.short_weekday()?;
    reader.text(" ")?;
    let month = reader.month()?;
    reader.text(" ")?;
    let day = match reader.text(" ") {
        Some(()) => reader.number(1)?,
        None => reader.number(2)?,
    };
    reader.text(" ")?;
    let time = reader.time()?;
    reader.text(" ")?;
    let year = reader.number(4)?;
    Some(days(weekday, year, month, day)? * 86_400 + time)
}

/// The days from 1970 to a date; weekday and month count from 0.
fn days(weekday: u64, year: u64, month: u64, day: u64) -> Option<u64> {
    let is_leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let is_too_late = month == 1 && day == 29 && !is_leap;
    let length = *LENGTHS.get(usize::try_from(month).ok()?)?;
    if year < 1970 || !(1..=length).contains(&day) || is_too_late {
        return None;
    }
    // Years that begin in March end with the leap day.
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let days = days - EPOCH_DAYS;
    ((days + EPOCH_WEEKDAY) % 7 == weekday).then_some(days)
}

/// The rest of a date.
struct Reader<'a>(&'a str);

impl Reader<'_> {
    fn text(&mut self, text: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    /// A number of exactly `digits` digits.
    fn number(&mut self, digits: usize) -> Option<u64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())?
    }

    /// The index of the name that comes next.
    fn one_of<'a>(&mut self, mut names: impl Iterator<Item = &'a str>) -> Option<u64> {
        names.position(|name| self.text(name).is_some()).map(|index| index as u64)
    }

    fn short_weekday(&mut self) -> Option<u64> {
        self.one_of(WEEKDAYS.iter().filter_map(|name| name.get(..3)))
    }

    fn month(&mut self) -> Option<u64> {
        self.one_of(MONTHS.iter().copied())
    }

    /// `08:49:37`, in seconds.
    fn time(&mut self) -> Option<u64> {
        let hour = self.number(2)?;
        self.text(":")?;
        let minute = self.number(2)?;
        self.text(":")?;
        let second = self.number(2)?;
        let is_time = hour < 24 && minute < 60 && second < 60;
        is_time.then_some((hour * 60 + minute) * 60 + second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9110 §5.6.7, and edges of the calendar. `tests/tests/ws/retry_after.rs` compares with
    /// httpdate.
    #[test]
    fn dates() {
        for (date, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("Sun Nov 06 08:49:37 1994", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
            ("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400)),
            ("Wed, 31 Dec 1969 23:59:59 GMT", None),
            ("Mon, 29 Feb 2100 00:00:00 GMT", None),
            ("Mon, 06 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 24:00:00 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 UTC", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT ", None),
            ("Sun, 6 Nov 1994 08:49:37 GMT", None),
            ("Sunday, 06-Nov-94x08:49:37 GMT", None),
            ("Sun, +6 Nov 1994 08:49:37 GMT", None),
            ("", None),
        ] {
            assert_eq!(parse(date), seconds, "{date}");
        }
    }
}
