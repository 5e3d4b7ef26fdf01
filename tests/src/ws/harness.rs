//! An [`Endpoint`] and its host, on virtual time.

use hermes_proto::{
    Action, Actions, CloseReason, Config, ConnId, Endpoint, Input, MessageId, Outgoing, SendError,
    Start, Timestamp, Transmit,
};

use super::wire::bits::{FIN, PING};
use super::wire::{Sent, arrived, pong, read_raw, reply_to, sent};
use crate::dsl::actions::{ms, start};

/// What an [`Endpoint`] asks for.
pub type Asks = Vec<Action<Transmit>>;

/// An [`Endpoint`] and its host, on virtual time.
///
/// Every call returns the actions, and checks what holds at all times: see `check`.
#[derive(Clone, Debug)]
pub struct Harness {
    /// The machine.
    pub endpoint: Endpoint,
    /// The clock.
    pub now: Timestamp,
    /// The live connection.
    pub live: Option<ConnId>,
    /// Its upgrade request.
    pub request: Vec<u8>,
    /// The bytes that the operating system took from it.
    pub wire: Vec<u8>,
    /// The same on each connection before, without the upgrade request.
    pub past: Vec<Vec<u8>>,
    /// How many bytes were ever in `wire`, for a test that empties it.
    taken: u64,
    /// How many of its bytes an action has spoken of.
    announced: u64,
    timer: Option<Timestamp>,
    /// The latest time that the machine was told.
    latest: Timestamp,
    /// Connections that were opened.
    named: u64,
}

/// The beginning.
impl Harness {
    /// An endpoint that is not connected.
    pub fn new(config: Config) -> Self {
        Self::start(config, start())
    }

    /// An endpoint that may have a session.
    pub fn start(config: Config, start: Start) -> Self {
        Harness {
            endpoint: Endpoint::new(config, start).expect("the settings are fine"),
            now: ms(0),
            live: None,
            request: Vec::new(),
            wire: Vec::new(),
            past: Vec::new(),
            taken: 0,
            announced: 0,
            timer: None,
            latest: ms(0),
            named: 0,
        }
    }

    /// An endpoint whose connection 1 was opened and upgraded at time 0.
    #[track_caller]
    pub fn connected(config: Config) -> Self {
        let mut harness = Self::new(config);
        harness.connect();
        harness.establish();
        harness
    }

    /// Sets the clock. It may be set back.
    pub fn at(&mut self, millis: u64) -> &mut Self {
        self.now = ms(millis);
        self
    }

    /// Opens and upgrades the live connection, with the request taken, and what follows it not.
    #[track_caller]
    pub fn establish(&mut self) -> Asks {
        self.opened(self.live.expect("a connection is being made").0);
        self.take(usize::MAX);
        self.upgrade()
    }
}

/// What the application does.
impl Harness {
    /// `connect()`.
    #[track_caller]
    pub fn connect(&mut self) -> Asks {
        self.input(Input::Connect)
    }

    /// `disconnect()`.
    #[track_caller]
    pub fn disconnect(&mut self) -> Asks {
        self.input(Input::Disconnect)
    }

    /// `send_message()` of one that is accepted.
    #[track_caller]
    pub fn send(&mut self, text: &str) -> Asks {
        let (result, actions) = self.try_send(text);
        assert!(result.is_ok(), "{result:?}");
        actions
    }

    /// `send_message()`.
    #[track_caller]
    pub fn try_send(&mut self, text: &str) -> (Result<MessageId, SendError>, Asks) {
        match Outgoing::from_json(text) {
            Ok(message) => self.try_send_message(message),
            Err(error) => (Err(error), Asks::new()),
        }
    }

    /// `send_message()`.
    #[track_caller]
    pub fn try_send_message(&mut self, message: Outgoing) -> (Result<MessageId, SendError>, Asks) {
        let mut out = Actions::new();
        let before = self.endpoint.clone();
        let result = self.endpoint.send_message(self.now, message, &mut out);
        if result.is_err() {
            assert!(self.endpoint == before && out.is_empty(), "nothing changes: {result:?}");
            return (result, Asks::new());
        }
        (result, self.check(out, false))
    }
}

/// What the transport does.
impl Harness {
    /// The transport of connection `conn` is up.
    #[track_caller]
    pub fn opened(&mut self, conn: u64) -> Asks {
        self.input(Input::Opened { conn: ConnId(conn) })
    }

    /// The live connection reads this.
    #[track_caller]
    pub fn receive(&mut self, bytes: impl AsRef<[u8]>) -> Asks {
        let conn = self.live.expect("there is a live connection");
        self.input(Input::Received { conn, payload: bytes.as_ref() })
    }

    /// The gateway accepts the upgrade.
    #[track_caller]
    pub fn upgrade(&mut self) -> Asks {
        self.receive(reply_to(&self.request))
    }

    /// The operating system takes `n` bytes, or what there is: nothing at all, where there is no
    /// transport.
    #[track_caller]
    pub fn take(&mut self, n: usize) -> Asks {
        let mut out = Actions::new();
        let before = self.request.is_empty().then(|| self.endpoint.clone());
        self.write(n);
        self.endpoint.transmitted(self.now, n, &mut out);
        if let Some(before) = before {
            assert!(self.endpoint == before && out.is_empty(), "there is no transport");
            return Asks::new();
        }
        self.check(out, true)
    }

    /// The operating system takes all that there is, and the gateway answers each Ping in it. `wire`
    /// is empty then. Returns whether there was a Ping.
    #[track_caller]
    pub fn take_and_answer(&mut self) -> bool {
        let mut bytes = self.endpoint.transmit();
        let mut pongs = Vec::new();
        while let Some(raw) = read_raw(bytes) {
            if raw.first == FIN | PING {
                pongs.push(pong(raw.payload));
            }
            bytes = &bytes[raw.size..];
        }
        self.take(usize::MAX);
        self.wire = Vec::new();
        pongs.into_iter().map(|pong| self.receive(pong)).count() > 0
    }

    /// The live connection's transport has ended.
    #[track_caller]
    pub fn closed(&mut self, reason: CloseReason) -> Asks {
        let conn = self.live.expect("there is a live connection");
        self.input(Input::Closed { conn, reason })
    }

    /// The timer fires, whether or not it is due.
    #[track_caller]
    pub fn timer(&mut self) -> Asks {
        self.input(Input::TimerFired)
    }

    /// Any input.
    #[track_caller]
    pub fn input(&mut self, input: Input<&[u8]>) -> Asks {
        let mut out = Actions::new();
        if input.conn().is_some_and(|conn| self.live != Some(conn)) {
            let before = self.endpoint.clone();
            self.endpoint.handle(self.now, input.clone(), &mut out);
            assert!(self.endpoint == before && out.is_empty(), "{input:?} is nobody's");
            return Asks::new();
        }
        match input {
            Input::TimerFired => self.timer = None,
            Input::Flushed { up_to, .. } => {
                let more = up_to.saturating_sub(self.taken);
                self.write(usize::try_from(more).unwrap_or(usize::MAX));
            }
            _ => {}
        }
        let judged = input.conn().is_some() || input == Input::TimerFired;
        self.endpoint.handle(self.now, input, &mut out);
        self.check(out, judged)
    }

    /// Waits until the timer is due, and fires it.
    #[track_caller]
    pub fn wait(&mut self) -> Asks {
        self.now = self.timer.expect("the timer is armed");
        self.timer()
    }
}

/// What the gateway gets.
impl Harness {
    /// The frames that it has whole, and how much of another.
    pub fn arrived(&self) -> (Vec<Sent>, usize) {
        arrived(self.wire.get(self.request.len()..).unwrap_or_default())
    }

    /// What the latest Ping says that it has.
    pub fn pinged(&self) -> Option<Vec<u8>> {
        self.arrived().0.into_iter().rev().find_map(|frame| match frame {
            Sent::Ping(data) => Some(data),
            _ => None,
        })
    }

    /// The frames that it has, or will have once all is taken.
    pub fn frames(&self) -> Vec<Sent> {
        let bytes = [&self.wire, self.endpoint.transmit()].concat();
        sent(&bytes[self.request.len()..])
    }
}

impl Harness {
    fn ended(&mut self) {
        if self.live.take().is_some() {
            self.past.push(self.wire.get(self.request.len()..).unwrap_or_default().to_vec());
        }
        self.request.clear();
        self.wire.clear();
        (self.taken, self.announced) = (0, 0);
    }

    /// The first `n` bytes go out.
    fn write(&mut self, n: usize) {
        let waiting = self.endpoint.transmit();
        let n = n.min(waiting.len());
        self.wire.extend(&waiting[..n]);
        self.taken += n as u64;
    }

    /// There is one live connection at most, named 1, 2, 3 …; the timer is what the actions say,
    /// and never due after a call; every byte to be sent was announced.
    #[track_caller]
    /// `judged`: the call was no command, so that nothing is left that is due.
    fn check(&mut self, actions: Actions<Transmit>, judged: bool) -> Asks {
        self.latest = self.latest.max(self.now);
        for action in &actions {
            match action {
                // Credentials are for a connection that is named already.
                Action::Open { conn, .. } if self.live == Some(*conn) => {
                    let asks = self.endpoint.client().config().ask_credentials;
                    assert!(asks, "{conn} is opened twice");
                }
                Action::AskCredentials { conn, .. } | Action::Open { conn, .. } => {
                    self.named += 1;
                    assert_eq!(conn.0, self.named, "the next name");
                    assert_eq!(self.live, None, "{conn} is opened beside another");
                    self.live = Some(*conn);
                }
                Action::Send { conn, seq, .. } => {
                    assert_eq!(self.live, Some(*conn), "nothing else can send");
                    assert!(*seq > self.announced, "{seq} was announced before");
                    self.announced = *seq;
                }
                Action::Close { conn, code } => {
                    assert_eq!((self.live, *code), (Some(*conn), None), "an endpoint drops");
                    self.ended();
                }
                Action::Emit(hermes_proto::Event::Disconnected { conn, .. }) => {
                    assert!(self.live.is_none_or(|live| live == *conn), "another is gone");
                    self.ended();
                }
                Action::ArmTimer(due) => {
                    assert_ne!(*due, self.timer, "it is armed like that");
                    self.timer = *due;
                }
                _ => {}
            }
        }
        let (endpoint, latest) = (&self.endpoint, self.latest);
        assert_eq!(endpoint.deadline(), self.timer, "the timer");
        let is_past = self.timer.is_some_and(|due| due <= latest);
        assert!(!(judged && is_past), "at {latest:?}: {:?}", self.timer);
        assert_eq!(endpoint.client().conn(), self.live, "the live connection");
        let waiting = endpoint.transmit().len() as u64;
        match self.live {
            Some(_) => assert_eq!(self.announced, self.taken + waiting, "announced"),
            None => assert_eq!(waiting, 0, "nothing can be sent"),
        }
        if self.request.is_empty() {
            self.request = endpoint.transmit().to_vec();
        }
        actions.into()
    }
}
