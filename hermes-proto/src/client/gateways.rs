//! Which of several gateways is next, and where it sends us.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::iter;

use crate::Url;
use crate::util::lazy_box::{ConstDefault, LazyBox};

/// The configured gateways, and the one whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Gateways {
    first: Url,
    /// What a client with a single gateway, which does nothing but serve, has no use for.
    more: LazyBox<More>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct More {
    others: Vec<Url>,
    /// Which of them all: 0 is the first.
    at: usize,
    /// Those that said that a retry would not help, since the budget was full.
    refused: BTreeSet<usize>,
    /// Where redirects have led to, in the attempt under way.
    redirected: Option<Redirected>,
}

impl ConstDefault for More {
    const DEFAULT: &'static Self =
        &More { others: Vec::new(), at: 0, refused: BTreeSet::new(), redirected: None };
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Redirected {
    to: Url,
    /// How many there were.
    count: u32,
}

impl Gateways {
    pub(super) fn new(first: Url, others: Vec<Url>) -> Self {
        let mut more = LazyBox::<More>::default();
        if !others.is_empty() {
            more.others = others;
        }
        Gateways { first, more }
    }

    pub(super) fn current(&self) -> &Url {
        self.redirected().map_or(self.configured(), |redirected| &redirected.to)
    }

    /// Whether the current URL is of the origin that was configured.
    pub(super) fn is_at_home(&self) -> bool {
        self.current().origin() == self.configured().origin()
    }

    /// The redirects of the attempt under way.
    pub(super) fn redirects(&self) -> u32 {
        self.redirected().map_or(0, |redirected| redirected.count)
    }

    pub(super) fn follow(&mut self, to: Url) {
        let count = self.redirects() + 1;
        self.more.redirected = Some(Redirected { to, count });
    }

    /// Back to what was configured.
    pub(super) fn go_home(&mut self) {
        if self.more.redirected.is_some() {
            self.more.redirected = None;
            self.more.release();
        }
    }

    /// All may be tried again.
    pub(super) fn forgive(&mut self) {
        if !self.more.refused.is_empty() {
            self.more.refused.clear();
            self.more.release();
        }
    }

    /// Goes to the one of this origin, if there is one.
    pub(super) fn prefer(&mut self, origin: &str) {
        let preferred = self.all().position(|url| url.origin() == origin);
        self.go(preferred.unwrap_or(self.more.at));
    }

    /// Goes on to the next, past those that refused.
    pub(super) fn rotate(&mut self) {
        let all = self.all().count();
        let mut next = (1..=all).map(|step| (self.more.at + step) % all);
        let next = next.find(|at| !self.more.refused.contains(at));
        self.go(next.unwrap_or(self.more.at));
    }

    /// The current one said that a retry would not help. Whether all did.
    pub(super) fn refuse(&mut self) -> bool {
        let at = self.more.at;
        self.more.refused.insert(at);
        self.more.refused.len() == self.all().count()
    }

    fn go(&mut self, at: usize) {
        if at != self.more.at {
            self.more.at = at;
        }
    }

    fn configured(&self) -> &Url {
        self.all().nth(self.more.at).unwrap_or(&self.first)
    }

    fn redirected(&self) -> Option<&Redirected> {
        self.more.redirected.as_ref()
    }

    fn all(&self) -> impl Iterator<Item = &Url> {
        iter::once(&self.first).chain(&self.more.others)
    }
}
