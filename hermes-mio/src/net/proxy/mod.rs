//! Proxies: the rules that choose one, and the conversation with it. No socket here.

mod exceptions;
mod http;
mod refusal;
mod server;
mod socks5;

use std::ffi::OsString;
use std::fmt;

use hermes_proto::{CloseReason, Url};

use self::exceptions::Exceptions;
use self::http::Connect;
use self::refusal::ProxyRefusal;
pub(crate) use self::server::{Kind, Server};
use self::socks5::Socks5;
use crate::Error;
use crate::net::resolve::Host;

/// The proxy for each gateway.
///
/// A proxy's URL is `http://host:port` or `https://…` (HTTP CONNECT, in the clear or in TLS), or
/// `socks5://…`; with `name:password@` before the host if it asks for a login, percent-encoded (`@`
/// is `%40`). Without a scheme it is `http`; without a port 80, 443 or 1080. A SOCKS5 proxy is given
/// the gateway's name, and finds the address itself.
///
/// ```
/// use hermes_mio::{Config, Options, Proxy};
///
/// let proxy = Proxy::new("http://proxy.corp.example:3128")?.except("localhost, .corp.example");
/// let options = Options::new(Config::new("wss://gateway.example/")).proxy(proxy);
/// # Ok::<(), hermes_mio::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Proxy {
    for_ws: Choice,
    for_wss: Choice,
    except: Exceptions,
}

/// The proxy of one scheme.
#[derive(Clone, Debug, Default)]
enum Choice {
    #[default]
    Direct,
    Server(Server),
    /// A variable of the environment names a proxy that can't be used. The text says which and why.
    Unusable(String),
}

impl Proxy {
    /// One for all gateways.
    ///
    /// # Errors
    ///
    /// If the URL is not a proxy's: no URL, a scheme other than those above, no host, a port that is
    /// not 1 to 65535, a name or a password with a raw delimiter or of more than 255 bytes.
    pub fn new(url: &str) -> Result<Self, Error> {
        let server = Server::parse(url);
        let server =
            server.map_err(|wrong| Error::Proxy { problem: format!("the URL {wrong}") })?;
        let server = Choice::Server(server);
        Ok(Proxy { for_ws: server.clone(), for_wss: server, except: Exceptions::default() })
    }

    /// As the environment has it, in curl's reading: `http_proxy` is for `ws://`, `https_proxy` for
    /// `wss://`, `all_proxy` for those without one of their own, and `no_proxy` says which hosts
    /// need none. All but `http_proxy`, which in a CGI script a client could set, may be in
    /// capitals. An empty variable counts as unset.
    ///
    /// A variable that is not a proxy's URL, or not UTF-8, fails only the URLs that it applies to: a
    /// client of such a gateway can't be made ([`Error::Proxy`]), and an attempt at a fallback or
    /// after a redirect ends with [`CloseReason::Proxy`].
    ///
    /// # Errors
    ///
    /// If `no_proxy` is not UTF-8.
    pub fn from_env() -> Result<Self, Error> {
        Self::from_variables(|name| std::env::var_os(name))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let variable = |name: &'static str| {
            let value = variable(name).filter(|value| !value.is_empty())?;
            Some((name, value.into_string().map_err(|_| format!("{name} is not UTF-8"))))
        };
        let choice = |names: &[&'static str]| {
            let Some((name, url)) = names.iter().find_map(|name| variable(name)) else {
                return Choice::Direct;
            };
            let server = url
                .and_then(|url| Server::parse(&url).map_err(|problem| format!("{name} {problem}")));
            server.map_or_else(Choice::Unusable, Choice::Server)
        };
        let except = match ["no_proxy", "NO_PROXY"].into_iter().find_map(variable) {
            Some((_, list)) => {
                Exceptions::parse(&list.map_err(|problem| Error::Proxy { problem })?)
            }
            None => Exceptions::default(),
        };
        Ok(Proxy {
            for_ws: choice(&["http_proxy", "all_proxy", "ALL_PROXY"]),
            for_wss: choice(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            except,
        })
    }

    /// Excepts these hosts, as `no_proxy` does: names, with all below them; addresses and networks
    /// (`10.0.0.0/8`); or `*`; separated by commas or spaces. Replaces earlier exceptions.
    #[must_use]
    pub fn except(self, hosts: &str) -> Self {
        Proxy { except: Exceptions::parse(hosts), ..self }
    }

    /// The proxy for a gateway, or `None` for a direct connection.
    ///
    /// # Errors
    ///
    /// If a variable of the environment names one that can't be used, with its name and the reason.
    pub(crate) fn server_for(&self, url: &Url) -> Result<Option<&Server>, &str> {
        if self.except.has(&Host::new(url.host(), url.port()).name) {
            return Ok(None);
        }
        match if url.is_secure() { &self.for_wss } else { &self.for_ws } {
            Choice::Direct => Ok(None),
            Choice::Server(server) => Ok(Some(server)),
            Choice::Unusable(problem) => Err(problem),
        }
    }
}

/// The conversation with a proxy until the way to the gateway is open: bytes in, bytes out.
pub(crate) struct Tunnel {
    server: String,
    out: Vec<u8>,
    talk: Talk,
    is_open: bool,
}

enum Talk {
    Http(Connect),
    Socks5(Box<Socks5>),
}

impl Tunnel {
    /// # Errors
    ///
    /// If the proxy's language can't express the gateway's name.
    pub(crate) fn new(server: &Server, to: &Host) -> Result<Self, CloseReason> {
        let (mut out, login) = (Vec::new(), server.login.as_ref());
        let talk = match server.kind {
            Kind::Http | Kind::Https => Talk::Http(Connect::start(to, login, &mut out)),
            Kind::Socks5 => {
                let socks5 = Socks5::start(to, login, &mut out);
                Talk::Socks5(Box::new(socks5.map_err(|refusal| refusal.of(&server.to_string()))?))
            }
        };
        Ok(Tunnel { server: server.to_string(), out, talk, is_open: false })
    }

    /// The proxy's host and port.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Bytes to be sent.
    pub(crate) fn transmit(&self) -> &[u8] {
        &self.out
    }

    /// The first `n` bytes of them were sent.
    pub(crate) fn transmitted(&mut self, n: usize) {
        self.out.drain(..n);
    }

    /// Takes received bytes; `true` once the way is open.
    ///
    /// Bytes behind the proxy's answer are an error: a server of TLS or of a WebSocket waits for the
    /// client's first bytes.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Result<bool, CloseReason> {
        for byte in bytes {
            let answer = match &mut self.talk {
                _ if self.is_open => Err(ProxyRefusal::new("it says more than it was asked")),
                _ if !self.out.is_empty() => {
                    Err(ProxyRefusal::new("it answers what it was not asked"))
                }
                Talk::Http(connect) => connect.receive(*byte),
                Talk::Socks5(socks5) => socks5.receive(*byte, &mut self.out),
            };
            self.is_open = answer.map_err(|refusal| refusal.of(&self.server))?;
        }
        Ok(self.is_open)
    }

    /// Whether the proxy has refused, and only the rest of its reason is missing.
    pub(crate) fn is_refused(&self) -> bool {
        self.refusal().is_some()
    }

    /// The connection ended before the way was open. A refusal is a better reason than that.
    pub(crate) fn lost(&self, why: &dyn fmt::Display) -> CloseReason {
        let lost = || ProxyRefusal::new(&format!("the connection was lost: {why}"));
        self.refusal().unwrap_or_else(lost).of(&self.server)
    }

    fn refusal(&self) -> Option<ProxyRefusal> {
        match &self.talk {
            Talk::Http(connect) => connect.refusal(),
            Talk::Socks5(_) => None,
        }
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").field("server", &self.server).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
