//! `hermes connect`

mod args;
mod credentials;
mod display;
mod input;
mod network;
mod outcome;
mod settings;
mod shell;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hermes_mio::{Client, Error, FileOutbox, FileStore, Options, Recording};
use hermes_proto::Config;

use self::display::Display;
use self::input::{Format, Input};
use crate::words::{Words, say};
use crate::{Failure, usage};

pub(crate) use self::args::Args;

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    log_to_stderr(args.verbose);
    let config = settings::config(args).unwrap_or_else(|problem| usage(&problem));
    let format = Format { volatile: args.volatile, max_bytes: config.largest_message() };
    let recording_failed = Arc::new(AtomicBool::new(false));
    let mut client = match Client::new(options(args, config, &recording_failed)?) {
        // An impossible setting is wrong usage, wherever it is found.
        Err(error @ (Error::Config(_) | Error::Proxy { .. })) => usage(&error.to_string()),
        client => client?,
    };
    client.connect();
    let input = Input::read(client.sender(), format)?;
    let displayed = Display::new(&mut client, &input, args)?.run();
    // The recording ends with the client.
    drop(client);
    let mut problems = Vec::new();
    if recording_failed.load(Ordering::Relaxed) {
        problems.push("the recording is incomplete".to_owned());
    }
    if input.has_failed() {
        problems.push("standard input failed".to_owned());
    }
    if input.unsent_lines() > 0 {
        problems.push(format!("input lines that were not sent: {}", input.unsent_lines()));
    }
    problems.extend(displayed.err().map(|failure| failure.to_string()));
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ").into()) }
}

fn options(
    args: &Args,
    config: Config,
    recording_failed: &Arc<AtomicBool>,
) -> Result<Options, Failure> {
    if args.redact && config.deflate {
        usage("--redact can't follow compressed messages: omit it, or the setting `deflate`");
    }
    let credentials_timeout = config.credentials_timeout;
    let mut options = network::options(args, Options::new(config))?;
    if let Some(file) = &args.session {
        options = options.store(FileStore::new(file));
    }
    if let Some(file) = &args.outbox {
        let outbox = FileOutbox::new(file);
        options = options.outbox(outbox.survives(args.outbox_survives.unwrap_or_default()));
    }
    if let Some(command) = args.credentials.clone() {
        options =
            options.credentials(move |url| credentials::fetch(&command, url, credentials_timeout));
    }
    if let Some(file) = &args.record {
        options = options.tap(recording(file, args.redact, recording_failed)?);
    }
    Ok(options)
}

fn recording(
    file: &Path,
    redact: bool,
    failed: &Arc<AtomicBool>,
) -> Result<Recording<hermes_mio::RecordingFile>, Failure> {
    let recording = Recording::create(file, redact)
        .map_err(|error| format!("can't record into {}: {error}", file.display()))?;
    let (file, failed) = (file.to_owned(), Arc::clone(failed));
    Ok(recording.on_failure(move |error| {
        failed.store(true, Ordering::Relaxed);
        say!("hermes: the recording into {} ends here: {error}", file.display());
    }))
}

fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => tracing::Level::INFO,
        2 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(|| Words)
        .log_internal_errors(false)
        .init();
}
