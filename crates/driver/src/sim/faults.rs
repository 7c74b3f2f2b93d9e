//! What a simulated kernel does to its user.

use fastrand::Rng;

/// How often the simulated kernel misbehaves within what a real one is allowed to do.
///
/// Probabilities are from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    /// A receive gets less than has arrived.
    pub short_receive: f64,
    /// A send completes before all is sent.
    pub short_send: f64,
    /// A read gets less than was asked for and the file has.
    pub short_read: f64,
    /// A receive that begins while no buffer is free fails, although nothing has arrived.
    pub no_buffer_at_once: f64,
    /// A repeated operation ends although it could go on.
    pub early_end: f64,
    /// An operation fails with an error of its manual page.
    pub error: f64,
    /// A completion is kept back for a while.
    pub late_completion: f64,
    /// Longest time in transit on the network, in nanoseconds.
    pub network_delay_max_ns: u64,
    /// Longest time that a file operation or a job takes, in nanoseconds.
    pub file_delay_max_ns: u64,
    /// Receive buffers.
    pub receive_buffers: usize,
    /// Size of one, in bytes.
    pub receive_buffer_bytes: usize,
    /// Completions given in one turn at most.
    pub batch_max: usize,
    /// Accepted sockets that there is room for: further connections are taken from the queue and
    /// lost.
    pub sockets_max: usize,
    /// Operations that wait for the turn: with one more, all of them begin at once.
    pub submission_entries: usize,
    /// Completions that fit into their queue: the others come in later turns.
    pub completion_entries: usize,
}

impl Faults {
    /// A kernel that is as kind and as quick as it can be.
    #[must_use]
    pub fn none() -> Self {
        Self {
            short_receive: 0.0,
            short_send: 0.0,
            short_read: 0.0,
            no_buffer_at_once: 0.0,
            early_end: 0.0,
            error: 0.0,
            late_completion: 0.0,
            network_delay_max_ns: 0,
            file_delay_max_ns: 0,
            receive_buffers: 64,
            receive_buffer_bytes: 2048,
            batch_max: 256,
            sockets_max: usize::MAX,
            submission_entries: usize::MAX,
            completion_entries: usize::MAX,
        }
    }

    /// Each fault present or absent, and if present more or less frequent: runs in which all faults
    /// are frequent never get far, and some bugs need the absence of one.
    #[must_use]
    pub fn random(rng: &mut Rng) -> Self {
        let mut chance = |most: f64| if rng.bool() { rng.f64() * most } else { 0.0 };
        Self {
            short_receive: chance(1.0),
            short_send: chance(0.5),
            short_read: chance(0.5),
            // Sooner or later it waits: who tries again at once would stop the time.
            no_buffer_at_once: chance(0.5),
            early_end: chance(0.5),
            error: chance(0.05),
            late_completion: chance(0.5),
            network_delay_max_ns: if rng.bool() { rng.u64(1..20_000_000) } else { 0 },
            file_delay_max_ns: if rng.bool() { rng.u64(1..50_000_000) } else { 0 },
            receive_buffers: 1 << rng.u32(0..7),
            receive_buffer_bytes: rng.usize(1..4096),
            batch_max: if rng.bool() { rng.usize(1..8) } else { 256 },
            sockets_max: if rng.bool() { rng.usize(1..8) } else { usize::MAX },
            submission_entries: if rng.bool() { 1 << rng.u32(0..5) } else { usize::MAX },
            completion_entries: if rng.bool() { 1 << rng.u32(0..5) } else { usize::MAX },
        }
    }
}
