//! The `hermes` command.
//!
//! JSON lines on standard output, words for people on standard error. Exit codes: 0 done, 1 failed,
//! 2 wrong usage.

mod connect;
mod demo;
mod files;
mod gateway;
mod lines;
mod outbox;
mod output;
mod replay;
mod signals;
mod suggest;
mod wait;
mod words;

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
    Outbox(outbox::Args),
}

/// Why a command failed: exit 1, with words for people.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Connect(args) => connect::run(&args),
        Command::Gateway(args) => gateway::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Outbox(args) => outbox::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of standard output left, as `head` does when it has enough.
        Err(failure) if output::is_broken_pipe(&*failure) => ExitCode::SUCCESS,
        Err(failure) => {
            words::say!("hermes: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the fault of the call, and exits with 2.
fn usage(problem: &str) -> ! {
    Cli::command().error(ErrorKind::ValueValidation, problem).exit()
}
