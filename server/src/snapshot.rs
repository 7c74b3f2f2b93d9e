//! What workers need to know, resolved and checked: immutable, and the same for all of them.

use std::time::Duration;

/// One state of the configuration, as workers see it.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// For a request to arrive once it has begun, and for the first byte of a connection.
    pub(crate) head_timeout: Duration,
    /// For the next request on a connection.
    pub(crate) idle_timeout: Duration,
    /// For one send to be taken by the client, or to be taken at the slowest rate.
    pub(crate) send_timeout: Duration,
    /// The slowest rate at which a client may take an answer, in bytes per second.
    pub(crate) send_rate_min: u64,
    /// For a file to be at hand.
    pub(crate) file_timeout: Duration,
}

impl Snapshot {
    /// What a client has to have taken of a long send when its time is up, in bytes.
    pub(crate) fn send_bytes_min(&self) -> usize {
        let bytes = u128::from(self.send_rate_min) * self.send_timeout.as_millis() / 1000;
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}
