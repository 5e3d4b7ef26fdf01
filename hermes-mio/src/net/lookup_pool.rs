//! The process's threads for lookups of names: `getaddrinfo` blocks as long as it likes, and can't be
//! called off, so there is a bound on how many run.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;

use crate::driver::notify::Notifier;
use crate::net::resolve::{Host, Resolver};

/// The addresses of a host: at least one, without duplicates. Or the reason why there are none.
pub(crate) type Answer = Result<Vec<SocketAddr>, String>;

/// A loop's interest in a lookup. Dropping it calls the lookup off if that has not begun, and nobody
/// else is interested.
pub(crate) struct Ticket {
    pub(crate) answer: OnceLock<Answer>,
    notifier: Arc<Notifier>,
}

/// A lookup, and everybody who wants its answer.
struct Lookup {
    /// The loop that asked first.
    owner: u64,
    host: Host,
    resolver: Resolver,
    tickets: Vec<Weak<Ticket>>,
    /// Lookups in the process beside which this one may begin, itself included.
    limit: usize,
}

/// A loop's lookups that have not begun.
struct Queue {
    owner: u64,
    lookups: VecDeque<Lookup>,
}

#[derive(Default)]
struct Pool {
    running: Vec<Lookup>,
    /// Served in turn, so that a loop with many names does not hold up the others. None is empty.
    queues: VecDeque<Queue>,
    threads: usize,
}

static POOL: Mutex<Pool> =
    Mutex::new(Pool { running: Vec::new(), queues: VecDeque::new(), threads: 0 });

/// Has a host looked up, by a lookup that runs or waits already, or by a new one. `owner` is the
/// loop. The notifier wakes it once the ticket has its answer.
///
/// # Errors
///
/// If the system gives no thread, and none is running that could take over.
pub(crate) fn look_up(
    host: &Host,
    resolver: &Resolver,
    owner: u64,
    limit: usize,
    notifier: &Arc<Notifier>,
) -> io::Result<Arc<Ticket>> {
    let ticket = Arc::new(Ticket { answer: OnceLock::new(), notifier: Arc::clone(notifier) });
    let mut pool = lock();
    if let Some(lookup) = pool.find(host, resolver) {
        lookup.tickets.push(Arc::downgrade(&ticket));
        return Ok(ticket);
    }
    tracing::debug!(host = host.name, "resolving");
    let tickets = vec![Arc::downgrade(&ticket)];
    let (host, resolver) = (host.clone(), resolver.clone());
    let lookup = Lookup { owner, host, resolver, tickets, limit };
    pool.queue(lookup);
    if let Some(job) = pool.next(1) {
        pool.threads += 1;
        let spawned = thread::Builder::new().name("hermes-resolve".into()).spawn(move || work(job));
        if let Err(error) = spawned {
            pool.threads -= 1;
            let lookup = pool.running.pop();
            if pool.threads == 0 {
                // The last thread leaves nothing in the queues, so this is the caller's.
                return Err(error);
            }
            // A thread that runs takes it over.
            lookup.into_iter().for_each(|lookup| pool.queue(lookup));
        }
    }
    Ok(ticket)
}

/// A thread's life: a lookup, and those that wait.
fn work((mut host, mut resolver): (Host, Resolver)) {
    loop {
        let answer = ask(&host, &resolver);
        let mut pool = lock();
        let tickets = pool.finish(&host, &resolver);
        let next = pool.next(0);
        if next.is_none() {
            pool.threads -= 1;
        }
        drop(pool);
        for ticket in tickets.iter().filter_map(Weak::upgrade) {
            _ = ticket.answer.set(answer.clone());
            ticket.notifier.wake();
        }
        match next {
            Some(next) => (host, resolver) = next,
            None => return,
        }
    }
}

fn ask(host: &Host, resolver: &Resolver) -> Answer {
    let found = panic::catch_unwind(AssertUnwindSafe(|| resolver.resolve(host)))
        .unwrap_or_else(|_| Err(io::Error::other("the resolver panicked")));
    let mut addresses = found.map_err(|error| error.to_string())?;
    let mut seen = Vec::new();
    addresses.retain(|address| {
        let is_new = !seen.contains(address);
        seen.push(*address);
        is_new
    });
    if addresses.is_empty() { Err("the name has no address".to_owned()) } else { Ok(addresses) }
}

impl Pool {
    fn find(&mut self, host: &Host, resolver: &Resolver) -> Option<&mut Lookup> {
        let queued = self.queues.iter_mut().flat_map(|queue| &mut queue.lookups);
        let mut lookups = self.running.iter_mut().chain(queued);
        lookups.find(|lookup| lookup.is_for(host, resolver))
    }

    fn queue(&mut self, lookup: Lookup) {
        let owner = lookup.owner;
        match self.queues.iter_mut().find(|queue| queue.owner == owner) {
            Some(queue) => queue.lookups.push_back(lookup),
            None => self.queues.push_back(Queue { owner, lookups: [lookup].into() }),
        }
    }

    /// The next lookup for a thread that is idle, or for `more` new ones, if it may begin.
    fn next(&mut self, more: usize) -> Option<(Host, Resolver)> {
        for queue in &mut self.queues {
            queue.lookups.retain(Lookup::is_wanted);
        }
        self.queues.retain(|queue| !queue.lookups.is_empty());
        let threads = self.threads + more;
        let may_begin = |queue: &Queue| queue.lookups.front().is_some_and(|it| threads <= it.limit);
        let mut queue = self.queues.remove(self.queues.iter().position(may_begin)?)?;
        let lookup = queue.lookups.pop_front()?;
        if !queue.lookups.is_empty() {
            self.queues.push_back(queue);
        }
        let job = (lookup.host.clone(), lookup.resolver.clone());
        self.running.push(lookup);
        Some(job)
    }

    fn finish(&mut self, host: &Host, resolver: &Resolver) -> Vec<Weak<Ticket>> {
        let is_it = |lookup: &Lookup| lookup.is_for(host, resolver);
        match self.running.iter().position(is_it) {
            Some(index) => self.running.swap_remove(index).tickets,
            None => Vec::new(),
        }
    }
}

impl Lookup {
    fn is_for(&self, host: &Host, resolver: &Resolver) -> bool {
        self.host == *host && self.resolver.is(resolver)
    }

    fn is_wanted(&self) -> bool {
        self.tickets.iter().any(|ticket| ticket.strong_count() > 0)
    }
}

/// No resolver runs while the lock is held, so a poisoned one is still good.
fn lock() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}
