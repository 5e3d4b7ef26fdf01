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
    /// What a client with a single gateway, which does nothing but serve, has no use for.
    more: Option<Box<More>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct More {
    others: Vec<Url>,
    /// Which of them all: 0 is the first.
    at: usize,
    /// Those that said that a retry would not help, since the budget was full.
    refused: BTreeSet<usize>,
    /// Where redirects have led to, in the attempt under way.
    redirected: Option<Redirected>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Redirected {
    to: Url,
    /// How many there were.
    count: u32,
}

impl Gateways {
    pub(super) fn new(first: Url, others: Vec<Url>) -> Self {
        let mut gateways = Gateways { first, more: None };
        gateways.change(|more| more.others = others);
        gateways
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
        self.change(|more| more.redirected = Some(Redirected { to, count }));
    }

    /// Back to what was configured.
    pub(super) fn go_home(&mut self) {
        self.change(|more| more.redirected = None);
    }

    /// All may be tried again.
    pub(super) fn forgive(&mut self) {
        self.change(|more| more.refused.clear());
    }

    /// Goes to the one of this origin, if there is one.
    pub(super) fn prefer(&mut self, origin: &str) {
        let preferred = self.all().position(|url| url.origin() == origin);
        if let Some(at) = preferred {
            self.change(|more| more.at = at);
        }
    }

    /// Goes on to the next, past those that refused.
    pub(super) fn rotate(&mut self) {
        let all = self.all().count();
        self.change(|more| {
            let mut next = (1..=all).map(|step| (more.at + step) % all);
            more.at = next.find(|at| !more.refused.contains(at)).unwrap_or(more.at);
        });
    }

    /// The current one said that a retry would not help. Whether all did.
    pub(super) fn refuse(&mut self) -> bool {
        let all = self.all().count();
        self.change(|more| {
            more.refused.insert(more.at);
            more.refused.len() == all
        })
    }

    fn configured(&self) -> &Url {
        let at = self.more.as_ref().map_or(0, |more| more.at);
        self.all().nth(at).unwrap_or(&self.first)
    }

    fn redirected(&self) -> Option<&Redirected> {
        self.more.as_ref()?.redirected.as_ref()
    }

    fn all(&self) -> impl Iterator<Item = &Url> {
        iter::once(&self.first).chain(self.more.iter().flat_map(|more| &more.others))
    }

    /// There is no more where it would say nothing.
    fn change<T>(&mut self, change: impl FnOnce(&mut More) -> T) -> T {
        let mut more = self.more.take().unwrap_or_default();
        let done = change(&mut more);
        self.more = Some(more).filter(|more| **more != More::default());
        done
    }
}
