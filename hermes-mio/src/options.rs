//! Options of a client, and of clients together.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hermes_proto::{Config, ConfigError, Credentials, Jitter, Url};

use crate::credentials::CredentialSource;
use crate::net::connector::Connector;
use crate::net::resolve::Resolver;
use crate::{Proxy, SessionStore, SharedOutbox, Tap};

/// The options of a client: the protocol's [settings](Config), and everything that belongs to
/// sockets, files and threads.
///
/// A [`Config`] alone is enough for the defaults. Otherwise:
///
/// ```
/// use hermes_mio::{Config, FileStore, Options};
///
/// let options = Options::new(Config::new("ws://localhost:8080/"))
///     .store(FileStore::new("/var/lib/nexus/session.json"))
///     .sender_capacity(64);
/// ```
pub struct Options {
    pub(crate) config: Arc<Config>,
    /// Without one the session lives as long as the client.
    pub(crate) store: Option<Box<dyn SessionStore + Send>>,
    pub(crate) outbox: Option<SharedOutbox>,
    pub(crate) outbox_name: String,
    pub(crate) sender_capacity: usize,
    pub(crate) tap: Option<Box<dyn Tap + Send>>,
    pub(crate) seed: Option<[u8; 32]>,
    pub(crate) credential_source: Option<CredentialSource>,
    pub(crate) connector: Arc<Connector>,
}

/// Options that the clients of a [`Fleet`](crate::Fleet), or of a [`Driver`](crate::Driver), share.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    pub(crate) max_connecting: usize,
    pub(crate) max_connects_per_second: Option<u32>,
    pub(crate) max_lookups: usize,
    pub(crate) max_waiting_events: usize,
    pub(crate) max_read_per_turn: usize,
    pub(crate) timer_slack: Duration,
    pub(crate) jitter: Jitter,
}

/// Default of [`Options::sender_capacity`].
pub(crate) const SENDER_CAPACITY: usize = 1_024;

/// Default of [`Options::outbox_name`].
const OUTBOX_NAME: &str = "default";

impl Options {
    /// The defaults, with these settings.
    pub fn new(config: impl Into<Arc<Config>>) -> Self {
        Options {
            config: config.into(),
            store: None,
            outbox: None,
            outbox_name: OUTBOX_NAME.to_owned(),
            sender_capacity: SENDER_CAPACITY,
            tap: None,
            seed: None,
            credential_source: None,
            connector: Connector::shared(),
        }
    }

    /// Options for another client, which shares the settings, the outbox store and the way to the
    /// gateway, and so their memory. The store of the session, the name in the outbox store, the tap,
    /// the source of credentials and the seed belong to one client, and are left out.
    #[must_use]
    pub fn for_sibling(&self) -> Self {
        Options {
            config: Arc::clone(&self.config),
            store: None,
            outbox: self.outbox.clone(),
            outbox_name: OUTBOX_NAME.to_owned(),
            sender_capacity: self.sender_capacity,
            tap: None,
            seed: None,
            credential_source: None,
            connector: Arc::clone(&self.connector),
        }
    }

    fn connector_mut(&mut self) -> &mut Connector {
        Arc::make_mut(&mut self.connector)
    }

    /// The store of the session. Default: in memory, so that it ends with the client.
    #[must_use]
    pub fn store(self, store: impl SessionStore + Send + 'static) -> Self {
        Options { store: Some(Box::new(store)), ..self }
    }

    /// The store of the outbox: a `FileOutbox` (feature `outbox`), a
    /// [`MemoryOutbox`](crate::MemoryOutbox), or a [`SharedOutbox`] that other clients have too.
    /// Default: none, so that messages end with the client. See [durability](crate#durability).
    ///
    /// Switches [`durable`](Config::durable) on, which is invalid without a store. A store that can't
    /// be used at the start is an [error](crate::Error::Outbox); one that fails later stops nothing.
    ///
    /// The first load takes no more than the outbox has room for
    /// ([`outbox_max_messages`](Config::outbox_max_messages),
    /// [`outbox_max_bytes`](Config::outbox_max_bytes)); the rest stays in the store, in order, and
    /// until it is loaded new messages are refused as if the outbox were full.
    #[must_use]
    pub fn outbox(mut self, outbox: impl Into<SharedOutbox>) -> Self {
        Arc::make_mut(&mut self.config).durable = true;
        Options { outbox: Some(outbox.into()), ..self }
    }

    /// The client's name in the outbox store, under which the next run finds its messages again. 1 to
    /// 128 bytes, and another one for each client of a [`SharedOutbox`]. Default: `default`.
    #[must_use]
    pub fn outbox_name(self, name: impl Into<String>) -> Self {
        Options { outbox_name: name.into(), ..self }
    }

    /// The number of messages that may wait between the [senders](crate::Sender) and the outbox.
    /// Their bytes are bounded by [`outbox_max_bytes`](Config::outbox_max_bytes). At least 1;
    /// default: 1,024.
    #[must_use]
    pub fn sender_capacity(self, messages: usize) -> Self {
        Options { sender_capacity: messages, ..self }
    }

    /// An observer of the machine, such as a [`Recording`](crate::Recording). Default: none.
    #[must_use]
    pub fn tap(self, tap: impl Tap + Send + 'static) -> Self {
        Options { tap: Some(Box::new(tap)), ..self }
    }

    /// The source of fresh credentials: `source` is called before each attempt with the gateway's
    /// URL, and returns headers for the upgrade request, or a token. Default: none.
    ///
    /// It is called on a thread of its own (`hermes-credentials`), and may block. An attempt fails
    /// after [`credentials_timeout`](Config::credentials_timeout), and a later answer is dropped.
    /// There is at most one call at a time: the next attempt waits for the call of the one before,
    /// and then makes its own.
    ///
    /// An error fails the attempt with
    /// [`CloseReason::Credentials`](crate::CloseReason::Credentials) and its text, which is shown
    /// and logged, and must hold no secret. A panic is an error. The next attempt follows as after
    /// any other failure.
    ///
    /// Switches [`ask_credentials`](Config::ask_credentials) on, which is invalid without a source.
    ///
    /// ```
    /// use hermes_mio::{Config, Credentials, Options};
    ///
    /// let options = Options::new(Config::new("ws://localhost:8080/")).credentials(|_url| {
    ///     let token = std::fs::read_to_string("/run/token").map_err(|error| error.to_string())?;
    ///     let headers = vec![("Authorization".to_owned(), format!("Bearer {}", token.trim()))];
    ///     Ok(Credentials { headers, token: None })
    /// });
    /// ```
    #[must_use]
    pub fn credentials(
        mut self,
        source: impl FnMut(&Url) -> Result<Credentials, String> + Send + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.config).ask_credentials = true;
        Options { credential_source: Some(CredentialSource::new(source)), ..self }
    }

    /// The TLS settings of `wss://`. Default: [`Tls::new`](crate::Tls::new), with the system's
    /// certificate authorities.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: crate::Tls) -> Self {
        self.connector_mut().tls = tls;
        self
    }

    /// The resolver of names: `resolve` is called with a name and a port for each attempt, and
    /// returns at least one address, in the order of preference. Default: the system's
    /// `getaddrinfo`, in the order of RFC 6724.
    ///
    /// It is called on another thread (`hermes-resolve`; see
    /// [`max_lookups`](crate::FleetOptions::max_lookups)), and may block. An attempt fails after
    /// [`connect_timeout`](Config::connect_timeout); if the call has not returned by then, the next
    /// attempt waits for it. An error, or a panic, fails the attempt with
    /// [`CloseReason::Resolve`](crate::CloseReason::Resolve) and its text. It is not called for a
    /// host that is an address.
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    ///
    /// use hermes_mio::{Config, Options};
    ///
    /// // The gateway that is not in the DNS yet.
    /// let options = Options::new(Config::new("ws://gateway.example/"))
    ///     .resolver(|_name, port| Ok(vec![(Ipv4Addr::LOCALHOST, port).into()]));
    /// ```
    #[must_use]
    pub fn resolver(
        mut self,
        resolve: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        self.connector_mut().resolver = Resolver::new(resolve);
        self
    }

    /// The proxy. Default: none. [`Proxy::from_env`] takes the environment's.
    ///
    /// If the proxy refuses, the attempt fails with
    /// [`CloseReason::Proxy`](crate::CloseReason::Proxy) and the proxy's status. Its time counts
    /// towards [`connect_timeout`](Config::connect_timeout).
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.connector_mut().proxy = proxy;
        self
    }

    /// A Unix domain socket to connect to, in place of the URL's host, and through no proxy. The
    /// URL still gives the request its host and path, and a certificate its name. A session may
    /// travel over it in the clear ([`plaintext_session`](Config::plaintext_session)), since it
    /// stays within the machine. Default: none.
    #[cfg(unix)]
    #[must_use]
    pub fn unix_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.connector_mut().unix_socket = Some(path.into());
        self
    }

    /// Silence after which TCP probes the peer (SO_KEEPALIVE), in whole seconds on most systems. 1
    /// s to 32,767 s. Default: no probes, since the [heartbeat](Config::heartbeat_interval) asks
    /// the gateway itself.
    #[must_use]
    pub fn keepalive(mut self, after: Duration) -> Self {
        self.connector_mut().socket_options.keepalive = Some(after);
        self
    }

    /// The size of the socket's send buffer in bytes (SO_SNDBUF), which holds bytes that TCP has
    /// not had acknowledged. Systems round it, and have bounds. At least 1. Default: the system's,
    /// which grows with need on many systems.
    #[must_use]
    pub fn send_buffer(mut self, bytes: usize) -> Self {
        self.connector_mut().socket_options.send_buffer = Some(bytes);
        self
    }

    /// Bytes that the system may hold and not have sent before it takes no more (TCP_NOTSENT_LOWAT,
    /// on Linux and Android; without effect elsewhere). A heartbeat's Ping waits behind them, and a
    /// message in them can't be taken back; fewer of them cost throughput on fast links. At least 1;
    /// default: 128 KiB.
    #[must_use]
    pub fn notsent_lowat(mut self, bytes: u32) -> Self {
        self.connector_mut().socket_options.notsent_lowat = bytes;
        self
    }

    /// The size of the socket's receive buffer in bytes (SO_RCVBUF). Otherwise as
    /// [`send_buffer`](Self::send_buffer).
    #[must_use]
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.connector_mut().socket_options.receive_buffer = Some(bytes);
        self
    }

    /// The local address of connections. Gateway addresses of the other family can't be reached
    /// from it. Default: the system's choice.
    #[must_use]
    pub fn bind(mut self, address: IpAddr) -> Self {
        self.connector_mut().socket_options.bind = Some(address);
        self
    }

    /// The delay of Happy Eyeballs ([RFC 8305]) after which the next address of a name is tried
    /// beside those before it, IPv6 and IPv4 in turn. At least 10 ms. Default: 250 ms, as the RFC
    /// recommends.
    ///
    /// [RFC 8305]: https://www.rfc-editor.org/rfc/rfc8305
    #[must_use]
    pub fn attempt_delay(mut self, delay: Duration) -> Self {
        self.connector_mut().attempt_delay = delay;
        self
    }

    /// The seed of all randomness, for a reproducible test: two clients must not share one.
    /// Default: drawn from the operating system.
    #[must_use]
    pub fn seed(self, seed: [u8; 32]) -> Self {
        Options { seed: Some(seed), ..self }
    }
}

impl From<Config> for Options {
    fn from(config: Config) -> Self {
        Options::new(config)
    }
}

impl From<Arc<Config>> for Options {
    fn from(config: Arc<Config>) -> Self {
        Options::new(config)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("config", &self.config)
            .field("outbox", &self.outbox)
            .field("outbox_name", &self.outbox_name)
            .field("sender_capacity", &self.sender_capacity)
            .field("credential_source", &self.credential_source)
            .field("connector", &self.connector)
            .finish_non_exhaustive()
    }
}

impl FleetOptions {
    /// The number of clients that may be connecting at a time, from the lookup of the name to the
    /// answer to the upgrade request. The others wait for their turn, first come, first served, and
    /// the wait does not count towards their timeouts. At least 1; default: 64.
    #[must_use]
    pub fn max_connecting(self, clients: usize) -> Self {
        FleetOptions { max_connecting: clients, ..self }
    }

    /// The number of clients that may begin to connect in a second. At least 1; default: no limit
    /// beside [`max_connecting`](Self::max_connecting).
    #[must_use]
    pub fn max_connects_per_second(self, clients: u32) -> Self {
        FleetOptions { max_connects_per_second: Some(clients), ..self }
    }

    /// The number of lookups of names that may run in the whole process, each on a thread of its
    /// own, before those of these clients wait. Clients of other loops that wait are served in
    /// turn; one lookup serves all that ask the same resolver for the same name. The wait counts
    /// towards [`connect_timeout`](hermes_proto::Config::connect_timeout). A lookup can't be
    /// cancelled once it has begun: if its client is removed, or times out, it keeps its thread
    /// until the resolver answers. At least 1; default: 32.
    #[must_use]
    pub fn max_lookups(self, lookups: usize) -> Self {
        FleetOptions { max_lookups: lookups, ..self }
    }

    /// The number of events of one client that may wait for the application before nothing more is
    /// read for it. One read of 64 KiB can bring thousands more. With few of them, the application
    /// gets each one soon, and while it is in the processor's cache. At least 1; default: 256.
    #[must_use]
    pub fn max_waiting_events(self, events: usize) -> Self {
        FleetOptions { max_waiting_events: events, ..self }
    }

    /// The number of bytes that are read for all clients together before timers and senders have their
    /// turn again, rounded up to whole reads of 64 KiB. For one client it is 1 MiB at most. At least 1;
    /// default: 4 MiB.
    #[must_use]
    pub fn max_read_per_turn(self, bytes: usize) -> Self {
        FleetOptions { max_read_per_turn: bytes, ..self }
    }

    /// The time by which a timer of an open connection, such as its heartbeat, may be late, so that
    /// many fire together and the thread sleeps in between. At most 1 s, and less than each
    /// client's [`suspend_threshold`](hermes_proto::Config::suspend_threshold); default: 50 ms.
    #[must_use]
    pub fn timer_slack(self, slack: Duration) -> Self {
        FleetOptions { timer_slack: slack, ..self }
    }

    /// The [jitter](hermes_proto::Config::jitter) of clients whose settings have none, so that
    /// clients which lost their connections together do not reconnect together. Default:
    /// [`Jitter::Full`].
    #[must_use]
    pub fn jitter(self, jitter: Jitter) -> Self {
        FleetOptions { jitter, ..self }
    }

    /// For a [`Client`](crate::Client): its settings alone decide.
    pub(crate) fn alone() -> Self {
        Self::default().timer_slack(Duration::ZERO).jitter(Jitter::None)
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let refuse = |field, problem: &str| Err(ConfigError { field, problem: problem.to_owned() });
        if self.max_connecting == 0 {
            return refuse("max_connecting", "must be at least 1");
        }
        if self.max_connects_per_second == Some(0) {
            return refuse("max_connects_per_second", "must be at least 1");
        }
        if self.max_lookups == 0 {
            return refuse("max_lookups", "must be at least 1");
        }
        if self.max_waiting_events == 0 {
            return refuse("max_waiting_events", "must be at least 1");
        }
        if self.max_read_per_turn == 0 {
            return refuse("max_read_per_turn", "must be at least 1");
        }
        if self.timer_slack > Duration::from_secs(1) {
            return refuse("timer_slack", "must be at most 1 s");
        }
        Ok(())
    }

    /// The least time between two attempts.
    pub(crate) fn spacing(&self) -> Duration {
        let rate = self.max_connects_per_second;
        rate.and_then(|rate| Duration::from_secs(1).checked_div(rate)).unwrap_or(Duration::ZERO)
    }
}

impl Default for FleetOptions {
    fn default() -> Self {
        FleetOptions {
            max_connecting: 64,
            max_connects_per_second: None,
            max_lookups: 32,
            max_waiting_events: 256,
            max_read_per_turn: 4 << 20,
            timer_slack: Duration::from_millis(50),
            jitter: Jitter::Full,
        }
    }
}
