//! A transport in memory.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a socket is to a contender: some bytes a read, until there are none for now. A read copies
/// them, as the operating system does.
#[derive(Clone)]
pub struct Link {
    size: usize,
    left: Rc<Cell<&'static [u8]>>,
    written: Rc<RefCell<Vec<u8>>>,
}

impl Link {
    /// One that gives `size` bytes a read at most.
    pub fn new(size: usize) -> Self {
        Link { size, left: Rc::default(), written: Rc::default() }
    }

    /// What there is to be read.
    pub fn fill(&self, bytes: &'static [u8]) {
        self.left.set(bytes);
    }

    /// Does something with what was written, and forgets it.
    pub fn take<T>(&self, what: impl FnOnce(&[u8]) -> T) -> T {
        let mut written = self.written.borrow_mut();
        let result = what(&written);
        written.clear();
        result
    }
}

impl Read for Link {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let (now, later) = left.split_at(self.size.min(buffer.len()).min(left.len()));
        buffer[..now.len()].copy_from_slice(now);
        self.left.set(later);
        Ok(now.len())
    }
}

impl Write for Link {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.written.borrow_mut().extend_from_slice(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Link {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.left.get();
        if left.is_empty() {
            return Poll::Pending;
        }
        let (now, later) = left.split_at(self.size.min(buffer.remaining()).min(left.len()));
        buffer.put_slice(now);
        self.left.set(later);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write(buffer))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
