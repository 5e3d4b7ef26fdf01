//! Hermes inside an application's own `mio::Poll`, beside a socket of the application: each UDP
//! datagram, JSON, is sent to the gateway. An empty datagram ends the program.
//!
//! ```console
//! $ cargo run -p hermes-mio --example embedded -- ws://127.0.0.1:8080/ 127.0.0.1:9000
//! ```

use std::io::ErrorKind::{Interrupted, WouldBlock};
use std::{env, error::Error, ops::Range, sync::Arc, time::Duration};

use hermes_mio::{Config, Driver, Event, FleetOptions, MemberMut, Outgoing, ReadBuffer};
use mio::{Events, Interest, Poll, Token, Waker, net::UdpSocket};

const WAKER: Token = Token(0);
const DATAGRAMS: Token = Token(1);
/// One token for each client.
const HERMES: Range<usize> = 2..3;

/// Runs until an empty datagram arrives and the client has shut down, or the client gives up.
pub(crate) fn run(
    config: Config,
    mut datagrams: UdpSocket,
    mut on_event: impl FnMut(&Event),
) -> Result<(), Box<dyn Error>> {
    let mut poll = Poll::new()?;
    let mut readiness = Events::with_capacity(64);
    let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
    poll.registry().register(&mut datagrams, DATAGRAMS, Interest::READABLE)?;

    let registry = poll.registry().try_clone()?;
    let mut hermes = Driver::new(registry, HERMES, waker, FleetOptions::default())?;
    let id = hermes.add(config)?;
    hermes.get_mut(id).expect("it was just added").connect();

    let mut buffer = ReadBuffer::new();
    loop {
        match poll.poll(&mut readiness, hermes.timeout()) {
            Err(error) if error.kind() != Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &readiness {
            // The waker's event needs no work: `run` takes what woke the loop.
            if !hermes.ready(event) && event.token() == DATAGRAMS {
                let client = hermes.get_mut(id).expect("it is never removed");
                forward(&datagrams, client)?;
            }
        }
        // In every turn, also without a readiness event: timers are due, senders have sent.
        hermes.run(&mut buffer);
        // All of them: while hundreds wait, nothing is read.
        while let Some((_, event)) = hermes.next_event() {
            on_event(&event);
            if matches!(event, Event::ShutDown { .. } | Event::Failed { .. }) {
                return Ok(());
            }
        }
    }
}

/// Sends every datagram that waits. mio reports a socket again only after it was read empty.
fn forward(datagrams: &UdpSocket, mut client: MemberMut<'_>) -> Result<(), Box<dyn Error>> {
    let mut buffer = [0; 1 << 16];
    loop {
        match datagrams.recv(&mut buffer) {
            Ok(0) => client.shutdown(Duration::from_secs(30)),
            Ok(len) => {
                let message = Outgoing::from_json(String::from_utf8_lossy(&buffer[..len]).as_ref());
                // UDP gives no guarantee, so a datagram that the outbox refuses is lost.
                if let Err(error) = message.and_then(|message| client.send_message(message)) {
                    eprintln!("not sent: {error}");
                }
            }
            Err(error) if error.kind() == WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let url = args.next().unwrap_or("ws://127.0.0.1:8080/".into());
    let address = args.next().unwrap_or("127.0.0.1:9000".into()).parse()?;
    run(Config::new(url), UdpSocket::bind(address)?, |event| println!("{event:?}"))
}
