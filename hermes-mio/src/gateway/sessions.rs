//! The table of tokens with which clients resume.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The data with which a client resumes. Export these from one gateway and give them to the next
/// ([`GatewayOptions::sessions`](super::GatewayOptions::sessions)) to let sessions survive a
/// restart. In JSON it is `{"token":…,"clientId":…}`; in `Debug` output its token is redacted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredSession {
    /// The secret with which the client resumes.
    pub token: String,
    /// The client's id, which the others see.
    pub client_id: String,
}

impl fmt::Debug for StoredSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredSession")
            .field("token", &"<redacted>")
            .field("client_id", &self.client_id)
            .finish()
    }
}

/// A session as the connection that holds it sees it.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) token: Arc<str>,
    pub(super) client_id: Arc<str>,
}

/// Every session that can be resumed.
pub(super) struct Sessions {
    by_token: BTreeMap<Arc<str>, Arc<str>>,
    issued: u64,
    seed: u64,
}

impl Sessions {
    pub(super) fn new(known: Vec<StoredSession>, seed: Option<u64>) -> Self {
        // New clients are numbered on from the known ones, lest two share a name.
        let number = |session: &StoredSession| session.client_id.strip_prefix(CLIENT)?.parse().ok();
        let issued = known.iter().filter_map(number).max().unwrap_or(0);
        let by_token = known.into_iter().map(|s| (s.token.into(), s.client_id.into())).collect();
        // Differs from run to run, which is all that is asked of it.
        let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(issued));
        Sessions { by_token, issued, seed }
    }

    pub(super) fn issue(&mut self) -> Identity {
        self.issued = self.issued.wrapping_add(1);
        let high = scramble(self.seed ^ scramble(self.issued));
        let token: Arc<str> = format!("{high:016x}{:016x}", scramble(high)).into();
        let client_id: Arc<str> = format!("{CLIENT}{}", self.issued).into();
        self.by_token.insert(Arc::clone(&token), Arc::clone(&client_id));
        Identity { token, client_id }
    }

    pub(super) fn find(&self, token: &str) -> Option<Identity> {
        let (token, client_id) = self.by_token.get_key_value(token)?;
        Some(Identity { token: Arc::clone(token), client_id: Arc::clone(client_id) })
    }

    pub(super) fn forget(&mut self, token: &str) {
        self.by_token.remove(token);
    }

    pub(super) fn export(&self) -> Vec<StoredSession> {
        let session = |(token, client_id): (&Arc<str>, &Arc<str>)| StoredSession {
            token: token.as_ref().to_owned(),
            client_id: client_id.as_ref().to_owned(),
        };
        self.by_token.iter().map(session).collect()
    }
}

const CLIENT: &str = "client-";

/// SplitMix64: well mixed and one-to-one, so no two counts share a token.
fn scramble(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}
