//! A connection in the making: from addresses to a byte stream that carries a WebSocket.

use std::mem;
use std::net::SocketAddr;
use std::time::Duration;
use std::vec;

use hermes_proto::close::Stage;
use hermes_proto::{CloseReason, Timestamp};

use crate::dial::{Dial, Dialed};
use crate::network::Route;
use crate::transport::{Slot, Transport};

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
    #[cfg(feature = "tls")]
    Tls(Box<crate::tls::TlsStream>),
    /// It is over, one way or another.
    Over,
}

/// What is put onto a connection.
#[derive(Debug)]
pub(crate) enum Layer {
    /// TLS, with this host.
    #[cfg(feature = "tls")]
    Tls { config: std::sync::Arc<rustls::ClientConfig>, host: String },
}

/// How a connection in the making stands.
#[derive(Debug)]
pub(crate) enum Progress {
    Waiting,
    Up(Transport),
    Failed(CloseReason),
}

impl Connecting {
    /// `delay` lies between the begins of two attempts at the addresses.
    pub(crate) fn new(addresses: Vec<SocketAddr>, delay: Duration, route: Route) -> Self {
        let step = Step::Dial(Dial::new(addresses, delay));
        Connecting { step, layers: route.layers.into_iter() }
    }

    /// When [`poll`](Self::poll) is to be called even if no socket says anything.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        match &self.step {
            Step::Dial(dial) => dial.deadline(),
            _ => None,
        }
    }

    /// Does what can be done.
    pub(crate) fn poll(&mut self, now: Timestamp, slot: &Slot) -> Progress {
        #[cfg_attr(not(feature = "tls"), allow(clippy::never_loop))]
        loop {
            let transport = match mem::replace(&mut self.step, Step::Over) {
                Step::Dial(mut dial) => match dial.poll(now, slot) {
                    Dialed::Up(transport) => transport,
                    Dialed::Waiting => {
                        self.step = Step::Dial(dial);
                        return Progress::Waiting;
                    }
                    Dialed::Failed(reason) => return Progress::Failed(reason),
                },
                #[cfg(feature = "tls")]
                Step::Tls(mut stream) => match stream.shake_hands() {
                    Ok(true) => Transport::Tls(stream),
                    Ok(false) => {
                        self.step = Step::Tls(stream);
                        return Progress::Waiting;
                    }
                    Err(reason) => {
                        stream.hang_up(slot);
                        return Progress::Failed(reason);
                    }
                },
                Step::Over => return Progress::Failed(CloseReason::lost()),
            };
            match self.layers.next() {
                None => return Progress::Up(transport),
                #[cfg(feature = "tls")]
                Some(Layer::Tls { config, host }) => {
                    match crate::tls::TlsStream::new(&config, &host, transport) {
                        Ok(stream) => self.step = Step::Tls(Box::new(stream)),
                        Err((transport, reason)) => {
                            transport.hang_up(slot);
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
            #[cfg(feature = "tls")]
            Step::Tls(_) => CloseReason::Timeout { stage: Stage::Tls },
            Step::Over => CloseReason::Timeout { stage: Stage::Connect },
        }
    }

    /// Stops.
    pub(crate) fn hang_up(self, slot: &Slot) {
        match self.step {
            Step::Dial(dial) => dial.hang_up(slot),
            #[cfg(feature = "tls")]
            Step::Tls(stream) => stream.hang_up(slot),
            Step::Over => {}
        }
    }
}
