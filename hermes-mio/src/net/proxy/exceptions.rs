//! `NO_PROXY`: which hosts need no proxy.

use std::net::IpAddr;

/// Hosts that need no proxy, as curl reads them: names, with all below them; addresses and
/// networks (`10.0.0.0/8`); or `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Exceptions(Vec<Exception>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    All,
    /// In lower case, without dots around it.
    Name(String),
    Network(IpAddr, u8),
}

impl Exceptions {
    /// `list` is separated by commas or spaces. An invalid entry excepts no host.
    pub(super) fn parse(list: &str) -> Self {
        let words = list.split([',', ' ', '\t']).filter(|word| !word.is_empty());
        Exceptions(words.map(Exception::parse).collect())
    }

    /// `host` is a name in lower case, or an address without brackets.
    pub(super) fn has(&self, host: &str) -> bool {
        let address = host.parse::<IpAddr>().ok();
        let host = host.strip_suffix('.').unwrap_or(host);
        self.0.iter().any(|exception| match (exception, address) {
            (Exception::All, _) => true,
            (Exception::Network(network, bits), Some(address)) => {
                is_within(address, *network, *bits)
            }
            (Exception::Name(name), None) => host
                .strip_suffix(name.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
            _ => false,
        })
    }
}

impl Exception {
    fn parse(word: &str) -> Self {
        if word == "*" {
            return Exception::All;
        }
        let plain = |text: &str| text.trim_start_matches('[').trim_end_matches(']').to_owned();
        let (address, bits) = match word.split_once('/') {
            Some((address, bits)) => (plain(address), bits.parse().ok()),
            None => (plain(word), Some(u8::MAX)),
        };
        match (address.parse(), bits) {
            (Ok(address), Some(bits)) => Exception::Network(address, bits),
            _ => Exception::Name(word.trim_matches('.').to_ascii_lowercase()),
        }
    }
}

/// Whether the first `bits` bits are the same; all of them, where there are fewer.
fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let shift = |all: u32| all.saturating_sub(u32::from(bits));
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differ = address.to_bits() ^ network.to_bits();
            differ.checked_shr(shift(32)).unwrap_or(0) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let differ = address.to_bits() ^ network.to_bits();
            differ.checked_shr(shift(128)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of these was put to curl 7.88, whose answer this is.
    #[test]
    fn as_curl_has_it() {
        for (list, host, is_excepted) in [
            ("", "a.example", false),
            ("*", "a.example", true),
            ("*", "192.0.2.1", true),
            ("a.example", "a.example", true),
            ("A.Example", "a.example", true),
            ("a.example", "b.a.example", true),
            (".a.example", "a.example", true),
            (".a.example", "b.a.example", true),
            ("a.example.", "a.example", true),
            ("a.example", "a.example.", true),
            ("a.example", "ba.example", false),
            ("b.a.example", "a.example", false),
            ("x, a.example", "a.example", true),
            ("x a.example", "a.example", true),
            ("x,a.example", "a.example", true),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.0/24", "192.0.2.77", true),
            ("192.0.2.0/24", "192.0.3.77", false),
            ("192.0.0.0/8", "192.9.9.9", true),
            ("2.1", "192.0.2.1", false),
            ("::1", "::1", true),
            ("2001:db8::/32", "2001:db9::9", false),
            ("192.0.2.0/24", "a.example", false),
        ] {
            assert_eq!(Exceptions::parse(list).has(host), is_excepted, "{list:?}: {host}");
        }
    }

    /// Entries that curl 7.88 ignores against its intention.
    #[test]
    fn beyond_curl() {
        assert!(Exceptions::parse("[::1]").has("::1"));
        assert!(Exceptions::parse("2001:db8::/32").has("2001:db8:1::9"));
    }

    #[test]
    fn what_makes_no_sense_excepts_nobody() {
        for list in ["192.0.2.0/x", "192.0.2.0/-1", "/", "[", "a.example:80"] {
            for host in ["192.0.2.1", "a.example", "::1"] {
                assert!(!Exceptions::parse(list).has(host), "{list:?}: {host}");
            }
        }
        assert!(Exceptions::parse("0.0.0.0/0").has("192.0.2.1"));
        assert!(Exceptions::parse("192.0.2.1/99").has("192.0.2.1"));
        assert!(!Exceptions::parse("192.0.2.1/99").has("192.0.2.2"));
    }
}
