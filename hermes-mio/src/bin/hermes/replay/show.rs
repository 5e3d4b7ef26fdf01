//! Payloads, headers and times as people read them: cut to a width, without secrets and without
//! control characters.

use std::time::{Duration, UNIX_EPOCH};

use hermes_proto::trace::is_secret_name;
use serde_json::Value;

/// Stands for a withheld value.
const WITHHELD: &str = "…";

/// A text message. Values of members that are named like a secret are withheld.
pub(super) fn message(text: &str, width: usize) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(text) else {
        return format!("not JSON: {}", cut(text, width));
    };
    // Without a secret the text stays as it is, with its members in their order.
    if withhold(&mut value) { cut(&value.to_string(), width) } else { cut(text, width) }
}

/// Returns whether there was a secret.
fn withhold(value: &mut Value) -> bool {
    match value {
        Value::Object(members) => members.iter_mut().fold(false, |found, (name, value)| {
            let is_here = match value {
                Value::Null | Value::Bool(_) => false,
                Value::Object(_) | Value::Array(_) => withhold(value),
                _ if is_secret_name(name) => {
                    *value = WITHHELD.into();
                    true
                }
                _ => false,
            };
            found | is_here
        }),
        Value::Array(values) => {
            values.iter_mut().fold(false, |found, value| found | withhold(value))
        }
        _ => false,
    }
}

/// A line of an HTTP head: the value of a field that is named like a secret is withheld.
pub(super) fn head_line(line: &str, width: usize) -> String {
    match line.split_once(':') {
        // Both are public by design (RFC 6455 §1.3), and explain a refused upgrade.
        Some((name, _)) if name.to_ascii_lowercase().starts_with("sec-websocket-") => {
            cut(line, width)
        }
        Some((name, _)) if is_secret_name(name) => format!("{name}: {WITHHELD}"),
        _ => cut(without_query(line), width),
    }
}

/// A request line or URL up to its query, which may hold secrets.
pub(super) fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// At most `width` characters. Characters with an effect instead of a shape are escaped.
pub(super) fn cut(text: &str, width: usize) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    for char in chars.by_ref().take(width) {
        match char {
            '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' => {
                out.extend(char.escape_unicode());
            }
            char if char.is_control() => out.extend(char.escape_default()),
            char => out.push(char),
        }
    }
    match chars.count() {
        0 => out,
        more => format!("{out}… ({more} more characters)"),
    }
}

/// A duration of microseconds, with three digits or so.
pub(super) fn span(micros: u64) -> String {
    let seconds = micros as f64 / 1e6;
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        1_000_000..120_000_000 => format!("{seconds:.1} s"),
        120_000_000..7_200_000_000 => format!("{:.1} min", seconds / 60.0),
        7_200_000_000..172_800_000_000 => format!("{:.1} h", seconds / 3_600.0),
        _ => format!("{:.1} days", seconds / 86_400.0),
    }
}

/// The date and time of milliseconds of Unix time.
pub(super) fn date(unix_ms: u64) -> String {
    // The end of the year 9999, behind which HTTP has no dates.
    const LAST_MS: u64 = 253_402_300_799_000;
    match unix_ms {
        0..=LAST_MS => httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(unix_ms)),
        _ => format!("{unix_ms} ms of Unix time"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_control_characters_are_not_shown() {
        let text =
            r#"{"type":"session-init","token":"t0p","nested":[{"apiKey":7,"text":"a\u001b"}]}"#;
        let shown = message(text, 200);
        assert!(!shown.contains("t0p") && !shown.contains('7'), "{shown}");
        assert!(shown.contains(r#""text":"a\u001b""#), "{shown}");
        assert_eq!(head_line("Authorization: Bearer x", 80), "Authorization: …");
        assert_eq!(head_line("GET /a?key=s3cret HTTP/1.1", 80), "GET /a");
        assert_eq!(cut("a\u{1b}[2J\u{202e}b", 80), "a\\u{1b}[2J\\u{202e}b");
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(cut("abcdef", 4), "abcd… (2 more characters)");
        assert_eq!(cut("äöü", 3), "äöü");
    }

    #[test]
    fn spans_have_units() {
        for (micros, text) in [
            (7, "7 µs"),
            (1_234, "1.2 ms"),
            (25_000_000, "25.0 s"),
            (300_000_000, "5.0 min"),
            (9_000_000_000, "2.5 h"),
        ] {
            assert_eq!(span(micros), text);
        }
    }
}
