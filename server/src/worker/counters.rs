//! What a worker counts.

use crate::close_reason::CloseReason;

/// Running totals of one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Connections accepted.
    pub(crate) accepted: u64,
    /// Times that accepting had to rest.
    pub(crate) accept_rests: u64,
    /// Answers begun.
    pub(crate) requests: u64,
    /// Completions for objects that are gone.
    pub(crate) stale: u64,
    /// Panics caught.
    pub(crate) panics: u64,
    /// Connections ended, by reason.
    pub(crate) closed: [u64; CloseReason::ALL.len()],
}

impl Counters {
    pub(crate) fn count_close(&mut self, reason: CloseReason) {
        self.closed[reason as usize] += 1;
    }
}
