//! What can be set about a driver.

use serde::{Deserialize, Serialize};

/// Which driver to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// io_uring where it can be had, else epoll, with a warning.
    #[default]
    Auto,
    /// io_uring, or not at all.
    Uring,
    /// epoll.
    Epoll,
}

/// Sizes and switches of a driver.
///
/// Every feature of the ring can be switched off, to see what it is worth; switching on what the
/// kernel does not have does nothing. `Epoll` only heeds the sizes of the receive buffers and
/// `offload_threads`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Which driver these are for.
    pub kind: Kind,
    /// Entries of the submission queue. A power of two.
    pub submission_entries: u32,
    /// Entries of the completion queue. A power of two; 0 makes room for two completions of every
    /// socket.
    pub completion_entries: u32,
    /// Connected sockets that a ring can hold; 0 means the limit on open files.
    pub sockets_max: u32,
    /// Receive buffers. A power of two, at most 32768.
    pub receive_buffers: u16,
    /// Size of one receive buffer in bytes.
    pub receive_buffer_bytes: u32,
    /// Completions given in one turn at most; the rest stay for the next. What they lead to is
    /// handed to the kernel in between, while it is still in the processor's cache.
    pub completions_max: usize,
    /// Sends queued, in bytes, before they are handed to the kernel in mid-turn; 0 means never.
    /// Larger batches push their own bytes out of the processor's cache.
    pub batch_bytes: usize,
    /// Completions to wait for at once under load; 1 switches waiting for more than one off.
    pub wait_completions_max: u32,
    /// Longest wait for more than one completion, in microseconds (Linux 6.12); 0 switches waiting
    /// for more than one off.
    pub wait_min_us: u32,
    /// Threads of the kernel's io-wq pool for work that may block.
    pub io_workers_max: u32,
    /// Threads of the driver's own pool.
    pub offload_threads: usize,
    /// Only one thread submits: `IORING_SETUP_SINGLE_ISSUER` (Linux 6.0).
    pub single_issuer: bool,
    /// Completion work runs when this thread asks for it: `IORING_SETUP_DEFER_TASKRUN` (Linux 6.1).
    pub defer_taskrun: bool,
    /// No interrupt to run completion work: `IORING_SETUP_COOP_TASKRUN` (Linux 5.19).
    pub coop_taskrun: bool,
    /// One bad entry does not stop the batch: `IORING_SETUP_SUBMIT_ALL` (Linux 5.18).
    pub submit_all: bool,
    /// No indirection in the submission queue: `IORING_SETUP_NO_SQARRAY` (Linux 6.6).
    pub no_sqarray: bool,
    /// The ring's own descriptor is registered: `IORING_REGISTER_RING_FDS` (Linux 5.18).
    pub registered_ring: bool,
    /// Sockets live in the ring's own table and not in the process's (Linux 6.13: before, one idle
    /// connection kept all that were closed after it from really being closed).
    pub direct_descriptors: bool,
    /// One accept operation for all connections (Linux 5.19).
    pub multishot_accept: bool,
    /// One receive operation for all requests of a connection (Linux 6.0).
    pub multishot_receive: bool,
    /// The kernel picks a receive buffer when there is something to receive (Linux 5.19); without
    /// it, an idle connection holds a buffer.
    pub provided_buffers: bool,
    /// Head and body in one send without a message header: `IORING_SEND_VECTORIZED` (Linux 6.17).
    pub vectorized_send: bool,
    /// The ring is asked for peer addresses: `SOCKET_URING_OP_GETSOCKOPT` (Linux 6.7). Without it, a
    /// system call is, which direct descriptors do not have.
    pub socket_commands: bool,
    /// The caller will ask for peer addresses. Without `socket_commands`, direct descriptors are then
    /// not used.
    pub peer_names: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            kind: Kind::Auto,
            submission_entries: 1024,
            completion_entries: 0,
            sockets_max: 0,
            receive_buffers: 1024,
            receive_buffer_bytes: 4096,
            completions_max: 256,
            batch_bytes: 256 << 10,
            wait_completions_max: 1,
            wait_min_us: 50,
            io_workers_max: 8,
            offload_threads: 2,
            single_issuer: true,
            defer_taskrun: true,
            coop_taskrun: true,
            submit_all: true,
            no_sqarray: true,
            registered_ring: true,
            direct_descriptors: true,
            multishot_accept: true,
            multishot_receive: true,
            provided_buffers: true,
            vectorized_send: true,
            socket_commands: true,
            peer_names: false,
        }
    }
}
