//! Figures of a run that goes on, for whoever watches it.

use std::sync::atomic::{AtomicU64, Ordering};

/// What one worker has counted so far. It writes once per turn; others read.
#[derive(Debug, Default)]
#[repr(align(128))] // So that no two workers write to one cache line, or to a pair of them.
pub(crate) struct Live {
    opened: AtomicU64,
    sent: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
}

/// What all workers have counted so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) opened: u64,
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) failed: u64,
}

impl Live {
    /// Makes the figures known.
    #[inline]
    pub(crate) fn publish(&self, figures: Snapshot) {
        self.opened.store(figures.opened, Ordering::Relaxed);
        self.sent.store(figures.sent, Ordering::Relaxed);
        self.answered.store(figures.answered, Ordering::Relaxed);
        self.failed.store(figures.failed, Ordering::Relaxed);
    }
}

impl Snapshot {
    /// Adds what a worker has made known.
    pub(crate) fn add(&mut self, live: &Live) {
        self.opened += live.opened.load(Ordering::Relaxed);
        self.sent += live.sent.load(Ordering::Relaxed);
        self.answered += live.answered.load(Ordering::Relaxed);
        self.failed += live.failed.load(Ordering::Relaxed);
    }
}
