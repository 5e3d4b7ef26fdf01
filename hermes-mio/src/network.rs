//! The way to a gateway: what is set about it, and what it is for a URL.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hermes_proto::{CloseReason, Config, ConfigError, Url};
use mio::Waker;

use crate::Error;
use crate::connecting::Layer;
use crate::resolve::{Host, Lookup, Resolver};

/// How connections are made.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) resolver: Resolver,
    /// Between the begins of two attempts at a name's addresses.
    pub(crate) attempt_delay: Duration,
    #[cfg(feature = "tls")]
    pub(crate) tls: crate::Tls,
}

/// The way to a gateway.
#[derive(Debug)]
pub(crate) struct Route {
    /// Where the socket goes.
    pub(crate) host: Host,
    /// What is put onto the connection, in order.
    pub(crate) layers: Vec<Layer>,
}

impl Network {
    /// What is wrong with the settings is told when the client is made, rather than at each attempt.
    pub(crate) fn check(&self, config: &Config) -> Result<(), Error> {
        // RFC 8305 §8: never less than 10 ms.
        if self.attempt_delay < Duration::from_millis(10) {
            let problem = "must be at least 10 ms".to_owned();
            return Err(ConfigError { field: "attempt_delay", problem }.into());
        }
        #[cfg(feature = "tls")]
        {
            let mut urls = std::iter::once(&config.url).chain(&config.fallback_urls);
            if urls.any(|url| Url::parse(url).is_ok_and(|url| url.is_secure())) {
                self.tls.config()?;
            }
        }
        #[cfg(not(feature = "tls"))]
        let _ = config;
        Ok(())
    }

    pub(crate) fn route(&self, url: &Url) -> Result<Route, CloseReason> {
        let mut layers = Vec::new();
        if url.is_secure() {
            layers.push(self.tls(url.host())?);
        }
        Ok(Route { host: Host::new(url.host(), url.port()), layers })
    }

    pub(crate) fn lookup(&self, host: &Host, waker: &Arc<Waker>) -> io::Result<Lookup> {
        self.resolver.lookup(host.clone(), Arc::clone(waker))
    }

    #[cfg(feature = "tls")]
    fn tls(&self, host: &str) -> Result<Layer, CloseReason> {
        match self.tls.config() {
            Ok(config) => Ok(Layer::Tls { config, host: host.to_owned() }),
            Err(error) => Err(CloseReason::Tls { text: error.to_string().into() }),
        }
    }

    #[cfg(not(feature = "tls"))]
    fn tls(&self, _host: &str) -> Result<Layer, CloseReason> {
        let text = "wss:// needs TLS, and hermes-mio was built without its feature tls".into();
        Err(CloseReason::Tls { text })
    }
}

impl Default for Network {
    fn default() -> Self {
        Network {
            resolver: Resolver::default(),
            // RFC 8305 §8.
            attempt_delay: Duration::from_millis(250),
            #[cfg(feature = "tls")]
            tls: crate::Tls::new(),
        }
    }
}
