//! Many clients on one thread: each sends a message, waits for its acknowledgement, and closes.
//!
//! ```console
//! $ cargo run --release -p hermes-mio --example fleet -- ws://127.0.0.1:8080/ 1000
//! acknowledged: 1000 messages of 1000 clients
//! ```

use std::{env, error::Error, sync::Arc, time::Duration};

use hermes_mio::{Config, Event, Fleet, FleetOptions};

/// Runs the clients until each is at rest, and returns how many messages were acknowledged.
pub(crate) fn run(config: Config, clients: u32) -> Result<u64, Box<dyn Error>> {
    // Settings are shared: a client then takes less memory.
    let (config, mut acknowledged) = (Arc::new(config), 0);
    let mut fleet = Fleet::new(FleetOptions::default().max_connecting(100))?;
    for _ in 0..clients {
        let id = fleet.add(Arc::clone(&config))?;
        fleet.get_mut(id).expect("it was just added").connect();
    }
    // Ends when every client is at rest: shut down, or given up.
    while let Some((id, event)) = fleet.poll(None)? {
        match (event, fleet.get_mut(id)) {
            (Event::SessionInit(session), Some(mut client)) => {
                let text = format!("hello from {}", session.client_id().unwrap_or_default());
                client.send(&serde_json::json!({"type": "chat", "text": text}))?;
                client.shutdown(Duration::from_secs(30));
            }
            (Event::ShutDown { acknowledged: n, .. }, _) => {
                acknowledged += n;
                fleet.remove(id);
            }
            (Event::Disconnected { reason, retry_at: Some(_), .. }, _) => eprintln!("{reason}"),
            (Event::Failed { why, .. }, _) => eprintln!("given up: {why}"),
            _ => {}
        }
    }
    Ok(acknowledged)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let url = args.next().unwrap_or("ws://127.0.0.1:8080/".into());
    let clients = args.next().map_or(Ok(100), |clients| clients.parse())?;
    let acknowledged = run(Config::new(url), clients)?;
    println!("acknowledged: {acknowledged} messages of {clients} clients");
    Ok(())
}
