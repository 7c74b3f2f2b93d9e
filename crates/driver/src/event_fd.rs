//! eventfd(2): a number that one thread adds to and another waits for.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, write};

/// An eventfd.
#[derive(Debug)]
pub(crate) struct EventFd(OwnedFd);

impl EventFd {
    /// Blocking, so that a read of it through a ring waits instead of failing.
    pub(crate) fn new() -> rustix::io::Result<Self> {
        eventfd(0, EventfdFlags::CLOEXEC).map(Self)
    }

    /// Makes the descriptor readable.
    pub(crate) fn signal(&self) {
        // It fails only if the count would overflow, and then the descriptor is readable already.
        let _ = write(&self.0, &1u64.to_ne_bytes());
    }

    /// Makes it unreadable again; only to be called when it is readable.
    pub(crate) fn clear(&self) {
        let mut count = [0; 8];
        let _ = read(&self.0, &mut count);
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
