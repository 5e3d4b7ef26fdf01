//! `hermes gateway`

use std::io::{self, BufRead};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;

use hermes_mio::gateway::{Gateway, GatewayOptions, Misbehaviour, Record, StoredSession, Target};

#[cfg(feature = "tls")]
use crate::read;
use crate::{Failure, output};

/// Run a gateway for development and tests
///
/// What it does is a JSON line each on standard output. On standard input it takes orders:
///
///   TARGET MISBEHAVIOUR   misbehave: next, live, everyone or client=ID, and then drop, silent,
///                         no-pong, ignore-resume, delay=MS, close=CODE, close=CODE:REASON,
///                         refuse=STATUS, refuse=STATUS:SECONDS, refuse=STATUS:date=SECONDS,
///                         refuse=STATUS:utc=SECONDS, stall, accept-then-drop,
///                         cut-after=BYTES, cut-after-received=BYTES
///   behave                take all misbehaviour back
///   pause, listen         stop listening, and listen again
///   say JSON              send a message to everybody
///   report                print the counts
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
    /// Misbehave from the start, as on standard input: `--misbehave "everyone delay=250"`
    #[arg(long, value_name = "ORDER", value_parser = misbehaviour)]
    misbehave: Vec<(Target, Misbehaviour)>,
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
    for (target, misbehaviour) in &args.misbehave {
        gateway.misbehave(target.clone(), misbehaviour.clone());
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

/// An order that is a misbehaviour.
fn misbehaviour(order: &str) -> Result<(Target, Misbehaviour), String> {
    let (target, misbehaviour) =
        order.trim().split_once(' ').ok_or("write TARGET MISBEHAVIOUR, as in `live drop`")?;
    let target = target.parse().map_err(|error| format!("{error}"))?;
    let misbehaviour = misbehaviour.trim().parse().map_err(|error| format!("{error}"))?;
    Ok((target, misbehaviour))
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
        "behave" => gateway.behave(),
        "pause" => gateway.pause(),
        "listen" => gateway.listen().map_err(|error| format!("can't listen: {error}"))?,
        "report" => {
            let report = serde_json::to_string(&gateway.report());
            let report = report.map_err(|error| error.to_string())?;
            let line = format!("{{\"gateway\":\"report\",\"report\":{report}}}");
            output::line(&line).map_err(|error| error.to_string())?;
        }
        _ => match order.split_once(' ') {
            Some(("say", message)) => {
                let heard = gateway.broadcast(message);
                eprintln!("hermes: said to {heard}");
            }
            _ => {
                let (target, misbehaviour) = misbehaviour(order)?;
                let hit = gateway.misbehave(target, misbehaviour);
                eprintln!("hermes: {hit} live connections hit");
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
