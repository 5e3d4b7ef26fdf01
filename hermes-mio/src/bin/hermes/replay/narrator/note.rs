//! What a trace tells.

/// Something that happened.
pub(in super::super) struct Note {
    /// Microseconds since the trace's start.
    pub(in super::super) at: u64,
    /// The connection that it is about.
    pub(in super::super) conn: Option<u64>,
    pub(in super::super) topic: Topic,
    /// For people; a note without text has facts alone.
    pub(in super::super) text: String,
    pub(in super::super) fact: Fact,
}

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Topic {
    Command,
    Network,
    Sent,
    Received,
    Event,
    State,
    Gap,
}

impl Topic {
    pub(in super::super) fn name(self) -> &'static str {
        match self {
            Topic::Command => "command",
            Topic::Network => "network",
            Topic::Sent => "sent",
            Topic::Received => "received",
            Topic::Event => "event",
            Topic::State => "state",
            Topic::Gap => "gap",
        }
    }
}

/// What a program needs to know of a note.
pub(in super::super) enum Fact {
    None,
    /// The recording has stand-ins in place of secrets.
    Redacted,
    /// An attempt began.
    Attempt {
        url: String,
    },
    /// The attempt or connection is in this stage: `connect`, `open`, `closing`.
    Stage {
        name: &'static str,
    },
    Ended {
        cause: String,
        reason: String,
    },
    /// The outbox has the message.
    Accepted {
        id: u64,
        text: String,
    },
    /// All messages up to this one were written.
    Written {
        up_to: u64,
    },
    /// All messages up to this one were acknowledged or told to be in doubt.
    Resolved {
        up_to: u64,
    },
    InDoubt {
        from: u64,
        to: u64,
    },
    Dropped {
        id: u64,
        reason: String,
    },
    /// A message of this type came.
    Message {
        kind: String,
    },
    Ping {
        payload: String,
    },
    Pong {
        payload: String,
    },
    /// The client waits from now on, for this reason.
    Waits {
        why: String,
    },
    /// The client waits no more.
    WaitEnds,
    /// The figures after a turn.
    Sample {
        outbox: usize,
        outbox_bytes: usize,
        in_flight: u64,
    },
}
