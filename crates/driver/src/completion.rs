//! What comes back.

use std::net::SocketAddr;

use crate::{Errno, File, JobResult, Lease, OpKind, Outgoing, Socket, Token};

/// The end of an operation, or one result of an operation that goes on.
#[derive(Debug)]
pub struct Completion {
    /// The token that the operation was submitted with.
    pub token: Token,
    /// What it was.
    pub kind: OpKind,
    /// Whether this operation will complete again.
    pub more: bool,
    /// What came of it; `Errno::CANCELED` if it was cancelled before anything came of it.
    pub result: Result<Outcome, Errno>,
}

/// What an operation that did not fail gives back.
#[derive(Debug)]
pub enum Outcome {
    /// Done, and nothing to give back: shutdown, close, close of a file.
    Done,
    /// A new connection.
    Accepted(Socket),
    /// Bytes from the peer.
    Received(Lease),
    /// The peer will send nothing more. Always the last completion of its `Receive`.
    EndOfStream,
    /// What was sent, with its count moved on; if it has something remaining, the send was cut
    /// short.
    Sent(Outgoing),
    /// A connected socket.
    Connected(Socket),
    /// The peer's address.
    PeerName(SocketAddr),
    /// An open file.
    Opened(File),
    /// What statx(2) says.
    Stat(FileStat),
    /// The buffer with what was read appended. Nothing appended: the end of the file.
    Read(Vec<u8>),
    /// What the job gave back; nothing if the job panicked.
    Offloaded(Option<JobResult>),
    /// A [`crate::Waker`] was used, perhaps several times.
    Woken,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A FIFO, socket or device: nothing to be read from.
    Other,
}

/// The part of statx(2) that tells one version of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStat {
    /// What it is.
    pub kind: FileKind,
    /// Size in bytes.
    pub size: u64,
    /// Device number, `major << 32 | minor`.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Time of the last change of content, in nanoseconds since 1970.
    pub modified_ns: i128,
    /// Time of the last change of content or attributes, in nanoseconds since 1970.
    pub changed_ns: i128,
}
