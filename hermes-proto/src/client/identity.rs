//! Identity: a member by which a gateway tells a repetition from a new message.

use alloc::format;
use alloc::string::String;

use crate::MessageId;
use crate::message::ObjectEnd;

/// The member that a message gets, and its place. It holds `"<incarnation>-<message id>"`, the same
/// at each repetition, and in no message of another client or of an earlier process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    end: ObjectEnd,
    len: usize,
    incarnation: u64,
    id: MessageId,
}

impl Identity {
    /// For message `id` with the text `json`, if it is an object that lacks the member.
    pub(super) fn new(member: &str, incarnation: u64, id: MessageId, json: &[u8]) -> Option<Self> {
        let end = ObjectEnd::without(member, json)?;
        let digits = id.0.checked_ilog10().unwrap_or(0) as usize + 1;
        let len = usize::from(!end.is_empty) + member.len() + FIXED + digits;
        Some(Identity { end, len, incarnation, id })
    }

    /// Offset in the message at which the [text](Self::text) is inserted.
    pub(super) fn at(&self) -> usize {
        self.end.at
    }

    /// Length of the [text](Self::text), in bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The member, with a comma in front if it is not the first.
    pub(super) fn text(&self, member: &str) -> String {
        let Identity { end, incarnation, id, .. } = self;
        let comma = if end.is_empty { "" } else { "," };
        format!("{comma}\"{member}\":\"{incarnation:016x}-{}\"", id.0)
    }
}

/// Two pairs of quotes, a colon, the incarnation and a hyphen.
const FIXED: usize = 4 + 1 + 16 + 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn its_length_is_known_before_it_is_written() {
        for (json, id, text) in [
            ("{}", 0, r#""id":"00000000000000ab-0""#),
            ("{} ", 9, r#""id":"00000000000000ab-9""#),
            (r#"{"a":1}"#, 10, r#","id":"00000000000000ab-10""#),
            (r#"{"a":1}"#, u64::MAX, r#","id":"00000000000000ab-18446744073709551615""#),
        ] {
            let identity = Identity::new("id", 0xAB, MessageId(id), json.as_bytes()).unwrap();
            assert_eq!((identity.text("id").as_str(), identity.len()), (text, text.len()));
        }
        assert_eq!(Identity::new("id", 1, MessageId(1), b"[]"), None);
        let longest = Identity::new("id", 1, MessageId(u64::MAX), b"{\"a\":1}").unwrap();
        let config = Config { message_id_member: Some("id".into()), ..Config::default() };
        assert_eq!(config.message_id_bytes(), longest.len());
        assert_eq!(Config::default().message_id_bytes(), 0);
    }
}
