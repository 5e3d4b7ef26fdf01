//! The window: how many bytes may be in flight, by what connections have proven to carry.

use core::time::Duration;

use crate::Config;

/// Bytes in flight on the live connection, and the trust that bounds them.
///
/// Trust is bought with proof. *Proven* is the greater of half the bytes that this connection has
/// acknowledged, and of a halving average of what the connections that broke before it had. The
/// window is [a share](Config::in_flight_share) of it, so whatever a network does, the connections
/// that break leave in doubt a bounded share of what they delivered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Window {
    /// Bytes of messages that were sent on this connection, and of those acknowledged.
    sent: u64,
    acknowledged: u64,
    // Each client has these: they are small, and saturate.
    /// Halving average of the bytes that broken connections had acknowledged, or [`UNBROKEN`].
    credit: u32,
    /// The shortest round trip of a fence on this connection, in microseconds; `u32::MAX` before the
    /// first. A longer one is mostly the time that the window itself waits in front of the peer: it
    /// asks for no larger window.
    least_rtt: u32,
    /// Bytes that the peer acknowledges in a [`SHORT_TRIP`], as far as that was seen.
    swift: u32,
    /// Bytes that may be in flight. It changes with an acknowledgement, and is asked for with each
    /// message.
    limit: u32,
}

/// No connection has broken with bytes in flight.
const UNBROKEN: u32 = u32::MAX;

/// A small share of trust that is in flight however short the round trip is, as a divisor: a
/// connection that has carried much is worth more than [`in_flight_rate`](Config::in_flight_rate).
const SHORT_TRIP_SHARE: u64 = 8;

/// A round trip in which neither side waits long for the other: until a connection breaks, the
/// window grows while acknowledgements take less. It lets two processes of one host work side by
/// side.
const SHORT_TRIP: Duration = Duration::from_micros(250);

impl Window {
    pub(super) fn new(config: &Config) -> Self {
        let (sent, acknowledged, credit) = (0, 0, UNBROKEN);
        let (least_rtt, swift, limit) = (u32::MAX, 0, 0);
        let mut window = Window { sent, acknowledged, credit, least_rtt, swift, limit };
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
        let grown = if rtt > config.in_flight_max_delay {
            self.limit
        } else if self.least_rtt == u32::MAX {
            u32::MAX
        } else {
            self.limit.saturating_mul(2)
        };
        let rtt = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX - 1).max(1);
        if self.credit == UNBROKEN {
            let swift = self.in_flight() * SHORT_TRIP.as_micros() as u64 / u64::from(rtt);
            // One late answer in between is not the peer's pace.
            self.swift = saturate(swift).max(self.swift - self.swift / 8);
        }
        self.least_rtt = self.least_rtt.min(rtt);
        self.acknowledged = self.acknowledged.max(sent);
        self.limit = self.find_limit(config).min(grown);
    }

    /// The connection ended. Without bytes in flight nothing is in doubt, and trust stays.
    pub(super) fn on_end(&mut self, config: &Config) {
        if self.in_flight() > 0 {
            let acknowledged = saturate(self.acknowledged).min(UNBROKEN - 1);
            self.credit = match self.credit {
                UNBROKEN => acknowledged,
                credit => credit / 2 + acknowledged / 2,
            };
        }
        (self.sent, self.acknowledged) = (0, 0);
        (self.least_rtt, self.swift) = (u32::MAX, 0);
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
        let proven = self.acknowledged / 2;
        let trust = match self.credit {
            UNBROKEN => proven.max(config.in_flight_first_bytes),
            credit => proven.max(credit.into()) / u64::from(config.in_flight_share),
        };
        let rtt = if self.least_rtt == u32::MAX { 0 } else { u64::from(self.least_rtt) };
        let by_rate = rtt.saturating_mul(config.in_flight_rate) / 1_000_000;
        let useful = by_rate.max(trust / SHORT_TRIP_SHARE).max(self.swift.into());
        let wanted = trust.min(useful);
        saturate(wanted.clamp(config.in_flight_min_bytes, config.in_flight_max_bytes))
    }

    /// For the canonical form: only what decides over the limit, and only if it can change.
    #[cfg(feature = "testkit")]
    pub(super) fn canonicalize(&mut self, config: &Config) {
        if config.in_flight_min_bytes == config.in_flight_max_bytes {
            (self.credit, self.acknowledged) = (UNBROKEN, 0);
            (self.least_rtt, self.swift) = (u32::MAX, 0);
        } else {
            let share = 2 * SHORT_TRIP_SHARE * u64::from(config.in_flight_share);
            let most = config.in_flight_max_bytes.saturating_mul(share);
            if self.credit != UNBROKEN {
                self.credit = self.credit.min(saturate(most).min(UNBROKEN - 1));
            }
            self.acknowledged = self.acknowledged.min(most);
        }
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

    /// A window one of whose connections broke behind so many acknowledged bytes.
    fn broken_behind(bytes: usize, config: &Config) -> Window {
        let mut window = Window::new(config);
        acknowledge(&mut window, bytes, RTT, config);
        window.on_sent(1);
        window.on_end(config);
        window
    }

    #[test]
    fn until_a_connection_breaks_half_of_what_was_proven_may_be_in_flight() {
        let config = Config::default();
        let mut window = window(RTT, &config);
        assert_eq!(window.limit(), 32 << 10);
        acknowledge(&mut window, 100 << 10, RTT, &config);
        assert_eq!((window.limit(), window.in_flight()), (50 << 10, 0));
        acknowledge(&mut window, 2 << 20, RTT, &config);
        assert_eq!(window.limit(), 100 << 10, "twice as much at most");
        acknowledge(&mut window, 1, RTT, &config);
        acknowledge(&mut window, 1, RTT, &config);
        assert_eq!(window.limit(), 400_000, "no more than the rate");
    }

    #[test]
    fn afterwards_the_window_is_a_share_of_what_was_proven() {
        let config = Config::default();
        let mut window = broken_behind(800 << 10, &config);
        acknowledge(&mut window, 400 << 10, RTT, &config);
        assert_eq!(window.limit(), 100 << 10);
        acknowledge(&mut window, 2_000 << 10, RTT, &config);
        assert_eq!(window.limit(), 150 << 10);
        window.on_sent(1);
        window.on_end(&config);
        acknowledge(&mut window, 1, RTT, &config);
        assert_eq!(window.limit(), 200 << 10);
        // Connections that carry nothing cost half of the trust each, down to the least window.
        for _ in 0..40 {
            window.on_sent(1);
            window.on_end(&config);
        }
        assert_eq!(window.limit(), 2 << 10);
        // A connection with nothing in flight at its end left nothing in doubt.
        let before = window.clone();
        acknowledge(&mut window, 1 << 20, RTT, &config);
        window.on_end(&config);
        assert_eq!(window, before);
    }

    #[test]
    fn a_short_round_trip_needs_a_small_window() {
        let config = Config::default();
        let short = Duration::from_millis(1);
        let mut window = broken_behind(512 << 10, &config);
        assert_eq!(window.limit(), 8 << 10);
        acknowledge(&mut window, 20 << 20, short, &config);
        assert_eq!(window.limit(), (10 << 20) / 64);
        // The window in front of a fence makes its round trip longer, and that makes no window.
        acknowledge(&mut window, 1, RTT, &config);
        assert_eq!(window.limit(), (10 << 20) / 64);
    }

    /// Two processes of one host: the window is what the peer takes in a [`SHORT_TRIP`].
    #[test]
    fn swift_acknowledgements_open_the_window_until_a_connection_breaks() {
        let config = Config::default();
        let mut window = Window::new(&config);
        assert_eq!(window.limit(), 4 << 10);
        for limit in [20 << 10, 32 << 10, 64 << 10, 128 << 10] {
            let bytes = window.limit() as usize;
            acknowledge(&mut window, 100, SHORT_TRIP * 2, &config);
            (0..5).for_each(|_| acknowledge(&mut window, bytes, SHORT_TRIP / 5, &config));
            assert!(window.limit() >= limit, "{} {limit}", window.limit());
        }
        window.on_sent(1);
        window.on_end(&config);
        let credit = u64::from(window.credit);
        acknowledge(&mut window, 60_000, SHORT_TRIP / 5, &config);
        assert_eq!(window.limit(), credit / 64);
    }

    #[test]
    fn slow_acknowledgements_stop_its_growth() {
        let config = Config::default();
        let slow = Duration::from_secs(2);
        let mut window = window(RTT, &config);
        for _ in 0..20 {
            acknowledge(&mut window, 64 << 10, slow, &config);
        }
        assert_eq!(window.limit(), 32 << 10);
        // Swift ones let it grow again.
        acknowledge(&mut window, 1, RTT, &config);
        assert_eq!(window.limit(), 64 << 10);
    }

    /// The [promise](crate#the-window), for a network that always cuts at the worst time.
    #[test]
    fn broken_connections_together_leave_a_bounded_share_in_doubt() {
        let config = Config::default();
        let mut window = Window::new(&config);
        let (mut delivered, mut doubted, mut first) = (0, 0, None);
        for turn in 0..1_000_u64 {
            for _ in 0..=turn * 7 % 40 {
                acknowledge(&mut window, (turn * 991 % 30_000) as usize, RTT, &config);
            }
            delivered += window.acknowledged();
            first.get_or_insert(window.acknowledged());
            doubted += window.limit();
            window.on_sent(1);
            window.on_end(&config);
        }
        let first = first.unwrap_or_default();
        let constant = (32 << 10) + first + 1_000 * (2 << 10);
        assert!(doubted <= 3 * delivered / 16 + constant, "{doubted} of {delivered}");
        assert!(doubted > delivered / 10, "a test of nothing: {doubted} of {delivered}");
    }
}
