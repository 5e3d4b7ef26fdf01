//! A peer's text in a message for people.

use core::fmt::{self, Write};

/// Displays a text with its control characters escaped, `\n` or `\u{1b}`, so that a peer can't forge
/// a line of a log or command a terminal. So are the characters that change the direction of text.
pub(crate) struct Printable<'a>(pub(crate) &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| {
            if is_invisible(char) {
                write!(f, "{}", char.escape_default())
            } else {
                f.write_char(char)
            }
        })
    }
}

/// Whether a character has an effect instead of a shape: control characters, line and paragraph
/// separators, and the marks of direction.
fn is_invisible(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn invisible_characters_are_escaped() {
        for (text, shown) in [
            ("plain, \"é\" and \\ 🚀", "plain, \"é\" and \\ 🚀"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{1b}[31m\u{7}\0\u{7f}\u{9b}", "\\u{1b}[31m\\u{7}\\u{0}\\u{7f}\\u{9b}"),
            ("\u{202e}\u{2066}\u{2028}\u{200f}", "\\u{202e}\\u{2066}\\u{2028}\\u{200f}"),
        ] {
            assert_eq!(Printable(text).to_string(), shown);
        }
    }
}
