//! Header fields of the answer to the upgrade request.

use httparse::Header;

/// The values of a header, one for each of its lines, without the white space around them.
pub(super) fn values<'a>(
    headers: &'a [Header<'a>],
    name: &str,
) -> impl Iterator<Item = &'a str> + Clone {
    headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        .map(|header| core::str::from_utf8(header.value).unwrap_or_default())
}

/// The value of a header that has exactly one line.
pub(super) fn only<'a>(headers: &'a [Header<'a>], name: &str) -> Option<&'a str> {
    let mut values = values(headers, name);
    let first = values.next()?;
    values.next().is_none().then_some(first)
}
