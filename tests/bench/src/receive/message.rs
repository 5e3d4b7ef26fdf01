//! The messages, as the contenders without a client of their own read them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::seen::{Kind, Seen};

/// All fields of all messages, borrowed: the fastest that serde has to offer. A `Cow` with a default
/// borrows; `Option<Cow>` would allocate.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Flat<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    token: Cow<'a, str>,
    #[serde(borrow)]
    client_id: Cow<'a, str>,
    #[serde(borrow)]
    text: Cow<'a, str>,
    #[serde(borrow)]
    sender: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    agent: Cow<'a, str>,
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow)]
    pr: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
}

impl Flat<'_> {
    #[inline]
    pub(crate) fn show(&self, seen: &mut impl Seen) {
        match &*self.r#type {
            "session-init" => seen.see(Kind::SessionInit, &self.token, &self.client_id),
            "chat" | "chat-message" => seen.see(Kind::Chat, &self.text, &self.sender),
            "status-update" => seen.see(Kind::StatusUpdate, &self.status, &self.agent),
            "pr-notification" => {
                std::hint::black_box(self.pr);
                seen.see(Kind::PrNotification, &self.action, "");
            }
            "player-joined" => seen.see(Kind::PlayerJoined, &self.id, &self.name),
            "player-left" => seen.see(Kind::PlayerLeft, &self.id, &self.name),
            _ => seen.see(Kind::Unhandled, "", ""),
        }
    }
}

/// What people write.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(super) enum Tagged {
    SessionInit {
        token: String,
        client_id: Option<String>,
    },
    #[serde(alias = "chat-message")]
    Chat {
        text: String,
        sender: Option<String>,
    },
    StatusUpdate {
        status: String,
        agent: Option<String>,
    },
    PrNotification {
        action: String,
        pr: PullRequest,
    },
    PlayerJoined {
        id: String,
        name: Option<String>,
    },
    PlayerLeft {
        id: String,
        name: Option<String>,
    },
    #[serde(other)]
    Unhandled,
}

#[derive(Deserialize)]
pub(super) struct PullRequest {
    number: u64,
    title: String,
}

impl Tagged {
    #[inline]
    pub(super) fn show(&self, seen: &mut impl Seen) {
        match self {
            Tagged::SessionInit { token, client_id } => {
                seen.see(Kind::SessionInit, token, client_id.as_deref().unwrap_or_default());
            }
            Tagged::Chat { text, sender } => {
                seen.see(Kind::Chat, text, sender.as_deref().unwrap_or_default());
            }
            Tagged::StatusUpdate { status, agent } => {
                seen.see(Kind::StatusUpdate, status, agent.as_deref().unwrap_or_default());
            }
            Tagged::PrNotification { action, pr } => {
                std::hint::black_box((pr.number, &pr.title));
                seen.see(Kind::PrNotification, action, "");
            }
            Tagged::PlayerJoined { id, name } => {
                seen.see(Kind::PlayerJoined, id, name.as_deref().unwrap_or_default());
            }
            Tagged::PlayerLeft { id, name } => {
                seen.see(Kind::PlayerLeft, id, name.as_deref().unwrap_or_default());
            }
            Tagged::Unhandled => seen.see(Kind::Unhandled, "", ""),
        }
    }
}
