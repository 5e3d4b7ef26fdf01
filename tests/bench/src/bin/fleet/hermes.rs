//! Hermes: a fleet with its defaults.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hermes_mio::{Config, Event, Fleet, FleetOptions};

use crate::{AT_A_TIME, Contender, HEARTBEAT};

pub struct Hermes {
    fleet: Fleet,
    config: Arc<Config>,
    connected: usize,
}

impl Hermes {
    pub fn new(url: String) -> Self {
        let options = FleetOptions::default().max_connecting(AT_A_TIME);
        let fleet = Fleet::new(options).expect("a loop");
        let config = Config {
            heartbeat_interval: Some(HEARTBEAT),
            heartbeat_timeout: Duration::from_secs(20),
            // The gateway is gone for as long as it takes all of them to notice.
            max_attempts: None,
            ..Config::new(url)
        };
        Hermes { fleet, config: Arc::new(config), connected: 0 }
    }

    /// Polls until then, or until so many are connected.
    fn run(&mut self, until: Instant, enough: impl Fn(usize) -> bool, mut seen: impl FnMut(bool)) {
        while !enough(self.connected) {
            let left = until.saturating_duration_since(Instant::now());
            match self.fleet.poll(Some(left)).expect("the loop goes on") {
                Some((_, Event::Connected { .. })) => {
                    self.connected += 1;
                    seen(true);
                }
                Some((_, Event::Disconnected { code, reason, .. })) => {
                    if code != 1006 {
                        panic!("{reason}");
                    }
                    if !matches!(reason, hermes_mio::CloseReason::Connect { .. }) {
                        self.connected -= 1;
                    }
                    seen(false);
                }
                Some(_) => {}
                None if left.is_zero() => return,
                None => {}
            }
        }
    }
}

impl Contender for Hermes {
    fn connect(&mut self, clients: usize, patience: Duration) -> usize {
        for _ in 0..clients {
            let id = self.fleet.add(Arc::clone(&self.config)).expect("there is room");
            self.fleet.get_mut(id).expect("it was just added").connect();
        }
        self.run(Instant::now() + patience, |connected| connected == clients, |_| {});
        self.connected
    }

    fn idle(&mut self, time: Duration) -> usize {
        self.run(Instant::now() + time, |_| false, |_| {});
        self.connected
    }

    fn come_back(&mut self, back: &mut dyn FnMut()) -> Vec<Duration> {
        let clients = self.connected;
        let patience = Instant::now() + Duration::from_secs(60);
        self.run(patience, |connected| connected == 0, |_| {});
        back();
        let begin = Instant::now();
        let mut times = Vec::with_capacity(clients);
        let note = |came: bool| {
            if came {
                times.push(begin.elapsed());
            }
        };
        self.run(begin + Duration::from_secs(120), |connected| connected == clients, note);
        times
    }
}
