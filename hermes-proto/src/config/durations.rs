//! How serde writes durations: as numbers of milliseconds, under a name that ends in `_ms`.

/// Durations as numbers of milliseconds, fractions allowed.
pub(super) mod millis {
    use core::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::config) fn serialize<S: Serializer>(
        value: &Duration,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        let micros = value.as_micros();
        match u64::try_from(micros / 1_000) {
            Ok(millis) if micros.is_multiple_of(1_000) => s.serialize_u64(millis),
            _ => s.serialize_f64(micros as f64 / 1_000.0),
        }
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Duration, D::Error> {
        // Rounded to the microsecond, the resolution of a `Timestamp`.
        let micros = (f64::deserialize(d)? * 1_000.0 + 0.5) as i128;
        match u64::try_from(micros) {
            Ok(micros) if micros <= 1_000 * super::MAX_MILLIS => Ok(Duration::from_micros(micros)),
            _ => Err(Error::custom("a duration must be between 0 and 10^12 milliseconds")),
        }
    }
}

/// Some 31 years; exact as a double.
const MAX_MILLIS: u64 = 1_000_000_000_000;

/// The same, with `null` for `None`.
pub(super) mod millis_or_off {
    use core::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    pub(super) struct Millis(#[serde(with = "super::millis")] pub(super) Duration);

    pub(in crate::config) fn serialize<S: Serializer>(
        v: &Option<Duration>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        v.map(Millis).serialize(s)
    }

    pub(in crate::config) fn deserialize<'de, D>(d: D) -> Result<Option<Duration>, D::Error>
    where
        D: Deserializer<'de>,
    {
        Ok(Option::<Millis>::deserialize(d)?.map(|Millis(duration)| duration))
    }
}

/// A table from close codes to durations.
pub(super) mod millis_by_code {
    use alloc::collections::BTreeMap;
    use core::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::millis_or_off::Millis;

    type Table = BTreeMap<u16, Duration>;

    pub(in crate::config) fn serialize<S: Serializer>(
        table: &Table,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        s.collect_map(table.iter().map(|(code, delay)| (code, Millis(*delay))))
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Table, D::Error> {
        let table = BTreeMap::<u16, Millis>::deserialize(d)?;
        Ok(table.into_iter().map(|(code, Millis(delay))| (code, delay)).collect())
    }
}
