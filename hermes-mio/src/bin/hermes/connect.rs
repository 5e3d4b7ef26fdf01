//! `hermes connect`

use std::io::{self, BufRead};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use hermes_mio::{Client, FileStore, Options, Recording, Sender};
use hermes_proto::trace::event_line;
use hermes_proto::{Config, DEFAULT_URL, Event, Outgoing, State};
use serde_json::{Map, Value};

use crate::{Failure, output, usage};

/// Events go to standard output, a JSON line each; lines of standard input, which must be JSON,
/// go to the gateway. At the end of input it sends what is left, closes, and exits.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The gateway: ws://host:port/path. Default: HERMES_WS_URL, or else the reference's gateway
    url: Option<String>,
    /// Stay connected at the end of input
    #[arg(long)]
    stay: bool,
    /// Keep the session in this file, and resume it
    #[arg(long, value_name = "FILE")]
    session: Option<PathBuf>,
    /// Record a trace into this file, as things happen (mode 0600: it holds what is sent)
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Put stand-ins for tokens and credentials into the recording
    #[arg(long, requires = "record")]
    redact: bool,
    /// A header for the upgrade request
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The Origin header
    #[arg(long)]
    origin: Option<String>,
    /// A subprotocol to ask for
    #[arg(long = "subprotocol", value_name = "NAME")]
    subprotocols: Vec<String>,
    /// Reconnects in a row before it gives up; `null` for no limit
    #[arg(long, value_name = "N")]
    max_attempts: Option<String>,
    /// Milliseconds of silence before a heartbeat; `null` for none
    #[arg(long, value_name = "MS")]
    heartbeat_interval: Option<String>,
    /// Milliseconds that a connection may take to be made
    #[arg(long, value_name = "MS")]
    connect_timeout: Option<String>,
    /// Any field of the configuration by its name in traces; the value is JSON, or else a string
    #[arg(long = "set", value_name = "NAME=VALUE")]
    settings: Vec<String>,
    /// Say on standard error what happens; twice for more
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    log_to_stderr(args.verbose);
    let config = config(args).unwrap_or_else(|problem| usage(&problem));
    let mut options = Options::new(config);
    if let Some(file) = &args.session {
        options = options.store(FileStore::new(file));
    }
    if let Some(file) = &args.record {
        let recording = Recording::create(file, args.redact)
            .map_err(|error| format!("can't record into {}: {error}", file.display()))?;
        options = options.tap(recording);
    }
    let mut client = Client::new(options)?;
    client.connect();
    let input = Input::read(client.sender())?;
    show(&mut client, &input, args.stay)?;
    match input.wrong_lines.load(Ordering::Relaxed) {
        0 => Ok(()),
        wrong => Err(format!("input lines that were not sent: {wrong}").into()),
    }
}

/// The settings: the URL, then the flags, then `--set`.
fn config(args: &Args) -> Result<Config, String> {
    let mut fields = Map::new();
    let url = args.url.clone().or_else(|| std::env::var("HERMES_WS_URL").ok());
    fields.insert("url".into(), url.unwrap_or_else(|| DEFAULT_URL.into()).into());
    let headers = args.headers.iter().map(|header| {
        let (name, value) = header
            .split_once(':')
            .ok_or_else(|| "a header is written as --header 'Name: value'".to_string())?;
        Ok(Value::from(vec![name.trim(), value.trim()]))
    });
    let headers = headers.collect::<Result<Vec<Value>, String>>()?;
    if !headers.is_empty() {
        fields.insert("headers".into(), headers.into());
    }
    if let Some(origin) = &args.origin {
        fields.insert("origin".into(), origin.clone().into());
    }
    if !args.subprotocols.is_empty() {
        fields.insert("subprotocols".into(), args.subprotocols.clone().into());
    }
    for (name, value) in [
        ("max_attempts", &args.max_attempts),
        ("heartbeat_interval_ms", &args.heartbeat_interval),
        ("connect_timeout_ms", &args.connect_timeout),
    ] {
        if let Some(value) = value {
            fields.insert(name.into(), json_or_string(value));
        }
    }
    for setting in &args.settings {
        let (name, value) = setting
            .split_once('=')
            .ok_or_else(|| format!("--set takes NAME=VALUE, not {setting:?}"))?;
        fields.insert(name.into(), json_or_string(value));
    }
    // One by one, so that an error names the field.
    for (name, value) in &fields {
        let field = Map::from_iter([(name.clone(), value.clone())]);
        serde_json::from_value::<Config>(Value::Object(field))
            .map_err(|error| format!("`{name}`: {error}"))?;
    }
    let config: Config =
        serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())?;
    config.check().map_err(|error| error.to_string())?;
    Ok(config)
}

fn json_or_string(value: &str) -> Value {
    serde_json::from_str(value).unwrap_or_else(|_| value.into())
}

/// Shows what happens, until the client is at rest.
fn show(client: &mut Client, input: &Input, stay: bool) -> Result<(), Failure> {
    let mut was_connected = false;
    loop {
        // Also with no input at all a connection is made, so that one learns whether it can be.
        if !stay && was_connected && input.ended.load(Ordering::Acquire) {
            client.finish();
        }
        let Some(event) = client.poll(None)? else {
            match client.core().state() {
                State::Idle | State::Failed => return Ok(()),
                // The end of input woke us.
                _ => continue,
            }
        };
        output::line(&event_line(client.now(), &event))?;
        match event {
            Event::Connected { url, .. } => {
                was_connected = true;
                eprintln!("hermes: connected to {url:?}");
            }
            Event::Disconnected { reason, retry_at, .. } => match retry_at {
                Some(at) => {
                    eprintln!("hermes: {reason}; next attempt in {:?}", at - client.now());
                }
                None => eprintln!("hermes: {reason}"),
            },
            Event::Failed { attempts } => {
                let unsent = client.core().outbox_len() + client.queued();
                return Err(format!(
                    "gave up after {attempts} reconnects; {unsent} messages were not sent"
                )
                .into());
            }
            Event::Warning { text } => eprintln!("hermes: warning: {text}"),
            _ => {}
        }
    }
}

/// Standard input, read by a thread of its own, no faster than the client takes it.
#[derive(Clone, Default)]
struct Input {
    ended: Arc<AtomicBool>,
    wrong_lines: Arc<AtomicU64>,
}

impl Input {
    fn read(sender: Sender) -> io::Result<Self> {
        let input = Input::default();
        let reader = input.clone();
        thread::Builder::new().name("input".into()).spawn(move || reader.run(&sender))?;
        Ok(input)
    }

    fn run(&self, sender: &Sender) {
        for (number, line) in (1..).zip(io::stdin().lock().lines()) {
            let sent = match line {
                Ok(line) if line.trim().is_empty() => continue,
                Ok(line) => send(sender, line),
                Err(error) => Err(error.to_string()),
            };
            if let Err(problem) = sent {
                self.wrong_lines.fetch_add(1, Ordering::Relaxed);
                eprintln!("hermes: input line {number} was not sent: {problem}");
            }
        }
        self.ended.store(true, Ordering::Release);
        sender.wake();
    }
}

fn send(sender: &Sender, line: String) -> Result<(), String> {
    let message = Outgoing::from_json(line).map_err(|error| error.to_string())?;
    sender.send_message_wait(message).map_err(|error| error.to_string())
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
