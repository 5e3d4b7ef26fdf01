//! The URLs of gateways.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::fmt;
use core::net::Ipv4Addr;

use fluent_uri::{Uri, UriRef};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A gateway's URL (RFC 6455 §3): `ws://` or `wss://`, a host, and optionally a port, path and query.
/// `http://` and `https://` become `ws://` and `wss://`, as in a browser.
///
/// Scheme and host are lower case. A clone shares the text. A URL has at most 65,535 bytes, and its
/// host at most 253.
///
/// `Display` and `Debug` show the length of the query in place of the query, which often has a secret
/// in it; [`as_str`](Self::as_str) has all of the URL.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Url {
    text: Arc<str>,
    /// The length of the host, which follows the scheme.
    host: u16,
    /// Start of the path in `text`.
    path: u16,
    port: u16,
    secure: bool,
}

impl Url {
    /// Parses a URL.
    ///
    /// # Errors
    ///
    /// If it is not such a URL. The error says what to write instead.
    pub fn parse(input: &str) -> Result<Self, UrlError> {
        let uri = Uri::parse(input).map_err(|_| UrlError::Syntax)?;
        let secure = match uri.scheme().as_str().to_ascii_lowercase().as_str() {
            "ws" | "http" => false,
            "wss" | "https" => true,
            _ => return Err(UrlError::Scheme),
        };
        let authority = uri.authority().ok_or(UrlError::NoHost)?;
        if authority.host().is_empty() {
            return Err(UrlError::NoHost);
        }
        if authority.host().trim_end_matches('.').len() > MAX_HOST {
            return Err(UrlError::HostTooLong);
        }
        if authority.has_userinfo() {
            return Err(UrlError::Userinfo);
        }
        if uri.fragment().is_some() {
            return Err(UrlError::Fragment);
        }
        let default_port = if secure { 443 } else { 80 };
        let port = match authority.port_to_u16() {
            Ok(Some(0)) | Err(_) => return Err(UrlError::Port),
            Ok(port) => port.unwrap_or(default_port),
        };

        let host = authority.host().to_ascii_lowercase();
        let mut text = String::from(if secure { "wss://" } else { "ws://" });
        text.push_str(&host);
        if port != default_port {
            text.push(':');
            text.push_str(&port.to_string());
        }
        let path = u16::try_from(text.len());
        text.push_str(if uri.path().is_empty() { "/" } else { uri.path().as_str() });
        if let Some(query) = uri.query() {
            text.push('?');
            text.push_str(query.as_str());
        }
        // The host is a part of what is before the path.
        let (Ok(host), Ok(path), Ok(_)) =
            (u16::try_from(host.len()), path, u16::try_from(text.len()))
        else {
            return Err(UrlError::TooLong);
        };
        Ok(Url { text: text.into(), host, path, port, secure })
    }

    /// The same URL, in the memory of `text` if that is equal.
    pub(crate) fn shared_with(self, text: &Arc<str>) -> Self {
        let text = if self.text == *text { Arc::clone(text) } else { self.text };
        Url { text, ..self }
    }

    /// Resolves a reference relative to this URL, such as a redirect's `Location` (RFC 3986 §5.2). Its
    /// fragment is left out: a fragment is never sent.
    ///
    /// # Errors
    ///
    /// If the result is not a gateway's URL.
    pub fn join(&self, reference: &str) -> Result<Self, UrlError> {
        let reference = reference.split('#').next().unwrap_or_default();
        let reference = UriRef::parse(reference).map_err(|_| UrlError::Syntax)?;
        let base = Uri::parse(self.as_str()).map_err(|_| UrlError::Syntax)?;
        let joined = reference.resolve_against(&base).map_err(|_| UrlError::Syntax)?;
        Url::parse(joined.as_str())
    }

    /// The whole URL.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the scheme is `wss`.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether the host is this machine, by its name alone: `localhost` and names below it (RFC 6761
    /// §6.3), `127.0.0.0/8` or `[::1]`.
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        let name = host.strip_suffix('.').unwrap_or(host);
        let is_v4 = || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
        name == "localhost" || name.ends_with(".localhost") || host == "[::1]" || is_v4()
    }

    /// The host: a name, an IPv4 address, or an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        self.authority().get(..self.host.into()).unwrap_or_default()
    }

    /// The port; 80 or 443 if the URL has none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Path and query: the target of the request line.
    pub fn path_and_query(&self) -> &str {
        self.text.get(self.path.into()..).unwrap_or_default()
    }

    /// Host, and port unless it is the scheme's default: the value of the `Host` header.
    pub fn authority(&self) -> &str {
        let scheme = if self.secure { "wss://" } else { "ws://" };
        self.text.get(scheme.len()..self.path.into()).unwrap_or_default()
    }

    /// Scheme, host and port: the origin to which a session is bound.
    pub fn origin(&self) -> &str {
        self.text.get(..self.path.into()).unwrap_or_default()
    }
}

/// As a string.
impl Serialize for Url {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Url::parse(&String::deserialize(d)?).map_err(de::Error::custom)
    }
}

/// Withholds the query.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text.split_once('?') {
            Some((head, query)) => write!(f, "{head}?[{} bytes]", query.len()),
            None => f.write_str(&self.text),
        }
    }
}

/// As `Display`.
impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The longest host name in bytes (RFC 1035 §2.3.4), without the dot of the root. Protocols such as
/// SOCKS5 have one byte for its length.
const MAX_HOST: usize = 253;

/// The reason for which a text is not a gateway's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Not a URI (RFC 3986).
    #[error(
        "not a URL; write ws://host:port/path, with anything but ASCII percent-encoded, \
         and a name that is not ASCII in its xn-- form"
    )]
    Syntax,
    /// A scheme other than `ws`, `wss`, `http` and `https`.
    #[error("the scheme must be ws or wss (or http or https, which become these)")]
    Scheme,
    /// A host name of more than 253 bytes.
    #[error("the host name is longer than 253 bytes, the most that DNS allows")]
    HostTooLong,
    /// No host.
    #[error("the host is missing")]
    NoHost,
    /// A name or password before the host.
    #[error("credentials don't belong in the URL; put an Authorization header into `headers`")]
    Userinfo,
    /// A port that is not between 1 and 65535.
    #[error("the port must be between 1 and 65535")]
    Port,
    /// A fragment (RFC 6455 §3 forbids one).
    #[error("a WebSocket URL must not have a #fragment")]
    Fragment,
    /// More than 65,535 bytes.
    #[error("the URL is longer than 65,535 bytes")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn parts() {
        let url = Url::parse("WS://Example.COM:80?x=1").unwrap();
        assert_eq!(url.as_str(), "ws://example.com/?x=1");
        assert_eq!(url.authority(), "example.com");
        assert_eq!(url.path_and_query(), "/?x=1");
        assert_eq!(url.origin(), "ws://example.com");
        assert_eq!(format!("{url:?}"), "ws://example.com/?[3 bytes]");
        assert_eq!(format!("{url}"), "ws://example.com/?[3 bytes]");

        let url = Url::parse("wss://[::1]:8443/a/b").unwrap();
        assert_eq!((url.host(), url.port(), url.is_secure()), ("[::1]", 8443, true));
        assert_eq!(url.authority(), "[::1]:8443");
    }

    /// WHATWG, `new WebSocket(url)`.
    #[test]
    fn http_becomes_ws() {
        for (text, url) in [
            ("http://a/b?c", "ws://a/b?c"),
            ("HTTPS://a:443/", "wss://a/"),
            ("https://a:80/", "wss://a:80/"),
        ] {
            assert_eq!(Url::parse(text).unwrap().as_str(), url);
        }
    }

    #[test]
    fn the_longest() {
        let url = |host: usize, path: usize| {
            let url = format!("ws://{}/{}", "h".repeat(host), "p".repeat(path));
            Url::parse(&url).map(|url| (url.host().len(), url.path_and_query().len()))
        };
        let most = 65_535 - "ws:///".len();
        assert_eq!(url(1, most - 1), Ok((1, most)));
        assert_eq!(url(1, most), Err(UrlError::TooLong));
        assert_eq!(url(253, most - 253), Ok((253, most - 252)));
        // RFC 1035 §2.3.4.
        for host in [254, 255, 256, 65_536 + 4, 140_000] {
            assert_eq!(url(host, 0), Err(UrlError::HostTooLong), "{host}");
        }
        let rooted = format!("ws://{}./", "h".repeat(253));
        assert_eq!(Url::parse(&rooted).map(|url| url.host().len()), Ok(254));
        // In a `Location` too.
        let base = Url::parse("ws://a/").unwrap();
        let location = format!("//{}/", "h".repeat(254));
        assert_eq!(base.join(&location), Err(UrlError::HostTooLong));
    }

    /// RFC 3986 §5.4, as far as a gateway's URL goes.
    #[test]
    fn join() {
        let base = Url::parse("wss://a:1/b/c/d?q").unwrap();
        for (reference, joined) in [
            ("ws://h/x", "ws://h/x"),
            ("HTTPS://H:443", "wss://h/"),
            ("http://h:443/x?y", "ws://h:443/x?y"),
            ("//h/x", "wss://h/x"),
            ("/x?y", "wss://a:1/x?y"),
            ("x", "wss://a:1/b/c/x"),
            ("../../../x", "wss://a:1/x"),
            ("./", "wss://a:1/b/c/"),
            ("?y", "wss://a:1/b/c/d?y"),
            ("", "wss://a:1/b/c/d?q"),
            ("x#fragment", "wss://a:1/b/c/x"),
            ("#", "wss://a:1/b/c/d?q"),
        ] {
            assert_eq!(base.join(reference).unwrap().as_str(), joined, "{reference}");
        }
        for (reference, error) in [
            ("a b", UrlError::Syntax),
            ("/\u{e9}", UrlError::Syntax),
            ("ftp://h/", UrlError::Scheme),
            ("mailto:x", UrlError::Scheme),
            ("//u:p@h/", UrlError::Userinfo),
            ("//h:0/", UrlError::Port),
            ("///x", UrlError::NoHost),
        ] {
            assert_eq!(base.join(reference), Err(error), "{reference}");
        }
    }

    #[test]
    fn loopback() {
        for (host, is_loopback) in [
            ("localhost", true),
            ("a.LOCALHOST.", true),
            ("127.1.2.3", true),
            ("[::1]", true),
            ("127.0.0.1.example.com", false),
            ("notlocalhost", false),
            ("10.0.0.1", false),
        ] {
            let url = Url::parse(&format!("ws://{host}:1/")).unwrap();
            assert_eq!(url.is_loopback(), is_loopback, "{host}");
        }
    }

    #[test]
    fn errors() {
        for (text, error) in [
            ("nonsense", UrlError::Syntax),
            ("ws://a b/", UrlError::Syntax),
            ("ws://h\u{e9}/", UrlError::Syntax),
            ("ftp://a/", UrlError::Scheme),
            ("ws:a", UrlError::NoHost),
            ("ws:///a", UrlError::NoHost),
            ("ws://u:p@a/", UrlError::Userinfo),
            ("ws://a:0/", UrlError::Port),
            ("ws://a:65536/", UrlError::Port),
            ("ws://a/#f", UrlError::Fragment),
        ] {
            assert_eq!(Url::parse(text), Err(error), "{text}");
        }
    }
}
