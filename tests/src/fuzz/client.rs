//! A client under any history: the contract holds, a recording replays, and in the end everything
//! arrives.

use hermes_proto::trace::Level;
use hermes_proto::{Actions, Input};

use super::history::{self, Recording, Verb};
use super::script::Script;
use super::trace::replays;
use crate::Call;
use crate::world::{Begin, TOKEN, World};

/// As many as take a few milliseconds.
const DEEDS: usize = 200;

/// Lives through a history.
pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let (begin, recording) = history::begin(&mut script);
    let mut world = World::new(&begin);
    live(&mut world, script);
    world.deliver().unwrap_or_else(|problem| panic!("{problem}"));
    assert!(!format!("{:?}", world.client).contains(TOKEN), "a secret is told");
    if let Some(trace) = record(&begin, &world, recording) {
        replays(&trace);
        let is_kept = recording == Recording::Redacted && trace.contains(TOKEN);
        assert!(!is_kept, "a secret is kept in\n{trace}");
    }
}

/// Histories to begin with.
pub fn seeds() -> Vec<Vec<u8>> {
    history::seeds(Verb::ALL.len())
}

/// The trace of a history.
pub(super) fn trace(input: &[u8]) -> String {
    let mut script = Script::new(input);
    let (begin, _) = history::begin(&mut script);
    let mut world = World::new(&begin);
    live(&mut world, script);
    record(&begin, &world, Recording::Whole).unwrap_or_default()
}

fn live(world: &mut World, mut script: Script<'_>) {
    for _ in 0..DEEDS {
        if script.is_over() {
            break;
        }
        let deed = script.pick(&Verb::ALL).deed(&mut script);
        world.run(&[deed]).unwrap_or_else(|problem| panic!("{problem}"));
    }
}

fn record(begin: &Begin, world: &World, recording: Recording) -> Option<String> {
    let mut recorder = recording.recorder(Level::Frames, begin)?;
    let mut trace = String::new();
    recorder.header(&mut trace);
    for step in world.story.iter().take_while(|step| step.at <= history::RECORDED) {
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
