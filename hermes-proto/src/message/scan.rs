//! A scanner for the members of a JSON object, which is faster than a parser.
//!
//! It accepts the usual form of a gateway's message: an object whose names have no escapes, nested a
//! little. Within that form it accepts exactly what
//! [RFC 8259](https://www.rfc-editor.org/rfc/rfc8259) allows. All other text, invalid JSON included,
//! is left to [`serde_json`]. So an error in the scanner can cost time, or accept invalid JSON; a
//! test and a fuzz target compare it with serde_json. Its reason: serde_json alone takes longer than
//! the rest of the receive path together (BENCHMARKS.md).

use super::span::Span;

/// The deepest nesting that is scanned: the scanner is recursive.
const DEPTH: u32 = 32;

/// Shows the members of the object that `json` consists of, in their order. `None`: left to
/// serde_json.
pub(super) fn members<'a>(json: &'a [u8], member: impl FnMut(&'a [u8], Span)) -> Option<()> {
    if json.len() > Span::MAX_LEN {
        return None;
    }
    let mut scanner = Scanner { json, at: 0 };
    scanner.space();
    scanner.object(DEPTH, member)?;
    scanner.space();
    (scanner.at == json.len()).then_some(())
}

/// A position in a text.
struct Scanner<'a> {
    json: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn object(&mut self, depth: u32, mut member: impl FnMut(&'a [u8], Span)) -> Option<()> {
        self.expect(b'{')?;
        self.space();
        if self.peek()? == b'}' {
            return self.expect(b'}');
        }
        loop {
            let start = self.at + 1;
            let is_unescaped = self.string()?;
            let name = self.json.get(start..self.at - 1).filter(|_| is_unescaped)?;
            self.space();
            self.expect(b':')?;
            self.space();
            let start = self.at;
            let is_unescaped = self.value(depth)?;
            member(name, Span::new(start, self.at, is_unescaped));
            self.space();
            match self.next()? {
                b',' => self.space(),
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    fn array(&mut self, depth: u32) -> Option<()> {
        self.expect(b'[')?;
        self.space();
        if self.peek()? == b']' {
            return self.expect(b']');
        }
        loop {
            self.value(depth)?;
            self.space();
            match self.next()? {
                b',' => self.space(),
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// A value; returns whether it is a string without escapes.
    fn value(&mut self, depth: u32) -> Option<bool> {
        match self.peek()? {
            b'"' => return self.string(),
            b'{' => self.object(depth.checked_sub(1)?, |_, _| {})?,
            b'[' => self.array(depth.checked_sub(1)?)?,
            b'-' | b'0'..=b'9' => self.number()?,
            b't' => self.literal(b"true")?,
            b'f' => self.literal(b"false")?,
            b'n' => self.literal(b"null")?,
            _ => return None,
        }
        Some(false)
    }

    /// A string; returns whether it has no escapes. Its content is UTF-8 already.
    // Inlining it into both callers saves a fifth of the time.
    #[inline(always)]
    fn string(&mut self) -> Option<bool> {
        self.expect(b'"')?;
        let mut is_unescaped = true;
        loop {
            self.at += unescaped_len(self.json.get(self.at..)?);
            match self.next()? {
                b'"' => return Some(is_unescaped),
                b'\\' => {
                    is_unescaped = false;
                    self.escape()?;
                }
                // A control character.
                _ => return None,
            }
        }
    }

    /// The rest of an escape, behind its backslash. Whether surrogates are paired is checked where the
    /// string is decoded.
    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => (0..4).try_for_each(|_| self.next()?.is_ascii_hexdigit().then_some(())),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<()> {
        self.skip(b"-");
        match self.next()? {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        if self.skip(b".") {
            self.some_digits()?;
        }
        if self.skip(b"eE") {
            self.skip(b"+-");
            self.some_digits()?;
        }
        Some(())
    }

    fn some_digits(&mut self) -> Option<()> {
        let start = self.at;
        self.digits();
        (self.at > start).then_some(())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn literal(&mut self, literal: &[u8]) -> Option<()> {
        let is_it = self.json.get(self.at..)?.starts_with(literal);
        self.at += literal.len();
        is_it.then_some(())
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.json.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// Skips one of these, if it is there.
    fn skip(&mut self, bytes: &[u8]) -> bool {
        let is_there = self.peek().is_some_and(|byte| bytes.contains(&byte));
        self.at += usize::from(is_there);
        is_there
    }
}

/// The number of bytes before the first special one: a quote, a backslash or a control character.
#[inline(always)]
pub(crate) fn unescaped_len(bytes: &[u8]) -> usize {
    // Names and most values end within their first word.
    match bytes.first_chunk().map(swar_find) {
        Some(0) if bytes.len() <= 16 => swar_end(bytes),
        Some(0) => swar_long(bytes),
        Some(found) => swar_first(found),
        None => swar_short(bytes),
    }
}

/// Less than a word. Four bytes and more are read as one word: the first four bytes and the last four,
/// which may overlap. (A function of its own: inlined it slows down the longer forms.)
#[inline(never)]
fn swar_short(bytes: &[u8]) -> usize {
    if let (Some(front), Some(back)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let word =
            u64::from(u32::from_le_bytes(*front)) | u64::from(u32::from_le_bytes(*back)) << 32;
        if swar_find(&word.to_le_bytes()) == 0 {
            return bytes.len();
        }
    }
    let means = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
    bytes.iter().position(means).unwrap_or(bytes.len())
}

/// Long texts: in blocks, which the compiler turns into vectors, and then in words.
#[inline(never)]
fn swar_long(bytes: &[u8]) -> usize {
    let mut at = 0;
    for block in bytes.as_chunks::<64>().0 {
        // Zero if a byte of the block is special.
        let least =
            |least: u8, byte: &u8| least.min(byte ^ b'"').min(byte ^ b'\\').min(byte & 0xE0);
        if block.iter().fold(0xFF, least) == 0 {
            break;
        }
        at += block.len();
    }
    for word in bytes.get(at..).unwrap_or_default().as_chunks().0 {
        let found = swar_find(word);
        if found != 0 {
            return at + swar_first(found);
        }
        at += word.len();
    }
    swar_end(bytes)
}

/// The last word, which may overlap bytes that were scanned and had nothing special.
#[inline(always)]
fn swar_end(bytes: &[u8]) -> usize {
    match bytes.last_chunk().map(swar_find) {
        Some(found) if found != 0 => bytes.len() - size_of::<u64>() + swar_first(found),
        _ => bytes.len(),
    }
}

/// The lowest bit that is set is the highest bit of the first special byte. The bits above it may be
/// wrong, since a subtraction borrows from higher bytes.
fn swar_find(word: &[u8; 8]) -> u64 {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    let word = u64::from_le_bytes(*word);
    let below = |word: u64, least: u8| word.wrapping_sub(EACH * u64::from(least)) & !word;
    let is = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    (below(word, b' ') | is(b'"') | is(b'\\')) & (EACH << 7)
}

/// The index of the first special byte.
fn swar_first(found: u64) -> usize {
    found.trailing_zeros() as usize / 8
}
