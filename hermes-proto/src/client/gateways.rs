//! Which of several gateways is next.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::Url;

/// The configured gateways, and the one whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Gateways {
    /// At least one.
    urls: Vec<Url>,
    at: usize,
    /// Those that said that a retry would not help, since the budget was full.
    refused: BTreeSet<usize>,
}

impl Gateways {
    /// `urls` has at least one.
    pub(super) fn new(urls: Vec<Url>) -> Self {
        Gateways { urls, at: 0, refused: BTreeSet::new() }
    }

    pub(super) fn current(&self) -> &Url {
        &self.urls[self.at]
    }

    /// All may be tried again.
    pub(super) fn forgive(&mut self) {
        self.refused.clear();
    }

    /// Goes to the one of this origin, if there is one.
    pub(super) fn prefer(&mut self, origin: &str) {
        if let Some(at) = self.urls.iter().position(|url| url.origin() == origin) {
            self.at = at;
        }
    }

    /// Goes on to the next, past those that refused.
    pub(super) fn rotate(&mut self) {
        let all = self.urls.len();
        let next = (1..=all).map(|step| (self.at + step) % all);
        self.at = next.into_iter().find(|at| !self.refused.contains(at)).unwrap_or(self.at);
    }

    /// The current one said that a retry would not help. Whether all did.
    pub(super) fn refuse(&mut self) -> bool {
        self.refused.insert(self.at);
        self.refused.len() == self.urls.len()
    }
}
