//! Clients for async programs, whatever their runtime.
//!
//! ```text
//!    your tasks                              the thread `hermes-fleet`
//!  ┌─────────────┐   orders, messages ▼    ┌──────────────┐
//!  │ AsyncClient ├────────────────────────►│ Worker       │
//!  │ AsyncSender │                         │   Fleet      │
//!  │ Ticket      │◄────────────────────────┤              │
//!  └─────────────┘   inbox: events ▲       └──────────────┘
//! ```

mod client;
mod inbox;
mod orders;
mod reply;
mod sender;
mod worker;

use std::fmt;
use std::sync::Arc;

use self::orders::{Order, Orders};
use self::reply::reply;
use self::worker::Worker;
use crate::{Error, Fleet, FleetOptions, Options};

pub use self::client::{AsyncClient, Report};
pub use self::sender::AsyncSender;

/// A [`Fleet`] on a thread of its own, for clients of async programs.
///
/// It is cheap to clone. The thread ends, and its connections with it, once the last clone and the
/// last [`AsyncClient`] are dropped.
///
/// ```no_run
/// # async fn run() -> Result<(), hermes_mio::Error> {
/// use hermes_mio::{AsyncFleet, Config, FleetOptions};
///
/// let fleet = AsyncFleet::new(FleetOptions::default())?;
/// let mut bots = Vec::new();
/// for _ in 0..1_000 {
///     let bot = fleet.add(Config::new("wss://gateway.example/")).await?;
///     bot.connect();
///     bots.push(bot);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AsyncFleet {
    handle: Arc<Handle>,
}

/// Ends the thread once nobody has it.
struct Handle {
    orders: Arc<Orders>,
}

impl AsyncFleet {
    /// Starts the thread, without clients.
    ///
    /// # Errors
    ///
    /// If a setting is invalid, or the operating system gives no event queue or no thread.
    pub fn new(options: FleetOptions) -> Result<Self, Error> {
        let (fleet, worker) = Self::of(Fleet::new(options)?);
        worker.spawn()?;
        Ok(fleet)
    }

    /// The handle, and the worker that is to be spawned.
    fn of(fleet: Fleet) -> (Self, Worker) {
        let orders = Orders::new(fleet.notifier());
        let worker = Worker::new(fleet, Arc::clone(&orders));
        (AsyncFleet { handle: Arc::new(Handle { orders }) }, worker)
    }

    /// Adds a client, which is not connected, from a [`Config`](hermes_proto::Config) or
    /// [`Options`]. Its session is loaded from the store on the fleet's thread.
    ///
    /// If the future is dropped, there is no client.
    ///
    /// # Errors
    ///
    /// If a setting is invalid, the operating system gives no randomness, or the thread has
    /// [ended](Error::Ended).
    pub fn add<O: Into<Options>>(
        &self,
        options: O,
    ) -> impl Future<Output = Result<AsyncClient, Error>> + Send + use<O> {
        let (replier, reply) = reply();
        self.order(Order::Add(Box::new(options.into()), self.clone(), replier));
        async move { reply.await.unwrap_or(Err(Error::Ended)) }
    }

    fn order(&self, order: Order) {
        self.handle.orders.push(order);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.orders.push(Order::Stop);
    }
}

impl fmt::Debug for AsyncFleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFleet").finish_non_exhaustive()
    }
}
