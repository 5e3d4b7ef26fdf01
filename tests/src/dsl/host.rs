//! A host that does as the scenario says, and compares.

use std::mem;
use std::time::Duration;

use hermes_proto::{
    Action, Actions, Client, CloseReason, Config, ConnId, Credentials, Event, Frame, Input,
    MessageId, Outgoing, SendError, Start, State, Text, Timestamp,
};

use crate::dsl::actions::{ms, pong, show, start};
use crate::{Call, Contract, Step};

/// A [`Client`] and its host, on virtual time.
///
/// Every call but [`expect`](Self::expect) and its kin makes one call of the machine. What the
/// machine answers must be expected, all of it, before the next call: an action that nobody
/// mentioned fails the test.
pub struct Host {
    client: Client,
    contract: Contract,
    now: Timestamp,
    /// Not expected yet.
    actions: Vec<Action>,
    story: Vec<Step>,
}

/// The beginning.
impl Host {
    /// A client that is not connected.
    pub fn new(config: Config) -> Self {
        Self::start(config, start())
    }

    /// A client that may have a session.
    pub fn start(config: Config, start: Start) -> Self {
        let (unix_ms, stored) = (start.unix_ms, start.outbox.clone());
        let client = Client::new(config, start).expect("the settings are fine");
        let mut contract = Contract::starting(&client, unix_ms);
        if let Some(stored) = &stored {
            contract = contract.with_stored(stored);
        }
        Host { client, contract, now: ms(0), actions: Vec::new(), story: Vec::new() }
    }

    /// A client whose connection 1 opened at time 0, with all said about that.
    pub fn connected(config: Config) -> Self {
        let mut host = Self::new(config);
        host.at(0).connect().skip();
        host.opened(1).skip();
        host
    }

    /// Sets the clock. It may be set back.
    pub fn at(&mut self, millis: u64) -> &mut Self {
        self.now = ms(millis);
        self
    }
}

/// What the application does.
impl Host {
    /// `connect()`.
    #[track_caller]
    pub fn connect(&mut self) -> &mut Self {
        self.input(Input::Connect)
    }

    /// `disconnect()`.
    #[track_caller]
    pub fn disconnect(&mut self) -> &mut Self {
        self.input(Input::Disconnect)
    }

    /// `shutdown()`, within so many milliseconds.
    #[track_caller]
    pub fn shutdown(&mut self, within: u64) -> &mut Self {
        self.input(Input::Shutdown { within: Duration::from_millis(within) })
    }

    /// `clear_outbox()`.
    #[track_caller]
    pub fn clear_outbox(&mut self) -> &mut Self {
        self.input(Input::ClearOutbox)
    }

    /// `network_changed()`.
    #[track_caller]
    pub fn network(&mut self, online: bool) -> &mut Self {
        self.input(Input::NetworkChanged { online })
    }

    /// `clear_session()`.
    #[track_caller]
    pub fn clear_session(&mut self) -> &mut Self {
        self.input(Input::ClearSession)
    }

    /// `send_message()` with this JSON; it must be accepted.
    #[track_caller]
    pub fn send(&mut self, text: &str) -> &mut Self {
        if let Err(error) = self.try_send(text) {
            panic!("{text} was not accepted: {error}");
        }
        self
    }

    /// `send_message()` with this JSON.
    ///
    /// # Errors
    ///
    /// As the machine says.
    #[track_caller]
    pub fn try_send(&mut self, text: &str) -> Result<MessageId, SendError> {
        match Outgoing::from_json(text) {
            Ok(message) => self.try_send_message(message),
            Err(error) => Err(error),
        }
    }

    /// `send_message()` of a message that is accepted.
    #[track_caller]
    pub fn send_message(&mut self, message: Outgoing) -> &mut Self {
        if let Err(error) = self.try_send_message(message) {
            panic!("it was not accepted: {error}");
        }
        self
    }

    /// `send_message()`.
    ///
    /// # Errors
    ///
    /// As the machine says.
    #[track_caller]
    pub fn try_send_message(&mut self, message: Outgoing) -> Result<MessageId, SendError> {
        let mut result = None;
        self.call(|client, now, out| {
            let answer = client.send_message(now, message.clone(), out);
            result = Some(answer.clone());
            Call::Send(message, answer)
        });
        result.expect("it was called")
    }
}

/// What the connection does.
impl Host {
    /// The credentials for connection `conn`.
    #[track_caller]
    pub fn credentials(&mut self, conn: u64, credentials: Credentials) -> &mut Self {
        self.input(Input::Credentials { conn: ConnId(conn), credentials })
    }

    /// The answer to the Ping that was frame `seq`.
    #[track_caller]
    pub fn pong(&mut self, conn: u64, seq: u64) -> &mut Self {
        self.frame(conn, pong(conn, seq))
    }

    /// Connection `conn` is open.
    #[track_caller]
    pub fn opened(&mut self, conn: u64) -> &mut Self {
        self.input(Input::Opened { conn: ConnId(conn) })
    }

    /// A text arrives.
    #[track_caller]
    pub fn text(&mut self, conn: u64, text: impl Into<Text>) -> &mut Self {
        self.frame(conn, Frame::Text(text.into()))
    }

    /// A frame arrives.
    #[track_caller]
    pub fn frame(&mut self, conn: u64, payload: Frame) -> &mut Self {
        self.input(Input::Received { conn: ConnId(conn), payload })
    }

    /// The operating system has taken all frames up to `up_to`.
    #[track_caller]
    pub fn flushed(&mut self, conn: u64, up_to: u64) -> &mut Self {
        self.input(Input::Flushed { conn: ConnId(conn), up_to })
    }

    /// The closing handshake has begun.
    #[track_caller]
    pub fn closing(&mut self, conn: u64, reason: CloseReason) -> &mut Self {
        self.input(Input::Closing { conn: ConnId(conn), reason })
    }

    /// The connection is gone.
    #[track_caller]
    pub fn closed(&mut self, conn: u64, reason: CloseReason) -> &mut Self {
        self.input(Input::Closed { conn: ConnId(conn), reason })
    }

    /// The timer fires, whether or not it is due.
    #[track_caller]
    pub fn timer(&mut self) -> &mut Self {
        self.input(Input::TimerFired)
    }

    /// Any input.
    #[track_caller]
    pub fn input(&mut self, input: Input) -> &mut Self {
        self.call(|client, now, out| {
            client.handle(now, input.clone(), out);
            Call::Input(input)
        })
    }
}

/// What the machine says.
impl Host {
    /// These actions, in this order, and no other.
    #[track_caller]
    pub fn expect(&mut self, expected: impl IntoIterator<Item = Action>) -> &mut Self {
        let expected: Vec<Action> = expected.into_iter().collect();
        let came = mem::take(&mut self.actions);
        if came != expected {
            panic!("{}{}", self.story(), diff(&expected, &came));
        }
        self
    }

    /// Whatever: this scenario is about something else.
    pub fn skip(&mut self) -> &mut Self {
        self.actions.clear();
        self
    }

    /// A single event, and nothing beside it.
    #[track_caller]
    pub fn event(&mut self) -> Event {
        match mem::take(&mut self.actions).as_slice() {
            [Action::Emit(event)] => event.clone(),
            _ => panic!("{}that is not a single event", self.story()),
        }
    }

    /// Whatever came, for a closer look.
    pub fn take(&mut self) -> Vec<Action> {
        mem::take(&mut self.actions)
    }

    /// The machine, to ask it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Where the machine is.
    pub fn state(&self) -> State {
        self.client.state()
    }
}

impl Host {
    #[track_caller]
    fn call(
        &mut self,
        call: impl FnOnce(&mut Client, Timestamp, &mut Actions) -> Call,
    ) -> &mut Self {
        self.expect([]);
        let before = self.client.clone();
        let mut out = Actions::new();
        let call = call(&mut self.client, self.now, &mut out);
        let step = Step { at: self.now, call, actions: out.into() };
        let verdict = self.contract.check(&before, &self.client, &step);
        self.actions = step.actions.clone();
        self.story.push(step);
        if let Err(broken) = verdict {
            self.actions.clear();
            panic!("{}the contract is broken: {broken}", self.story());
        }
        self
    }

    /// The scenario so far, the last step included.
    fn story(&self) -> String {
        let steps: String = self.story.iter().map(|step| format!("{step}\n")).collect();
        format!("\n{steps}\n")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.expect([]);
        }
    }
}

/// What was expected (`-`) and what came instead (`+`), between what both have in common.
fn diff(expected: &[Action], came: &[Action]) -> String {
    let head = expected.iter().zip(came).take_while(|(a, b)| a == b).count();
    let (expected_rest, came_rest) = (&expected[head..], &came[head..]);
    let tail = expected_rest.iter().rev().zip(came_rest.iter().rev());
    let tail = tail.take_while(|(a, b)| a == b).count();

    let mut text = "not what was expected (-), but (+)\n".to_owned();
    let mut line = |sign, action| text.push_str(&format!("  {sign} {}\n", show(action)));
    came[..head].iter().for_each(|action| line(' ', action));
    expected_rest[..expected_rest.len() - tail].iter().for_each(|action| line('-', action));
    came_rest[..came_rest.len() - tail].iter().for_each(|action| line('+', action));
    came_rest[came_rest.len() - tail..].iter().for_each(|action| line(' ', action));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsl::actions::*;

    #[test]
    #[should_panic(
        expected = "    open #1 ws://gateway.test/world\n  - arm 9.000000s\n  + arm 15.000000s"
    )]
    fn another_action_fails_with_a_diff() {
        Host::new(config()).at(0).connect().expect([open(1), arm(9_000)]);
    }

    #[test]
    #[should_panic(expected = "  + arm 15.000000s")]
    fn an_action_that_nobody_mentions_fails_at_the_next_call() {
        let mut host = Host::new(config());
        host.at(0).connect().disconnect().skip();
    }

    #[test]
    #[should_panic(expected = "  + arm 15.000000s")]
    fn an_action_that_nobody_mentions_fails_at_the_end() {
        Host::new(config()).at(0).connect();
    }

    #[test]
    #[should_panic(expected = "  - disarm")]
    fn an_action_that_does_not_come_fails() {
        Host::new(config()).at(0).disconnect().expect([disarm()]);
    }
}
