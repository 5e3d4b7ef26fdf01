//! Fresh credentials, off the loop: their source may block.

use std::fmt;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use hermes_proto::{ConnId, Credentials, Url};

use crate::driver::notify::ClientWaker;

type Answer = Result<Credentials, String>;
type Source = dyn FnMut(&Url) -> Answer + Send;

/// The application's source of credentials, and the call under way.
pub(crate) struct CredentialSource {
    source: Arc<Mutex<Source>>,
    /// The call under way, for this connection. There is one at most, and so one thread at most,
    /// however long the source takes.
    running: Option<(ConnId, Receiver<Answer>)>,
    /// The connection that is next, and its URL.
    waiting: Option<(ConnId, Url)>,
}

impl CredentialSource {
    pub(crate) fn new(source: impl FnMut(&Url) -> Answer + Send + 'static) -> Self {
        CredentialSource { source: Arc::new(Mutex::new(source)), running: None, waiting: None }
    }

    /// Asks for credentials, at once or after the call under way. `waker` wakes the client once
    /// there is an answer.
    pub(crate) fn ask(
        &mut self,
        conn: ConnId,
        url: &Url,
        waker: ClientWaker,
    ) -> Result<(), String> {
        if self.running.is_some() {
            self.waiting = Some((conn, url.clone()));
            return Ok(());
        }
        let (reply, answer) = mpsc::sync_channel(1);
        let (source, url) = (Arc::clone(&self.source), url.clone());
        let call = move || {
            // The driver is gone: the answer has no receiver.
            if reply.send(call(&source, &url)).is_ok() {
                waker.wake();
            }
        };
        let thread = thread::Builder::new().name("hermes-credentials".into()).spawn(call);
        thread.map_err(|error: io::Error| format!("no thread to fetch them: {error}"))?;
        self.running = Some((conn, answer));
        Ok(())
    }

    /// The answer for `live`, the live connection, once there is one. An answer that comes too late
    /// for its attempt is dropped: the next attempt gets a call of its own.
    pub(crate) fn poll(
        &mut self,
        live: Option<ConnId>,
        waker: impl FnOnce() -> ClientWaker,
    ) -> Option<(ConnId, Answer)> {
        let (conn, answer) = self.running.as_ref()?;
        let answer = match answer.try_recv() {
            Ok(answer) => answer,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Err("the source's thread died".to_owned()),
        };
        let conn = *conn;
        self.running = None;
        if Some(conn) == live {
            return Some((conn, answer));
        }
        let (conn, url) = self.waiting.take().filter(|(conn, _)| Some(*conn) == live)?;
        let error = self.ask(conn, &url, waker()).err()?;
        Some((conn, Err(error)))
    }
}

/// One call. A panic is an error like any other.
fn call(source: &Mutex<Source>, url: &Url) -> Answer {
    let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
    panic::catch_unwind(AssertUnwindSafe(|| source(url)))
        .unwrap_or_else(|_| Err("the source of credentials panicked".to_owned()))
}

impl fmt::Debug for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialSource")
            .field("running", &self.running.is_some())
            .finish_non_exhaustive()
    }
}
