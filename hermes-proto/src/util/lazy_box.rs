//! A box that most clients never allocate.

use alloc::boxed::Box;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::{Deref, DerefMut};

/// A value that is allocated when it first differs from its default. Until then it takes the room
/// of a pointer, and reads as the default.
///
/// Equality, hash and `Debug` are those of the value: whether it is allocated is no part of it.
#[derive(Clone)]
pub(crate) struct LazyBox<T>(Option<Box<T>>);

/// A default that is a constant, so that a reference to it costs nothing.
pub(crate) trait ConstDefault: Clone + PartialEq + 'static {
    const DEFAULT: &'static Self;
}

impl<T: ConstDefault> LazyBox<T> {
    /// The value, if it is allocated: for changes that do nothing to a default value.
    #[inline]
    pub(crate) fn get_mut(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }

    /// Whether the value is allocated; it may equal its default all the same.
    #[cfg(feature = "ws")]
    pub(crate) fn has_memory(&self) -> bool {
        self.0.is_some()
    }

    /// Frees the memory of a value that equals its default.
    pub(crate) fn release(&mut self) {
        self.0.take_if(|value| **value == *T::DEFAULT);
    }
}

impl<T> Default for LazyBox<T> {
    fn default() -> Self {
        LazyBox(None)
    }
}

impl<T: ConstDefault> Deref for LazyBox<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::DEFAULT)
    }
}

/// Allocates. To look without changing anything, [`Deref`] is cheaper.
impl<T: ConstDefault> DerefMut for LazyBox<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_with(allocate)
    }
}

#[cold]
fn allocate<T: ConstDefault>() -> Box<T> {
    Box::new(T::DEFAULT.clone())
}

impl<T: ConstDefault> PartialEq for LazyBox<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: ConstDefault + Eq> Eq for LazyBox<T> {}

impl<T: ConstDefault + Hash> Hash for LazyBox<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<T: ConstDefault + fmt::Debug> fmt::Debug for LazyBox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    impl ConstDefault for u32 {
        const DEFAULT: &'static Self = &0;
    }

    #[test]
    fn it_is_allocated_while_it_differs_from_its_default() {
        let mut number = LazyBox::<u32>::default();
        assert_eq!(size_of_val(&number), size_of::<usize>());
        assert!(*number == 0 && number.get_mut().is_none());
        *number += 1;
        assert_eq!(number.get_mut(), Some(&mut 1));
        number.release();
        assert!(*number == 1 && number.clone() == number && number != LazyBox::default());
        *number -= 1;
        assert!(number.0.is_some() && number == LazyBox::default());
        number.release();
        assert!(number.0.is_none());
        assert_eq!(format!("{number:?}"), "0");
    }
}
