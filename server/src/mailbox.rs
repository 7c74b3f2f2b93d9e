//! Messages between threads: the only thing mutable that they share.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rim_driver::Waker;

/// Where one thread finds what others have sent it.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    messages: Mutex<Vec<T>>,
    /// Ends the wait of the thread that reads; there once it has a driver.
    waker: OnceLock<Mutex<Waker>>,
}

impl<T> Mailbox<T> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { messages: Mutex::new(Vec::new()), waker: OnceLock::new() })
    }

    /// Sets whom to wake from now on. What was sent before is there without a wake-up.
    pub(crate) fn set_waker(&self, waker: Waker) {
        let place = self.waker.get_or_init(|| Mutex::new(waker.clone()));
        *place.lock().unwrap_or_else(PoisonError::into_inner) = waker;
    }

    /// Sends a message.
    pub(crate) fn send(&self, message: T) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let was_empty = messages.is_empty();
        messages.push(message);
        drop(messages);
        // Whoever found it empty wakes the reader, which takes all messages at once.
        if was_empty && let Some(waker) = self.waker.get() {
            waker.lock().unwrap_or_else(PoisonError::into_inner).wake();
        }
    }

    /// Takes all messages.
    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
