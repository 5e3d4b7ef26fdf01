//! The client under test for the [Autobahn test suite](https://github.com/crossbario/autobahn-testsuite):
//! asks its fuzzing server for each case, and echoes every message through a [`Client`].
//! `python3 .ci/autobahn.py` runs the suite.
//!
//! ```console
//! $ cargo run --release -p hermes-mio --example autobahn -- ws://127.0.0.1:9001 Hermes
//! ```

use std::error::Error;
use std::time::Instant;

use hermes_mio::{Client, CloseReason, Config, Event, Outgoing};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(server), Some(agent), None) = (args.next(), args.next(), args.next()) else {
        eprintln!("usage: autobahn SERVER AGENT, as in: autobahn ws://127.0.0.1:9001 Hermes");
        std::process::exit(2);
    };
    let mut cases = 0;
    converse(format!("{server}/getCaseCount"), |_, message| {
        cases = message.frame().as_text().unwrap_or_default().parse()?;
        Ok(())
    })?;
    let begin = Instant::now();
    for case in 1..=cases {
        converse(format!("{server}/runCase?case={case}&agent={agent}"), |client, message| {
            client.send_message(message)?;
            Ok(())
        })?;
    }
    eprintln!("{cases} cases in {:.1} s", begin.elapsed().as_secs_f64());
    converse(format!("{server}/updateReports?agent={agent}"), |_, _| Ok(()))
}

/// Makes one connection, and runs it until it ends.
fn converse(
    url: String,
    mut on_message: impl FnMut(&mut Client, Outgoing) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let config = Config {
        // The server ends each case's connection on purpose.
        max_attempts: Some(0),
        deflate: cfg!(feature = "deflate"),
        deflate_min_bytes: 0,
        ..Config::new(url)
    };
    let mut client = Client::new(config)?;
    client.connect();
    while let Some(event) = client.poll(None)? {
        match event {
            Event::Disconnected { reason, .. } => match reason {
                CloseReason::Peer { .. }
                | CloseReason::Protocol { .. }
                | CloseReason::Lost { .. } => {}
                other => return Err(other.into()),
            },
            other => {
                if let Some(message) = message(other) {
                    on_message(&mut client, message)?;
                }
            }
        }
    }
    Ok(())
}

/// A message as it arrived. Hermes takes the suite's messages for malformed or unhandled ones.
fn message(event: Event) -> Option<Outgoing> {
    Some(match event {
        Event::Malformed { text, .. } => Outgoing::text(text),
        Event::Binary(message) => Outgoing::binary(message.data().clone()),
        Event::Unhandled(json) => Outgoing::text(json.json().clone()),
        _ => return None,
    })
}
