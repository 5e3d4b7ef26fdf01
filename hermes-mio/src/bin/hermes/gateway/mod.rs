//! `hermes gateway`

mod orders;
mod sessions;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use hermes_mio::PrivateFile;
use hermes_mio::gateway::{Fault, Gateway, GatewayOptions, Log, Target};

#[cfg(feature = "tls")]
use crate::files::read;
use crate::signals::{self, Request};
use crate::words::say;
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
///
/// On SIGINT, SIGTERM or SIGHUP it closes its connections with 1001 and exits with 0; a second
/// signal ends it at once. The end of standard input ends the orders alone.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The address to listen on; with port 0 the system chooses a port
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
    /// Drop repetitions: messages whose MEMBER has a value that was received before
    ///
    /// The counterpart of the client's setting message_id_member. The values of the newest 600,000
    /// messages or so are remembered (64 MiB).
    #[arg(long, value_name = "MEMBER")]
    dedupe: Option<String>,
    /// Milliseconds that a new connection has to resume its session, before it gets a fresh one
    ///
    /// It has to be longer than a round trip to the client.
    #[arg(long, value_name = "MS", default_value_t = 500)]
    resume_grace: u64,
    /// Keep the sessions in this file (mode 0600), so that a restarted gateway resumes them
    #[arg(long, value_name = "FILE")]
    sessions: Option<PathBuf>,
    /// Bytes of the log that may wait for a slow reader; more is dropped, and the gap is logged
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    log_buffer: usize,
    /// Show a fault from the start, as on standard input: `--fault "everyone delay=250"`
    #[arg(long = "fault", value_name = "ORDER", value_parser = orders::parse_fault)]
    faults: Vec<(Target, Fault)>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let (log, records) = Log::new(args.log_buffer);
    let (session_changes, changes) = mpsc::sync_channel(1);
    let file = args.sessions.as_ref().map(PrivateFile::new);
    let sessions = file.as_ref().map(sessions::load).transpose()?.unwrap_or_default();
    let options = GatewayOptions {
        addr: args.addr,
        #[cfg(feature = "tls")]
        tls: tls(args)?,
        echo: args.echo,
        dedupe: args.dedupe.clone(),
        resume_grace: Duration::from_millis(args.resume_grace),
        sessions,
        session_changes: file.is_some().then_some(session_changes),
        log: Some(log),
        ..GatewayOptions::default()
    };
    let gateway = Gateway::start(options)
        .map_err(|error| format!("can't listen on {}: {error}", args.addr))?;
    for (target, fault) in &args.faults {
        gateway.inject(target.clone(), fault.clone());
    }
    announce(&gateway)?;
    let gateway = Arc::new(gateway);
    if let Some(file) = file {
        sessions::save_on_change(file, Arc::downgrade(&gateway), changes)?;
    }
    orders::take(Arc::downgrade(&gateway))?;
    stop_on_signal(gateway)?;
    // The log ends with the gateway.
    for record in records {
        output::line(&record.to_string())?;
    }
    Ok(())
}

fn announce(gateway: &Gateway) -> io::Result<()> {
    let listening = serde_json::json!({
        "gateway": "listening", "addr": gateway.addr(), "url": gateway.url(),
    });
    output::line(&listening.to_string())?;
    say!("hermes: a gateway listens on {}; connect with", gateway.url());
    say!("    hermes connect {}", gateway.url());
    Ok(())
}

/// The signals' thread owns the gateway: dropping it stops it.
fn stop_on_signal(gateway: Arc<Gateway>) -> io::Result<()> {
    let mut gateway = Some(gateway);
    signals::watch(move |request| {
        if matches!(request, Request::End(_)) {
            // On a thread of its own, so that a second signal is heard.
            let gateway = gateway.take();
            thread::spawn(move || drop(gateway));
        }
    })
}

#[cfg(feature = "tls")]
fn tls(args: &Args) -> Result<Option<hermes_mio::gateway::ServerTls>, Failure> {
    let (Some(cert), Some(key)) = (&args.cert, &args.key) else { return Ok(None) };
    let tls = hermes_mio::gateway::ServerTls::new(read(cert)?, read(key)?)
        .map_err(|error| format!("{} and {}: {error}", cert.display(), key.display()))?;
    Ok(Some(tls))
}
