//! Events that wait for the application.

use std::collections::VecDeque;

use hermes_proto::{Action, Actions, Event, Transmit};

use super::member_id::MemberId;

/// Capacity that an empty queue may keep.
const SPARE: usize = 1_024;

/// The events of all clients, in the order in which they came.
///
/// They stay the actions that they were, so that a read's events are moved here as one queue:
/// moving them one by one is a good part of what receiving an event costs.
#[derive(Default)]
pub(crate) struct Events {
    /// Nothing but [`Action::Emit`].
    queue: Actions<Transmit>,
    /// Runs of consecutive events of one client: the client, and how many are left.
    runs: VecDeque<(MemberId, usize)>,
    /// Number of events in the queue, and held, by the client's index.
    waiting: Vec<u32>,
}

impl Events {
    /// Takes all of `from`, which holds nothing but events of `member`, and leaves it empty.
    pub(crate) fn append(&mut self, member: MemberId, from: &mut Actions<Transmit>) {
        if from.is_empty() {
            return;
        }
        match self.runs.back_mut() {
            Some((last, events)) if *last == member => *events += from.len(),
            _ => self.runs.push_back((member, from.len())),
        }
        if self.waiting.len() <= member.index() {
            self.waiting.resize(member.index() + 1, 0);
        }
        let waiting = &mut self.waiting[member.index()];
        *waiting = waiting.saturating_add(u32::try_from(from.len()).unwrap_or(u32::MAX));
        if self.queue.is_empty() {
            std::mem::swap(&mut self.queue, from);
        } else {
            self.queue.append(from);
        }
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(MemberId, Event)> {
        let (member, event) = self.take()?;
        if let Some(waiting) = self.waiting.get_mut(member.index()) {
            *waiting = waiting.saturating_sub(1);
        }
        Some((member, event))
    }

    /// As [`pop`](Self::pop), but the event counts as waiting until it is
    /// [released](Self::release): it waits elsewhere.
    #[cfg(feature = "async")]
    pub(crate) fn hold(&mut self) -> Option<(MemberId, Event)> {
        self.take()
    }

    /// The application took this number of a client's held events.
    #[cfg(feature = "async")]
    pub(crate) fn release(&mut self, member: MemberId, events: usize) {
        if let Some(waiting) = self.waiting.get_mut(member.index()) {
            *waiting = waiting.saturating_sub(u32::try_from(events).unwrap_or(u32::MAX));
        }
    }

    #[inline]
    fn take(&mut self) -> Option<(MemberId, Event)> {
        let (member, left) = self.runs.front_mut()?;
        let member = *member;
        *left -= 1;
        if *left == 0 {
            self.runs.pop_front();
        }
        match self.queue.pop_front() {
            Some(Action::Emit(event)) => Some((member, event)),
            _ => unreachable!("the runs count the queue's events, and nothing else is in it"),
        }
    }

    /// The number of events in the queue.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// The number of events of one client.
    pub(crate) fn waiting(&self, member: MemberId) -> usize {
        self.waiting.get(member.index()).map_or(0, |waiting| *waiting as usize)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Drops the events of a client.
    pub(crate) fn forget(&mut self, member: MemberId) {
        let mut of = self.runs.iter().flat_map(|&(id, events)| std::iter::repeat_n(id, events));
        self.queue.retain(|_| of.next() != Some(member));
        self.runs.retain(|(id, _)| *id != member);
        if let Some(waiting) = self.waiting.get_mut(member.index()) {
            *waiting = 0;
        }
    }

    /// Gives back the memory of a burst.
    pub(crate) fn shrink(&mut self) {
        shrink(&mut self.queue);
        shrink(&mut self.runs);
    }
}

/// Gives back the memory of an empty queue that has much of it.
pub(crate) fn shrink<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() && queue.capacity() > SPARE {
        *queue = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(index: usize) -> MemberId {
        MemberId::new(index).expect("it is small")
    }

    /// Appends a warning with each of these texts.
    fn append(events: &mut Events, member: usize, texts: &[&'static str]) {
        let event = |&text: &&'static str| Action::Emit(Event::Warning { text: text.into() });
        let mut from: Actions<Transmit> = texts.iter().map(event).collect();
        events.append(id(member), &mut from);
        assert!(from.is_empty());
    }

    fn all(mut events: Events) -> Vec<(usize, String)> {
        let mut all = Vec::new();
        while !events.is_empty() {
            assert_ne!(events.len(), 0);
            match events.pop() {
                Some((member, Event::Warning { text })) => {
                    all.push((member.index(), text.to_string()));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((events.len(), events.pop()), (0, None));
        all
    }

    fn pairs(pairs: &[(usize, &str)]) -> Vec<(usize, String)> {
        pairs.iter().map(|&(member, text)| (member, text.to_owned())).collect()
    }

    #[test]
    fn in_the_order_in_which_they_came() {
        let mut events = Events::default();
        append(&mut events, 1, &["a", "b"]);
        append(&mut events, 2, &[]);
        append(&mut events, 1, &["c"]);
        append(&mut events, 2, &["d", "e"]);
        append(&mut events, 1, &["f"]);
        assert_eq!(events.len(), 6);
        assert_eq!([1, 2, 3].map(|index| events.waiting(id(index))), [4, 2, 0]);
        let expected = [(1, "a"), (1, "b"), (1, "c"), (2, "d"), (2, "e"), (1, "f")];
        assert_eq!(all(events), pairs(&expected));
    }

    #[test]
    fn some_are_taken_between() {
        let mut events = Events::default();
        append(&mut events, 1, &["a", "b"]);
        assert!(matches!(events.pop(), Some((member, _)) if member == id(1)));
        append(&mut events, 1, &["c"]);
        append(&mut events, 2, &["d"]);
        assert_eq!(all(events), pairs(&[(1, "b"), (1, "c"), (2, "d")]));
    }

    #[test]
    fn a_removed_client_is_forgotten_and_the_others_keep_their_events() {
        let mut events = Events::default();
        append(&mut events, 1, &["a", "b", "c"]);
        append(&mut events, 2, &["d"]);
        append(&mut events, 1, &["e"]);
        append(&mut events, 3, &["f"]);
        assert!(events.pop().is_some());
        events.forget(id(1));
        assert_eq!(events.len(), 2);
        assert_eq!([1, 2, 3].map(|index| events.waiting(id(index))), [0, 1, 1]);
        append(&mut events, 2, &["g"]);
        assert_eq!(all(events), pairs(&[(2, "d"), (3, "f"), (2, "g")]));
    }
}
