//! The application: its messages, and the events that it gets.

use super::*;

/// What is sent, and how.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) delivery: Delivery,
    pub(crate) begin: Instant,
    /// Where bursts of large messages begin, more than a system's buffers take.
    pub(crate) bursts: Vec<u64>,
    /// The gateway's, where it speaks TLS.
    #[cfg_attr(not(feature = "tls"), expect(dead_code))]
    pub(crate) certificate: Option<String>,
}

pub(crate) const BURST: u64 = 45;
pub(crate) const LARGE: u64 = 120_000;

impl Run {
    pub(crate) fn new(delivery: Delivery) -> Self {
        let seed = chaos::seed();
        let bursts = Rng::new(seed, 4).milestones(3, MESSAGES - 2 * WINDOW);
        Run { seed, delivery, begin: Instant::now(), bursts, certificate: None }
    }

    pub(crate) fn chaos(&self, faults: u64, target: Target) -> Chaos {
        Chaos::start(self.seed, faults, MESSAGES, target)
    }

    pub(crate) fn config(&self, url: String) -> Config {
        Config {
            backoff_base: Duration::from_millis(2),
            backoff_cap: Duration::from_millis(20),
            jitter: Jitter::Full,
            max_attempts: None,
            stable_after: Duration::from_millis(100),
            connect_timeout: Duration::from_millis(400),
            upgrade_timeout: Duration::from_millis(400),
            close_timeout: Duration::from_millis(500),
            heartbeat_interval: Some(Duration::from_millis(100)),
            heartbeat_timeout: Duration::from_millis(300),
            max_resume_failures: None,
            outbox_max_messages: WINDOW,
            delivery: self.delivery,
            receipts: Receipts::Acknowledged,
            resume: match self.delivery {
                Delivery::AtLeastOnce => ResumeMode::Wait,
                _ => ResumeMode::Optimistic,
            },
            resume_timeout: Duration::from_millis(400),
            ..Config::new(url)
        }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn options(&self, url: String) -> Options {
        match &self.certificate {
            None => Options::new(self.config(url)),
            Some(pem) => Options::new(self.config(url.replace("ws://", "wss://")))
                .tls(hermes_mio::Tls::new().without_system().trust(pem).unwrap()),
        }
    }

    #[cfg(not(feature = "tls"))]
    pub(crate) fn options(&self, url: String) -> Options {
        Options::new(self.config(url))
    }

    /// Message `n`: mostly small, some larger, a few large, so that its frame's length has each of
    /// its forms.
    pub(crate) fn message(&self, n: u64) -> Outgoing {
        let mut rng = Rng::new(self.seed ^ n << 32, 5);
        let padding = match rng.below(1_000) {
            _ if self.bursts.iter().any(|first| (*first..*first + BURST).contains(&n)) => LARGE,
            0 => rng.below(20_000),
            1..20 => rng.below(300),
            _ => 0,
        };
        let padding = "x".repeat(padding as usize);
        Outgoing::from_json(format!(r#"{{"n":{n},"type":"tick","pad":"{padding}{n}"}}"#)).unwrap()
    }

    pub(crate) fn send_all(&self, chaos: &Chaos) -> ClientReport {
        self.send_all_and(chaos, |_| {})
    }

    /// Sends all messages, while something `happens` to the gateway, and shuts down.
    pub(crate) fn send_all_and(
        &self,
        chaos: &Chaos,
        happens: impl FnOnce(&Progress) + Send,
    ) -> ClientReport {
        let check = WrittenCheck::default();
        let short_writes = Arc::clone(&check.short_writes);
        let mut client = Client::new(self.options(chaos.url()).tap(check)).unwrap();
        client.connect();
        let progress = Progress::default();
        let report = ClientReport::default();
        let mut application = Application { run: self, client, chaos, progress: &progress, report };
        thread::scope(|scope| {
            let _end = EndOnDrop(&progress);
            let happening = scope.spawn(|| happens(&progress));
            match self.delivery {
                Delivery::AtLeastOnce => application.send_from_another_thread(),
                _ => application.send(),
            }
            while !happening.is_finished() {
                application.poll(Duration::from_millis(20));
            }
            happening.join().unwrap();
        });
        let mut report = application.shut_down();
        report.short_writes = short_writes.load(Ordering::Relaxed);
        report
    }
}

/// Who sends, and hears what becomes of it.
pub(crate) struct Application<'a> {
    pub(crate) run: &'a Run,
    pub(crate) client: Client,
    pub(crate) chaos: &'a Chaos,
    pub(crate) progress: &'a Progress,
    pub(crate) report: ClientReport,
}

impl Application<'_> {
    /// On the client's own thread, and no further ahead of what is settled than the window. Some
    /// are volatile, some have little time to live.
    pub(crate) fn send(&mut self) {
        let begin_burst = self.chaos.burst();
        for n in 1..=MESSAGES {
            let message = self.run.message(n);
            while n > self.report.settled + WINDOW
                || !self.client.protocol().has_room(message.len())
            {
                self.poll(Duration::from_millis(20));
            }
            if self.run.bursts.contains(&n) {
                begin_burst();
            }
            let message = match n % 50 {
                7 => message.volatile(),
                27 => message.with_ttl(Duration::from_millis(2)),
                _ => message,
            };
            let id = match self.client.send_message(message) {
                // Then later, as any other.
                Err(SendError::NotNow(_)) => self.client.send_message(self.run.message(n)),
                taken => taken,
            };
            assert_eq!(id, Ok(MessageId(n)));
            if n % 16 == 0 {
                self.poll(Duration::ZERO);
            }
        }
    }

    /// With a [`Sender`](hermes_mio::Sender). The outbox keeps what is not proven, and so is the
    /// window.
    pub(crate) fn send_from_another_thread(&mut self) {
        let (run, sender) = (self.run.clone(), self.client.sender());
        let begin_burst = self.chaos.burst();
        let sending = thread::spawn(move || {
            for n in 1..=MESSAGES {
                if run.bursts.contains(&n) {
                    begin_burst();
                }
                if sender.send_message_wait(run.message(n)).is_err() {
                    return; // The client is gone, as its test has failed.
                }
            }
        });
        while !sending.is_finished() || self.client.queued() > 0 {
            self.poll(Duration::from_millis(20));
        }
        sending.join().unwrap();
    }

    pub(crate) fn shut_down(mut self) -> ClientReport {
        self.report.stats_before = self.client.protocol().stats();
        self.client.shutdown(PATIENCE);
        self.chaos.farewell();
        while self.report.shut_down.is_none() {
            self.poll(Duration::from_millis(20));
        }
        assert_eq!(self.client.poll(None).unwrap(), None, "nothing comes after the end");
        self.report.stats = self.client.protocol().stats();
        self.report
    }

    pub(crate) fn poll(&mut self, patience: Duration) {
        if let Some(event) = self.client.poll(Some(patience)).unwrap() {
            self.report.hear(event);
            self.chaos.progress(self.report.settled);
            self.progress.tell(self.report.settled);
        }
        let Application { run, client, report, .. } = self;
        assert!(run.begin.elapsed() < PATIENCE, "it never ends: {client:?}, {report:?}");
    }
}

/// How many messages have met their fate, for those who wait for that.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) state: Mutex<(u64, bool)>,
    pub(crate) news: Condvar,
}

impl Progress {
    pub(crate) fn tell(&self, settled: u64) {
        self.state.lock().unwrap().0 = settled;
        self.news.notify_all();
    }

    /// Whether it came to that.
    pub(crate) fn wait_for(&self, milestone: u64) -> bool {
        let state = self.state.lock().unwrap();
        let waiting = |(settled, over): &mut (u64, bool)| *settled < milestone && !*over;
        self.news.wait_while(state, waiting).unwrap().0 >= milestone
    }
}

/// Lets nobody wait for what will not come, where a test fails.
pub(crate) struct EndOnDrop<'a>(&'a Progress);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap().1 = true;
        self.0.news.notify_all();
    }
}
