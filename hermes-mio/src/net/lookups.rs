//! A loop's lookups of names: questions to the process's pool, and who waits for which answer.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::driver::member_id::MemberId;
use crate::driver::notify::Notifier;
use crate::net::lookup_pool::{self, Answer, Ticket};
use crate::net::resolve::{Host, Resolver};

/// A loop's lookups that wait for their answer, one for each host and resolver at most.
///
/// A lookup outlives the attempt that asked for it, until its clients are removed: their next
/// attempt at the same host takes the answer, and a slow name server gets each question once at a
/// time.
pub(crate) struct Lookups {
    /// Names this loop among those of the process.
    owner: u64,
    /// Lookups of the process that may run at a time before those of this loop wait.
    limit: usize,
    pending: Vec<Pending>,
}

struct Pending {
    host: Host,
    resolver: Resolver,
    ticket: Arc<Ticket>,
    wanted_by: Vec<MemberId>,
}

/// The result of a lookup.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) host: Host,
    pub(crate) addresses: Answer,
    pub(crate) wanted_by: Vec<MemberId>,
}

impl Lookups {
    pub(crate) fn new(limit: usize) -> Self {
        static OWNERS: AtomicU64 = AtomicU64::new(0);
        let owner = OWNERS.fetch_add(1, Ordering::Relaxed);
        Lookups { owner, limit, pending: Vec::new() }
    }

    /// Has a host looked up for a member.
    ///
    /// # Errors
    ///
    /// If the system gives no thread.
    pub(crate) fn want(
        &mut self,
        host: &Host,
        resolver: &Resolver,
        member: MemberId,
        notifier: &Arc<Notifier>,
    ) -> io::Result<()> {
        let same = |pending: &&mut Pending| pending.host == *host && pending.resolver.is(resolver);
        if let Some(pending) = self.pending.iter_mut().find(same) {
            if !pending.wanted_by.contains(&member) {
                pending.wanted_by.push(member);
            }
            return Ok(());
        }
        let ticket = lookup_pool::look_up(host, resolver, self.owner, self.limit, notifier)?;
        let (host, resolver) = (host.clone(), resolver.clone());
        self.pending.push(Pending { host, resolver, ticket, wanted_by: vec![member] });
        Ok(())
    }

    /// A member is gone. Its lookup is called off if no other member wants it.
    pub(crate) fn forget(&mut self, member: MemberId) {
        self.pending.retain_mut(|pending| {
            pending.wanted_by.retain(|other| *other != member);
            !pending.wanted_by.is_empty()
        });
    }

    /// A lookup that has its answer.
    pub(crate) fn poll(&mut self) -> Option<Found> {
        let mut pending = self.pending.iter().enumerate();
        let (index, addresses) =
            pending.find_map(|(index, it)| Some((index, it.ticket.answer.get()?.clone())))?;
        let Pending { host, wanted_by, .. } = self.pending.swap_remove(index);
        Some(Found { host, addresses, wanted_by })
    }
}
