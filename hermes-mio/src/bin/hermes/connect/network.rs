//! The way to the gateway: proxies, addresses, sockets, TLS.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

#[cfg(feature = "tls")]
use hermes_mio::Tls;
use hermes_mio::{Error, Options, Proxy};

use super::args::Args;
use crate::{Failure, usage};

/// The way to the gateway.
pub(super) fn options(args: &Args, options: Options) -> Result<Options, Failure> {
    let mut options = options
        .attempt_delay(Duration::from_millis(args.attempt_delay))
        .proxy(proxy(args).unwrap_or_else(|error| usage(&error.to_string())));
    if !args.known.is_empty() {
        let known = args.known.clone();
        options = options.resolver(move |name, port| resolve(&known, name, port));
    }
    #[cfg(unix)]
    if let Some(path) = &args.unix_socket {
        options = options.unix_socket(path);
    }
    if let Some(address) = args.bind {
        options = options.bind(address);
    }
    if let Some(seconds) = args.keepalive {
        options = options.keepalive(Duration::from_secs(seconds));
    }
    if let Some(bytes) = args.send_buffer {
        options = options.send_buffer(bytes);
    }
    if let Some(bytes) = args.receive_buffer {
        options = options.receive_buffer(bytes);
    }
    #[cfg(feature = "tls")]
    {
        options = options.tls(tls(args)?);
    }
    Ok(options)
}

/// The proxy, and the hosts without one.
fn proxy(args: &Args) -> Result<Proxy, Error> {
    let proxy = match &args.proxy {
        Some(url) => Proxy::new(url)?,
        None if args.proxy_from_env => Proxy::from_env()?,
        None => Proxy::default(),
    };
    Ok(match &args.no_proxy {
        Some(hosts) => proxy.except(hosts),
        None => proxy,
    })
}

/// `HOST:PORT:ADDRESS[,ADDRESS]`.
pub(super) fn parse_resolve(text: &str) -> Result<((String, u16), Vec<SocketAddr>), String> {
    let [host, port, addresses] = text.splitn(3, ':').collect::<Vec<_>>()[..] else {
        return Err("write HOST:PORT:ADDRESS, as in gateway.example:443:127.0.0.1".into());
    };
    let port = port.parse().map_err(|_| format!("{port:?} is no port"))?;
    let address = |text: &str| {
        let plain = text.trim_start_matches('[').trim_end_matches(']');
        let ip = plain.parse::<IpAddr>().map_err(|_| format!("{text:?} is no address"))?;
        Ok(SocketAddr::new(ip, port))
    };
    let addresses: Result<Vec<_>, String> = addresses.split(',').map(address).collect();
    Ok(((host.to_ascii_lowercase(), port), addresses?))
}

type Known = [((String, u16), Vec<SocketAddr>)];

fn resolve(known: &Known, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    match known.iter().find(|(host, _)| *host == (name.to_owned(), port)) {
        Some((_, addresses)) => Ok(addresses.clone()),
        None => Ok((name, port).to_socket_addrs()?.collect()),
    }
}

/// The trusted authorities, and the certificate of the client.
#[cfg(feature = "tls")]
fn tls(args: &Args) -> Result<Tls, Failure> {
    let mut tls = Tls::new();
    for file in &args.authorities {
        tls = tls.trust_file(file)?;
    }
    if args.no_system_roots {
        tls = tls.without_system();
    }
    if let (Some(cert), Some(key)) = (&args.cert, &args.key) {
        tls = tls.identity_files(cert, key)?;
    }
    Ok(tls)
}
