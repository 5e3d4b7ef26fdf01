//! A connection in the making: from addresses to a byte stream that carries a WebSocket.

use std::io::{ErrorKind, Read as _, Write as _};
use std::mem;
use std::vec;

use hermes_proto::reason::Stage;
use hermes_proto::{CloseReason, Timestamp};

use crate::net::dial::{Dial, Dialed};
use crate::net::proxy::Tunnel;
use crate::net::transport::{Registration, Transport, ended_by};
use crate::timings::{self, Stopwatch};

/// A connection in the making.
#[derive(Debug)]
pub(crate) struct Connecting {
    step: Step,
    /// What is to be put onto the connection, in order.
    layers: vec::IntoIter<Layer>,
}

/// What is done now.
#[derive(Debug)]
enum Step {
    Dial(Dial),
    #[cfg(unix)]
    Connected(Transport),
    Tunnel(Transport, Tunnel),
    #[cfg(feature = "tls")]
    Tls(Box<crate::net::tls::TlsStream>, TlsPeer),
    /// It is over, one way or another.
    Over,
}

/// What is put onto a connection.
#[derive(Debug)]
pub(crate) enum Layer {
    /// A way through a proxy.
    Tunnel(Tunnel),
    #[cfg(feature = "tls")]
    Tls { config: std::sync::Arc<rustls::ClientConfig>, host: String, peer: TlsPeer },
}

/// Who is on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsPeer {
    Proxy,
    Gateway,
}

/// How a connection in the making stands.
#[derive(Debug)]
pub(crate) enum Progress {
    Waiting,
    Up(Transport),
    Failed(CloseReason),
}

impl Connecting {
    pub(crate) fn new(dial: Dial, layers: Vec<Layer>) -> Self {
        Connecting { step: Step::Dial(dial), layers: layers.into_iter() }
    }

    /// One that has its connection already.
    #[cfg(unix)]
    pub(crate) fn over(transport: Transport, layers: Vec<Layer>) -> Self {
        Connecting { step: Step::Connected(transport), layers: layers.into_iter() }
    }

    /// When [`poll`](Self::poll) is to be called even if no socket says anything.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        match &self.step {
            Step::Dial(dial) => dial.deadline(),
            _ => None,
        }
    }

    /// Does what can be done.
    pub(crate) fn poll(
        &mut self,
        now: Timestamp,
        registration: &Registration<'_>,
        watch: &mut Stopwatch,
    ) -> Progress {
        loop {
            let transport = match mem::replace(&mut self.step, Step::Over) {
                Step::Dial(mut dial) => match dial.poll(now, registration) {
                    Dialed::Up(transport) => {
                        watch.done(timings::Step::Connect, now);
                        transport
                    }
                    Dialed::Waiting => {
                        self.step = Step::Dial(dial);
                        return Progress::Waiting;
                    }
                    Dialed::Failed(reason) => return Progress::Failed(reason),
                },
                #[cfg(unix)]
                Step::Connected(transport) => {
                    watch.done(timings::Step::Connect, now);
                    transport
                }
                Step::Tunnel(mut transport, mut tunnel) => {
                    match drive_tunnel(&mut transport, &mut tunnel) {
                        Ok(true) => {
                            watch.done(timings::Step::Proxy, now);
                            transport
                        }
                        Ok(false) => {
                            self.step = Step::Tunnel(transport, tunnel);
                            return Progress::Waiting;
                        }
                        Err(reason) => {
                            transport.close(registration);
                            return Progress::Failed(reason);
                        }
                    }
                }
                #[cfg(feature = "tls")]
                Step::Tls(mut stream, peer) => match stream.handshake() {
                    Ok(true) => {
                        // TlsPeer a proxy it is a part of what that takes.
                        if peer == TlsPeer::Gateway {
                            watch.done(timings::Step::Tls, now);
                        }
                        Transport::Tls(stream)
                    }
                    Ok(false) => {
                        self.step = Step::Tls(stream, peer);
                        return Progress::Waiting;
                    }
                    Err(reason) => {
                        stream.close(registration);
                        return Progress::Failed(reason);
                    }
                },
                Step::Over => return Progress::Failed(CloseReason::lost()),
            };
            match self.layers.next() {
                None => return Progress::Up(transport),
                Some(Layer::Tunnel(tunnel)) => self.step = Step::Tunnel(transport, tunnel),
                #[cfg(feature = "tls")]
                Some(Layer::Tls { config, host, peer }) => {
                    match crate::net::tls::TlsStream::new(&config, &host, transport) {
                        Ok(stream) => self.step = Step::Tls(Box::new(stream), peer),
                        Err((transport, reason)) => {
                            transport.close(registration);
                            return Progress::Failed(reason);
                        }
                    }
                }
            }
        }
    }

    /// Why there is no connection, where time ran out.
    pub(crate) fn timed_out(&self) -> CloseReason {
        match &self.step {
            Step::Dial(dial) => dial.failure(),
            Step::Tunnel(..) => CloseReason::Timeout { stage: Stage::Proxy },
            #[cfg(feature = "tls")]
            Step::Tls(_, TlsPeer::Proxy) => CloseReason::Timeout { stage: Stage::Proxy },
            #[cfg(feature = "tls")]
            Step::Tls(..) => CloseReason::Timeout { stage: Stage::Tls },
            _ => CloseReason::Timeout { stage: Stage::Connect },
        }
    }

    /// What is done now, for people.
    pub(crate) fn describe(&self) -> String {
        match &self.step {
            Step::Dial(dial) => dial.describe(),
            Step::Tunnel(_, tunnel) => format!("asking the proxy {}", tunnel.server()),
            #[cfg(feature = "tls")]
            Step::Tls(stream, _) => format!("shaking hands with {}", stream.host()),
            _ => String::new(),
        }
    }

    /// Stops.
    pub(crate) fn close(self, registration: &Registration<'_>) {
        match self.step {
            Step::Dial(dial) => dial.close(registration),
            #[cfg(unix)]
            Step::Connected(transport) => transport.close(registration),
            Step::Tunnel(transport, _) => transport.close(registration),
            #[cfg(feature = "tls")]
            Step::Tls(stream, _) => stream.close(registration),
            Step::Over => {}
        }
    }
}

/// Goes on with what is said to a proxy; `true` once the way is open.
fn drive_tunnel(transport: &mut Transport, tunnel: &mut Tunnel) -> Result<bool, CloseReason> {
    let mut answer = [0; 1024];
    loop {
        while !tunnel.transmit().is_empty() {
            match transport.write(tunnel.transmit()) {
                Ok(n) if n > 0 => tunnel.transmitted(n),
                Ok(_) => return Err(tunnel.lost(&"nothing can be written")),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // It is full, or broken; then what was said before may say why.
                Err(_) => break,
            }
        }
        match transport.read(&mut answer) {
            Ok(0) => return Err(tunnel.lost(&"it ended")),
            Ok(n) => {
                if tunnel.receive(&answer[..n])? {
                    return Ok(true);
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => {
                return Err(match ended_by(&error) {
                    CloseReason::Lost { text } => tunnel.lost(&text.as_str()),
                    reason => reason,
                });
            }
        }
    }
}
