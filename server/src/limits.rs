//! The constants that bound what one peer or one file can make the server do. What an operator may
//! want to change is a setting instead: [`crate::config::Config`].

use std::time::Duration;

/// Answers that fit are joined to their heads and sent from one piece of memory, in bytes.
pub(crate) const JOINED_BODY_BYTES_MAX: usize = 16 << 10;
/// Answers to pipelined requests are joined until they are this long, in bytes.
pub(crate) const JOINED_ANSWERS_BYTES_MAX: usize = 64 << 10;
/// One send of a long body, in bytes: small enough that downloads do not hold up small requests.
pub(crate) const SEND_BYTES_MAX: usize = 256 << 10;
/// One read of a file, in bytes.
pub(crate) const READ_BYTES_MAX: usize = 256 << 10;
/// Content of a request that is read and dropped so that the connection can go on, in bytes.
pub(crate) const DISCARDED_CONTENT_BYTES_MAX: u64 = 64 << 10;
/// Input that is read and dropped before a connection is closed, in bytes.
pub(crate) const LINGER_BYTES_MAX: usize = 256 << 10;
/// Longest time for that.
pub(crate) const LINGER_AT_MOST: Duration = Duration::from_secs(2);
/// Idle connections of a server that is to stop are closed after this time without a request.
pub(crate) const DRAIN_IDLE_AT_MOST: Duration = Duration::from_secs(1);
/// How long a server that is to stop waits for its workers to accept who is in the queue.
pub(crate) const QUEUE_EMPTIES_WITHIN: Duration = Duration::from_millis(100);
/// How long accepting rests when the system is out of descriptors or memory.
pub(crate) const ACCEPT_REST: Duration = Duration::from_millis(100);
/// With room for fewer connections than this they are accepted one at a time, so that those for whom
/// there is none stay in the queue.
pub(crate) const ACCEPT_SINGLY_BELOW: usize = 64;
/// How often one request finds that a file is not what it was, before it is given up.
pub(crate) const DOUBTS_MAX: u8 = 8;
/// Attempts at reading a file that keeps changing.
pub(crate) const FILL_ATTEMPTS_MAX: u8 = 4;
/// A file that has just changed could change again without its times showing it: they advance in
/// steps of at most 10 ms (a timer interrupt). So its content is read only when its last change is
/// this old.
pub(crate) const SETTLED_AFTER: Duration = Duration::from_millis(20);
/// Files of at most this size are always worth a place in the cache, in bytes.
pub(crate) const SMALL_FILE_BYTES_MAX: u64 = 1 << 20;
/// Paths that the index of one worker remembers.
pub(crate) const RECORDS_MAX: usize = 65_536;
/// Output buffers that a worker keeps for the next answers.
pub(crate) const SPARE_BUFFERS_MAX: usize = 256;
/// An output buffer larger than this is not kept, in bytes.
pub(crate) const SPARE_BUFFER_BYTES_MAX: usize = 128 << 10;
