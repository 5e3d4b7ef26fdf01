//! Happy Eyeballs (RFC 8305): the order and the times at which a name's addresses are tried. No
//! socket and no clock.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use hermes_proto::Timestamp;

/// Addresses that race for a connection: the first starts at once, each of the others a delay after
/// its predecessor, or as soon as an attempt has failed. The caller keeps the first that connects,
/// and drops this.
#[derive(Debug)]
pub(crate) struct HappyEyeballs {
    delay: Duration,
    waiting: VecDeque<SocketAddr>,
    running: Vec<SocketAddr>,
    /// When the next one starts.
    next: Timestamp,
    failures: Vec<(SocketAddr, String)>,
}

/// Addresses of a name that are tried. The rest is ignored.
const MAX_ADDRESSES: usize = 64;

impl HappyEyeballs {
    /// `addresses` in the order of preference (RFC 6724), without duplicates.
    pub(crate) fn new(addresses: Vec<SocketAddr>, delay: Duration) -> Self {
        let mut waiting = interleave(addresses);
        waiting.truncate(MAX_ADDRESSES);
        let next = Timestamp::ZERO;
        HappyEyeballs { delay, waiting, running: Vec::new(), next, failures: Vec::new() }
    }

    /// The address to start with at this moment. Call it until there is none.
    pub(crate) fn next_due(&mut self, now: Timestamp) -> Option<SocketAddr> {
        if now < self.next {
            return None;
        }
        let address = self.waiting.pop_front()?;
        self.running.push(address);
        self.next = now + self.delay;
        Some(address)
    }

    /// An attempt failed: the next one starts at once.
    pub(crate) fn failed(&mut self, now: Timestamp, address: SocketAddr, why: impl fmt::Display) {
        self.running.retain(|running| *running != address);
        self.failures.push((address, why.to_string()));
        self.next = now;
    }

    /// When [`next_due`](Self::next_due) is to be called even if no attempt ends.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        (!self.waiting.is_empty()).then_some(self.next)
    }

    /// Whether all have failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }
}

/// The fate of each address: first the failures, in the order in which they came.
impl fmt::Display for HappyEyeballs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ended = self.failures.iter().map(|(address, why)| (address, why.as_str()));
        let running = self.running.iter().map(|address| (address, "no answer"));
        let waiting = self.waiting.iter().map(|address| (address, "not tried"));
        let mut separator = "";
        for (address, why) in ended.chain(running).chain(waiting) {
            write!(f, "{separator}{address}: {why}")?;
            separator = "; ";
        }
        Ok(())
    }
}

/// §4: families in turn, the preferred one first, each in its own order.
fn interleave(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let Some(first) = addresses.first().copied() else { return VecDeque::new() };
    let (preferred, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first.is_ipv6());
    let (mut preferred, mut other) = (preferred.into_iter(), other.into_iter());
    let mut order = VecDeque::new();
    loop {
        let pair = (preferred.next(), other.next());
        order.extend(pair.0);
        order.extend(pair.1);
        if pair == (None, None) {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DELAY: Duration = Duration::from_millis(250);

    /// `"6:1"` is the first IPv6 address.
    fn address(name: &str) -> SocketAddr {
        let (family, number) = name.split_once(':').unwrap();
        let ip = if family == "6" {
            format!("[2001:db8::{number}]")
        } else {
            format!("192.0.2.{number}")
        };
        format!("{ip}:443").parse().unwrap()
    }

    fn addresses(names: &str) -> Vec<SocketAddr> {
        names.split_whitespace().map(address).collect()
    }

    /// The fate of an address, a number of milliseconds after its attempt begins.
    #[derive(Clone, Copy, Debug)]
    enum Fate {
        Connects(u64),
        Fails(u64),
        Swallows,
    }

    /// A moment, in milliseconds, and an address.
    type At = (u64, SocketAddr);

    /// A race on virtual time, to its end: when each began, and who won when.
    fn run(field: &[(SocketAddr, Fate)]) -> (Vec<At>, Option<At>) {
        let mut race =
            HappyEyeballs::new(field.iter().map(|(address, _)| *address).collect(), DELAY);
        let fate = |address| field.iter().find(|(other, _)| *other == address).unwrap().1;
        let mut now = Timestamp::ZERO;
        let mut begun: Vec<At> = Vec::new();
        let mut over: Vec<SocketAddr> = Vec::new();
        loop {
            while let Some(address) = race.next_due(now) {
                begun.push((now.as_millis(), address));
            }
            if race.has_failed() {
                return (begun, None);
            }
            // The next event: the end of an attempt, or the begin of one.
            let ends = begun.iter().filter(|(_, address)| !over.contains(address));
            let ends = ends.filter_map(|(at, address)| match fate(*address) {
                Fate::Connects(after) | Fate::Fails(after) => Some((at + after, *address)),
                Fate::Swallows => None,
            });
            let end = ends.min_by_key(|(at, _)| *at);
            let begin = race.deadline().map(Timestamp::as_millis);
            match (end, begin) {
                (Some((at, address)), begin) if begin.is_none_or(|begin| at <= begin) => {
                    now = Timestamp::from_millis(at);
                    over.push(address);
                    match fate(address) {
                        Fate::Connects(_) => return (begun, Some((at, address))),
                        _ => race.failed(now, address, "refused"),
                    }
                }
                (_, Some(begin)) => {
                    assert!(begin > now.as_millis(), "it would spin at {now:?}");
                    now = Timestamp::from_millis(begin);
                }
                // Nothing will ever happen.
                _ => return (begun, None),
            }
        }
    }

    fn story(field: &[(&str, Fate)]) -> (Vec<At>, Option<At>) {
        run(&field.iter().map(|(name, fate)| (address(name), *fate)).collect::<Vec<_>>())
    }

    #[test]
    fn families_take_turns() {
        for (given, order) in [
            ("6:1 6:2 6:3 4:1 4:2", "6:1 4:1 6:2 4:2 6:3"),
            ("4:1 4:2 6:1 6:2 6:3", "4:1 6:1 4:2 6:2 6:3"),
            ("6:1", "6:1"),
            ("4:2 4:1", "4:2 4:1"),
            ("", ""),
        ] {
            assert_eq!(Vec::from(interleave(addresses(given))), addresses(order), "{given}");
        }
    }

    #[test]
    fn a_quick_first_one_has_no_rival() {
        let (begun, won) = story(&[("6:1", Fate::Connects(249)), ("4:1", Fate::Connects(1))]);
        assert_eq!((begun.len(), won), (1, Some((249, address("6:1")))));
    }

    #[test]
    fn the_next_begins_after_the_delay_and_the_first_to_connect_wins() {
        let (begun, won) = story(&[("6:1", Fate::Swallows), ("4:1", Fate::Connects(30))]);
        assert_eq!(begun, [(0, address("6:1")), (250, address("4:1"))]);
        assert_eq!(won, Some((280, address("4:1"))));
        // A slow one may still win.
        let (_, won) = story(&[("6:1", Fate::Connects(300)), ("4:1", Fate::Connects(60))]);
        assert_eq!(won, Some((300, address("6:1"))));
    }

    #[test]
    fn a_failure_has_the_next_begin_at_once() {
        let (begun, won) =
            story(&[("6:1", Fate::Fails(10)), ("6:2", Fate::Connects(5)), ("4:1", Fate::Fails(0))]);
        assert_eq!(begun, [(0, address("6:1")), (10, address("4:1")), (10, address("6:2"))]);
        assert_eq!(won, Some((15, address("6:2"))));
    }

    #[test]
    fn every_failure_is_told() {
        let mut race = HappyEyeballs::new(addresses("6:1 4:1 6:2 4:2"), DELAY);
        let at = Timestamp::from_millis;
        let begun: Vec<SocketAddr> =
            [0, 250].into_iter().filter_map(|ms| race.next_due(at(ms))).collect();
        assert_eq!(begun, addresses("6:1 4:1"));
        race.failed(at(251), address("4:1"), "refused");
        race.next_due(at(251));
        assert_eq!(
            race.to_string(),
            "192.0.2.1:443: refused; [2001:db8::1]:443: no answer; \
             [2001:db8::2]:443: no answer; 192.0.2.2:443: not tried"
        );
        assert!(!race.has_failed());
    }

    #[test]
    fn a_name_can_not_have_it_try_for_ever() {
        let field: Vec<_> = (0..10_000u32)
            .map(|n| (SocketAddr::from((n.to_be_bytes(), 80)), Fate::Fails(0)))
            .collect();
        assert_eq!(run(&field).0.len(), MAX_ADDRESSES);
    }

    proptest! {
        #[test]
        fn whatever_the_network_does(
            field in prop::collection::vec((any::<bool>(), 0..3u8, 0..2_000u64), 0..12),
        ) {
            let field: Vec<_> = (1..).zip(field).map(|(n, (is_v6, fate, after))| {
                let fate = match fate {
                    0 => Fate::Connects(after),
                    1 => Fate::Fails(after),
                    _ => Fate::Swallows,
                };
                (address(&format!("{}:{n}", if is_v6 { 6 } else { 4 })), fate)
            }).collect();
            let fate = |address| field.iter().find(|(other, _)| *other == address).unwrap().1;
            let end = |(at, address): &At| match fate(*address) {
                Fate::Connects(after) | Fate::Fails(after) => Some(at + after),
                Fate::Swallows => None,
            };
            let (begun, won) = run(&field);
            // Each at most once, and in the order of §4.
            let order: Vec<_> = begun.iter().map(|(_, address)| *address).collect();
            let all = Vec::from(interleave(field.iter().map(|(address, _)| *address).collect()));
            prop_assert_eq!(&order[..], &all[..order.len()]);
            // Not before its time: after the delay, or when one has failed.
            for pair in begun.windows(2) {
                let is_failure = |other: &&At| {
                    matches!(fate(other.1), Fate::Fails(_)) && end(other) == Some(pair[1].0)
                };
                prop_assert!(
                    pair[1].0 == pair[0].0 + 250 || begun.iter().any(|other| is_failure(&other)),
                    "{:?}", begun
                );
            }
            // The first to connect has won; without a winner all were tried.
            let connects = begun.iter().filter(|(_, address)| matches!(fate(*address), Fate::Connects(_)));
            let first = connects.filter_map(end).min();
            prop_assert_eq!(won.map(|(at, _)| at), first);
            prop_assert!(won.is_some() || order.len() == all.len());
        }
    }
}
