//! `hermes gateway`

use std::io::{self, BufRead};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;

use hermes_mio::gateway::{Fault, Gateway, GatewayOptions, Record, StoredSession, Target};

#[cfg(feature = "tls")]
use crate::read;
use crate::{Failure, output};

/// Run a gateway for development and tests
///
/// Its log goes to standard output, a JSON line each. It takes orders from standard input:
///
///   TARGET FAULT          show a fault; TARGET is next, live, everyone or client=ID, FAULT is
///                         reset, half-open, no-pong, ignore-resume, delay=MS, close=CODE,
///                         close=CODE:REASON, refuse=STATUS (300 to 599), refuse=STATUS:SECONDS,
///                         refuse=STATUS:date=SECONDS, refuse=STATUS:utc=SECONDS,
///                         ignore-upgrade, reset-after-upgrade, cut-after-sent=BYTES,
///                         cut-after-received=BYTES
///   clear                 clear all faults
///   pause, listen         stop listening, and listen again
///   say JSON              send a message to all clients
///   metrics               print the counts
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Where to listen; port 0 lets the system choose
    #[arg(default_value = "127.0.0.1:8080")]
    addr: SocketAddr,
    /// Speak TLS, with the certificates in this PEM file, the gateway's own first
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The certificate's private key, PEM
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Send chat back to its sender, too
    #[arg(long)]
    echo: bool,
    /// Keep the sessions in this file, so that a restarted gateway resumes them
    #[arg(long, value_name = "FILE")]
    sessions: Option<PathBuf>,
    /// Show a fault from the start, as on standard input: `--fault "everyone delay=250"`
    #[arg(long = "fault", value_name = "ORDER", value_parser = parse_fault)]
    faults: Vec<(Target, Fault)>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let (log, records) = mpsc::channel();
    let sessions = args.sessions.as_deref().map(load).transpose()?.unwrap_or_default();
    let options = GatewayOptions {
        addr: args.addr,
        #[cfg(feature = "tls")]
        tls: tls(args)?,
        echo: args.echo,
        sessions,
        log: Some(log),
        ..GatewayOptions::default()
    };
    let gateway = Gateway::start(options)
        .map_err(|error| format!("can't listen on {}: {error}", args.addr))?;
    for (target, fault) in &args.faults {
        gateway.inject(target.clone(), fault.clone());
    }
    output::line(
        &serde_json::json!({
            "gateway": "listening", "addr": gateway.addr(), "url": gateway.url(),
        })
        .to_string(),
    )?;
    eprintln!("hermes: a gateway listens on {}; connect with", gateway.url());
    eprintln!("    hermes connect {}", gateway.url());

    let gateway = Arc::new(gateway);
    thread::Builder::new().name("orders".into()).spawn({
        let gateway = Arc::clone(&gateway);
        move || take_orders(&gateway)
    })?;
    // Until it is killed.
    for record in records {
        if let (Some(file), Record::SessionInit { .. }) = (&args.sessions, &record) {
            save(file, &gateway.sessions())?;
        }
        output::line(&record.to_string())?;
    }
    Ok(())
}

#[cfg(feature = "tls")]
fn tls(args: &Args) -> Result<Option<hermes_mio::gateway::ServerTls>, Failure> {
    let (Some(cert), Some(key)) = (&args.cert, &args.key) else { return Ok(None) };
    let tls = hermes_mio::gateway::ServerTls::new(read(cert)?, read(key)?)
        .map_err(|error| format!("{} and {}: {error}", cert.display(), key.display()))?;
    Ok(Some(tls))
}

/// `TARGET FAULT`
fn parse_fault(order: &str) -> Result<(Target, Fault), String> {
    let (target, fault) =
        order.trim().split_once(' ').ok_or("write TARGET FAULT, as in `live reset`")?;
    let target = target.parse().map_err(|error| format!("{error}"))?;
    let fault = fault.trim().parse().map_err(|error| format!("{error}"))?;
    Ok((target, fault))
}

fn take_orders(gateway: &Gateway) {
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        if let Err(problem) = obey(gateway, line.trim()) {
            eprintln!("hermes: {problem}");
        }
    }
}

fn obey(gateway: &Gateway, order: &str) -> Result<(), String> {
    match order {
        "" => {}
        "clear" => gateway.clear_faults(),
        "pause" => gateway.pause(),
        "listen" => gateway.listen().map_err(|error| format!("can't listen: {error}"))?,
        "metrics" => {
            let metrics = serde_json::to_string(&gateway.snapshot());
            let metrics = metrics.map_err(|error| error.to_string())?;
            let line = format!("{{\"gateway\":\"metrics\",\"metrics\":{metrics}}}");
            output::line(&line).map_err(|error| error.to_string())?;
        }
        _ => match order.split_once(' ') {
            Some(("say", message)) => {
                let receivers = gateway.broadcast(message);
                eprintln!("hermes: clients that get it: {receivers}");
            }
            _ => {
                let (target, fault) = parse_fault(order)?;
                let affected = gateway.inject(target, fault);
                eprintln!("hermes: live connections affected: {affected}");
            }
        },
    }
    Ok(())
}

fn load(file: &Path) -> Result<Vec<StoredSession>, Failure> {
    match std::fs::read(file) {
        Ok(json) => Ok(serde_json::from_slice(&json)
            .map_err(|error| format!("{} holds no sessions: {error}", file.display()))?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(format!("can't read {}: {error}", file.display()).into()),
    }
}

fn save(file: &Path, sessions: &[StoredSession]) -> Result<(), Failure> {
    let json = serde_json::to_vec(sessions)?;
    std::fs::write(file, json)
        .map_err(|error| format!("can't write {}: {error}", file.display()).into())
}
