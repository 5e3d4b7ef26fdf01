//! The way to a gateway: its settings, and the route that they give for a URL.

use std::net::SocketAddr;
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use hermes_proto::{CloseReason, Config, ConfigError, Url};

use crate::Error;
use crate::net::dial::Dial;
use crate::net::handshake::{Connecting, Layer, TlsPeer};
use crate::net::happy_eyeballs::HappyEyeballs;
use crate::net::proxy::{Kind, Proxy, Server, Tunnel};
use crate::net::resolve::{Host, Resolver};
use crate::net::socket_options::SocketOptions;

/// The settings of connections.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    pub(crate) resolver: Resolver,
    pub(crate) socket_options: SocketOptions,
    /// Takes the place of the URL's host.
    #[cfg(unix)]
    pub(crate) unix_socket: Option<PathBuf>,
    /// From the start of one attempt at a name's addresses to the start of the next.
    pub(crate) attempt_delay: Duration,
    pub(crate) proxy: Proxy,
    #[cfg(feature = "tls")]
    pub(crate) tls: crate::Tls,
}

/// The way to a gateway.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) hop: Hop,
    pub(crate) is_proxied: bool,
    /// Layers to be put onto the connection, in order.
    pub(crate) layers: Vec<Layer>,
}

/// The other end of a socket.
#[derive(Clone, Debug)]
pub(crate) enum Hop {
    /// The gateway, or a proxy.
    Host(Host),
    #[cfg(unix)]
    Unix(PathBuf),
}

impl Connector {
    /// The defaults: one copy for all clients.
    pub(crate) fn shared() -> Arc<Self> {
        static DEFAULT: LazyLock<Arc<Connector>> = LazyLock::new(Arc::default);
        Arc::clone(&DEFAULT)
    }

    /// Finds invalid settings when a client is made, rather than at each attempt.
    pub(crate) fn check(&self, config: &Config) -> Result<(), Error> {
        // RFC 8305 §8: never less than 10 ms.
        if self.attempt_delay < Duration::from_millis(10) {
            let problem = "must be at least 10 ms".to_owned();
            return Err(ConfigError { field: "attempt_delay", problem }.into());
        }
        self.socket_options.check()?;
        // Invalid URLs were refused before.
        if let Ok(url) = Url::parse(&config.url) {
            self.proxy_for(&url).map_err(|problem| Error::Proxy { problem: problem.to_owned() })?;
        }
        #[cfg(feature = "tls")]
        for url in std::iter::once(&config.url).chain(&config.fallback_urls) {
            let Ok(url) = &Url::parse(url) else { continue };
            let is_https = |server: &Server| server.kind == Kind::Https;
            if url.is_secure() || self.proxy_for(url).is_ok_and(|proxy| proxy.is_some_and(is_https))
            {
                self.tls.config()?;
            }
        }
        Ok(())
    }

    pub(crate) fn route(&self, url: &Url) -> Result<Route, CloseReason> {
        let gateway = Host::new(url.host(), url.port());
        let mut layers = Vec::new();
        let proxy = self
            .proxy_for(url)
            .map_err(|problem| CloseReason::Proxy { status: None, text: problem.into() })?;
        if let Some(proxy) = proxy {
            if proxy.kind == Kind::Https {
                layers.push(self.tls(&proxy.host, TlsPeer::Proxy)?);
            }
            layers.push(Layer::Tunnel(Tunnel::new(proxy, &gateway)?));
        }
        if url.is_secure() {
            layers.push(self.tls(&gateway, TlsPeer::Gateway)?);
        }
        let is_proxied = proxy.is_some();
        let hop = Hop::Host(proxy.map_or(gateway, |proxy| proxy.host.clone()));
        #[cfg(unix)]
        let hop = self.unix_socket.clone().map_or(hop, Hop::Unix);
        Ok(Route { hop, is_proxied, layers })
    }

    fn proxy_for(&self, url: &Url) -> Result<Option<&Server>, &str> {
        #[cfg(unix)]
        if self.unix_socket.is_some() {
            return Ok(None);
        }
        self.proxy.server_for(url)
    }

    /// Starts to connect to the first hop, which has these addresses.
    pub(crate) fn dial(&self, addresses: Vec<SocketAddr>, route: Route) -> Connecting {
        let addresses = HappyEyeballs::new(addresses, self.attempt_delay);
        let dial = Dial::new(route.hop_prefix(), addresses, self.socket_options.clone());
        Connecting::new(dial, route.layers)
    }

    #[cfg(feature = "tls")]
    fn tls(&self, host: &Host, peer: TlsPeer) -> Result<Layer, CloseReason> {
        match self.tls.config() {
            Ok(config) => Ok(Layer::Tls { config, host: host.name.clone(), peer }),
            Err(error) => Err(CloseReason::Tls { text: error.to_string().into() }),
        }
    }

    #[cfg(not(feature = "tls"))]
    fn tls(&self, _host: &Host, _with: TlsPeer) -> Result<Layer, CloseReason> {
        let text =
            "wss:// and https:// need TLS, and hermes-mio was built without its feature tls".into();
        Err(CloseReason::Tls { text })
    }
}

impl Route {
    pub(crate) fn leads_to(&self, host: &Host) -> bool {
        matches!(&self.hop, Hop::Host(hop) if hop == host)
    }

    /// The first hop, for people.
    pub(crate) fn hop_name(&self) -> String {
        match &self.hop {
            Hop::Host(host) => format!("{}{}", self.hop_prefix(), host.name),
            #[cfg(unix)]
            Hop::Unix(path) => path.display().to_string(),
        }
    }

    /// Prefix of a text about the way to the first hop.
    pub(crate) fn hop_prefix(&self) -> &'static str {
        if self.is_proxied { "the proxy " } else { "" }
    }
}

impl Default for Connector {
    fn default() -> Self {
        Connector {
            resolver: Resolver::default(),
            socket_options: SocketOptions::default(),
            #[cfg(unix)]
            unix_socket: None,
            // RFC 8305 §8.
            attempt_delay: Duration::from_millis(250),
            proxy: Proxy::default(),
            #[cfg(feature = "tls")]
            tls: crate::Tls::new(),
        }
    }
}
