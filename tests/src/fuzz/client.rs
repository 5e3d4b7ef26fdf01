//! A client under any history: the contract holds, a recording replays, and in the end everything
//! arrives.

use hermes_proto::trace::Level;
use hermes_proto::{Actions, Input};

use super::byte_source::ByteSource;
use super::history::{self, Recording, Verb};
use super::trace::replays;
use crate::Call;
use crate::model::Transitions;
use crate::model::sim_host::{ModelHost, Setup, TOKEN};

/// As many as take a few milliseconds.
const OPS: usize = 200;

/// Lives through a history.
pub fn run(input: &[u8]) {
    let mut source = ByteSource::new(input);
    let (begin, recording) = history::begin(&mut source);
    let mut host = ModelHost::new(&begin);
    live(&mut host, source);
    host.deliver().unwrap_or_else(|problem| panic!("{problem}"));
    assert!(!format!("{:?}", host.client).contains(TOKEN), "a secret is told");
    if let Some(trace) = record(&begin, &host, recording) {
        replays(&trace);
        let is_kept = recording == Recording::Redacted && trace.contains(TOKEN);
        assert!(!is_kept, "a secret is kept in\n{trace}");
    }
}

/// Histories to begin with.
pub fn seeds() -> Vec<Vec<u8>> {
    history::seeds(Verb::ALL.len())
}

/// The changes of phase in a history.
pub fn transitions(input: &[u8]) -> Transitions {
    let mut source = ByteSource::new(input);
    let (setup, _) = history::begin(&mut source);
    let mut host = ModelHost::new(&setup);
    live(&mut host, source);
    host.transitions
}

/// The trace of a history.
pub(super) fn trace(input: &[u8]) -> String {
    let mut source = ByteSource::new(input);
    let (begin, _) = history::begin(&mut source);
    let mut host = ModelHost::new(&begin);
    live(&mut host, source);
    record(&begin, &host, Recording::Whole).unwrap_or_default()
}

fn live(host: &mut ModelHost, mut source: ByteSource<'_>) {
    for _ in 0..OPS {
        if source.is_over() {
            break;
        }
        let op = source.pick(&Verb::ALL).op(&mut source);
        host.run(&[op]).unwrap_or_else(|problem| panic!("{problem}"));
    }
}

fn record(begin: &Setup, host: &ModelHost, recording: Recording) -> Option<String> {
    let mut recorder = recording.recorder(Level::Frames, begin)?;
    let mut trace = String::new();
    recorder.header(&mut trace);
    for step in host.history.iter().take_while(|step| step.at <= history::RECORDED) {
        let input = match &step.call {
            Call::Input(input) => input.clone(),
            Call::Send(message, Ok(_)) => Input::Send(message.clone()),
            Call::Send(_, Err(_)) => continue,
        };
        recorder.client_input(step.at, &input, &mut trace);
        recorder.client_actions(step.at, &Actions::from(step.actions.clone()), &mut trace);
    }
    Some(trace)
}
