//! The negotiation of permessage-deflate in the opening handshake (RFC 7692 §5, §7.1).

use alloc::format;
use alloc::string::String;

use super::{Deflater, Inflater};
use crate::Config;
use crate::reason::UpgradeError;

const NAME: &str = "permessage-deflate";

/// The request's `Sec-WebSocket-Extensions`, if it has one.
pub(in crate::ws) fn offer(config: &Config) -> Option<String> {
    if !config.deflate {
        return None;
    }
    let mut offer = String::from(NAME);
    if config.deflate_server_no_context_takeover {
        offer.push_str("; server_no_context_takeover");
    }
    if config.deflate_client_no_context_takeover {
        offer.push_str("; client_no_context_takeover");
    }
    // A server that does not support it must decline the whole offer, so it is sent only if set.
    if config.deflate_server_max_window_bits < 15 {
        let bits = config.deflate_server_max_window_bits;
        offer.push_str(&format!("; server_max_window_bits={bits}"));
    }
    offer.push_str("; client_max_window_bits");
    if config.deflate_client_max_window_bits < 15 {
        offer.push_str(&format!("={}", config.deflate_client_max_window_bits));
    }
    Some(offer)
}

/// The coders for an answer with these values of `Sec-WebSocket-Extensions`. `None`: the offer was
/// declined.
pub(in crate::ws) fn negotiate<'a>(
    values: impl Iterator<Item = &'a str>,
    config: &Config,
) -> Result<Option<(Deflater, Inflater)>, UpgradeError> {
    let mut agreed = None;
    for extension in values.flat_map(|value| value.split(',')) {
        let mut parts = extension.split(';').map(str::trim);
        if !config.deflate || agreed.is_some() || parts.next() != Some(NAME) {
            return Err(UpgradeError::UnexpectedExtension);
        }
        let parameters = Parameters::parse(parts).ok_or(UpgradeError::BadExtension)?;
        agreed = Some(parameters.accept(config).ok_or(UpgradeError::BadExtension)?);
    }
    Ok(agreed)
}

/// The parameters of an answer.
#[derive(Default)]
struct Parameters {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<u8>,
}

impl Parameters {
    /// `None` if a parameter is unknown, repeated, or has a value that is out of range.
    fn parse<'a>(parts: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut parameters = Parameters::default();
        for part in parts {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name.trim_end(), Some(window_bits(value.trim_start())?)),
                None => (part, None),
            };
            let is_new = match (name, value) {
                ("server_no_context_takeover", None) => {
                    !core::mem::replace(&mut parameters.server_no_context_takeover, true)
                }
                ("client_no_context_takeover", None) => {
                    !core::mem::replace(&mut parameters.client_no_context_takeover, true)
                }
                ("server_max_window_bits", Some(bits)) => {
                    parameters.server_max_window_bits.replace(bits).is_none()
                }
                ("client_max_window_bits", Some(bits)) => {
                    parameters.client_max_window_bits.replace(bits).is_none()
                }
                _ => false,
            };
            if !is_new {
                return None;
            }
        }
        Some(parameters)
    }

    /// `None` if the parameters do not fit the offer.
    fn accept(&self, config: &Config) -> Option<(Deflater, Inflater)> {
        // The server grants its two parameters or declines the whole offer (§7.1.1.1, §7.1.2.1).
        if config.deflate_server_no_context_takeover && !self.server_no_context_takeover {
            return None;
        }
        let server_bits = self.server_max_window_bits.unwrap_or(15);
        if server_bits > config.deflate_server_max_window_bits {
            return None;
        }
        // The client's two parameters bind the client in any case; the server may ask for more
        // (§7.1.1.2, §7.1.2.2).
        let client_bits = self.client_max_window_bits.unwrap_or(15);
        let client_bits = client_bits.min(config.deflate_client_max_window_bits);
        let client_takes_over =
            !self.client_no_context_takeover && !config.deflate_client_no_context_takeover;
        let server_window = if self.server_no_context_takeover { 0 } else { 1 << server_bits };
        let deflater = Deflater::new(config.deflate_level, client_bits, client_takes_over);
        Some((deflater, Inflater::new(server_window)))
    }
}

/// 8 to 15, without leading zeros (§7.1.2), optionally in quotes (RFC 6455 §9.1).
fn window_bits(value: &str) -> Option<u8> {
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    match quoted.unwrap_or(value) {
        "8" => Some(8),
        "9" => Some(9),
        "10" => Some(10),
        "11" => Some(11),
        "12" => Some(12),
        "13" => Some(13),
        "14" => Some(14),
        "15" => Some(15),
        _ => None,
    }
}
