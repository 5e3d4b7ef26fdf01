//! The outbox alone: equality and `Debug`.

use alloc::format;

use super::*;

fn outbox(messages: &[Outgoing]) -> Outbox {
    let mut outbox = Outbox::DEFAULT.clone();
    for (id, message) in (1..).zip(messages) {
        let message = outbox.copy(message);
        outbox.push(MessageId(id), None, message);
    }
    outbox
}

fn hash(outbox: &Outbox) -> u64 {
    #[derive(Default)]
    struct Sum(u64);

    impl Hasher for Sum {
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3);
            }
        }

        fn finish(&self) -> u64 {
            self.0
        }
    }

    let mut sum = Sum::default();
    outbox.hash(&mut sum);
    sum.finish()
}

/// Equality and hash are those of the messages.
#[test]
fn equality_is_that_of_the_messages() {
    let text = |text: &str| Outgoing::text(text);
    let one = outbox(&[text("a"), text("b")]);
    let mut other = Outbox::DEFAULT.clone();
    let failed = other.write("torn up").unwrap();
    let failed = other.commit(failed);
    let message = other.copy(&text("a"));
    assert_eq!(other.discard(failed), Frame::Text("\"torn up\"".into()));
    other.push(MessageId(1), None, message);
    assert!(one != other);
    let message = other.copy(&text("b"));
    other.push(MessageId(2), None, message);
    assert!(one == other && hash(&one) == hash(&other));
    assert!(one.clone() == one);

    let others = [
        outbox(&[text("a"), text("c")]),
        outbox(&[text("b"), text("a")]),
        outbox(&[text("a")]),
        outbox(&[text("ab"), text("")]),
        outbox(&[text("a"), Outgoing::binary("b")]),
        outbox(&[text("a"), text("b").volatile()]),
    ];
    assert!(others.iter().all(|other| one != *other && hash(&one) != hash(other)));
}

#[test]
fn debug_withholds_secrets() {
    let shown = format!("{:?}", outbox(&[Outgoing::text("hi"), Outgoing::text("a token")]));
    assert!(shown.contains(r#"[Text("hi"), Text([7 bytes withheld"#), "{shown}");
}
