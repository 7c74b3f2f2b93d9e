//! The driver's side of a [`Waker`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::event_fd::EventFd;
use crate::{Completion, OpKind, Outcome, Owner, Token, Waker};

/// An eventfd that ends the driver's wait, and whether a [`Waker`] was the reason: the pool uses
/// the same one.
pub(crate) struct Wake {
    event: Arc<EventFd>,
    used: Arc<AtomicBool>,
}

impl Wake {
    pub(crate) fn new() -> rustix::io::Result<Self> {
        Ok(Self { event: Arc::new(EventFd::new()?), used: Arc::new(AtomicBool::new(false)) })
    }

    /// What completions carry that nobody submitted.
    pub(crate) fn token() -> Token {
        Token::new(Owner::Control, 0, 0)
    }

    pub(crate) fn event(&self) -> &Arc<EventFd> {
        &self.event
    }

    pub(crate) fn waker(&self) -> Waker {
        let (event, used) = (self.event.clone(), self.used.clone());
        Waker::new(move || {
            // Whoever set it first has signalled, or is about to.
            if !used.swap(true, Ordering::AcqRel) {
                event.signal();
            }
        })
    }

    /// One completion for all uses of a waker since the last one.
    pub(crate) fn take(&self) -> Option<Completion> {
        self.used.swap(false, Ordering::AcqRel).then(|| Completion {
            token: Self::token(),
            kind: OpKind::Wake,
            more: true,
            result: Ok(Outcome::Woken),
        })
    }
}
