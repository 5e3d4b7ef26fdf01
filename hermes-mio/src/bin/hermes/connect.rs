//! `hermes connect`

use std::io::{self, BufRead};
use std::mem;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

#[cfg(feature = "tls")]
use hermes_mio::Tls;
use hermes_mio::{Client, Error, FileStore, Options, Proxy, Recording, Sender};
use hermes_proto::reason::Stage;
use hermes_proto::trace::event_line;
use hermes_proto::{Config, ConnId, Credentials, DEFAULT_URL, Event, Outgoing, State, Url};
use serde_json::{Map, Value};

#[cfg(feature = "tls")]
use crate::read;
use crate::{Failure, output, usage};

/// Connect to a gateway: its events to standard output, JSON lines from standard input to it
///
/// Events go to standard output, a JSON line each; lines of standard input, which must be JSON,
/// go to the gateway. At the end of input it sends what is left, waits for the proof that it
/// arrived, closes, and exits: with 1 where something was not sent, or may not have arrived.
///
/// On Unix, SIGUSR1 has it say on standard error where it is, what it waits for, and why.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The gateway: ws://host:port/path, or wss://. Default: HERMES_WS_URL, or else the reference's gateway
    url: Option<String>,
    /// Stay connected at the end of input
    #[arg(long)]
    stay: bool,
    /// Milliseconds that it may take from the end of input to the exit
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    shutdown_timeout: u64,
    /// Print what was counted as the last line of standard output: {"stats":{...}}
    #[arg(long)]
    stats: bool,
    /// Record a trace into this file, as things happen (mode 0600: it holds what is sent)
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Put stand-ins for tokens and credentials into the recording
    #[arg(long, requires = "record")]
    redact: bool,
    /// Say on standard error what happens, what is waited for, and why; twice and thrice for more
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Any field of the configuration by its name in traces; the value is JSON, or else a string
    #[arg(long = "set", value_name = "NAME=VALUE")]
    settings: Vec<String>,

    /// Send again what may not have arrived, rather than lose it; it may arrive twice
    #[arg(long, help_heading = "Delivery")]
    at_least_once: bool,
    /// Tell how far messages have come: none (the default), written, acknowledged
    ///
    /// Written: this system has them. Acknowledged: the gateway has read them.
    #[arg(long, value_name = "GRADE", help_heading = "Delivery")]
    receipts: Option<String>,
    /// Milliseconds after which a message that could not be sent is dropped
    #[arg(long, value_name = "MS", help_heading = "Delivery")]
    ttl: Option<String>,
    /// Send each line at once or not at all: without a connection that has room it is dropped
    #[arg(long, help_heading = "Delivery")]
    volatile: bool,

    /// Keep the session in this file, and resume it
    #[arg(long, value_name = "FILE", help_heading = "Session")]
    session: Option<PathBuf>,
    /// What goes out before a session-resume is answered: optimistic (all, the default), wait (nothing)
    #[arg(long, value_name = "HOW", help_heading = "Session")]
    resume: Option<String>,

    /// Another gateway of the same service, for when the one before fails; may be repeated
    #[arg(long = "fallback", value_name = "URL", help_heading = "Connecting")]
    fallbacks: Vec<String>,
    /// Redirects to follow in an attempt; 0, the default, for none
    ///
    /// Headers, credentials and the session stay with the origin that they are for.
    #[arg(long, value_name = "N", help_heading = "Connecting")]
    max_redirects: Option<String>,
    /// Milliseconds that a connection may take to be made
    #[arg(long, value_name = "MS", help_heading = "Connecting")]
    connect_timeout: Option<String>,
    /// Milliseconds of silence before a heartbeat; `null` for none
    #[arg(long, value_name = "MS", help_heading = "Connecting")]
    heartbeat_interval: Option<String>,
    /// Reconnects in a row before it gives up; `null` for no limit
    #[arg(long, value_name = "N", help_heading = "Connecting")]
    max_attempts: Option<String>,
    /// Milliseconds without a stable connection before it gives up; `null` for no limit, the default
    #[arg(long, value_name = "MS", help_heading = "Connecting")]
    max_elapsed: Option<String>,
    /// How waits between attempts are spread: none (the default), full, equal, decorrelated
    #[arg(long, value_name = "HOW", help_heading = "Connecting")]
    jitter: Option<String>,

    /// Go through this proxy: http://, https:// or socks5://, with NAME:PASSWORD@ where it asks
    #[arg(long, value_name = "URL", conflicts_with = "proxy_from_env", help_heading = "Network")]
    proxy: Option<String>,
    /// Go through the proxy that http_proxy, https_proxy or all_proxy names, as curl does
    #[arg(long, help_heading = "Network")]
    proxy_from_env: bool,
    /// No proxy for these hosts: names, addresses, networks, or *; in place of no_proxy's
    #[arg(long, value_name = "HOST[,HOST]", help_heading = "Network")]
    no_proxy: Option<String>,
    /// Connect to this Unix domain socket, whatever host the URL names
    #[cfg(unix)]
    #[arg(long, value_name = "PATH", help_heading = "Network")]
    unix_socket: Option<PathBuf>,
    /// The address of ours to connect from
    #[arg(long, value_name = "ADDRESS", help_heading = "Network")]
    bind: Option<IpAddr>,
    /// Seconds of silence before TCP asks after the peer
    #[arg(
        long,
        value_name = "S",
        value_parser = clap::value_parser!(u64).range(1..),
        help_heading = "Network"
    )]
    keepalive: Option<u64>,
    /// Bytes that the system may keep of what is sent
    #[arg(long, value_name = "BYTES", help_heading = "Network")]
    send_buffer: Option<usize>,
    /// Bytes that the system may keep of what is received
    #[arg(long, value_name = "BYTES", help_heading = "Network")]
    receive_buffer: Option<usize>,
    /// Take these addresses for a name and port, in place of the resolver's; may be repeated
    #[arg(
        long = "resolve",
        value_name = "HOST:PORT:ADDRESS[,ADDRESS]",
        value_parser = known_addresses,
        help_heading = "Network"
    )]
    known: Vec<((String, u16), Vec<SocketAddr>)>,
    /// Milliseconds after which the next of a name's addresses is tried, too
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 250,
        value_parser = clap::value_parser!(u64).range(10..),
        help_heading = "Network"
    )]
    attempt_delay: u64,

    /// Trust the authorities in this PEM file, beside the system's; may be repeated
    #[cfg(feature = "tls")]
    #[arg(long = "cacert", value_name = "FILE", help_heading = "TLS")]
    authorities: Vec<PathBuf>,
    /// Trust only whom --cacert names
    #[cfg(feature = "tls")]
    #[arg(long, requires = "authorities", help_heading = "TLS")]
    no_system_roots: bool,
    /// Show the certificates in this PEM file to a gateway that asks, our own first
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", requires = "key", help_heading = "TLS")]
    cert: Option<PathBuf>,
    /// The private key that goes with --cert, PEM
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "TLS")]
    key: Option<PathBuf>,

    /// A header for the upgrade request
    #[arg(long = "header", value_name = "NAME: VALUE", help_heading = "Upgrade request")]
    headers: Vec<String>,
    /// The Origin header
    #[arg(long, help_heading = "Upgrade request")]
    origin: Option<String>,
    /// A subprotocol to ask for
    #[arg(long = "subprotocol", value_name = "NAME", help_heading = "Upgrade request")]
    subprotocols: Vec<String>,
    /// A shell command that brings fresh credentials before each attempt
    ///
    /// It is run with sh -c (cmd /C on Windows), with the gateway's URL in HERMES_URL. It prints
    /// lines `NAME: VALUE`, headers for the upgrade request, and perhaps a line
    /// `session-token VALUE`, the token of a session to resume. Where it fails, the attempt does,
    /// and the last line of its standard error says why.
    #[arg(long, value_name = "COMMAND", help_heading = "Upgrade request")]
    credentials: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    log_to_stderr(args.verbose);
    let config = config(args).unwrap_or_else(|problem| usage(&problem));
    if args.redact && config.deflate {
        usage("--redact can't follow compressed messages: leave it out, or the setting `deflate`");
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
    options = network(args, options)?;
    if let Some(command) = args.credentials.clone() {
        options = options.credentials(move |url| fetch(&command, url));
    }
    let mut client = Client::new(options)?;
    client.connect();
    let input = Input::read(client.sender(), args.volatile)?;
    let shown = show(&mut client, &input, args);
    if args.stats {
        let stats = serde_json::to_string(&client.protocol().stats())?;
        output::line(&format!("{{\"stats\":{stats}}}"))?;
    }
    shown?;
    match input.wrong_lines.load(Ordering::Relaxed) {
        0 => Ok(()),
        wrong => Err(format!("input lines that were not sent: {wrong}").into()),
    }
}

/// The way to the gateway.
fn network(args: &Args, options: Options) -> Result<Options, Failure> {
    let mut options = options
        .attempt_delay(Duration::from_millis(args.attempt_delay))
        .proxy(proxy(args).unwrap_or_else(|error| usage(&error.to_string())));
    if !args.known.is_empty() {
        let known = args.known.clone();
        options = options.resolver(move |name, port| resolve(&known, name, port));
    }
    #[cfg(unix)]
    if let Some(path) = &args.unix_socket {
        options = options.unix_socket(path);
    }
    if let Some(address) = args.bind {
        options = options.bind(address);
    }
    if let Some(seconds) = args.keepalive {
        options = options.keepalive(Duration::from_secs(seconds));
    }
    if let Some(bytes) = args.send_buffer {
        options = options.send_buffer(bytes);
    }
    if let Some(bytes) = args.receive_buffer {
        options = options.receive_buffer(bytes);
    }
    #[cfg(feature = "tls")]
    {
        options = options.tls(tls(args)?);
    }
    Ok(options)
}

/// Which proxy, and not for whom.
fn proxy(args: &Args) -> Result<Proxy, Error> {
    let proxy = match &args.proxy {
        Some(url) => Proxy::new(url)?,
        None if args.proxy_from_env => Proxy::from_env()?,
        None => Proxy::default(),
    };
    Ok(match &args.no_proxy {
        Some(hosts) => proxy.except(hosts),
        None => proxy,
    })
}

/// `HOST:PORT:ADDRESS[,ADDRESS]`.
fn known_addresses(text: &str) -> Result<((String, u16), Vec<SocketAddr>), String> {
    let [host, port, addresses] = text.splitn(3, ':').collect::<Vec<_>>()[..] else {
        return Err("write HOST:PORT:ADDRESS, as in gateway.example:443:127.0.0.1".into());
    };
    let port = port.parse().map_err(|_| format!("{port:?} is no port"))?;
    let address = |text: &str| {
        let plain = text.trim_start_matches('[').trim_end_matches(']');
        let ip = plain.parse::<IpAddr>().map_err(|_| format!("{text:?} is no address"))?;
        Ok(SocketAddr::new(ip, port))
    };
    let addresses: Result<Vec<_>, String> = addresses.split(',').map(address).collect();
    Ok(((host.to_ascii_lowercase(), port), addresses?))
}

type Known = [((String, u16), Vec<SocketAddr>)];

fn resolve(known: &Known, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    match known.iter().find(|(host, _)| *host == (name.to_owned(), port)) {
        Some((_, addresses)) => Ok(addresses.clone()),
        None => Ok((name, port).to_socket_addrs()?.collect()),
    }
}

/// Whom to trust, and who we are.
#[cfg(feature = "tls")]
fn tls(args: &Args) -> Result<Tls, Failure> {
    let mut tls = Tls::new();
    for file in &args.authorities {
        let pem = read(file)?;
        tls = tls.trust(pem).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    if args.no_system_roots {
        tls = tls.without_system();
    }
    if let (Some(cert), Some(key)) = (&args.cert, &args.key) {
        tls = tls
            .identity(read(cert)?, read(key)?)
            .map_err(|error| format!("{} and {}: {error}", cert.display(), key.display()))?;
    }
    Ok(tls)
}

/// Fresh credentials, from a command. What it prints is secret; what it complains of is not.
fn fetch(command: &str, url: &Url) -> Result<Credentials, String> {
    let output = shell(command)
        .env("HERMES_URL", url.as_str())
        .stdin(process::Stdio::null())
        .output()
        .map_err(|error| format!("the command can't be run: {error}"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let complaint = complaint.lines().rfind(|line| !line.trim().is_empty());
        let complaint = complaint.map(|line| format!(": {}", line.trim())).unwrap_or_default();
        return Err(format!("the command failed ({}){complaint}", output.status));
    }
    let text = String::from_utf8(output.stdout).map_err(|_| "the command printed no text")?;
    let mut credentials = Credentials::default();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        if let Some(token) = line.strip_prefix("session-token ") {
            credentials.token = Some(token.trim().to_owned());
        } else {
            let header = header(line).map_err(|_| {
                format!("line {number} of the command's is no `NAME: VALUE`, nor a `session-token`")
            })?;
            credentials.headers.push(header);
        }
    }
    Ok(credentials)
}

#[cfg(not(windows))]
fn shell(command: &str) -> process::Command {
    let mut shell = process::Command::new("sh");
    shell.args(["-c", command]);
    shell
}

#[cfg(windows)]
fn shell(command: &str) -> process::Command {
    use std::os::windows::process::CommandExt;
    let mut shell = process::Command::new("cmd");
    // As it is: cmd has quoting rules of its own.
    shell.arg("/C").raw_arg(command);
    shell
}

/// `Name: value`.
fn header(line: &str) -> Result<(String, String), String> {
    let (name, value) = line
        .split_once(':')
        .ok_or_else(|| "a header is written as --header 'Name: value'".to_string())?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// The settings: the URL, then the flags, then `--set`.
fn config(args: &Args) -> Result<Config, String> {
    let mut fields = Map::new();
    let url = args.url.clone().or_else(|| std::env::var("HERMES_WS_URL").ok());
    fields.insert("url".into(), url.unwrap_or_else(|| DEFAULT_URL.into()).into());
    let headers = args.headers.iter().map(|line| {
        let (name, value) = header(line)?;
        Ok(Value::from(vec![name, value]))
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
    if !args.fallbacks.is_empty() {
        fields.insert("fallback_urls".into(), args.fallbacks.clone().into());
    }
    if args.at_least_once {
        fields.insert("delivery".into(), "at-least-once".into());
    }
    for (name, value) in [
        ("max_attempts", &args.max_attempts),
        ("max_redirects", &args.max_redirects),
        ("heartbeat_interval_ms", &args.heartbeat_interval),
        ("connect_timeout_ms", &args.connect_timeout),
        ("max_elapsed_ms", &args.max_elapsed),
        ("jitter", &args.jitter),
        ("receipts", &args.receipts),
        ("message_ttl_ms", &args.ttl),
        ("resume", &args.resume),
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
    if config.ask_credentials && args.credentials.is_none() {
        return Err("`ask_credentials` needs --credentials".to_owned());
    }
    Ok(config)
}

fn json_or_string(value: &str) -> Value {
    serde_json::from_str(value).unwrap_or_else(|_| value.into())
}

/// Shows what happens, until the client is at rest.
fn show(client: &mut Client, input: &Input, args: &Args) -> Result<(), Failure> {
    let is_asked = asked_by_signal(client.sender())?;
    let mut was_connected = false;
    let mut is_ending = false;
    let mut failure = None;
    let mut shown = None;
    let mut timed = (None, 0);
    // Not every change of the state comes with an event.
    let patience = (args.verbose > 0).then_some(Duration::from_millis(100));
    loop {
        // With nothing to send a connection is made all the same, so that one learns whether it
        // can be.
        let has_ended =
            input.ended.load(Ordering::Acquire) && (was_connected || unsent(client) > 0);
        if has_ended && !args.stay && !mem::replace(&mut is_ending, true) {
            client.shutdown(Duration::from_millis(args.shutdown_timeout));
        }
        let event = client.poll(patience)?;
        if args.verbose > 0 {
            show_steps(client, &mut timed);
        }
        let stage = stage(client);
        let has_changed = shown.replace(stage) != Some(stage);
        if is_asked.swap(false, Ordering::Relaxed) || has_changed && args.verbose > 0 {
            eprintln!("hermes: {}", client.why());
        }
        let Some(event) = event else {
            match client.protocol().state() {
                State::Idle | State::Failed { .. } => return failure.map_or(Ok(()), Err),
                // Somebody woke us, or it was time to look.
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
                    eprintln!("hermes: {reason}; next attempt in {:.1?}", at - client.now());
                }
                None => eprintln!("hermes: {reason}"),
            },
            Event::Failed { attempts, why } => {
                let unsent = unsent(client);
                failure = Some(
                    format!(
                        "gave up: {why} (reconnects: {attempts}); messages that were not sent: {unsent}"
                    )
                    .into(),
                );
            }
            Event::InDoubt { from, to, resend } => {
                let fate = if resend { "are sent again" } else { "may not have arrived" };
                eprintln!("hermes: messages {} to {} {fate}", from.0, to.0);
            }
            Event::SessionDropped { reason } => {
                eprintln!("hermes: the session was dropped: {reason}");
            }
            Event::ShutDown { in_doubt, unsent, .. } => {
                let unsent = unsent + client.queued() as u64;
                if in_doubt + unsent == 0 {
                    if args.verbose > 0 {
                        eprintln!("hermes: the gateway has everything that was sent");
                    }
                } else if failure.is_none() {
                    failure = Some(
                        format!(
                            "messages that were not sent: {unsent}; that may not have arrived: {in_doubt}"
                        )
                            .into(),
                    );
                }
            }
            Event::Warning { text } => eprintln!("hermes: warning: {text}"),
            _ => {}
        }
    }
}

/// The steps that were done since, each with its time. `timed` is of which connection how many were
/// shown.
fn show_steps(client: &Client, timed: &mut (Option<ConnId>, usize)) {
    let (conn, timings) = (client.protocol().conn(), client.timings());
    if conn.is_some() && timed.0 != conn {
        *timed = (conn, 0);
    }
    for (name, took) in timings.steps().skip(timed.1) {
        eprintln!("hermes: {name} {took:.1?}");
        timed.1 += 1;
    }
}

fn unsent(client: &Client) -> usize {
    client.protocol().outbox_len() + client.queued()
}

/// What `why` is said for: where the client is, without the numbers that change all the time.
fn stage(client: &Client) -> (mem::Discriminant<State>, Option<Stage>, Option<ConnId>) {
    let state = client.protocol().state();
    let stage = match state {
        State::Connecting { stage, .. } => Some(stage),
        _ => None,
    };
    (mem::discriminant(&state), stage, client.protocol().conn())
}

/// Is true after a SIGUSR1, which also wakes the client.
#[cfg(unix)]
fn asked_by_signal(sender: Sender) -> io::Result<Arc<AtomicBool>> {
    use signal_hook::consts::SIGUSR1;
    use signal_hook::iterator::Signals;
    let is_asked = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&is_asked);
    let mut signals = Signals::new([SIGUSR1])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for _ in signals.forever() {
            flag.store(true, Ordering::Relaxed);
            sender.wake();
        }
    })?;
    Ok(is_asked)
}

#[cfg(not(unix))]
fn asked_by_signal(_: Sender) -> io::Result<Arc<AtomicBool>> {
    Ok(Arc::default())
}

/// Standard input, read by a thread of its own, no faster than the client takes it.
#[derive(Clone, Default)]
struct Input {
    volatile: bool,
    ended: Arc<AtomicBool>,
    wrong_lines: Arc<AtomicU64>,
}

impl Input {
    fn read(sender: Sender, volatile: bool) -> io::Result<Self> {
        let input = Input { volatile, ..Input::default() };
        let reader = input.clone();
        thread::Builder::new().name("input".into()).spawn(move || reader.run(&sender))?;
        Ok(input)
    }

    fn run(&self, sender: &Sender) {
        for (number, line) in (1..).zip(io::stdin().lock().lines()) {
            let sent = match line {
                Ok(line) if line.trim().is_empty() => continue,
                Ok(line) => self.send(sender, line),
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

    fn send(&self, sender: &Sender, line: String) -> Result<(), String> {
        let message = Outgoing::from_json(line).map_err(|error| error.to_string())?;
        let message = if self.volatile { message.volatile() } else { message };
        sender.send_message_wait(message).map_err(|error| error.to_string())
    }
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
