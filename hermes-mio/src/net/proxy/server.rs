//! A proxy, from its URL.

use std::fmt;

use fluent_uri::Uri;
use fluent_uri::pct_enc::EStr;
use fluent_uri::pct_enc::encoder::Userinfo;

use crate::net::resolve::Host;

/// A proxy.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) host: Host,
    pub(super) login: Option<Login>,
}

/// The protocol that it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Http,
    /// HTTP in TLS.
    Https,
    Socks5,
}

/// A name and a password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(super) name: String,
    pub(super) password: String,
}

/// Bytes of a gateway's name, a login or a password: SOCKS5 writes each length as one byte (RFC
/// 1928 §5, RFC 1929 §2).
pub(super) const MAX_STRING: usize = 255;

/// Bytes of a host name (RFC 1035 §2.3.4).
const MAX_HOST: usize = 253;

impl Server {
    /// An error completes a sentence that begins with the URL's source, and holds no secret.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let with_scheme;
        let url = if url.contains("://") {
            url
        } else {
            with_scheme = format!("http://{url}");
            &with_scheme
        };
        // The last `@`, since a raw one may be in the password.
        let login = url.split_once("://").and_then(|(_, rest)| Some(rest.rsplit_once('@')?.0));
        if login.is_some_and(|login| EStr::<Userinfo>::new(login).is_none()) {
            return Err("has a name or a password with a character that must be percent-encoded: \
                        @ as %40, # as %23, / as %2F, ? as %3F, % as %25"
                .into());
        }
        let uri = Uri::parse(url).map_err(|_| "is no URL; write http://host:port")?;
        let (kind, default_port) = match uri.scheme().as_str().to_ascii_lowercase().as_str() {
            "http" => (Kind::Http, 80),
            "https" => (Kind::Https, 443),
            "socks5" | "socks5h" => (Kind::Socks5, 1080),
            _ => return Err("has a scheme that is not http, https, socks5 or socks5h".into()),
        };
        let authority = uri.authority().filter(|authority| !authority.host().is_empty());
        let authority = authority.ok_or("has no host")?;
        if !matches!(uri.path().as_str(), "" | "/") || uri.query().is_some() {
            return Err("has more than a host and a port".into());
        }
        let port = match authority.port_to_u16() {
            Ok(Some(0)) | Err(_) => return Err("has a port that is not 1 to 65535".into()),
            Ok(port) => port.unwrap_or(default_port),
        };
        let host = Host::new(&authority.host().to_ascii_lowercase(), port);
        let length = host.name.len();
        if length > MAX_HOST {
            return Err(format!(
                "has a host name of {length} bytes; names have {MAX_HOST} at most"
            ));
        }
        let login = authority.userinfo().map(Login::parse).transpose()?;
        Ok(Server { kind, host, login })
    }
}

impl Login {
    fn parse(userinfo: &EStr<Userinfo>) -> Result<Self, String> {
        let (name, password) = userinfo.split_once(':').unwrap_or((userinfo, EStr::EMPTY));
        let plain = |text: &EStr<Userinfo>| match text.decode().to_string() {
            Ok(text) if text.len() <= MAX_STRING && !text.contains(char::is_control) => {
                Ok(text.into_owned())
            }
            _ => Err(format!(
                "has a name or a password with a control character, or of more than {MAX_STRING} bytes"
            )),
        };
        let login = Login { name: plain(name)?, password: plain(password)? };
        if login.name.is_empty() || login.name.contains(':') {
            return Err("has an empty name, or one with a colon, before the password".into());
        }
        Ok(login)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.fmt(f)
    }
}

/// Without the login.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = if self.login.is_some() { ", with a login" } else { "" };
        write!(f, "{:?}({}{login})", self.kind, self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (url, kind, host, login) in [
            ("http://proxy.corp:3128", Kind::Http, "proxy.corp:3128", None),
            ("proxy.corp:3128", Kind::Http, "proxy.corp:3128", None),
            ("Proxy.Corp", Kind::Http, "proxy.corp:80", None),
            ("https://proxy.corp/", Kind::Https, "proxy.corp:443", None),
            ("socks5://[::1]", Kind::Socks5, "[::1]:1080", None),
            ("socks5h://127.0.0.1:9", Kind::Socks5, "127.0.0.1:9", None),
            ("http://ada:s3cret@p", Kind::Http, "p:80", Some(("ada", "s3cret"))),
            ("http://ada@p", Kind::Http, "p:80", Some(("ada", ""))),
            ("ada:a%3Ab%40c@p:1", Kind::Http, "p:1", Some(("ada", "a:b@c"))),
        ] {
            let server = Server::parse(url).unwrap();
            let seen = server.login.as_ref().map(|login| (&*login.name, &*login.password));
            assert_eq!((server.kind, server.host.to_string(), seen), (kind, host.into(), login));
        }
    }

    /// Curl takes these, and other clients each in a way of their own.
    #[test]
    fn a_login_with_raw_delimiters_is_told_to_be_encoded() {
        for url in [
            "http://ada:s3cret@1@p:3128",
            "http://ada:s3cret#1@p:3128",
            "http://ada:s3cret/1@p:3128",
            "http://ada:s3cret?1@p:3128",
            "http://ada:s3cret%1@p:3128",
            "http://ada:100%s3cret@p:3128",
            "http://a d a:s3cret@p:3128",
            "ada:s3cret@1@p",
            "socks5://ada:s3cret[1@p",
        ] {
            let error = Server::parse(url).unwrap_err();
            assert!(
                error.starts_with("has a name or a password with a character"),
                "{url}: {error}"
            );
            assert!(error.contains("percent-encode") && error.contains("%40"), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        assert!(Server::parse("http://ada:a%40b%23c%2Fd%25e@p").is_ok());
    }

    #[test]
    fn a_host_is_no_longer_than_names_are() {
        let url = |length| format!("http://{}", "a".repeat(length));
        assert!(Server::parse(&url(253)).is_ok());
        let error = Server::parse(&url(254)).unwrap_err();
        assert_eq!(error, "has a host name of 254 bytes; names have 253 at most");
    }

    #[test]
    fn errors_have_no_secrets() {
        let long = format!("http://{}:s3cret@p", "a".repeat(256));
        for url in [
            "ftp://a:s3cret@p",
            "socks4://a:s3cret@p",
            "http://a:s3cret@",
            "http://a:s3cret@p:0",
            "http://a:s3cret@p/path",
            "http://a:s3cret@p?query",
            "http://:s3cret@p",
            "http://a%3A:s3cret@p",
            "http://a:s3cret%0d%0aX@p",
            "http://a:s3cret %@p",
            &long,
        ] {
            let error = Server::parse(url).unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
        let server = Server::parse("http://ada:s3cret@p").unwrap();
        assert_eq!(format!("{server:?}"), "Http(p:80, with a login)");
    }
}
