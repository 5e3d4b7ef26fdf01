//! A connection in the making: from addresses, through a proxy and TLS, to a byte stream that can
//! carry a WebSocket.

use std::io::{ErrorKind, Read as _, Write as _};
use std::mem;
use std::time::Duration;
use std::vec;

use hermes_proto::reason::Stage;
use hermes_proto::{CloseReason, Timestamp};

use crate::net::dial::{Dial, Dialed};
use crate::net::proxy::Tunnel;
#[cfg(feature = "tls")]
use crate::net::tls::TlsStream;
use crate::net::transport::{Registration, Transport, ended_by};
use crate::net::turn::{READS_PER_TURN, Turn};
use crate::timings::{self, Stopwatch};

/// A connection in the making.
#[derive(Debug)]
pub(crate) struct Connecting {
    step: Step,
    /// Layers still to be put onto the connection, in order.
    layers: vec::IntoIter<Layer>,
    /// Whether its bytes stay within this machine: the socket goes to a loopback address or a file,
    /// and no proxy takes them on. Known once the socket is connected.
    is_private: bool,
    /// A proxy has refused, and the rest of its reason is waited for until this moment.
    refusal_deadline: Option<Timestamp>,
}

/// The current step.
#[derive(Debug)]
enum Step {
    Dial(Dial),
    #[cfg(unix)]
    Connected(Transport),
    Tunnel(Transport, Tunnel),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream<Transport>>, TlsPeer),
    /// It is over, one way or another.
    Over,
}

/// A layer to be put onto a connection.
#[derive(Debug)]
pub(crate) enum Layer {
    /// A way through a proxy.
    Tunnel(Tunnel),
    #[cfg(feature = "tls")]
    Tls { config: std::sync::Arc<rustls::ClientConfig>, host: String, peer: TlsPeer },
}

/// The other end of a TLS session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsPeer {
    Proxy,
    Gateway,
}

/// The result of a turn.
#[derive(Debug)]
pub(crate) enum Progress {
    /// Nothing more happens before a socket is ready or the deadline passes.
    Waiting,
    /// This turn's share is used up. The next turn goes on without a new event.
    Yielded,
    Up(Transport),
    Failed(CloseReason),
}

/// Wait for the body of a proxy's refusal.
const REFUSAL_BODY_WAIT: Duration = Duration::from_millis(500);

impl Connecting {
    pub(crate) fn new(dial: Dial, layers: Vec<Layer>) -> Self {
        Self::at(Step::Dial(dial), layers)
    }

    /// A connection whose socket is connected already.
    #[cfg(unix)]
    pub(crate) fn over(transport: Transport, layers: Vec<Layer>) -> Self {
        Self::at(Step::Connected(transport), layers)
    }

    fn at(step: Step, layers: Vec<Layer>) -> Self {
        let layers = layers.into_iter();
        Connecting { step, layers, is_private: false, refusal_deadline: None }
    }

    /// When [`poll`](Self::poll) is to be called even if no socket is ready.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        match &self.step {
            Step::Dial(dial) => dial.deadline(),
            _ => self.refusal_deadline,
        }
    }

    /// Whether anything was tried: a connection in the making starts in the turn after its making.
    pub(crate) fn has_started(&self) -> bool {
        !matches!(&self.step, Step::Dial(dial) if !dial.has_started())
    }

    /// Does what can be done without waiting.
    pub(crate) fn poll(
        &mut self,
        now: Timestamp,
        registration: &Registration<'_>,
        watch: &mut Stopwatch,
    ) -> Progress {
        loop {
            match self.run_step(now, registration, watch) {
                Err(stopped) => return stopped,
                Ok(transport) => match self.layers.next() {
                    None => return Progress::Up(transport),
                    Some(layer) => {
                        if let Err(reason) = self.put_on(layer, transport, registration) {
                            return Progress::Failed(reason);
                        }
                    }
                },
            }
        }
    }

    /// Goes on with the current step. Returns its transport once it is done, and the step then is
    /// [`Step::Over`].
    fn run_step(
        &mut self,
        now: Timestamp,
        registration: &Registration<'_>,
        watch: &mut Stopwatch,
    ) -> Result<Transport, Progress> {
        match mem::replace(&mut self.step, Step::Over) {
            Step::Dial(mut dial) => match dial.poll(now, registration) {
                Dialed::Up(transport) => {
                    let is_tunnel = |layer: &Layer| matches!(layer, Layer::Tunnel(_));
                    let is_proxied = self.layers.as_slice().iter().any(is_tunnel);
                    self.is_private = !is_proxied && transport.is_local();
                    watch.done(timings::Step::Connect, now);
                    Ok(transport)
                }
                Dialed::Waiting => self.suspend(Step::Dial(dial), Turn::Waiting),
                Dialed::Failed(reason) => Err(Progress::Failed(reason)),
            },
            #[cfg(unix)]
            Step::Connected(transport) => {
                self.is_private = true;
                watch.done(timings::Step::Connect, now);
                Ok(transport)
            }
            Step::Tunnel(mut transport, mut tunnel) => {
                match self.run_tunnel(now, &mut transport, &mut tunnel) {
                    Ok(Turn::Done) => {
                        watch.done(timings::Step::Proxy, now);
                        Ok(transport)
                    }
                    Ok(turn) => self.suspend(Step::Tunnel(transport, tunnel), turn),
                    Err(reason) => {
                        transport.close(registration);
                        Err(Progress::Failed(reason))
                    }
                }
            }
            #[cfg(feature = "tls")]
            Step::Tls(mut stream, peer) => match stream.handshake() {
                Ok(Turn::Done) => {
                    // TLS with a proxy is a part of the proxy's time.
                    if peer == TlsPeer::Gateway {
                        watch.done(timings::Step::Tls, now);
                    }
                    Ok(Transport::Tls(stream))
                }
                Ok(turn) => self.suspend(Step::Tls(stream, peer), turn),
                Err(reason) => {
                    Transport::Tls(stream).close(registration);
                    Err(Progress::Failed(reason))
                }
            },
            Step::Over => Err(Progress::Failed(CloseReason::lost())),
        }
    }

    fn run_tunnel(
        &mut self,
        now: Timestamp,
        transport: &mut Transport,
        tunnel: &mut Tunnel,
    ) -> Result<Turn, CloseReason> {
        let turn = drive_tunnel(transport, tunnel)?;
        if tunnel.is_refused() {
            let deadline = *self.refusal_deadline.get_or_insert(now + REFUSAL_BODY_WAIT);
            if deadline <= now {
                return Err(tunnel.lost(&"no answer"));
            }
        }
        Ok(turn)
    }

    /// Keeps a step that is not done for the next turn.
    fn suspend(&mut self, step: Step, turn: Turn) -> Result<Transport, Progress> {
        self.step = step;
        Err(if turn == Turn::Yielded { Progress::Yielded } else { Progress::Waiting })
    }

    fn put_on(
        &mut self,
        layer: Layer,
        transport: Transport,
        registration: &Registration<'_>,
    ) -> Result<(), CloseReason> {
        #[cfg(not(feature = "tls"))]
        let _ = registration;
        self.step = match layer {
            Layer::Tunnel(tunnel) => Step::Tunnel(transport, tunnel),
            #[cfg(feature = "tls")]
            Layer::Tls { config, host, peer } => match TlsStream::new(&config, &host, transport) {
                Ok(stream) => Step::Tls(Box::new(stream), peer),
                Err((transport, reason)) => {
                    transport.close(registration);
                    return Err(reason);
                }
            },
        };
        Ok(())
    }

    /// Whether its bytes stay within this machine. Known once it is up.
    pub(crate) fn is_private(&self) -> bool {
        self.is_private
    }

    /// The current step, as the protocol names it.
    pub(crate) fn stage(&self) -> Stage {
        match &self.step {
            Step::Tunnel(..) => Stage::Proxy,
            #[cfg(feature = "tls")]
            Step::Tls(_, TlsPeer::Proxy) => Stage::Proxy,
            #[cfg(feature = "tls")]
            Step::Tls(_, TlsPeer::Gateway) => Stage::Tls,
            _ => Stage::Connect,
        }
    }

    /// The fate of each address that was tried, for people. `None` once one has answered.
    pub(crate) fn unanswered(&self) -> Option<String> {
        match &self.step {
            Step::Dial(dial) => Some(dial.failure().to_string()),
            _ => None,
        }
    }

    /// The current step, for people.
    pub(crate) fn describe(&self) -> String {
        match &self.step {
            Step::Dial(dial) => dial.describe(),
            Step::Tunnel(_, tunnel) => format!("asking the proxy {}", tunnel.server()),
            #[cfg(feature = "tls")]
            Step::Tls(stream, _) => format!("shaking hands with {}", stream.host()),
            _ => String::new(),
        }
    }

    /// Gives up, and closes the sockets.
    pub(crate) fn close(self, registration: &Registration<'_>) {
        match self.step {
            Step::Dial(dial) => dial.close(registration),
            #[cfg(unix)]
            Step::Connected(transport) => transport.close(registration),
            Step::Tunnel(transport, _) => transport.close(registration),
            #[cfg(feature = "tls")]
            Step::Tls(stream, _) => Transport::Tls(stream).close(registration),
            Step::Over => {}
        }
    }
}

/// Goes on with a proxy's conversation.
fn drive_tunnel(transport: &mut Transport, tunnel: &mut Tunnel) -> Result<Turn, CloseReason> {
    let mut answer = [0; 1024];
    for _ in 0..READS_PER_TURN {
        send_to_proxy(transport, tunnel)?;
        match transport.read(&mut answer) {
            Ok(0) => return Err(tunnel.lost(&"it ended")),
            Ok(n) => {
                if tunnel.receive(&answer[..n])? {
                    return Ok(Turn::Done);
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Turn::Waiting),
            Err(error) => {
                return Err(match ended_by(&error) {
                    CloseReason::Lost { text } => tunnel.lost(&text.as_str()),
                    reason => reason,
                });
            }
        }
    }
    Ok(Turn::Yielded)
}

/// Writes what the transport takes.
fn send_to_proxy(transport: &mut Transport, tunnel: &mut Tunnel) -> Result<(), CloseReason> {
    while !tunnel.transmit().is_empty() {
        match transport.write(tunnel.transmit()) {
            Ok(n) if n > 0 => tunnel.transmitted(n),
            Ok(_) => return Err(tunnel.lost(&"nothing can be written")),
            // A signal handler ran.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // It is full, or broken; then the proxy's last bytes may say why.
            Err(_) => break,
        }
    }
    Ok(())
}
