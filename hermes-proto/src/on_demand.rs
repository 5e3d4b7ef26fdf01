//! What most clients do without.

use alloc::boxed::Box;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::{Deref, DerefMut};

/// A value that takes a pointer's room for as long as it is empty, and memory of its own from then
/// on. Whether it has that is no part of its state.
#[derive(Clone)]
pub(crate) struct OnDemand<T>(Option<Box<T>>);

/// What can be empty.
pub(crate) trait Empty: Clone + PartialEq + 'static {
    const EMPTY: &'static Self;
}

impl<T: Empty> OnDemand<T> {
    /// What there is, if there may be anything in it: to change what is there, and add nothing.
    #[inline]
    pub(crate) fn get_mut(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }

    /// Whether there was anything in it lately.
    #[cfg(feature = "ws")]
    pub(crate) fn has_memory(&self) -> bool {
        self.0.is_some()
    }

    /// Gives the memory back where nothing is in it.
    pub(crate) fn release(&mut self) {
        self.0.take_if(|value| **value == *T::EMPTY);
    }
}

impl<T> Default for OnDemand<T> {
    fn default() -> Self {
        OnDemand(None)
    }
}

impl<T: Empty> Deref for OnDemand<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::EMPTY)
    }
}

/// To look without changing anything, [`Deref`] is cheaper.
impl<T: Empty> DerefMut for OnDemand<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_with(fresh)
    }
}

#[cold]
fn fresh<T: Empty>() -> Box<T> {
    Box::new(T::EMPTY.clone())
}

impl<T: Empty> PartialEq for OnDemand<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Empty + Eq> Eq for OnDemand<T> {}

impl<T: Empty + Hash> Hash for OnDemand<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<T: Empty + fmt::Debug> fmt::Debug for OnDemand<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    impl Empty for u32 {
        const EMPTY: &'static Self = &0;
    }

    #[test]
    fn it_has_memory_while_it_is_not_empty() {
        let mut number = OnDemand::<u32>::default();
        assert_eq!(size_of_val(&number), size_of::<usize>());
        assert!(*number == 0 && number.get_mut().is_none());
        *number += 1;
        assert_eq!(number.get_mut(), Some(&mut 1));
        number.release();
        assert!(*number == 1 && number.clone() == number && number != OnDemand::default());
        *number -= 1;
        assert!(number.0.is_some() && number == OnDemand::default());
        number.release();
        assert!(number.0.is_none());
        assert_eq!(format!("{number:?}"), "0");
    }
}
