//! `hermes replay`

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;

use hermes_proto::trace::{Checker, Replayer};

use crate::{Failure, output};

/// Run a trace, and print what the machine does
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The trace; `-` is standard input
    file: PathBuf,
    /// Compare what the machine does with the actions in the trace, and show the first difference
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let trace: Box<dyn BufRead> = if args.file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(&args.file)
            .map_err(|error| format!("can't open {}: {error}", args.file.display()))?;
        Box::new(BufReader::new(file))
    };
    if args.check { check(trace) } else { replay(trace) }
}

fn replay(trace: impl BufRead) -> Result<(), Failure> {
    let mut replayer = Replayer::new();
    let mut out = String::new();
    for line in trace.lines() {
        replayer.feed(&line?, &mut out)?;
        print(&mut out)?;
    }
    replayer.finish(&mut out);
    print(&mut out)?;
    Ok(())
}

fn print(out: &mut String) -> io::Result<()> {
    if !out.is_empty() {
        output::line(out.trim_end())?;
        out.clear();
    }
    Ok(())
}

fn check(trace: impl BufRead) -> Result<(), Failure> {
    let mut checker = Checker::new();
    for line in trace.lines() {
        checker.feed(&line?)?;
    }
    let compared = checker.finish()?;
    if compared == 0 {
        return Err("the trace has no actions to compare with".into());
    }
    output::line(&format!("{{\"check\":\"ok\",\"actions\":{compared}}}"))?;
    Ok(())
}
