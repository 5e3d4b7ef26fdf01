//! Which of several gateways is next, and where it sends us.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::iter;

use crate::Url;

/// The configured gateways, and the one whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Gateways {
    first: Url,
    others: Vec<Url>,
    /// Which of them all: 0 is the first.
    at: usize,
    /// Those that said that a retry would not help, since the budget was full.
    refused: BTreeSet<usize>,
    /// Where redirects have led to, in the attempt under way.
    redirected: Option<Box<Redirected>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Redirected {
    to: Url,
    /// How many there were.
    count: u32,
}

impl Gateways {
    pub(super) fn new(first: Url, others: Vec<Url>) -> Self {
        Gateways { first, others, at: 0, refused: BTreeSet::new(), redirected: None }
    }

    pub(super) fn current(&self) -> &Url {
        self.redirected.as_ref().map_or(self.configured(), |redirected| &redirected.to)
    }

    /// Whether the current URL is of the origin that was configured.
    pub(super) fn is_at_home(&self) -> bool {
        self.current().origin() == self.configured().origin()
    }

    /// The redirects of the attempt under way.
    pub(super) fn redirects(&self) -> u32 {
        self.redirected.as_ref().map_or(0, |redirected| redirected.count)
    }

    pub(super) fn follow(&mut self, to: Url) {
        self.redirected = Some(Box::new(Redirected { to, count: self.redirects() + 1 }));
    }

    /// Back to what was configured.
    pub(super) fn go_home(&mut self) {
        self.redirected = None;
    }

    /// All may be tried again.
    pub(super) fn forgive(&mut self) {
        self.refused.clear();
    }

    /// Goes to the one of this origin, if there is one.
    pub(super) fn prefer(&mut self, origin: &str) {
        let preferred = self.all().position(|url| url.origin() == origin);
        self.at = preferred.unwrap_or(self.at);
    }

    /// Goes on to the next, past those that refused.
    pub(super) fn rotate(&mut self) {
        let all = self.all().count();
        let next = (1..=all).map(|step| (self.at + step) % all);
        self.at = next.into_iter().find(|at| !self.refused.contains(at)).unwrap_or(self.at);
    }

    /// The current one said that a retry would not help. Whether all did.
    pub(super) fn refuse(&mut self) -> bool {
        self.refused.insert(self.at);
        self.refused.len() == self.all().count()
    }

    fn configured(&self) -> &Url {
        self.all().nth(self.at).unwrap_or(&self.first)
    }

    fn all(&self) -> impl Iterator<Item = &Url> {
        iter::once(&self.first).chain(&self.others)
    }
}
