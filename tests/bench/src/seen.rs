//! What a contender saw of the messages, to show that it did the work.

/// The route that a message takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    SessionInit,
    Chat,
    StatusUpdate,
    PrNotification,
    PlayerJoined,
    PlayerLeft,
    Unhandled,
}

/// Whoever is told of each message: its kind and its two documented fields, as text. A field that
/// is an object (the `pr` of `pr-notification`) counts as nothing: nobody looks into it.
pub trait Seen: Default {
    fn see(&mut self, kind: Kind, first: &str, second: &str);
}

/// While it is measured: as little as shows that the fields were at hand.
#[derive(Default)]
pub struct Count {
    pub messages: u64,
    pub bytes: u64,
}

impl Seen for Count {
    #[inline]
    fn see(&mut self, kind: Kind, first: &str, second: &str) {
        self.messages += u64::from(kind != Kind::SessionInit);
        self.bytes += (first.len() + second.len()) as u64;
    }
}

/// Before that: everything.
#[derive(Default, PartialEq, Eq)]
pub struct All(pub Vec<(Kind, String, String)>);

impl Seen for All {
    fn see(&mut self, kind: Kind, first: &str, second: &str) {
        self.0.push((kind, first.into(), second.into()));
    }
}
