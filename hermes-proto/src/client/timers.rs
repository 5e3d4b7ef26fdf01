//! The host's one timer.

use super::output::Output;
use crate::{Action, Timestamp};

/// What the host's timer is set to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Timer(Option<Timestamp>);

impl Timer {
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.0
    }

    #[cfg(feature = "testkit")]
    pub(super) fn due_mut(&mut self) -> Option<&mut Timestamp> {
        self.0.as_mut()
    }

    /// The host's timer fired, whether or not anything is due: it is set to nothing.
    pub(super) fn fired(&mut self) {
        self.0 = None;
    }

    /// Sets the host's timer, if it is set to another time.
    #[inline]
    pub(super) fn arm(&mut self, due: Option<Timestamp>, out: &mut impl Output) {
        if self.0 != due {
            self.rearm(due, out);
        }
    }

    #[cold]
    fn rearm(&mut self, due: Option<Timestamp>, out: &mut impl Output) {
        self.0 = due;
        out.push(Action::ArmTimer(due));
    }
}

/// The earlier of two deadlines; `None` is never. (Spelled out, since the compiler sees through it:
/// each message that is sent asks for it.)
#[inline]
pub(super) fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Actions;

    #[test]
    fn the_timer_is_set_when_its_time_changes() {
        let at = |ms| Some(Timestamp::from_millis(ms));
        let (mut timer, mut out) = (Timer::default(), Actions::new());
        timer.arm(None, &mut out);
        assert!(out.is_empty());
        timer.arm(at(5), &mut out);
        timer.arm(at(5), &mut out);
        assert_eq!((timer.due(), out.len()), (at(5), 1));
        timer.fired();
        timer.arm(at(5), &mut out);
        timer.arm(None, &mut out);
        let armed = [at(5), at(5), None].map(Action::ArmTimer);
        assert!(out.into_iter().eq(armed));
    }

    #[test]
    fn never_is_later_than_any_time() {
        let (one, two) = (Some(Timestamp::from_millis(1)), Some(Timestamp::from_millis(2)));
        assert_eq!((earliest(one, two), earliest(two, one)), (one, one));
        assert_eq!((earliest(one, None), earliest(None, one)), (one, one));
        assert_eq!(earliest(None, None), None);
    }
}
