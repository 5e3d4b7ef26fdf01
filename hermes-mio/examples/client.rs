//! One client on the calling thread. A second thread sends the lines of standard input, JSON each.
//!
//! ```console
//! $ cargo run -p hermes-mio --example client -- ws://127.0.0.1:8080/
//! {"type":"chat","text":"hello"}
//! ```
//!
//! At the end of input everything is sent and acknowledged, or 30 s pass; then the client closes.

use std::io::{BufRead, BufReader, stdin};
use std::time::Duration;
use std::{env, error::Error, thread};

use hermes_mio::{Client, Config, Event, Outgoing, Sender, Waited};

/// Runs a client until its input has ended and its messages have left.
pub(crate) fn run(
    client: &mut Client,
    input: impl BufRead + Send + 'static,
    mut on_event: impl FnMut(&Event),
) -> Result<(), Box<dyn Error>> {
    let sender = client.sender();
    thread::spawn(move || {
        send_lines(input, &sender);
        sender.wake();
    });
    client.connect();
    loop {
        match client.wait(None)? {
            Waited::Event(event) => on_event(&event),
            // The input has ended.
            Waited::Woken => client.shutdown(Duration::from_secs(30)),
            // After the shutdown, or because the client has given up. `TimedOut` needs a timeout.
            Waited::AtRest | Waited::TimedOut => return Ok(()),
        }
    }
}

fn send_lines(input: impl BufRead, sender: &Sender) {
    for line in input.lines() {
        // Waits for room: the input is read no faster than the outbox takes it.
        let sent = || Ok(sender.send_message_wait(Outgoing::from_json(line?)?)?);
        if let Err::<_, Box<dyn Error>>(error) = sent() {
            eprintln!("not sent: {error}");
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).unwrap_or("ws://127.0.0.1:8080/".into());
    let mut client = Client::new(Config::new(url))?;
    run(&mut client, BufReader::new(stdin()), |event| println!("{event:?}"))
}
