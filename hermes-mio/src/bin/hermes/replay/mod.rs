//! `hermes replay`

mod explain;
mod narrator;
mod page;
mod perfetto;
mod show;
mod story;
mod wire;

use std::error::Error;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;

use hermes_proto::trace::{Checker, Replayer};

use self::narrator::{Narrator, Note};
use self::story::Story;
use crate::lines::{Line, Lines};
use crate::{Failure, files, output};

/// Run a trace, and print the machine's actions
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The trace; `-` is standard input
    file: PathBuf,
    /// Compare the machine's actions with those in the trace, and show the first difference
    #[arg(long, group = "form")]
    check: bool,
    /// Tell what happened, a line each, with frames decoded and silences told
    ///
    /// Values that are named like secrets are withheld; texts of messages are not.
    #[arg(long, group = "form")]
    explain: bool,
    /// Write a page with a timeline, which opens in any browser without a network
    #[arg(long, group = "form")]
    html: bool,
    /// Write a trace for Perfetto and other viewers of Chrome's trace format
    #[arg(long, group = "form")]
    perfetto: bool,
    /// Characters of a payload that are shown by --explain, --html and --perfetto
    #[arg(long, value_name = "CHARACTERS", default_value_t = 160)]
    width: usize,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let name = args.file.display();
    let trace: Box<dyn BufRead> = if args.file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(files::open(&args.file)?))
    };
    let lines = Lines::new(trace, usize::MAX);
    let mut trace = Trace { lines, name: name.to_string(), is_empty: true };
    let result = match args {
        Args { check: true, .. } => check(&mut trace),
        Args { explain: true, .. } => tell(&mut trace, args.width, explain::print),
        Args { html: true, .. } => story(&mut trace, args.width, page::print),
        Args { perfetto: true, .. } => story(&mut trace, args.width, perfetto::print),
        _ => replay(&mut trace),
    };
    match result {
        Ok(()) if trace.is_empty => Err(trace.missing()),
        result => result,
    }
}

struct Trace {
    lines: Lines<Box<dyn BufRead>>,
    name: String,
    /// There was no line with anything in it.
    is_empty: bool,
}

impl Trace {
    fn next(&mut self) -> Result<Option<String>, Failure> {
        let line = self.lines.next();
        let line = line.map_err(|error| format!("can't read {}: {error}", self.name))?;
        let Some(Line { number, text }) = line else { return Ok(None) };
        let text = text.map_err(|problem| format!("line {number} of {}: {problem}", self.name))?;
        self.is_empty &= text.trim().is_empty();
        Ok(Some(text))
    }

    fn missing(&self) -> Failure {
        format!(
            "{}: there is no trace in it: it is empty; record one with `hermes connect --record FILE`",
            self.name
        )
        .into()
    }

    fn problem(&self, error: &dyn Error) -> Failure {
        format!("{}: {error}", self.name).into()
    }
}

fn replay(trace: &mut Trace) -> Result<(), Failure> {
    let mut replayer = Replayer::new();
    let mut out = String::new();
    while let Some(line) = trace.next()? {
        replayer.feed(&line, &mut out).map_err(|error| trace.problem(&error))?;
        print(&mut out)?;
    }
    replayer.finish(&mut out);
    print(&mut out)?;
    Ok(())
}

/// Tells the trace to `print`, a line's notes at a time.
fn tell(
    trace: &mut Trace,
    width: usize,
    mut print: impl FnMut(&[Note]) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut narrator = Narrator::new(width);
    while let Some(line) = trace.next()? {
        print(&narrator.feed(&line).map_err(|error| trace.problem(&error))?)?;
    }
    print(&narrator.finish())?;
    Ok(())
}

/// Tells the whole trace to `print`.
fn story(
    trace: &mut Trace,
    width: usize,
    print: fn(&Story) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut story = Story::new(&trace.name);
    tell(trace, width, |notes| {
        notes.iter().for_each(|note| story.add(note));
        Ok(())
    })?;
    if !trace.is_empty {
        print(&story.finish())?;
    }
    Ok(())
}

fn print(out: &mut String) -> io::Result<()> {
    if !out.is_empty() {
        output::line(out.trim_end())?;
        out.clear();
    }
    Ok(())
}

fn check(trace: &mut Trace) -> Result<(), Failure> {
    let mut checker = Checker::new();
    while let Some(line) = trace.next()? {
        checker.feed(&line).map_err(|error| trace.problem(&error))?;
    }
    let compared = checker.finish().map_err(|error| trace.problem(&error))?;
    if trace.is_empty {
        return Ok(());
    }
    if compared == 0 {
        return Err(format!("{}: the trace has no actions to compare with", trace.name).into());
    }
    output::line(&format!("{{\"check\":\"ok\",\"actions\":{compared}}}"))?;
    Ok(())
}
