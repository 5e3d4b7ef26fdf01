//! `hermes outbox`

use std::path::PathBuf;

use hermes_mio::{FileOutbox, OutboxSummary};
use serde_json::json;

use crate::words::say;
use crate::{Failure, output};

/// Show what is in an outbox file of `hermes connect --outbox`, or empty it
///
/// One line for each client: its name, the number of its messages, their bytes, and when the oldest
/// was kept. A file that a process has in use is refused, with that process's id. A damaged file is set
/// aside as FILE.corrupt, and what can be read of it is taken along.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The file
    file: PathBuf,
    /// One JSON object on standard output, with the times in milliseconds since 1970
    #[arg(long)]
    json: bool,
    /// Forget all messages in it, and then show it
    #[arg(long)]
    clear: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    // Looking at an outbox makes none.
    if let Err(error) = std::fs::symlink_metadata(&args.file) {
        return Err(format!("can't open the outbox {}: {error}", args.file.display()).into());
    }
    let mut outbox = FileOutbox::new(&args.file);
    let mut warnings = Vec::new();
    let shown = show(&mut outbox, args, &mut warnings);
    for warning in warnings {
        say!("hermes: warning: {warning}");
    }
    shown
}

fn show(
    outbox: &mut FileOutbox,
    args: &Args,
    warnings: &mut Vec<hermes_mio::OutboxError>,
) -> Result<(), Failure> {
    if args.clear {
        let before = outbox.summary(warnings)?;
        outbox.clear(warnings)?;
        let messages: u64 = before.iter().map(|client| client.messages).sum();
        say!("hermes: messages forgotten: {messages}");
    }
    let clients = outbox.summary(warnings)?;
    if args.json {
        return Ok(output::line(&as_json(&clients).to_string())?);
    }
    for client in clients {
        output::line(&in_words(&client))?;
    }
    Ok(())
}

fn as_json(clients: &[OutboxSummary]) -> serde_json::Value {
    let of = |client: &OutboxSummary| {
        json!({
            "client": client.client,
            "messages": client.messages,
            "bytes": client.bytes,
            "oldest_unix_ms": client.oldest_unix_ms,
        })
    };
    json!({
        "messages": clients.iter().map(|client| client.messages).sum::<u64>(),
        "bytes": clients.iter().map(|client| client.bytes).sum::<u64>(),
        "oldest_unix_ms": clients.iter().filter_map(|client| client.oldest_unix_ms).min(),
        "clients": clients.iter().map(of).collect::<Vec<_>>(),
    })
}

fn in_words(client: &OutboxSummary) -> String {
    let OutboxSummary { client: name, messages, bytes, oldest_unix_ms, .. } = client;
    let oldest = oldest_unix_ms.map(|unix_ms| {
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(unix_ms);
        format!(", the oldest of {}", httpdate::fmt_http_date(at))
    });
    format!("{name}: {messages} messages, {bytes} bytes{}", oldest.unwrap_or_default())
}
