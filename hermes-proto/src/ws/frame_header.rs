//! Frame headers (RFC 6455 §5.2).

use crate::reason::Violation;

/// A frame's opcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Opcode {
    Continuation = 0x0,
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xA,
}

impl Opcode {
    fn from_bits(bits: u8) -> Result<Self, Violation> {
        Ok(match bits {
            0x0 => Opcode::Continuation,
            0x1 => Opcode::Text,
            0x2 => Opcode::Binary,
            0x8 => Opcode::Close,
            0x9 => Opcode::Ping,
            0xA => Opcode::Pong,
            opcode => return Err(Violation::ReservedOpcode { opcode }),
        })
    }

    /// Whether it is a control frame's (§5.5).
    pub(super) fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// The bit of a message's last frame.
pub(super) const FIN: u8 = 0x80;

/// The first reserved bit: that of a compressed message's first frame (RFC 7692 §6).
pub(super) const RSV1: u8 = 0x40;

/// The longest header of a client's frame.
pub(super) const MAX_LEN: usize = 14;

/// The bit of a masked frame, beside its length.
const MASK: u8 = 0x80;

/// The header of a received frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) opcode: Opcode,
    pub(super) is_final: bool,
    pub(super) rsv1: bool,
    /// Either of the other two reserved bits, to which no extension gives a meaning.
    pub(super) rsv2_or_rsv3: bool,
    /// The key is not read: a server that masks breaks the protocol (§5.1).
    pub(super) is_masked: bool,
    /// The payload's length, below 2^63.
    pub(super) payload_len: u64,
    /// The header's own length, without a masking key.
    pub(super) len: usize,
}

impl FrameHeader {
    /// The header at the front of `bytes`. `None`: the rest of it is still to come.
    ///
    /// # Errors
    ///
    /// A reserved opcode, and a length that is not in its shortest form or has the highest bit set.
    #[inline]
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, Violation> {
        let [first, second, ref rest @ ..] = *bytes else { return Ok(None) };
        let (payload_len, least, len) = match second & !MASK {
            126 => match rest.first_chunk() {
                Some(length) => (u64::from(u16::from_be_bytes(*length)), 126, 4),
                None => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(length) => (u64::from_be_bytes(*length), 1 << 16, 10),
                None => return Ok(None),
            },
            short => (u64::from(short), 0, 2),
        };
        let opcode = Opcode::from_bits(first & 0x0F)?;
        if payload_len < least || payload_len > i64::MAX as u64 {
            return Err(Violation::BadLength);
        }
        Ok(Some(FrameHeader {
            opcode,
            is_final: first & FIN != 0,
            rsv1: first & RSV1 != 0,
            rsv2_or_rsv3: first & 0x30 != 0,
            is_masked: second & MASK != 0,
            payload_len,
            len,
        }))
    }
}

/// The length of the header of a client's frame with a payload of `payload_len` bytes.
pub(super) fn client_len(payload_len: usize) -> usize {
    match payload_len {
        0..=125 => 6,
        126..=0xFFFF => 8,
        _ => 14,
    }
}

/// Writes the header of a client's frame, which is always masked, and returns its length. `first`
/// is the byte with the opcode, [`FIN`] and [`RSV1`].
#[inline]
pub(super) fn write_client(
    first: u8,
    payload_len: usize,
    key: [u8; 4],
    to: &mut [u8; MAX_LEN],
) -> usize {
    to[0] = first;
    match payload_len {
        0..=125 => {
            to[1] = MASK | payload_len as u8;
            to[2..6].copy_from_slice(&key);
            6
        }
        126..=0xFFFF => {
            to[1] = MASK | 126;
            to[2..4].copy_from_slice(&(payload_len as u16).to_be_bytes());
            to[4..8].copy_from_slice(&key);
            8
        }
        _ => {
            to[1] = MASK | 127;
            to[2..10].copy_from_slice(&(payload_len as u64).to_be_bytes());
            to[10..14].copy_from_slice(&key);
            14
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At every length where the form changes, and with every bit.
    #[test]
    fn what_is_written_is_read() {
        for payload_len in [0, 1, 125, 126, 127, 0xFFFF, 0x1_0000, usize::MAX >> 1] {
            for opcode in [Opcode::Text, Opcode::Binary, Opcode::Close, Opcode::Ping, Opcode::Pong]
            {
                for rsv1 in [0, RSV1] {
                    let mut bytes = [0; MAX_LEN];
                    let first = FIN | rsv1 | opcode as u8;
                    let len = write_client(first, payload_len, [1, 2, 3, 4], &mut bytes);
                    assert_eq!(len, client_len(payload_len));
                    assert_eq!(bytes[len - 4..len], [1, 2, 3, 4]);
                    let header = FrameHeader {
                        opcode,
                        is_final: true,
                        rsv1: rsv1 != 0,
                        rsv2_or_rsv3: false,
                        is_masked: true,
                        payload_len: payload_len as u64,
                        len: len - 4,
                    };
                    assert_eq!(FrameHeader::parse(&bytes), Ok(Some(header)));
                    for cut in 0..len - 4 {
                        assert_eq!(FrameHeader::parse(&bytes[..cut]), Ok(None));
                    }
                }
            }
        }
    }

    /// §5.2: "the minimal number of bytes MUST be used"; "the most significant bit MUST be 0".
    #[test]
    fn a_length_has_one_form() {
        let length =
            |bytes: &[u8]| FrameHeader::parse(bytes).map(|header| header.map(|h| h.payload_len));
        assert_eq!(length(&[0x82, 126, 0, 125]), Err(Violation::BadLength));
        assert_eq!(length(&[0x82, 126, 0, 126]), Ok(Some(126)));
        assert_eq!(length(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]), Err(Violation::BadLength));
        assert_eq!(length(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]), Ok(Some(0x1_0000)));
        let mut longest = [0xFF; 10];
        longest[..3].copy_from_slice(&[0x82, 127, 0x7F]);
        assert_eq!(length(&longest), Ok(Some(i64::MAX as u64)));
        longest[2] = 0x80;
        assert_eq!(length(&longest), Err(Violation::BadLength));
    }

    #[test]
    fn reserved_opcodes() {
        for bits in 0..16 {
            let is_reserved = matches!(bits, 3..=7 | 11..=15);
            assert_eq!(FrameHeader::parse(&[bits, 0]).is_err(), is_reserved, "{bits}");
        }
    }
}
