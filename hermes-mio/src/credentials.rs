//! Fresh credentials, off the loop: whoever brings them may block.

use std::fmt;
use std::io;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use hermes_proto::{ConnId, Credentials, Url};
use mio::Waker;

type Answer = Result<Credentials, String>;
type Source = dyn FnMut(&Url) -> Answer + Send;

/// The application's source of credentials, and what it is asked for.
pub(crate) struct Provider {
    source: Arc<Mutex<Source>>,
    /// A call under way, for this connection. There is never more than one, and so never more than
    /// one thread, however long the source takes.
    running: Option<(ConnId, Receiver<Answer>)>,
    /// Who wants to be next.
    waiting: Option<(ConnId, Url)>,
}

impl Provider {
    pub(crate) fn new(source: impl FnMut(&Url) -> Answer + Send + 'static) -> Self {
        Provider { source: Arc::new(Mutex::new(source)), running: None, waiting: None }
    }

    /// Asks for credentials; `waker` is called once there is an answer.
    pub(crate) fn ask(&mut self, conn: ConnId, url: &Url, waker: &Arc<Waker>) -> io::Result<()> {
        if self.running.is_some() {
            self.waiting = Some((conn, url.clone()));
            return Ok(());
        }
        let (reply, answer) = mpsc::sync_channel(1);
        let (source, url, waker) = (Arc::clone(&self.source), url.clone(), Arc::clone(waker));
        thread::Builder::new().name("hermes-credentials".into()).spawn(move || {
            // The loop learns of a panic, too, from the channel's end.
            let _end = Wake(waker);
            let credentials = source.lock().unwrap_or_else(PoisonError::into_inner)(&url);
            // Where the driver is gone there is nobody to tell.
            let _ = reply.send(credentials);
            drop(reply);
        })?;
        self.running = Some((conn, answer));
        Ok(())
    }

    /// An answer, once there is one, and whom it is for.
    pub(crate) fn poll(&mut self, waker: &Arc<Waker>) -> Option<(ConnId, Answer)> {
        let (conn, answer) = self.running.as_ref()?;
        let answer = match answer.try_recv() {
            Ok(answer) => answer,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Err("the source of credentials panicked".into()),
        };
        let answered = *conn;
        self.running = None;
        let Some((conn, url)) = self.waiting.take() else { return Some((answered, answer)) };
        // What came is for an attempt that has ended.
        match self.ask(conn, &url, waker) {
            Ok(()) => None,
            Err(error) => Some((conn, Err(no_thread(&error)))),
        }
    }
}

pub(crate) fn no_thread(error: &io::Error) -> String {
    format!("no thread to fetch them: {error}")
}

/// Wakes the loop at the end of a thread, whatever ends it.
struct Wake(Arc<Waker>);

impl Drop for Wake {
    fn drop(&mut self) {
        if let Err(error) = self.0.wake() {
            tracing::error!("the loop can't be woken: {error}");
        }
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("running", &self.running.is_some()).finish_non_exhaustive()
    }
}
