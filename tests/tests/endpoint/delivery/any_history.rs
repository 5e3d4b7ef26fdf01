//! Any payload, any portions, and cuts.

use super::*;

/// Any payload, any portions, and cuts: what a gateway has read is what the client says of it.
#[test]
fn portions_and_cuts_by_the_dice() {
    for (delivery, seed) in [(Delivery::AtMostOnce, 1), (Delivery::AtLeastOnce, 2)] {
        let mut rng = Rng::new(seed);
        let config =
            Config { delivery, unflushed_max_bytes: 100, max_attempts: None, ..receipts() };
        let mut harness = Harness::connected(config);
        let (mut sent, mut seen) = (0_u64, Vec::new());
        let (mut proven, mut doubted) = (Vec::new(), Vec::new());
        let (mut frames, mut answered) = (0, 0);
        for _ in 0..5_000 {
            let mut actions = Asks::new();
            match rng.below(10) {
                0..=2 => {
                    sent += 1;
                    let padding = "x".repeat(rng.below(200));
                    actions.extend(harness.send(&format!("[{sent},\"{padding}\"]")));
                }
                9 if rng.chance(10) => {
                    actions.extend(harness.closed(lost()));
                    harness.wait();
                    harness.establish();
                    (frames, answered) = (0, 0);
                }
                _ => {
                    actions.extend(harness.take(rng.below(80)));
                    let (arrived, _) = harness.arrived();
                    for frame in &arrived[frames..] {
                        if let Sent::Text(text) = frame {
                            let id = text[1..].split(',').next().map(str::parse::<u64>);
                            seen.push(id.expect("a number").expect("a number"));
                        }
                    }
                    frames = arrived.len();
                    // The answer takes a while.
                    let pings: Vec<_> = arrived
                        .iter()
                        .filter_map(|frame| match frame {
                            Sent::Ping(data) => Some(data),
                            _ => None,
                        })
                        .collect();
                    if answered < pings.len() && rng.chance(30) {
                        answered += 1;
                        actions.extend(harness.receive(pong(pings[answered - 1])));
                    }
                }
            }
            for action in actions {
                match action {
                    Action::Emit(Event::Acknowledged { from, to }) => proven.extend(from.0..=to.0),
                    Action::Emit(Event::InDoubt { from, to, .. }) => doubted.extend(from.0..=to.0),
                    _ => {}
                }
            }
        }
        assert!(proven.len() > 100 && !doubted.is_empty(), "{} proven", proven.len());
        assert!(proven.windows(2).all(|pair| pair[0] < pair[1]), "{proven:?}");
        let seen_set: std::collections::BTreeSet<u64> = seen.iter().copied().collect();
        assert!(proven.iter().all(|id| seen_set.contains(id)));
        if delivery == Delivery::AtMostOnce {
            assert!(seen.windows(2).all(|pair| pair[0] + 1 == pair[1]), "unique, in order, all");
            assert!(doubted.iter().all(|id| !proven.contains(id)));
        } else {
            assert_eq!(
                seen_set.len() as u64,
                seen_set.last().copied().unwrap_or(0),
                "none missing"
            );
        }
    }
}
