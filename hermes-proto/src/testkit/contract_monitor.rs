//! The rules of the contract that a host can check.

use core::time::Duration;

use crate::{Action, Actions, ConnId, Endpoint, Event, Input, Timestamp, Transmit};

/// Checks each call of one endpoint, and remembers the first rule that it broke.
#[derive(Debug, Default)]
pub(super) struct ContractMonitor {
    armed: Option<Timestamp>,
    live: Option<ConnId>,
    conn_count: u64,
    /// When the timer fired last.
    woken: Option<Timestamp>,
    /// Wake-ups in a row with less than `NO_TIME` between them.
    rapid_wakeups: u32,
    /// The call is one that runs due work: no command.
    runs_due_work: bool,
    broken: Option<&'static str>,
}

/// Two wake-ups with less time between them are as good as one right after the other.
const NO_TIME: Duration = Duration::from_micros(100);

/// More of those in a row are a busy loop. Fewer may be messages that expire one by one.
const MAX_RAPID_WAKEUPS: u32 = 100;

impl ContractMonitor {
    /// To be called before an input is handled.
    pub(super) fn before(&mut self, now: Timestamp, input: &Input<&[u8]>) {
        self.runs_due_work = matches!(input, Input::TimerFired) || input.conn().is_some();
        if !matches!(input, Input::TimerFired) {
            return;
        }
        self.armed = None;
        let is_rapid = self.woken.is_some_and(|last| now - last < NO_TIME);
        self.rapid_wakeups = if is_rapid { self.rapid_wakeups + 1 } else { 0 };
        self.woken = Some(now);
        if self.rapid_wakeups > MAX_RAPID_WAKEUPS {
            self.broken("the timer is armed for now, again and again");
        }
    }

    /// To be called after a call, before its actions are performed.
    pub(super) fn after(
        &mut self,
        now: Timestamp,
        endpoint: &Endpoint,
        actions: &Actions<Transmit>,
    ) {
        for action in actions {
            self.on_action(action);
        }
        if endpoint.deadline() != self.armed {
            self.broken("deadline() is not what the latest ArmTimer said");
        }
        let runs_due_work = core::mem::take(&mut self.runs_due_work);
        if runs_due_work && !actions.is_empty() && self.armed.is_some_and(|due| due <= now) {
            self.broken("the timer is due when a call returns");
        }
        if endpoint.client().conn() != self.live {
            self.broken("conn() is not the live connection");
        }
        if self.live.is_none() && !endpoint.transmit().is_empty() {
            self.broken("there is something to transmit, and no connection");
        }
    }

    fn on_action(&mut self, action: &Action<Transmit>) {
        match action {
            Action::Open { conn, .. } | Action::AskCredentials { conn, .. } => {
                // `Open` follows `AskCredentials` under the same name.
                let is_next = self.live.is_none() && conn.0 == self.conn_count + 1;
                if !is_next && self.live != Some(*conn) {
                    self.broken("a connection is opened beside another, or under a wrong name");
                }
                self.conn_count = conn.0;
                self.live = Some(*conn);
            }
            Action::Send { conn, .. } if self.live != Some(*conn) => {
                self.broken("something is sent on a connection that is not the live one");
            }
            Action::Close { conn, code } => {
                if self.live != Some(*conn) || code.is_some() {
                    self.broken("a connection is closed that is not the live one");
                }
                self.live = None;
            }
            Action::Emit(Event::Disconnected { conn, .. }) => {
                if self.live.is_some_and(|live| live != *conn) {
                    self.broken("ws-disconnected of another connection");
                }
                self.live = None;
            }
            Action::ArmTimer(due) => {
                if *due == self.armed {
                    self.broken("the timer is armed for what it is armed for");
                }
                self.armed = *due;
            }
            _ => {}
        }
    }

    pub(super) fn is_live(&self, conn: ConnId) -> bool {
        self.live == Some(conn)
    }

    /// The number of the latest connection.
    pub(super) fn conn_count(&self) -> u64 {
        self.conn_count
    }

    pub(super) fn first_broken(&self) -> Option<&'static str> {
        self.broken
    }

    pub(super) fn broken(&mut self, rule: &'static str) {
        self.broken.get_or_insert(rule);
    }
}
