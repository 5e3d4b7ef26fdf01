//! An adapter for a host with a WebSocket of its own: a [`Client`] on tokio-tungstenite.
//!
//! ```console
//! $ cargo run -p hermes-proto --example tungstenite -- ws://127.0.0.1:8080/
//! ```
//!
//! It prints each event. `wss://` is refused: for TLS, enable one of tokio-tungstenite's TLS features.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a host has clocks")]

use std::{env, error, future::pending, time::Duration, time::SystemTime};

use futures_util::{SinkExt, StreamExt};
use hermes_proto::*;
use tokio::sync::mpsc::{Receiver, Sender, UnboundedReceiver, channel, unbounded_channel};
use tokio::{select, time::Instant, time::sleep};
use tokio_tungstenite::connect_async_with_config;
use tokio_tungstenite::tungstenite::ClientRequestBuilder as Request;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Runs a client until the future is dropped. Every queue is bounded, the outgoing one by the client
/// itself: a slow application slows its gateway down, and a slow gateway slows the application.
pub(crate) async fn run(mut client: Client, mut commands: Receiver<Input>, events: Sender<Event>) {
    let (epoch, mut actions) = (Instant::now(), Actions::new());
    let ((inputs, mut received), mut out) = (channel(16), unbounded_channel().0);
    loop {
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Emit(event) => drop(events.send(event).await),
                Action::Open { conn, url } => {
                    let mut request = Request::new(url.as_str().parse().expect("it is a URL"));
                    for (name, value) in client.headers() {
                        request = request.with_header(name, value);
                    }
                    // Sizes are the WebSocket's to check, and so are Pongs.
                    let limits = WebSocketConfig::default()
                        .max_message_size(usize::try_from(client.config().max_message_bytes).ok())
                        .max_frame_size(usize::try_from(client.config().max_frame_bytes).ok());
                    let messages;
                    (out, messages) = unbounded_channel();
                    tokio::spawn(connection(conn, request, limits, messages, inputs.clone()));
                }
                Action::Send { seq, payload, .. } => {
                    let message = match payload {
                        Frame::Text(text) => Message::text(text.as_str()),
                        Frame::Binary(data) => Message::Binary(data),
                        Frame::Ping(data) => Message::Ping(data),
                        Frame::Pong(data) => Message::Pong(data),
                    };
                    drop(out.send((seq, message)));
                }
                Action::Close { code: Some(code), .. } => {
                    let frame = CloseFrame { code: code.into(), reason: "".into() };
                    drop(out.send((0, Message::Close(Some(frame)))));
                }
                Action::Close { code: None, .. } => out = unbounded_channel().0,
                Action::ArmTimer(_) => {}       // Read in each turn below.
                Action::PersistSession(_) => {} // A file could keep it for the next run.
                _ => {}                         // `AskCredentials`: off by default.
            }
        }
        let now = || Timestamp::ZERO + epoch.elapsed();
        // A timer that fires early does no harm, so one is always set.
        let wait = client.deadline().map_or(Duration::MAX, |due| due - now());
        let input = select! {
            biased; // Received frames count before a deadline that has passed.
            Some(input) = received.recv() => input,
            Some(command) = commands.recv(), if client.has_room(64 << 10) => command,
            () = sleep(wait) => Input::TimerFired,
        };
        client.handle(now(), input, &mut actions);
    }
}

type Out = UnboundedReceiver<(u64, Message)>;

/// Runs one connection until it ends or `run` drops the sending side of `out`. The client ignores
/// inputs from a connection that it has left.
async fn connection(
    conn: ConnId,
    request: Request,
    limits: WebSocketConfig,
    mut out: Out,
    inputs: Sender<Input>,
) {
    let report = async |input| drop(inputs.send(input).await);
    let closed = async |reason| report(Input::Closed { conn, reason }).await;
    let (mut sink, mut stream) = match connect_async_with_config(request, Some(limits), true).await
    {
        Ok((socket, _)) => socket.split(),
        Err(Error::Http(answer)) => {
            let asked = answer.headers().get("Retry-After").map(|it| it.to_str().map(str::parse));
            let retry_after = asked.and_then(|it| it.ok()?.ok()).map(reason::RetryAfter::Seconds);
            let status = answer.status().as_u16();
            return closed(CloseReason::Http { status, retry_after, redirect: None, body: None })
                .await;
        }
        Err(error) => return closed(CloseReason::Connect { text: error.to_string().into() }).await,
    };
    report(Input::Opened { conn }).await;
    let send = async {
        while let Some((up_to, message)) = out.recv().await {
            let Ok(()) = sink.send(message).await else { return pending().await }; // The read ends, too.
            report(Input::Flushed { conn, up_to }).await;
        }
    };
    let receive = async {
        let mut reason = CloseReason::lost();
        while let Some(Ok(message)) = stream.next().await {
            let payload = match message {
                Message::Text(text) => Frame::Text(text.as_str().into()),
                Message::Binary(data) => Frame::Binary(data),
                Message::Pong(data) => Frame::Pong(data),
                Message::Close(Some(CloseFrame { code, reason: text })) => {
                    reason = CloseReason::Peer { code: code.into(), text: text.as_str().into() };
                    continue;
                }
                _ => continue, // A Ping: tungstenite has answered it.
            };
            report(Input::Received { conn, payload }).await;
        }
        closed(reason).await;
    };
    select! { () = send => {}, () = receive => {} }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn error::Error>> {
    let url = Url::parse(&env::args().nth(1).unwrap_or("ws://127.0.0.1:8080/".into()))?;
    if url.is_secure() {
        return Err("wss:// needs TLS, which this example does not have: use a ws:// URL".into());
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let start = Start::new(seed, SystemTime::UNIX_EPOCH.elapsed()?.as_millis() as u64);
    let ((commands, orders), (happened, mut events)) = (channel(16), channel(16));
    tokio::spawn(run(Client::new(Config::new(url.as_str()), start)?, orders, happened));
    commands.send(Input::Connect).await?;
    loop {
        println!("{:?}", events.recv().await);
    }
}
