//! `hermes replay --explain`: a trace for people, a line for each thing that happened.

use super::narrator::{Note, Topic};
use crate::output;

/// Prints notes, each with its time in seconds since the trace's start.
pub(super) fn print(notes: &[Note]) -> std::io::Result<()> {
    for note in notes.iter().filter(|note| !note.text.is_empty()) {
        output::line(&line(note))?;
    }
    Ok(())
}

pub(super) fn line(note: &Note) -> String {
    if note.topic == Topic::Gap {
        return format!("{:>14}   ({})", "", note.text);
    }
    let seconds = note.at as f64 / 1e6;
    let conn = note.conn.map(|conn| format!("conn {conn}: ")).unwrap_or_default();
    let sign = match note.topic {
        Topic::Command => "$",
        Topic::Network => "·",
        Topic::Sent => "→",
        Topic::Received => "←",
        Topic::Event => "!",
        Topic::State | Topic::Gap => "=",
    };
    format!("{seconds:>14.6} {sign} {conn}{}", note.text)
}
