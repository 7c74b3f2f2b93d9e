//! What can be asked of a kernel.

use std::any::Any;
use std::ffi::CString;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::Outgoing;

/// A listening socket that a driver has adopted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Listener(pub u32);

/// A connected socket inside a driver. Valid from the completion that brings it until `Op::Close`
/// is submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Socket(pub u32);

/// An open file or directory inside a driver. Valid from the completion that brings it until
/// `Op::CloseFile` is submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct File(pub u32);

/// One submitted operation, as long as it has not completed: what [`crate::Driver::cancel`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OpId(pub u64);

/// Received bytes on loan from the driver's buffers, to be given back with
/// [`crate::Driver::release`], once. It is not `Clone`, so that giving it back twice takes intent.
#[derive(Debug, PartialEq, Eq)]
pub struct Lease {
    /// The buffer.
    pub id: u32,
    /// How many bytes of it are filled.
    pub len: u32,
}

/// How [`Op::Open`] opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenHow {
    /// A directory, by a path from the process's view, as the root of later opens. It can be
    /// neither read nor listed: `O_PATH | O_DIRECTORY`.
    Root,
    /// A file below a root: openat2(2) with `RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS`, for reading,
    /// with `O_NONBLOCK | O_NOCTTY` so that a FIFO or a terminal cannot hang anyone.
    ///
    /// `EAGAIN` says that the path, or a link in it, has a `..` and something was renamed meanwhile,
    /// anywhere: the kernel cannot tell whether it led outside. The same may work the next time.
    Beneath(File),
}

/// What a [`Job`] gives back.
pub type JobResult = Box<dyn Any + Send>;

/// Work for the driver's pool of threads, because it would hold up the loop.
pub struct Job(pub(crate) Box<dyn FnOnce() -> JobResult + Send>);

impl Job {
    /// Wraps `work`; its result comes back as [`crate::Outcome::Offloaded`].
    #[must_use]
    pub fn new<T: Any + Send>(work: impl FnOnce() -> T + Send + 'static) -> Self {
        Self(Box::new(move || Box::new(work()) as JobResult))
    }

    /// Runs it here and now.
    #[must_use]
    pub fn run(self) -> JobResult {
        (self.0)()
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Job")
    }
}

/// One operation.
#[derive(Debug)]
pub enum Op {
    /// Accept connections until cancelled: each completion but the last has `more` set.
    Accept {
        /// Where from.
        listener: Listener,
        /// Only one. Without it, all that are in the queue may come at once.
        once: bool,
    },
    /// Receive until cancelled or the peer is done: each completion but the last has `more` set.
    /// It may end at any time (`ENOBUFS` when no buffer is free) and is then to be submitted again.
    Receive {
        /// Where from.
        socket: Socket,
    },
    /// Send all of it. Completes short only if it is cancelled or the connection breaks. At most one
    /// may be outstanding per socket: two could interleave.
    Send {
        /// Where to.
        socket: Socket,
        /// What.
        outgoing: Outgoing,
    },
    /// Make a socket and connect it, with `TCP_NODELAY` set.
    Connect {
        /// Where to.
        to: SocketAddr,
        /// The local address to bind before, with the port left to the kernel
        /// (`IP_BIND_ADDRESS_NO_PORT`: ip(7)).
        from: Option<IpAddr>,
    },
    /// Ask for the peer's address. It is not part of `Accept` because a multishot accept cannot
    /// give it and few callers need it.
    PeerName {
        /// Whose.
        socket: Socket,
    },
    /// Half-close: no more will be sent, and the peer is told.
    Shutdown {
        /// Which.
        socket: Socket,
    },
    /// Close. The caller must have waited for every other operation on the socket to end.
    Close {
        /// Which.
        socket: Socket,
    },
    /// Open a file or directory. Like what is asked of files below, it fails with `EAGAIN` where a
    /// thread is needed for it and the system has none; the same may work later.
    Open {
        /// An absolute path for [`OpenHow::Root`], a relative one for [`OpenHow::Beneath`].
        path: CString,
        /// How.
        how: OpenHow,
    },
    /// Ask for size, kind and times of an open file: statx(2).
    Stat {
        /// Which.
        file: File,
    },
    /// Read up to `len` bytes at `offset`, appended to `buffer`.
    Read {
        /// Where from.
        file: File,
        /// Position in the file, in bytes.
        offset: u64,
        /// Where to; it comes back with the completion.
        buffer: Vec<u8>,
        /// How many bytes at most.
        len: usize,
    },
    /// Close a file. The caller must have waited for every other operation on the file to end, and
    /// for every open below it.
    CloseFile {
        /// Which.
        file: File,
    },
    /// Run a job on the driver's pool; `EAGAIN` if no thread can be started.
    Offload(Job),
}

/// An [`Op`] without what it carries. A completion tells it, so that a failure can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OpKind {
    /// Not the caller's operation: somebody used a [`crate::Waker`].
    Wake = 0,
    /// [`Op::Accept`].
    Accept = 1,
    /// [`Op::Receive`].
    Receive = 2,
    /// [`Op::Send`].
    Send = 3,
    /// [`Op::Connect`].
    Connect = 4,
    /// [`Op::PeerName`].
    PeerName = 5,
    /// [`Op::Shutdown`].
    Shutdown = 6,
    /// [`Op::Close`].
    Close = 7,
    /// [`Op::Open`].
    Open = 8,
    /// [`Op::Stat`].
    Stat = 9,
    /// [`Op::Read`].
    Read = 10,
    /// [`Op::CloseFile`].
    CloseFile = 11,
    /// [`Op::Offload`].
    Offload = 12,
}

impl OpKind {
    const ALL: [Self; 13] = [
        Self::Wake,
        Self::Accept,
        Self::Receive,
        Self::Send,
        Self::Connect,
        Self::PeerName,
        Self::Shutdown,
        Self::Close,
        Self::Open,
        Self::Stat,
        Self::Read,
        Self::CloseFile,
        Self::Offload,
    ];

    /// Whether it is an operation on a file that may take its time.
    pub(crate) fn is_of_file(self) -> bool {
        matches!(self, Self::Open | Self::Stat | Self::Read)
    }

    pub(crate) fn from_bits(bits: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(bits).ok()?).copied()
    }
}

impl Op {
    /// What kind of operation this is.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> OpKind {
        match self {
            Self::Accept { .. } => OpKind::Accept,
            Self::Receive { .. } => OpKind::Receive,
            Self::Send { .. } => OpKind::Send,
            Self::Connect { .. } => OpKind::Connect,
            Self::PeerName { .. } => OpKind::PeerName,
            Self::Shutdown { .. } => OpKind::Shutdown,
            Self::Close { .. } => OpKind::Close,
            Self::Open { .. } => OpKind::Open,
            Self::Stat { .. } => OpKind::Stat,
            Self::Read { .. } => OpKind::Read,
            Self::CloseFile { .. } => OpKind::CloseFile,
            Self::Offload(_) => OpKind::Offload,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_survive_the_trip_through_their_number() {
        for kind in OpKind::ALL {
            assert_eq!(OpKind::from_bits(kind as u64), Some(kind));
        }
        assert_eq!(OpKind::from_bits(13), None);
    }
}
