//! Any history: the shutdown ends in time with one report.

use super::*;

/// A client with a history, and what it has said since it was last asked.
struct Story {
    host: Host,
    rng: Rng,
    now: u64,
    /// The latest Ping.
    ping: Vec<u8>,
    reports: Vec<[u64; 3]>,
}

impl Story {
    /// Time passes; the timer fires when it is due.
    fn pass(&mut self, until: u64) {
        while let Some(due) = self.host.client().deadline().filter(|due| *due <= ms(until)) {
            self.host.at(due.as_millis()).timer();
            self.note();
        }
        self.now = until;
        self.host.at(until);
    }

    /// Something that the world does, or the application that only wants an end.
    fn happen(&mut self) {
        let (host, rng) = (&mut self.host, &mut self.rng);
        let conn = host.client().conn().map_or(99, |conn| conn.0);
        match rng.below(12) {
            0..=2 => _ = host.opened(conn),
            3 => _ = host.closed(conn, lost()),
            4 => _ = host.closing(conn, peer(1001)),
            5 => _ = host.flushed(conn, rng.below(9) as u64),
            6 => _ = host.frame(conn, Frame::Pong(self.ping.clone().into())),
            7 => _ = host.text(conn, r#"{"type":"session-init","token":"t"}"#),
            8 => _ = host.network(rng.chance(70)),
            9 => _ = host.clear_outbox(),
            10 if rng.chance(30) => _ = host.disconnect(),
            _ => _ = host.timer(),
        }
        self.note();
    }

    /// Something that the application does that wants a connection.
    fn want(&mut self) {
        match self.rng.below(3) {
            0 => _ = self.host.connect(),
            1 => _ = self.host.input(Input::Send(json("1").volatile())),
            _ => _ = self.host.input(Input::Send(json("2"))),
        }
        self.note();
    }

    fn note(&mut self) {
        for action in self.host.take() {
            match action {
                Action::Send { payload: Frame::Ping(data), .. } => self.ping = data.to_vec(),
                Action::Emit(Event::ShutDown { acknowledged, in_doubt, unsent, .. }) => {
                    self.reports.push([acknowledged, in_doubt, unsent]);
                }
                _ => {}
            }
        }
    }
}

/// Whatever was before it, and whatever comes in between.
#[test]
fn it_ends_in_time_with_one_report() {
    for seed in 0..1_000 {
        let mut rng = Rng::new(seed);
        let configs = [
            quiet(),
            at_least_once(),
            deaf(),
            config(),
            Config { unflushed_max_bytes: 1, max_attempts: Some(1), ..at_least_once() },
            Config { resume: ResumeMode::Wait, ..config() },
        ];
        let host = Host::new(rng.pick(&configs).clone());
        let mut story = Story { host, rng, now: 0, ping: Vec::new(), reports: Vec::new() };
        for _ in 0..story.rng.below(30) {
            story.pass(story.now + story.rng.clone().below(300) as u64);
            if story.rng.chance(40) { story.want() } else { story.happen() }
        }
        assert_eq!(story.reports, [[0; 3]; 0]);
        let before = story.host.client().stats();
        let within = 1 + story.rng.below(8_000) as u64;
        let due = story.now + within;
        story.host.shutdown(within);
        story.note();
        while story.reports.is_empty() && story.now < due {
            story.pass((story.now + story.rng.clone().below(1_000) as u64).min(due));
            if story.reports.is_empty() {
                story.happen();
            }
        }
        assert_eq!(story.reports.len(), 1, "within {within} ms: {:?}", story.host.state());
        let (client, state) = (story.host.client(), story.host.state());
        assert!(matches!(state, State::Idle | State::Failed { .. }), "{state:?}");
        assert_eq!(client.conn(), None);
        let [acknowledged, in_doubt, unsent] = story.reports[0];
        let (after, left) = (client.stats(), client.outbox_len() as u64);
        assert_eq!(acknowledged, after.acknowledged - before.acknowledged);
        match client.config().delivery {
            Delivery::AtMostOnce => {
                assert_eq!((in_doubt, unsent), (after.in_doubt - before.in_doubt, left));
            }
            // A message that was in doubt may be dropped since: it expired, or was volatile.
            _ => {
                let dropped = after.dropped.total() - before.dropped.total();
                assert!(
                    (left..=left + dropped).contains(&(in_doubt + unsent)),
                    "{in_doubt} {unsent}"
                );
            }
        }
        // And that was that.
        (0..20).for_each(|_| story.happen());
        assert_eq!((story.reports.len(), story.host.client().conn()), (1, None));
    }
}
