//! The `hermes` command.
//!
//! JSON lines on standard output, words for people on standard error. It exits with 0 when it is
//! done, 1 when it failed, and 2 when it was called wrongly.

mod connect;
mod demo;
mod gateway;
mod output;
mod replay;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

/// A client for the Hermes gateway that never loses a message and never holds two connections.
#[derive(Parser)]
#[command(name = "hermes", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    // Each one's help is with its arguments.
    Demo(demo::Args),
    Connect(Box<connect::Args>),
    Gateway(gateway::Args),
    Replay(replay::Args),
}

/// Why a command failed: exit 1, with words for people.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Connect(args) => connect::run(&args),
        Command::Gateway(args) => gateway::run(&args),
        Command::Replay(args) => replay::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Who reads our output has gone: nobody is left to tell.
        Err(failure) if output::is_broken_pipe(&*failure) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("hermes: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// A file that was named on the command line.
#[cfg(feature = "tls")]
fn read(file: &std::path::Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| format!("can't read {}: {error}", file.display()).into())
}

/// Says what is wrong with the call, and exits with 2.
fn usage(problem: &str) -> ! {
    Cli::command().error(ErrorKind::ValueValidation, problem).exit()
}
