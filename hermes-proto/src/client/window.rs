//! The window: how many bytes may be in flight, by what connections have proven to carry.

use core::time::Duration;

use crate::Config;

/// Bytes in flight on the live connection, and the trust that bounds them.
///
/// Trust is bought with proof. *Proven* is the greater of the bytes that this connection has
/// acknowledged and of a halving average of what the connections before it had. The window is
/// [a share](Config::in_flight_share) of it, so whatever a network does, a connection that breaks
/// leaves in doubt a bounded share of what was delivered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Window {
    /// Bytes of messages that were sent on this connection, and of those acknowledged.
    sent: u64,
    acknowledged: u64,
    // Each client has these: they are small, and saturate.
    /// Halving average of the bytes that earlier connections acknowledged.
    credit: u32,
    /// The shortest round trip of a fence on this connection, in microseconds; `u32::MAX` before the
    /// first. A longer one is mostly the time that the window itself waits in front of the peer: it
    /// asks for no larger window.
    least_rtt: u32,
    /// The window grows no further: acknowledgements take too long.
    ceiling: u32,
    /// Bytes that may be in flight. It changes with an acknowledgement, and is asked for with each
    /// message.
    limit: u32,
}

/// A small share of *proven* that is in flight however short the round trip is, as a divisor: a
/// connection that has carried much is worth more than [`in_flight_rate`](Config::in_flight_rate).
const SHORT_TRIP_SHARE: u64 = 64;

impl Window {
    pub(super) fn new(config: &Config) -> Self {
        let credit = saturate(config.in_flight_first_bytes);
        let (sent, acknowledged, least_rtt, ceiling) = (0, 0, u32::MAX, u32::MAX);
        let mut window = Window { sent, acknowledged, credit, least_rtt, ceiling, limit: 0 };
        window.limit = window.find_limit(config);
        window
    }

    /// A message is sent.
    #[inline]
    pub(super) fn on_sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// A fence with `sent` bytes before it was answered, `rtt` after it had left.
    pub(super) fn on_acknowledged(&mut self, sent: u64, rtt: Duration, config: &Config) {
        self.ceiling = if rtt > config.in_flight_max_delay {
            self.ceiling.min(self.limit)
        } else {
            self.ceiling.saturating_mul(2)
        };
        let rtt = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX);
        self.least_rtt = self.least_rtt.min(rtt);
        self.acknowledged = self.acknowledged.max(sent);
        self.limit = self.find_limit(config);
    }

    /// The connection ended.
    pub(super) fn on_end(&mut self, config: &Config) {
        if self.sent > 0 {
            self.credit = saturate(u64::from(self.credit) / 2 + self.acknowledged / 2);
        }
        (self.sent, self.acknowledged) = (0, 0);
        (self.least_rtt, self.ceiling) = (u32::MAX, u32::MAX);
        self.limit = self.find_limit(config);
    }

    /// Bytes of messages that were sent on this connection.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Bytes of messages that were acknowledged on this connection.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Bytes in flight: sent and not acknowledged.
    #[inline]
    pub(super) fn in_flight(&self) -> u64 {
        self.sent - self.acknowledged
    }

    /// Bytes that may be in flight.
    #[inline]
    pub(super) fn limit(&self) -> u64 {
        self.limit.into()
    }

    fn find_limit(&self, config: &Config) -> u32 {
        let (min, max) = (config.in_flight_min_bytes, config.in_flight_max_bytes);
        let proven = self.acknowledged.max(self.credit.into());
        let trust = proven / u64::from(config.in_flight_share);
        let rtt = if self.least_rtt == u32::MAX { 0 } else { u64::from(self.least_rtt) };
        let by_rate = rtt.saturating_mul(config.in_flight_rate) / 1_000_000;
        let wanted = trust.min(by_rate.max(proven / SHORT_TRIP_SHARE)).min(self.ceiling.into());
        saturate(wanted.clamp(min, max))
    }

    /// For the canonical form: only what decides over the limit, and only if it can change.
    #[cfg(feature = "testkit")]
    pub(super) fn canonicalize(&mut self, config: &Config) {
        if config.in_flight_min_bytes == config.in_flight_max_bytes {
            (self.credit, self.acknowledged) = (0, 0);
            (self.least_rtt, self.ceiling) = (u32::MAX, u32::MAX);
        } else {
            let share = SHORT_TRIP_SHARE.max(config.in_flight_share.into());
            let most = config.in_flight_max_bytes.saturating_mul(share);
            self.credit = self.credit.min(saturate(most));
            self.acknowledged = self.acknowledged.min(most);
        }
        self.limit = self.find_limit(config);
    }

    /// For the canonical form.
    #[cfg(feature = "testkit")]
    pub(super) fn set_sent(&mut self, sent: u64) {
        self.sent = sent;
    }
}

fn saturate(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(100);

    /// A window on whose connection a fence came back after `rtt`.
    fn window(rtt: Duration, config: &Config) -> Window {
        let mut window = Window::new(config);
        window.on_acknowledged(0, rtt, config);
        window
    }

    fn acknowledge(window: &mut Window, bytes: usize, rtt: Duration, config: &Config) {
        window.on_sent(bytes);
        window.on_acknowledged(window.sent(), rtt, config);
    }

    #[test]
    fn the_window_is_a_share_of_what_was_proven() {
        let config = Config::default();
        let mut window = window(RTT, &config);
        assert_eq!(window.limit(), (512 << 10) / 8);
        acknowledge(&mut window, 800 << 10, RTT, &config);
        assert_eq!((window.limit(), window.in_flight()), (100 << 10, 0));
        acknowledge(&mut window, 100 << 20, RTT, &config);
        assert_eq!(window.limit(), 1 << 20);
        // Connections that carry nothing cost half of the trust each, down to the least window.
        for _ in 0..40 {
            window.on_sent(1);
            window.on_end(&config);
        }
        assert_eq!(window.limit(), 2 << 10);
        // A connection on which nothing was sent proves nothing either way.
        let before = window.clone();
        window.on_end(&config);
        assert_eq!(window, before);
    }

    #[test]
    fn a_short_round_trip_needs_a_small_window() {
        let config = Config::default();
        let short = Duration::from_millis(1);
        let mut window = window(short, &config);
        assert_eq!(window.limit(), (512 << 10) / SHORT_TRIP_SHARE);
        acknowledge(&mut window, 10 << 20, short, &config);
        assert_eq!(window.limit(), (10 << 20) / SHORT_TRIP_SHARE);
        // The window in front of a fence makes its round trip longer, and that makes no window.
        acknowledge(&mut window, 1, RTT, &config);
        assert_eq!(window.limit(), (10 << 20) / SHORT_TRIP_SHARE);
        window.on_end(&config);
        acknowledge(&mut window, 10 << 20, RTT, &config);
        assert_eq!(window.limit(), 400_000);
    }

    #[test]
    fn nothing_is_known_of_the_first_round_trip() {
        let config = Config::default();
        assert_eq!(Window::new(&config).limit(), (512 << 10) / SHORT_TRIP_SHARE);
    }

    #[test]
    fn slow_acknowledgements_stop_its_growth() {
        let config = Config::default();
        let slow = Duration::from_secs(2);
        let mut window = window(RTT, &config);
        for _ in 0..20 {
            acknowledge(&mut window, 64 << 10, slow, &config);
        }
        assert_eq!(window.limit(), (512 << 10) / 8);
        // Swift ones let it grow again.
        acknowledge(&mut window, 1, RTT, &config);
        assert_eq!(window.limit(), 128 << 10);
    }
}
