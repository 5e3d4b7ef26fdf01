//! What the application is to know next.

use std::collections::VecDeque;

use hermes_proto::{Action, Actions, Event, Transmit};

use crate::MemberId;
use crate::driver::release;

/// The events of all clients, in the order in which they came.
///
/// They stay the actions that they were, so that those of a read come here all at once: an event
/// that is taken from one queue and put into another is a good part of what it costs to receive it.
#[derive(Default)]
pub(crate) struct Events {
    /// Nothing but [`Action::Emit`].
    queue: Actions<Transmit>,
    /// Whose they are: so many in a row.
    whose: VecDeque<(MemberId, usize)>,
}

impl Events {
    /// Takes all events of `from`, in which there is nothing else, and leaves it empty.
    pub(crate) fn append(&mut self, whose: MemberId, from: &mut Actions<Transmit>) {
        match self.whose.back_mut() {
            _ if from.is_empty() => return,
            Some((last, events)) if *last == whose => *events += from.len(),
            _ => self.whose.push_back((whose, from.len())),
        }
        if self.queue.is_empty() {
            std::mem::swap(&mut self.queue, from);
        } else {
            self.queue.append(from);
        }
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(MemberId, Event)> {
        let (whose, left) = self.whose.front_mut()?;
        let whose = *whose;
        *left -= 1;
        if *left == 0 {
            self.whose.pop_front();
        }
        match self.queue.pop_front() {
            Some(Action::Emit(event)) => Some((whose, event)),
            _ => unreachable!("there are as many events as are somebody's"),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.whose.is_empty()
    }

    /// Forgets what would be told of this one.
    pub(crate) fn forget(&mut self, who: MemberId) {
        let mut whose = self.whose.iter().flat_map(|&(id, events)| std::iter::repeat_n(id, events));
        self.queue.retain(|_| whose.next() != Some(who));
        self.whose.retain(|(id, _)| *id != who);
    }

    /// Gives memory back that is in use no more.
    pub(crate) fn release(&mut self) {
        release(&mut self.queue);
        release(&mut self.whose);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(index: usize) -> MemberId {
        MemberId::new(index, 0).expect("it is small")
    }

    /// Has them append what they say.
    fn append(events: &mut Events, whose: usize, texts: &[&'static str]) {
        let event = |&text: &&'static str| Action::Emit(Event::Warning { text: text.into() });
        let mut from: Actions<Transmit> = texts.iter().map(event).collect();
        events.append(who(whose), &mut from);
        assert!(from.is_empty());
    }

    fn all(mut events: Events) -> Vec<(usize, String)> {
        let mut all = Vec::new();
        while !events.is_empty() {
            assert_ne!(events.len(), 0);
            match events.pop() {
                Some((whose, Event::Warning { text })) => {
                    all.push((whose.index(), text.to_string()));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((events.len(), events.pop()), (0, None));
        all
    }

    fn pairs(pairs: &[(usize, &str)]) -> Vec<(usize, String)> {
        pairs.iter().map(|&(whose, text)| (whose, text.to_owned())).collect()
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
        let said = [(1, "a"), (1, "b"), (1, "c"), (2, "d"), (2, "e"), (1, "f")];
        assert_eq!(all(events), pairs(&said));
    }

    #[test]
    fn some_are_taken_between() {
        let mut events = Events::default();
        append(&mut events, 1, &["a", "b"]);
        assert!(matches!(events.pop(), Some((whose, _)) if whose == who(1)));
        append(&mut events, 1, &["c"]);
        append(&mut events, 2, &["d"]);
        assert_eq!(all(events), pairs(&[(1, "b"), (1, "c"), (2, "d")]));
    }

    /// And the others' stay theirs.
    #[test]
    fn who_is_gone_is_forgotten() {
        let mut events = Events::default();
        append(&mut events, 1, &["a", "b", "c"]);
        append(&mut events, 2, &["d"]);
        append(&mut events, 1, &["e"]);
        append(&mut events, 3, &["f"]);
        assert!(events.pop().is_some());
        events.forget(who(1));
        assert_eq!(events.len(), 2);
        append(&mut events, 2, &["g"]);
        assert_eq!(all(events), pairs(&[(2, "d"), (3, "f"), (2, "g")]));
    }
}
