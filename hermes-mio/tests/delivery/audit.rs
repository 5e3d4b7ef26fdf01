//! The client's report on its messages, compared with what the gateway received.

use super::*;

/// The client's events and counts.
#[derive(Debug, Default)]
pub(crate) struct ClientReport {
    /// Up to here it is settled what became of them.
    pub(crate) settled: u64,
    pub(crate) received: Vec<(u64, u64)>,
    pub(crate) in_doubt: Vec<(u64, u64, bool)>,
    pub(crate) written: Vec<(u64, u64)>,
    pub(crate) dropped: BTreeSet<u64>,
    pub(crate) connected: u64,
    pub(crate) shut_down: Option<(u64, u64, u64)>,
    /// How often the system took a part.
    pub(crate) short_writes: u64,
    pub(crate) stats_before: Stats,
    pub(crate) stats: Stats,
}

impl ClientReport {
    pub(crate) fn hear(&mut self, event: Event) {
        assert_eq!(self.shut_down, None, "{event:?} comes after the end");
        match event {
            Event::Connected { .. } => self.connected += 1,
            Event::Written { from, to } => self.written.push((from.0, to.0)),
            Event::Acknowledged { from, to } => {
                self.received.push((from.0, to.0));
                self.settled = to.0;
            }
            Event::InDoubt { from, to, resend } => {
                self.in_doubt.push((from.0, to.0, resend));
                if !resend {
                    self.settled = to.0;
                }
            }
            Event::Dropped { id, .. } => {
                let MessageId(n) = id.expect("the outbox took all of them");
                assert!(self.dropped.insert(n), "{n} is dropped twice");
            }
            Event::ShutDown { acknowledged, in_doubt, unsent, .. } => {
                self.shut_down = Some((acknowledged, in_doubt, unsent));
            }
            // Of a link that was never heard of again, the gateway made another player.
            Event::PlayerJoined(_) | Event::PlayerLeft(_) => {}
            Event::Disconnected { .. } | Event::SessionInit(_) => {}
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn check_at_most_once(&self, gateway: &Gateway) {
        let arrivals = gateway.messages();
        self.check_each_connection(&arrivals);

        // What was on its way on a connection may arrive after the client has come back on another:
        // no client can prevent that. In the connections' order each comes once, and in order.
        let mut by_connection = arrivals.clone();
        by_connection.sort_by_key(|(conn, _)| *conn);
        for (before, after) in by_connection.iter().zip(&by_connection[1..]) {
            assert!(before.1 < after.1, "{after:?} comes after {before:?}");
        }

        // Each has one fate, and it is true.
        let mut fates = vec![Fate::None; MESSAGES as usize + 1];
        let received = self.received.iter().map(|(from, to)| (*from, *to, Fate::Received));
        let in_doubt = self.in_doubt.iter().map(|(from, to, resend)| {
            assert!(!resend);
            (*from, *to, Fate::InDoubt)
        });
        for (from, to, fate) in received.chain(in_doubt) {
            for n in from..=to {
                let before = std::mem::replace(&mut fates[n as usize], fate);
                assert_eq!(before, Fate::None, "{n} has two fates, the other is {fate:?}");
            }
        }
        // A range covers what lies in it, but for what was dropped.
        self.dropped.iter().for_each(|n| fates[*n as usize] = Fate::Dropped);
        let seen = seen(&arrivals);
        let mut counts = BTreeMap::new();
        for n in 1..=MESSAGES {
            let (fate, seen) = (fates[n as usize], seen[n as usize]);
            *counts.entry((fate, seen)).or_insert(0) += 1;
            match fate {
                Fate::Received => assert_eq!(seen, 1, "{n} is said to be received"),
                Fate::InDoubt => assert!(seen <= 1, "{n} arrived {seen} times"),
                Fate::Dropped => assert_eq!(seen, 0, "{n} is said to be dropped"),
                Fate::None => panic!("nobody knows what became of {n}; it arrived {seen} times"),
            }
        }
        let count =
            |wanted| counts.iter().filter(|((fate, _), _)| *fate == wanted).map(|(_, n)| n).sum();
        let (received, in_doubt): (u64, u64) = (count(Fate::Received), count(Fate::InDoubt));
        let late = arrivals.windows(2).filter(|pair| pair[1].1 < pair[0].1).count();
        println!("fates {counts:?}; {late} times late ones between newer ones");

        // The counts say the same.
        let Stats { accepted, written, acknowledged, rewritten, .. } = self.stats;
        assert_eq!((accepted, acknowledged, rewritten), (MESSAGES, received, 0));
        assert_eq!(self.stats.in_doubt, in_doubt);
        assert_eq!(self.stats.dropped.total(), self.dropped.len() as u64);
        assert_eq!(written, received + in_doubt);
        let before = &self.stats_before;
        let since = (received - before.acknowledged, in_doubt - before.in_doubt, 0);
        assert_eq!(self.shut_down, Some(since));
        self.check_written();

        // And it was a test.
        let lost = counts.get(&(Fate::InDoubt, 0)).copied().unwrap_or_default();
        assert!(lost > 0 && !self.dropped.is_empty(), "{counts:?}");
        assert!(received > MESSAGES / 4, "{counts:?}");
    }

    pub(crate) fn check_at_least_once(&self, gateways: &[&Gateway]) {
        let mut arrivals = Vec::new();
        for (process, gateway) in gateways.iter().enumerate() {
            let process = (process as u64) << 32;
            arrivals.extend(gateway.messages().into_iter().map(|(conn, n)| (process | conn, n)));
        }
        self.check_each_connection(&arrivals);

        // None is missing, and those that come for the first time come in order.
        let mut next = 1;
        for (conn, n) in &arrivals {
            assert!(*n <= next, "{n} arrives on {conn}, and {next} has not");
            next = next.max(n + 1);
        }
        assert_eq!(next, MESSAGES + 1, "some are missing");

        // Each time that a message comes once more, it was in doubt before.
        let mut doubts = vec![0; MESSAGES as usize + 1];
        for (from, to, resend) in &self.in_doubt {
            assert!(resend);
            doubts[*from as usize..=*to as usize].iter_mut().for_each(|doubts| *doubts += 1);
        }
        let mut repeats = 0;
        for (n, seen) in seen(&arrivals).into_iter().enumerate().skip(1) {
            assert!(seen <= 1 + doubts[n], "{n} arrives {seen} times, in doubt {}", doubts[n]);
            repeats += seen - 1;
        }
        let doubtful = doubts.iter().filter(|doubts| **doubts > 0).count();
        println!(
            "{repeats} repeats; {doubtful} were in doubt, {} times together",
            doubts.iter().sum::<u64>()
        );

        // Each is reported as acknowledged, once.
        let mut next = 1;
        for (from, to) in &self.received {
            assert_eq!(*from, next);
            next = to + 1;
        }
        assert_eq!(next, MESSAGES + 1);
        let Stats { accepted, written, acknowledged, .. } = self.stats;
        assert_eq!((accepted, written, acknowledged), (MESSAGES, MESSAGES, MESSAGES));
        assert_eq!(self.stats.dropped.total() + self.dropped.len() as u64, 0);
        let since = MESSAGES - self.stats_before.acknowledged;
        assert_eq!(self.shut_down, Some((since, 0, 0)));
        self.check_written();

        // And it was a test.
        assert!(repeats > 0);
    }

    /// A connection leaves nothing out, and says nothing twice.
    pub(crate) fn check_each_connection(&self, arrivals: &[(u64, u64)]) {
        let mut latest = BTreeMap::new();
        for (conn, n) in arrivals {
            if let Some(before) = latest.insert(conn, *n) {
                let skipped = (before + 1..*n).find(|n| !self.dropped.contains(n));
                assert!(before < *n && skipped.is_none(), "{n} follows {before} on {conn}");
            }
        }
    }

    /// Each written message is reported once, in order, and before it is acknowledged.
    pub(crate) fn check_written(&self) {
        let mut next = 1;
        for (from, to) in &self.written {
            assert!(*from == next && from <= to, "{from} is written, {next} is next");
            next = to + 1;
        }
        assert!((next..=MESSAGES).all(|n| self.dropped.contains(&n)), "{next} was not written");
    }

    pub(crate) fn figures(&self, run: &Run, counts: &FaultCounts) {
        println!(
            "{:.1} s; {} faults; {} short writes; {} connections of {} attempts; ends {:?}; {counts:?}",
            run.begin.elapsed().as_secs_f64(),
            counts.total(),
            self.short_writes,
            self.connected,
            self.stats.attempts,
            self.stats.ended,
        );
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    None,
    Received,
    InDoubt,
    Dropped,
}

/// How often each was seen.
pub(crate) fn seen(arrivals: &[(u64, u64)]) -> Vec<u64> {
    let mut seen = vec![0; MESSAGES as usize + 1];
    arrivals.iter().for_each(|(_, n)| seen[*n as usize] += 1);
    seen
}
