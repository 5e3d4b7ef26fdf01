//! Where the gateway's frames end, and what its Pongs carry.

/// Follows what the gateway says, to know where a frame ends.
pub(crate) enum Scanner {
    /// In the answer to the upgrade request; its last four bytes.
    Head(Vec<u8>),
    /// In a frame's header.
    Header(Vec<u8>),
    /// In a frame's payload: so many bytes more, and what a pong carries.
    Payload { opcode: u8, left: u64, data: Vec<u8> },
}

impl Scanner {
    pub(crate) fn is_between_frames(&self) -> bool {
        matches!(self, Scanner::Header(header) if header.is_empty())
    }

    /// Takes a byte. Says what a pong carried that ends with it.
    pub(crate) fn scan(&mut self, byte: u8) -> Option<Vec<u8>> {
        match self {
            Scanner::Head(last) => {
                last.push(byte);
                if last.ends_with(b"\r\n\r\n") {
                    *self = Scanner::Header(Vec::new());
                }
                None
            }
            Scanner::Header(header) => {
                header.push(byte);
                let (opcode, short) = (header[0] & 0x0F, header.get(1).map(|byte| byte & 0x7F)?);
                let extended = match short {
                    126 => 2,
                    127 => 8,
                    _ => 0,
                };
                if header.len() < 2 + extended {
                    return None;
                }
                let left = match extended {
                    0 => u64::from(short),
                    _ => header[2..].iter().fold(0, |n, byte| n << 8 | u64::from(*byte)),
                };
                *self = Scanner::Payload { opcode, left, data: Vec::new() };
                self.end_of_frame()
            }
            Scanner::Payload { opcode, left, data } => {
                *left -= 1;
                if *opcode == PONG {
                    data.push(byte);
                }
                self.end_of_frame()
            }
        }
    }

    pub(crate) fn end_of_frame(&mut self) -> Option<Vec<u8>> {
        let Scanner::Payload { opcode, left: 0, data } = self else { return None };
        let pong = (*opcode == PONG).then(|| std::mem::take(data));
        *self = Scanner::Header(Vec::new());
        pong
    }
}

pub(crate) const PONG: u8 = 0xA;
