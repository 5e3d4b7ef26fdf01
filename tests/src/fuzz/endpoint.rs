//! An endpoint under any history, with a hostile server: what always holds does, the audit of
//! messages holds, nothing grows, a recording replays, and in the end everything arrives.

use hermes_proto::reason::Stage;
use hermes_proto::trace::{Level, Recorder};
use hermes_proto::{
    Action, Actions, Config, ConnId, Credentials, Event, Frame, Input, Outgoing, State, Timestamp,
};

use super::byte_source::ByteSource;
use super::history::{self, Recording, Verb};
use super::trace::replays;
use crate::dsl::actions::lost;
use crate::model::MessageAudit;
use crate::model::sim_host::{Conn, Op, Report, Setup, TOKEN, other_session};
use crate::ws::bits::{BINARY, CONTINUATION, FIN, TEXT};
use crate::ws::{
    Asks, Harness, OnWire, Sent, arrived, binary, close, frame, header, ping, pong, read_frames,
    reply_to, text,
};

/// As many as take a few milliseconds.
const OPS: usize = 200;

/// The request, or all this at once: a session, the window and a message beyond it, a Ping, sixteen
/// Pongs, and a Close frame.
const MOST_WAITING: usize = 100 + 40 + 70 + 5 * 8 + 22 + 16 * (125 + 6) + 8;

/// Answers that are not the right one.
const ANSWERS: [&str; 10] = [
    "HTTP/1.1 503 Busy\r\nRetry-After: 2\r\n\r\n",
    "HTTP/1.1 401 Unauthorized\r\n\r\n",
    "HTTP/1.1 404 Not Found\r\n\r\n",
    "HTTP/1.1 429 Slow\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: ",
    "220 mail.test ESMTP\r\n",
    "HTTP/1.1 302 Found\r\nLocation: /here?x\r\n\r\n",
    "HTTP/1.1 307 There\r\nLocation: https://other.test/\r\n\r\n",
];

/// What a server does, beside what a [`Verb`] has it do: it writes bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Served {
    /// The right answer to the upgrade request.
    Upgrade,
    /// Another answer; with its number.
    Refuse,
    /// A frame; with its first byte, its length, and its payload.
    Frame,
    /// A header; with its first byte, and a length that is not what follows.
    Lie,
    /// A Close frame; with its code, the length of its text, and the text.
    Close,
    /// Many Pings or chats; with how many.
    Flood,
    /// Any bytes; with how many.
    Raw,
    /// From here on what it writes is on its way, or no longer.
    Hold,
    /// So many of the bytes on their way arrive.
    Deliver,
}

const SERVED: [Served; 9] = [
    Served::Upgrade,
    Served::Refuse,
    Served::Frame,
    Served::Lie,
    Served::Close,
    Served::Flood,
    Served::Raw,
    Served::Hold,
    Served::Deliver,
];

/// Lives through a history.
pub fn run(input: &[u8]) {
    let mut source = ByteSource::new(input);
    let (begin, recording) = history::begin(&mut source);
    let mut hostile = Hostile::new(&begin, recording);
    hostile.live(source);
    hostile.deliver();
    let debug = format!("{:?}", hostile.harness.endpoint);
    assert!(!debug.contains(TOKEN), "a secret is told: {debug}");
    hostile.check_recording();
}

/// Histories to begin with.
pub fn seeds() -> Vec<Vec<u8>> {
    history::seeds(Verb::ALL.len() + SERVED.len())
}

/// The trace of a history.
pub(super) fn trace(input: &[u8]) -> String {
    let mut source = ByteSource::new(input);
    let (begin, _) = history::begin(&mut source);
    let mut hostile = Hostile::new(&begin, Recording::Whole);
    hostile.live(source);
    hostile.recorder.take().map(|(_, trace)| trace).unwrap_or_default()
}

/// An endpoint, its host, and a server that means no good.
struct Hostile {
    harness: Harness,
    recorder: Option<(Recorder, String)>,
    /// On its way, and no longer when it is delivered.
    served: Vec<u8>,
    holds: bool,
    /// All that it wrote and that arrived, on this connection.
    said: Vec<u8>,
    /// The frames that it has whole, on this connection, and how many bytes those are.
    heard: Vec<Sent>,
    heard_bytes: usize,
    /// The last Ping that was answered.
    answered: Option<Vec<u8>>,
    audit: MessageAudit,
    /// Messages tried so far.
    tried: u64,
    /// What happened, for people.
    history: Vec<(Timestamp, String, Asks)>,
}

impl Hostile {
    fn new(begin: &Setup, recording: Recording) -> Self {
        let begin = Setup {
            config: Config {
                max_message_bytes: 400,
                max_frame_bytes: 300,
                max_header_bytes: 300,
                ..begin.config.clone()
            },
            ..begin.clone()
        };
        let recorder = recording.recorder(Level::Bytes, &begin).map(|recorder| {
            let mut trace = String::new();
            recorder.header(&mut trace);
            (recorder, trace)
        });
        Hostile {
            harness: Harness::start(begin.config.clone(), begin.start()),
            recorder,
            served: Vec::new(),
            holds: false,
            said: Vec::new(),
            heard: Vec::new(),
            heard_bytes: 0,
            answered: None,
            audit: MessageAudit::new(begin.config.delivery),
            tried: 0,
            history: Vec::new(),
        }
    }

    fn live(&mut self, mut source: ByteSource<'_>) {
        for _ in 0..OPS {
            if source.is_over() {
                break;
            }
            let verb = usize::from(source.byte()) % (Verb::ALL.len() + SERVED.len());
            match Verb::ALL.get(verb) {
                Some(verb) => {
                    let op = verb.op(&mut source);
                    self.step(&op);
                }
                None => self.serve(SERVED[verb - Verb::ALL.len()], &mut source),
            }
        }
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Pass(micros) => self.pass(*micros),
            Op::Due { off_by, fires } => {
                let Some(due) = self.harness.endpoint.deadline() else { return };
                self.harness.now = due;
                self.pass(*off_by);
                if *fires {
                    self.input(Input::TimerFired);
                }
            }
            Op::Connect => self.input(Input::Connect),
            Op::Disconnect => self.input(Input::Disconnect),
            Op::Shutdown(within) => self.input(Input::Shutdown { within: *within }),
            Op::ClearSession => self.input(Input::ClearSession),
            Op::SetSession(origin) => self.input(Input::SetSession(other_session(*origin))),
            Op::ClearOutbox => self.input(Input::ClearOutbox),
            Op::Queued(messages) => self.input(Input::Queued { messages: *messages }),
            Op::Network(online) => self.input(Input::NetworkChanged { online: *online }),
            Op::Timer => self.input(Input::TimerFired),
            Op::Send { bytes, ttl, volatile, as_input } => {
                self.tried += 1;
                let text = format!("{:>bytes$}", self.audit.next_id());
                let mut message = match self.tried % 4 {
                    0 => Outgoing::binary(text),
                    _ => Outgoing::text(text),
                };
                if let Some(ttl) = ttl {
                    message = message.with_ttl(*ttl);
                }
                if *volatile {
                    message = message.volatile();
                }
                self.send(message, *as_input);
            }
            Op::Report(conn, report) => self.report(*conn, report),
            Op::Cooperate => self.cooperate(),
            // These endpoints have no store: `client` has its histories.
            Op::Store(_) => {}
        }
    }

    fn pass(&mut self, micros: i64) {
        let now = self.harness.now.as_micros().saturating_add_signed(micros);
        self.harness.now = Timestamp::from_micros(now);
    }

    fn report(&mut self, conn: Conn, report: &Report) {
        let live = self.harness.live.map_or(0, |conn| conn.0);
        let conn = ConnId(match conn {
            Conn::Live => live,
            Conn::Earlier(back) => live.saturating_sub(back),
            Conn::Unborn(ahead) => (live + 1).saturating_add(ahead),
        });
        match report {
            Report::Credentials(credentials) => {
                self.input(Input::Credentials { conn, credentials: credentials.clone() });
            }
            Report::Postponed => self.input(Input::Postponed { conn }),
            Report::Reached(stage) => self.input(Input::Reached { conn, stage: *stage }),
            Report::Unread => self.input(Input::Unread { conn }),
            Report::Opened => self.input(Input::Opened { conn }),
            Report::Received(payload) => {
                let bytes = frame_of(payload);
                if self.harness.live == Some(conn) {
                    self.write(&bytes);
                } else {
                    self.input(Input::Received { conn, payload: &bytes });
                }
            }
            Report::Pong(back) => {
                let ping = self.heard.iter().rev().filter_map(pinged).nth(*back);
                self.write(&pong(ping.unwrap_or_default()));
            }
            Report::Flushed(u64::MAX) => self.input(Input::Flushed { conn, up_to: u64::MAX }),
            Report::Flushed(percent) => {
                let n = self.harness.endpoint.transmit().len() as u64 * percent / 100;
                let up_to = self.harness.wire.len() as u64 + n;
                self.input(Input::Flushed { conn, up_to });
            }
            Report::Closing(reason) => self.input(Input::Closing { conn, reason: reason.clone() }),
            Report::Closed(reason) => self.input(Input::Closed { conn, reason: reason.clone() }),
        }
    }

    /// What is to be done next, by host and server.
    fn cooperate(&mut self) {
        if !self.served.is_empty() {
            return self.deliver_bytes(usize::MAX);
        }
        if !self.harness.endpoint.transmit().is_empty() {
            return self.report(Conn::Live, &Report::Flushed(100));
        }
        let asked = self.heard.iter().rev().find_map(pinged).map(<[u8]>::to_vec);
        let asked = asked.filter(|data| self.answered.as_ref() != Some(data));
        match self.harness.endpoint.client().state() {
            State::Connecting { conn, stage: Stage::Credentials, .. } => {
                self.input(Input::Credentials { conn, credentials: Credentials::default() });
            }
            State::Connecting {
                conn,
                stage: Stage::Connect | Stage::Resolve | Stage::Proxy | Stage::Tls,
                ..
            } => {
                self.input(Input::Opened { conn });
            }
            State::Connecting { .. } => self.write(&reply_to(&self.harness.request)),
            State::Open { resuming: Some(_), .. } => {
                let init = format!(r#"{{"type":"session-init","token":"{TOKEN}"}}"#);
                self.write(&text(init));
            }
            State::Open { .. } if asked.is_some() => {
                self.write(&pong(asked.as_deref().unwrap_or_default()));
                self.answered = asked;
            }
            State::Closing { conn, .. } => self.input(Input::Closed { conn, reason: lost() }),
            _ => self.step(&Op::Due { off_by: 0, fires: true }),
        }
    }

    /// From here on all goes well, on another connection.
    fn deliver(&mut self) {
        self.holds = false;
        self.report(Conn::Live, &Report::Closed(lost()));
        self.step(&Op::Network(true));
        for _ in 0..100 {
            if self.harness.endpoint.client().outbox_len() == 0 {
                return;
            }
            self.step(&Op::Connect);
            self.cooperate();
        }
        panic!(
            "these never arrive: {:?}",
            self.harness.endpoint.client().outbox().collect::<Vec<_>>()
        );
    }
}

/// What the server does.
impl Hostile {
    fn serve(&mut self, what: Served, source: &mut ByteSource<'_>) {
        match what {
            Served::Upgrade if self.harness.request.is_empty() => {}
            Served::Upgrade => self.write(&reply_to(&self.harness.request)),
            Served::Refuse => self.write(source.pick(&ANSWERS).as_bytes()),
            Served::Frame => {
                let [first, length] = source.array();
                self.write(&frame(first, source.bytes(length.into())));
            }
            Served::Lie => {
                let first = source.pick(&[FIN | TEXT, FIN | BINARY, TEXT, BINARY, CONTINUATION]);
                let length = source.pick(&[200, 300, 301, 125, 126, 1 << 16, 1 << 40, 1 << 63]);
                self.write(&header(first, length));
            }
            Served::Close => {
                let code = u16::from_be_bytes(source.array());
                let length = source.byte() % 128;
                self.write(&close(code, source.bytes(length.into())));
            }
            Served::Flood => {
                let n = source.byte();
                let one = if n.is_multiple_of(2) { ping([n]) } else { text(r#"{"type":"chat"}"#) };
                self.write(&one.repeat(n.into()));
            }
            Served::Raw => {
                let length = source.byte();
                self.write(source.bytes(length.into()));
            }
            Served::Hold => self.holds = !self.holds,
            Served::Deliver => self.deliver_bytes(1 + usize::from(source.byte())),
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.served.extend(bytes);
        if !self.holds {
            self.deliver_bytes(usize::MAX);
        }
    }

    fn deliver_bytes(&mut self, n: usize) {
        let Some(conn) = self.harness.live else { return self.served.clear() };
        let bytes: Vec<u8> = self.served.drain(..n.min(self.served.len())).collect();
        self.said.extend(&bytes);
        self.input(Input::Received { conn, payload: &bytes });
    }
}

/// Calls, and what came of them.
impl Hostile {
    fn send(&mut self, message: Outgoing, as_input: bool) {
        let input = Input::Send(message.clone());
        if as_input {
            return self.input(input);
        }
        let (result, actions) = self.harness.try_send_message(message);
        if result.is_ok() {
            self.done(&input, actions);
        }
    }

    fn input(&mut self, input: Input<&[u8]>) {
        let actions = self.harness.input(input.clone());
        self.done(&input, actions);
    }

    fn done(&mut self, input: &Input<&[u8]>, actions: Asks) {
        let Hostile { harness, audit, .. } = self;
        let happened = match input {
            Input::Received { conn, payload } => format!("{conn} {}", payload.escape_ascii()),
            other => format!("{other:?}"),
        };
        self.history.push((harness.now, happened, actions.clone()));

        let refused =
            |action: &Action<_>| matches!(action, Action::Emit(Event::Dropped { id: None, .. }));
        if matches!(input, Input::Send(_)) && !actions.iter().any(refused) {
            audit.accepted();
        }
        self.hear();
        for action in &actions {
            if let Action::Emit(event) = action {
                self.audit.event(event).unwrap_or_else(|lie| panic!("{lie}"));
            }
        }
        let client = self.harness.endpoint.client();
        self.audit.outbox(client).unwrap_or_else(|lost| panic!("{lost}"));
        let waiting = self.harness.endpoint.transmit().len();
        assert!(waiting <= MOST_WAITING, "{waiting} bytes wait");
        self.record(input, actions);
    }

    /// What the server has, now that something was taken, or the connection has ended.
    fn hear(&mut self) {
        let Hostile { harness, audit, .. } = self;
        for bytes in harness.past.drain(..) {
            let (frames, _) = arrived(&bytes);
            frames[self.heard.len()..].iter().for_each(|frame| hears(audit, frame));
            audit.connection_ended();
            self.heard.clear();
            self.heard_bytes = 0;
            self.said.clear();
            self.served.clear();
            self.answered = None;
        }
        let start = harness.request.len() + self.heard_bytes;
        let Some(bytes) = harness.wire.get(start..) else { return };
        let (frames, rest) = read_frames(bytes);
        self.heard_bytes += bytes.len() - rest.len();
        for OnWire { frame, .. } in frames {
            hears(audit, &frame);
            self.heard.push(frame);
        }
        let unseen = [rest, harness.endpoint.transmit()].concat();
        let (unseen, _) = read_frames(&unseen);
        let mut unseen = unseen.iter().filter_map(|on_wire| pinged(&on_wire.frame));
        if unseen.any(|data| contains(&self.said, data)) {
            audit.forged();
        }
    }

    fn record(&mut self, input: &Input<&[u8]>, actions: Asks) {
        if self.harness.now > history::RECORDED {
            return self.check_recording();
        }
        if let Some((recorder, trace)) = &mut self.recorder {
            let Harness { endpoint, now, .. } = &self.harness;
            recorder.endpoint_input(*now, input, trace);
            recorder.endpoint_actions(*now, endpoint, &Actions::from(actions), trace);
        }
    }

    /// There will be no more in it.
    fn check_recording(&mut self) {
        if let Some((_, trace)) = self.recorder.take() {
            replays(&trace);
        }
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{:?}", self.harness.endpoint);
            for (now, happened, actions) in &self.history {
                println!("{now:?} {happened}\n    {actions:?}");
            }
        }
    }
}

/// The server has a frame whole. All that is written reaches it.
fn hears(audit: &mut MessageAudit, frame: &Sent) {
    let text = match frame {
        Sent::Text(text) => text,
        Sent::Binary(data) => str::from_utf8(data).expect("all that is sent is text"),
        _ => return,
    };
    // Anything else is the session that is resumed.
    let Ok(id) = text.trim().parse() else { return };
    audit.took(id).and(audit.arrived(id)).unwrap_or_else(|broken| panic!("{broken}"));
}

fn pinged(frame: &Sent) -> Option<&[u8]> {
    match frame {
        Sent::Ping(data) => Some(data),
        _ => None,
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// As a server sends it.
fn frame_of(payload: &Frame) -> Vec<u8> {
    match payload {
        Frame::Text(data) => text(data.as_bytes()),
        Frame::Binary(data) => binary(data),
        Frame::Ping(data) => ping(data),
        Frame::Pong(data) => pong(data),
    }
}
