//! SOCKS5 (RFC 1928) with names and passwords (RFC 1929), on the client's side: bytes in, bytes
//! out.

use std::net::SocketAddr;

use super::refusal::ProxyRefusal;
use super::server::{Login, MAX_STRING};
use crate::net::resolve::Host;

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const BY_PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Waits for one of the server's three answers.
pub(super) struct Socks5 {
    to: Host,
    login: Option<Login>,
    waits_for: Answer,
    /// The answer, as far as it came.
    head: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Method,
    Login,
    Connect,
}

impl Socks5 {
    /// The greeting is put into `out`.
    pub(super) fn start(
        to: &Host,
        login: Option<&Login>,
        out: &mut Vec<u8>,
    ) -> Result<Self, ProxyRefusal> {
        let length = to.name.len();
        if length > MAX_STRING {
            let text =
                format!("the gateway's name has {length} bytes, and SOCKS5 takes {MAX_STRING}");
            return Err(ProxyRefusal::new(&text));
        }
        match login {
            None => out.extend([VERSION, 1, NO_LOGIN]),
            Some(_) => out.extend([VERSION, 2, NO_LOGIN, BY_PASSWORD]),
        }
        let (to, login) = (to.clone(), login.cloned());
        Ok(Socks5 { to, login, waits_for: Answer::Method, head: Vec::new() })
    }

    /// Takes the next byte, and puts the client's answer into `out`; `true` once the way is open.
    pub(super) fn receive(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<bool, ProxyRefusal> {
        self.head.push(byte);
        if self.head.len() < self.length() {
            return Ok(false);
        }
        let head = std::mem::take(&mut self.head);
        match self.waits_for {
            Answer::Method => self.on_method(head[0], head[1], out)?,
            Answer::Login if head[1] == 0 => self.request(out),
            Answer::Login => {
                return Err(ProxyRefusal::new("it does not take our name and password"));
            }
            Answer::Connect => {
                return match head[..] {
                    [VERSION, 0, _, IPV4 | IPV6 | NAME, ..] => Ok(true),
                    [VERSION, reply, ..] if reply != 0 => {
                        Err(ProxyRefusal::with(Some(u16::from(reply)), words(reply)))
                    }
                    _ => Err(not_socks()),
                };
            }
        }
        Ok(false)
    }

    /// Length of the answer, as far as it is known.
    fn length(&self) -> usize {
        if self.waits_for != Answer::Connect {
            return 2;
        }
        // VER REP RSV ATYP, an address, a port. Their values don't matter.
        match self.head[..] {
            [VERSION, 0, _, IPV4, ..] => 4 + 4 + 2,
            [VERSION, 0, _, IPV6, ..] => 4 + 16 + 2,
            [VERSION, 0, _, NAME, length, ..] => 4 + 1 + usize::from(length) + 2,
            [VERSION] | [VERSION, 0] | [VERSION, 0, _] | [VERSION, 0, _, NAME] => 5,
            // A refusal, or nonsense: these bytes are enough to decide.
            _ => 0,
        }
    }

    fn on_method(
        &mut self,
        version: u8,
        method: u8,
        out: &mut Vec<u8>,
    ) -> Result<(), ProxyRefusal> {
        match (version, method, &self.login) {
            (VERSION, NO_LOGIN, _) => self.request(out),
            (VERSION, BY_PASSWORD, Some(Login { name, password })) => {
                out.push(1);
                for text in [name, password] {
                    // `Login::parse` refuses longer ones.
                    out.push(text.len().try_into().unwrap_or(u8::MAX));
                    out.extend(text.as_bytes());
                }
                self.waits_for = Answer::Login;
            }
            (VERSION, NO_METHOD, None) => {
                return Err(ProxyRefusal::new("it wants to know who we are"));
            }
            (VERSION, NO_METHOD, Some(_)) => {
                return Err(ProxyRefusal::new("it takes no name and password"));
            }
            (VERSION, ..) => return Err(ProxyRefusal::new("it chose what was not offered")),
            _ => return Err(not_socks()),
        }
        Ok(())
    }

    fn request(&mut self, out: &mut Vec<u8>) {
        out.extend([VERSION, CONNECT, 0]);
        match self.to.literal() {
            Some(SocketAddr::V4(address)) => {
                out.push(IPV4);
                out.extend(address.ip().octets());
            }
            Some(SocketAddr::V6(address)) => {
                out.push(IPV6);
                out.extend(address.ip().octets());
            }
            None => {
                // `start` refuses longer ones.
                out.extend([NAME, self.to.name.len().try_into().unwrap_or(u8::MAX)]);
                out.extend(self.to.name.as_bytes());
            }
        }
        out.extend(self.to.port.to_be_bytes());
        self.waits_for = Answer::Connect;
    }
}

fn not_socks() -> ProxyRefusal {
    ProxyRefusal::new("it does not speak SOCKS5")
}

/// RFC 1928 §6.
fn words(reply: u8) -> &'static str {
    match reply {
        1 => "general failure",
        2 => "not allowed",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "TTL expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "",
    }
}
