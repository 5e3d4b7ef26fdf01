//! The gateway whose turn it is, and where it redirects to.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::iter;
use core::time::Duration;

use crate::util::lazy_box::{ConstDefault, LazyBox};
use crate::{Timestamp, Url};

/// The configured gateways, and the one whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Gateways {
    first: Url,
    /// State that a single gateway without redirects and refusals needs none of.
    fallbacks: LazyBox<Fallbacks>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Fallbacks {
    others: Vec<Url>,
    /// Index of the one whose turn it is, among all; `first` is 0.
    at: usize,
    /// Indices of those that refused fatally since the last stable connection or `connect`.
    refused: BTreeSet<usize>,
    /// Until when a gateway wishes to be left alone, by index.
    wishes: BTreeMap<usize, Timestamp>,
    /// Where redirects of the attempt under way have led to.
    redirected: Option<Redirected>,
}

impl ConstDefault for Fallbacks {
    const DEFAULT: &'static Self = &Fallbacks {
        others: Vec::new(),
        at: 0,
        refused: BTreeSet::new(),
        wishes: BTreeMap::new(),
        redirected: None,
    };
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Redirected {
    to: Url,
    /// Redirects that were followed.
    count: u32,
}

impl Gateways {
    pub(super) fn new(first: Url, others: Vec<Url>) -> Self {
        let mut fallbacks = LazyBox::<Fallbacks>::default();
        if !others.is_empty() {
            fallbacks.others = others;
        }
        Gateways { first, fallbacks }
    }

    /// The first configured URL.
    pub(super) fn first(&self) -> &Url {
        &self.first
    }

    pub(super) fn current(&self) -> &Url {
        self.redirected().map_or(self.configured(), |redirected| &redirected.to)
    }

    /// Whether the current URL has the origin that was configured.
    pub(super) fn is_configured_origin(&self) -> bool {
        self.current().origin() == self.configured().origin()
    }

    /// Whether this is a fallback without TLS, and the first gateway has it.
    pub(super) fn is_plaintext_fallback(&self) -> bool {
        self.first.is_secure() && !self.configured().is_secure()
    }

    /// The redirects of the attempt under way.
    pub(super) fn redirects(&self) -> u32 {
        self.redirected().map_or(0, |redirected| redirected.count)
    }

    pub(super) fn redirect_to(&mut self, to: Url) {
        let count = self.redirects() + 1;
        self.fallbacks.redirected = Some(Redirected { to, count });
    }

    /// The next attempt begins with the configured URL.
    pub(super) fn clear_redirect(&mut self) {
        if self.fallbacks.redirected.is_some() {
            self.fallbacks.redirected = None;
            self.fallbacks.release();
        }
    }

    /// Gateways that refused may be tried again.
    pub(super) fn clear_refused(&mut self) {
        if !self.fallbacks.refused.is_empty() {
            self.fallbacks.refused.clear();
            self.fallbacks.release();
        }
    }

    /// Selects the gateway with this origin, if there is one.
    pub(super) fn select_origin(&mut self, origin: &str) {
        let preferred = self.all().position(|url| url.origin() == origin);
        self.select(preferred.unwrap_or(self.fallbacks.at));
    }

    /// Takes note of the wish with which the current gateway ended a connection, in place of its wish
    /// before.
    pub(super) fn note_wish(&mut self, until: Option<Timestamp>) {
        let at = self.fallbacks.at;
        match until {
            Some(until) => _ = self.fallbacks.wishes.insert(at, until),
            None if self.fallbacks.wishes.is_empty() => {}
            None => {
                self.fallbacks.wishes.remove(&at);
                self.fallbacks.release();
            }
        }
    }

    /// Until when the current gateway wishes to be left alone.
    pub(super) fn wish(&self) -> Option<Timestamp> {
        self.fallbacks.wishes.get(&self.fallbacks.at).copied()
    }

    /// Goes on to the next gateway that has not refused, and wishes for no wait. If all wish for one,
    /// the shortest wait counts.
    pub(super) fn rotate(&mut self, now: Timestamp) {
        let all = self.all().count();
        let Fallbacks { at, refused, wishes, .. } = &*self.fallbacks;
        let wait = |at: &usize| wishes.get(at).map_or(Duration::ZERO, |until| *until - now);
        let others = (1..=all).map(|step| (at + step) % all);
        let next = others.filter(|at| !refused.contains(at)).min_by_key(wait);
        self.select(next.unwrap_or(self.fallbacks.at));
    }

    /// The current gateway refused fatally. Returns whether all have.
    pub(super) fn mark_refused(&mut self) -> bool {
        let at = self.fallbacks.at;
        self.fallbacks.refused.insert(at);
        self.fallbacks.refused.len() == self.all().count()
    }

    /// For the canonical form: a wish that has passed is none.
    #[cfg(feature = "testkit")]
    pub(super) fn shift_time(&mut self, now: Timestamp, ahead: impl Fn(&mut Timestamp)) {
        if !self.fallbacks.wishes.is_empty() {
            self.fallbacks.wishes.retain(|_, until| *until > now);
            self.fallbacks.wishes.values_mut().for_each(ahead);
            self.fallbacks.release();
        }
    }

    fn select(&mut self, at: usize) {
        if at != self.fallbacks.at {
            self.fallbacks.at = at;
        }
    }

    fn configured(&self) -> &Url {
        self.all().nth(self.fallbacks.at).unwrap_or(&self.first)
    }

    fn redirected(&self) -> Option<&Redirected> {
        self.fallbacks.redirected.as_ref()
    }

    fn all(&self) -> impl Iterator<Item = &Url> {
        iter::once(&self.first).chain(&self.fallbacks.others)
    }
}
