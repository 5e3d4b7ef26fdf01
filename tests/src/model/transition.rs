//! From one phase to another, and what led there: the rows of the table of phases.

use std::collections::{BTreeMap, BTreeSet};

use hermes_proto::{Action, Actions, Client, DropReason, Event, Input, State};

use super::{Call, Step};

/// A row of the table: a phase, the next one, and all that leads from the one to the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transitions(BTreeMap<(&'static str, &'static str), BTreeSet<&'static str>>);

impl Transitions {
    /// Notes a call that changed the phase, or replaced the connection by another one.
    pub fn note(&mut self, before: &Client, step: &Step, after: &Client) {
        let (from, to) = (phase(&before.state()), phase(&after.state()));
        let conn = before.conn();
        let is_new = step.actions.iter().any(|action| {
            matches!(action, Action::Open { conn: new, .. } if conn.is_some_and(|old| old != *new))
        });
        if from != to || is_new {
            let is_of_time = from != to && is_of_time(before, step, to);
            let by = if is_of_time { "time" } else { label(&step.call) };
            self.0.entry((from, to)).or_default().insert(by);
        }
    }

    /// Takes over what another search has seen.
    pub fn merge(&mut self, other: Transitions) {
        for (edge, labels) in other.0 {
            self.0.entry(edge).or_default().extend(labels);
        }
    }

    /// What is here and in no row of this table.
    pub fn unknown_to(&self, table: &str) -> Transitions {
        let cells = |row: &str| row.split(" | ").map(str::to_owned).collect::<Vec<_>>();
        let rows: Vec<_> = table.lines().map(|row| cells(row.trim_matches(['|', ' ']))).collect();
        let mut unknown = self.clone();
        for ((from, to), labels) in &mut unknown.0 {
            let row = rows.iter().find(|row| row[..2] == [*from, *to]);
            let has = |label: &str| row.is_some_and(|row| row[2].split(", ").any(|by| by == label));
            // A report may lead there together with what is due: that is the row of time.
            let is_report = |label: &str| label[1..].starts_with(char::is_uppercase);
            labels.retain(|label| !(has(label) || is_report(label) && has("time")));
        }
        unknown.0.retain(|_, labels| !labels.is_empty());
        unknown
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The table in the crate's documentation.
    pub fn table(&self) -> String {
        let mut table = String::from("| from | to | by |\n| --- | --- | --- |\n");
        for ((from, to), labels) in &self.0 {
            let labels: Vec<&str> = labels.iter().copied().collect();
            table.push_str(&format!("| {from} | {to} | {} |\n", labels.join(", ")));
        }
        table
    }
}

fn phase(state: &State) -> &'static str {
    match state {
        State::Idle => "Idle",
        State::Connecting { .. } => "Connecting",
        State::Open { .. } => "Open",
        State::Closing { .. } => "Closing",
        State::Waiting { .. } => "Waiting",
        State::Failed { .. } => "Failed",
        _ => "a phase without a name",
    }
}

/// Whether the timer alone would have led there. Due work runs with what the transport reports, too,
/// and messages expire with any call.
fn is_of_time(before: &Client, step: &Step, to: &str) -> bool {
    let is_expiry = |action: &Action| {
        matches!(action, Action::Emit(Event::Dropped { reason: DropReason::Expired, .. }))
    };
    let reports = matches!(&step.call, Call::Input(input) if input.conn().is_some())
        || step.actions.iter().any(is_expiry);
    if !reports {
        return false;
    }
    // A timer that fires early does nothing.
    let mut alone = before.clone();
    alone.handle(step.at, Input::TimerFired, &mut Actions::new());
    phase(&alone.state()) == to
}

/// What led there.
fn label(call: &Call) -> &'static str {
    let Call::Input(input) = call else { return "`send`" };
    match input {
        Input::Connect => "`connect`",
        Input::Disconnect => "`disconnect`",
        Input::Shutdown { .. } => "`shutdown`",
        Input::ClearOutbox => "`clear_outbox`",
        Input::NetworkChanged { .. } => "`network_changed`",
        Input::Closed { .. } => "`Closed`",
        Input::TimerFired => "time",
        Input::Send(_) => "`send`",
        Input::Credentials { .. } => "`Credentials`",
        Input::Queued { .. } => "`Queued`",
        Input::Reached { .. } => "`Reached`",
        Input::Unread { .. } => "`Unread`",
        Input::Postponed { .. } => "`Postponed`",
        Input::Opened { .. } => "`Opened`",
        Input::Received { .. } => "`Received`",
        Input::Flushed { .. } => "`Flushed`",
        Input::Closing { .. } => "`Closing`",
        _ => "an input without a name",
    }
}
