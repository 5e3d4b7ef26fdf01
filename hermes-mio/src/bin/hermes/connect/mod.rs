//! `hermes connect`

mod args;
mod credentials;
mod display;
mod input;
mod network;
mod settings;
mod signals;

use std::io;
use std::sync::atomic::Ordering;

use hermes_mio::{Client, Error, FileStore, Options, Recording};

use self::display::Display;
use self::input::Input;
use crate::{Failure, output, usage};

pub(crate) use self::args::Args;

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    log_to_stderr(args.verbose);
    let mut client = match Client::new(options(args)?) {
        // A setting that can't be is wrong usage, wherever it is found.
        Err(error @ (Error::Config(_) | Error::Proxy { .. })) => usage(&error.to_string()),
        client => client?,
    };
    client.connect();
    let input = Input::read(client.sender(), args.volatile)?;
    let displayed = Display::new(&mut client, &input, args)?.run();
    if args.stats {
        let stats = serde_json::to_string(&client.protocol().stats())?;
        output::line(&format!("{{\"stats\":{stats}}}"))?;
    }
    displayed?;
    match input.wrong_lines.load(Ordering::Relaxed) {
        0 => Ok(()),
        wrong => Err(format!("input lines that were not sent: {wrong}").into()),
    }
}

fn options(args: &Args) -> Result<Options, Failure> {
    let config = settings::config(args).unwrap_or_else(|problem| usage(&problem));
    if args.redact && config.deflate {
        usage("--redact can't follow compressed messages: omit it, or the setting `deflate`");
    }
    let mut options = Options::new(config);
    if let Some(file) = &args.session {
        options = options.store(FileStore::new(file));
    }
    if let Some(file) = &args.record {
        let recording = Recording::create(file, args.redact)
            .map_err(|error| format!("can't record into {}: {error}", file.display()))?;
        options = options.tap(recording);
    }
    options = network::options(args, options)?;
    if let Some(command) = args.credentials.clone() {
        options = options.credentials(move |url| credentials::fetch(&command, url));
    }
    Ok(options)
}

fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => tracing::Level::INFO,
        2 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    };
    tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr).init();
}
