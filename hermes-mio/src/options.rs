//! What a client is made of.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hermes_proto::{Config, Credentials, Url};

use crate::credentials::CredentialSource;
use crate::net::connector::Connector;
use crate::net::resolve::Resolver;
use crate::{Proxy, SessionStore, Tap};

/// What a client is made of: the protocol's
/// [settings](Config), and what belongs to this side of it.
///
/// A [`Config`] alone is enough where the defaults do. Otherwise:
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
    /// `None` is in memory, where the client has it anyway.
    pub(crate) store: Option<Box<dyn SessionStore + Send>>,
    pub(crate) sender_capacity: usize,
    pub(crate) tap: Option<Box<dyn Tap + Send>>,
    pub(crate) seed: Option<[u8; 32]>,
    pub(crate) credential_source: Option<CredentialSource>,
    pub(crate) connector: Arc<Connector>,
}

/// The default.
pub(crate) const SENDER_CAPACITY: usize = 1_024;

impl Options {
    /// The defaults, with these settings.
    pub fn new(config: impl Into<Arc<Config>>) -> Self {
        Options {
            config: config.into(),
            store: None,
            sender_capacity: SENDER_CAPACITY,
            tap: None,
            seed: None,
            credential_source: None,
            connector: Connector::shared(),
        }
    }

    /// The same for another client, with which it shares the settings, and whatever is known of the
    /// network. What is one client's own is left out: its store, tap, source of credentials and
    /// seed.
    #[must_use]
    pub fn for_sibling(&self) -> Self {
        Options {
            config: Arc::clone(&self.config),
            store: None,
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

    /// Where the session is kept. Default: in memory, so that it ends with the client.
    #[must_use]
    pub fn store(self, store: impl SessionStore + Send + 'static) -> Self {
        Options { store: Some(Box::new(store)), ..self }
    }

    /// How many messages may wait between the [senders](crate::Sender) and the outbox. Their bytes
    /// are bounded by [`outbox_max_bytes`](Config::outbox_max_bytes). At least 1; default: 1,024.
    #[must_use]
    pub fn sender_capacity(self, messages: usize) -> Self {
        Options { sender_capacity: messages, ..self }
    }

    /// Who watches the machine, such as a [`Recording`](crate::Recording). Default: nobody.
    #[must_use]
    pub fn tap(self, tap: impl Tap + Send + 'static) -> Self {
        Options { tap: Some(Box::new(tap)), ..self }
    }

    /// Where fresh credentials come from: `source` is called before each attempt, with the
    /// gateway's URL, and what it returns goes into that attempt's upgrade request. Default:
    /// nobody is asked.
    ///
    /// It is called on a thread of its own (`hermes-credentials`), and may block. An attempt fails
    /// after [`credentials_timeout`](Config::credentials_timeout), and an answer that comes later
    /// is thrown away. There is never more than one call: an attempt that comes while the one
    /// before it is still being answered waits for that, and then has a call of its own.
    ///
    /// An error fails the attempt with
    /// [`CloseReason::Credentials`](crate::CloseReason::Credentials) and its text, which is shown
    /// and logged, and must hold no secret; a panic does so with a text that says as much. The next
    /// attempt follows as after any other failure.
    ///
    /// Switches [`ask_credentials`](Config::ask_credentials) on, which can't be on without it.
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

    /// How `wss://` is spoken. Default: [`Tls::new`](crate::Tls::new), with the system's
    /// certificate authorities.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: crate::Tls) -> Self {
        self.connector_mut().tls = tls;
        self
    }

    /// Who knows the addresses of names: `resolve` is called with a name and a port for each
    /// attempt, and returns the addresses in the order in which they are preferred, at least one.
    /// Default: the system's `getaddrinfo`, which has them in RFC 6724's order.
    ///
    /// It is called on a thread of its own (`hermes-resolve`), and may block. An attempt fails after
    /// [`connect_timeout`](Config::connect_timeout); the next one waits for the same call, where
    /// that has not returned. An error, or a panic, fails the attempt with
    /// [`CloseReason::Resolve`](crate::CloseReason::Resolve) and its text. A host that is an address
    /// is nobody's to resolve.
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

    /// The way through a proxy. Default: none. The environment's is [`Proxy::from_env`].
    ///
    /// A proxy that does not lead to the gateway is a
    /// [`CloseReason::Proxy`](crate::CloseReason::Proxy), with the status that it answered. What it
    /// takes counts as part of [`connect_timeout`](Config::connect_timeout).
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.connector_mut().proxy = proxy;
        self
    }

    /// A Unix domain socket to connect to, in place of the URL's host, and through no proxy. The URL
    /// still gives the request its host and path, and a certificate its name. A session may travel
    /// over it in the clear ([`plaintext_session`](Config::plaintext_session)): it leads out of no
    /// machine. Default: none.
    #[cfg(unix)]
    #[must_use]
    pub fn unix_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.connector_mut().unix_socket = Some(path.into());
        self
    }

    /// Silence after which TCP probes the peer (SO_KEEPALIVE), in whole seconds on most systems. 1 s to
    /// 32,767 s. Default: no probes, since the [heartbeat](Config::heartbeat_interval) asks the
    /// gateway itself.
    #[must_use]
    pub fn keepalive(mut self, after: Duration) -> Self {
        self.connector_mut().socket_options.keepalive = Some(after);
        self
    }

    /// How many bytes the system may keep that are not acknowledged (SO_SNDBUF); systems round, and
    /// have bounds. At least 1. Default: the system's, which on many grows as need be.
    #[must_use]
    pub fn send_buffer(mut self, bytes: usize) -> Self {
        self.connector_mut().socket_options.send_buffer = Some(bytes);
        self
    }

    /// How many bytes the system may keep that were not read (SO_RCVBUF). Otherwise as
    /// [`send_buffer`](Self::send_buffer).
    #[must_use]
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.connector_mut().socket_options.receive_buffer = Some(bytes);
        self
    }

    /// The address of ours that connections come from. Those of the other family are then not
    /// reached. Default: the system chooses.
    #[must_use]
    pub fn bind(mut self, address: IpAddr) -> Self {
        self.connector_mut().socket_options.bind = Some(address);
        self
    }

    /// How long a name's first address has no rival, and each further one has none that begins
    /// after it: addresses race for the connection ([RFC 8305]), IPv6 and IPv4 in turn. At least
    /// 10 ms. Default: 250 ms, as the RFC has it.
    ///
    /// [RFC 8305]: https://www.rfc-editor.org/rfc/rfc8305
    #[must_use]
    pub fn attempt_delay(mut self, delay: Duration) -> Self {
        self.connector_mut().attempt_delay = delay;
        self
    }

    /// All the randomness there will be, for a test: two clients must not share one. Default:
    /// drawn from the operating system.
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
            .field("sender_capacity", &self.sender_capacity)
            .field("credential_source", &self.credential_source)
            .field("connector", &self.connector)
            .finish_non_exhaustive()
    }
}
