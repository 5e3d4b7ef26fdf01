//! How serde writes durations: as numbers of milliseconds, under a name that ends in `_ms`.

use alloc::sync::Arc;
use core::time::Duration;

use super::Config;

/// Durations as numbers of milliseconds, fractions allowed.
pub(super) mod millis {
    use core::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::config) fn serialize<S: Serializer>(
        value: &Duration,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        let micros = super::rounded(*value).as_micros();
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

/// The duration as both the machine and a trace have it: to the microsecond, the resolution of a
/// `Timestamp`, and 10^12 milliseconds at most.
fn rounded(duration: Duration) -> Duration {
    let micros = (duration.as_nanos() + 500) / 1_000;
    let micros = u64::try_from(micros).unwrap_or(u64::MAX);
    Duration::from_micros(micros.min(1_000 * MAX_MILLIS))
}

impl Config {
    /// The settings with each duration rounded and clamped as in a trace, so that a machine runs as
    /// its recording replays.
    pub(crate) fn with_rounded_durations(self: Arc<Self>) -> Arc<Self> {
        let mut config = Config::clone(&self);
        for duration in config.durations() {
            *duration = rounded(*duration);
        }
        // Clients share their settings; a copy is kept only if it differs.
        if config == *self { self } else { Arc::new(config) }
    }

    fn durations(&mut self) -> impl Iterator<Item = &mut Duration> {
        let always = [
            &mut self.backoff_base,
            &mut self.backoff_cap,
            &mut self.stable_after,
            &mut self.min_connect_interval,
            &mut self.max_retry_after,
            &mut self.credentials_timeout,
            &mut self.connect_timeout,
            &mut self.upgrade_timeout,
            &mut self.close_timeout,
            &mut self.heartbeat_timeout,
            &mut self.suspend_threshold,
            &mut self.resume_timeout,
            &mut self.fence_timeout,
            &mut self.stall_timeout,
            &mut self.in_flight_max_delay,
            &mut self.store_retry,
        ];
        let optional = [
            &mut self.max_elapsed,
            &mut self.heartbeat_interval,
            &mut self.message_ttl,
            &mut self.session_max_age,
        ];
        let delays = self.close_delays.values_mut();
        always.into_iter().chain(optional.into_iter().flatten()).chain(delays)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    /// A duration that is added to the settings belongs to `durations` too.
    #[test]
    fn every_duration_is_rounded() {
        let mut config = Config {
            max_elapsed: Some(Duration::MAX),
            heartbeat_interval: Some(Duration::MAX),
            message_ttl: Some(Duration::MAX),
            session_max_age: Some(Duration::MAX),
            close_delays: [(1013, Duration::MAX)].into(),
            ..Config::default()
        };
        let json = serde_json::to_value(&config).unwrap();
        let names = json.as_object().unwrap().keys().filter(|name| name.ends_with("_ms"));
        assert_eq!(config.durations().count(), names.count());
        let rounded = Arc::new(config).with_rounded_durations();
        assert_eq!(rounded.max_elapsed, Some(Duration::from_millis(MAX_MILLIS)));
        assert!(Arc::ptr_eq(&rounded, &rounded.clone().with_rounded_durations()));
        for (nanos, micros) in [(0, 0), (499, 0), (500, 1), (1_000_700, 1_001)] {
            assert_eq!(super::rounded(Duration::from_nanos(nanos)), Duration::from_micros(micros));
        }
    }
}
