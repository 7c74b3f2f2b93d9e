//! Why a run cannot be.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use rim_driver::NoSuchCore;
use thiserror::Error;

/// What keeps a run from beginning or from coming to its end: one line each, saying what is wrong
/// and what to do.
#[derive(Debug, Error)]
pub enum CannotRun {
    /// The name of a host means nothing here.
    #[error("cannot resolve {0}: {1}; check the name, or use an address")]
    Unresolved(String, io::Error),
    /// Every connection was refused.
    #[error(
        "nobody listens on {0}: all {1} connections were refused; start the server or check the port"
    )]
    NobodyListens(String, u64),
    /// No connection was opened, for other reasons.
    #[error(
        "none of {connections} connections to {to} could be opened ({classes}); check that the server can be reached, or raise --connect-timeout"
    )]
    NothingOpened {
        /// How many were tried.
        connections: u64,
        /// Where to.
        to: String,
        /// The classes of what went wrong, with their counts.
        classes: String,
    },
    /// A core that the process may not use.
    #[error(transparent)]
    NoSuchCore(#[from] NoSuchCore),
    /// A thread could not be tied to its core.
    #[error("cannot run on core {0}; choose another with --cores")]
    NotPinned(usize),
    /// Too few descriptors.
    #[error(
        "{connections} connections need an open-file limit of {needed}, and it is {limit}; raise it (ulimit -Hn) or ask for fewer with -c"
    )]
    TooFewFiles {
        /// For how many connections.
        connections: u32,
        /// How many would do.
        needed: u64,
        /// How many there may be.
        limit: u64,
    },
    /// Too few local ports.
    #[error(
        "{connections} connections to {address} need as many local ports, and there are {ports}; widen net.ipv4.ip_local_port_range, ask for fewer with -c, or spread them over several addresses"
    )]
    TooFewPorts {
        /// Where to.
        address: SocketAddr,
        /// How many connections.
        connections: u32,
        /// How many ports.
        ports: u32,
    },
    /// A file for the results.
    #[error("cannot write to {0}: {1}; choose another file")]
    Unwritable(PathBuf, io::Error),
    /// What the machine says of itself cannot be read.
    #[error("cannot read {0}: {1}; is /proc mounted?")]
    Unreadable(&'static str, io::Error),
    /// No ring could be made.
    #[error("{0}")]
    NoDriver(String),
    /// No epoll could be made.
    #[error("epoll unavailable: {0}; check the limits on memory and open files")]
    NoEpoll(io::Error),
    /// A driver failed during the run.
    #[error("the {driver} driver failed: {error}; this should not happen, please report it")]
    DriverFailed {
        /// Which.
        driver: &'static str,
        /// What it said.
        error: io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start a thread: {0}; use fewer cores with --cores")]
    NoThread(io::Error),
    /// A worker ended without a result.
    #[error("a worker thread broke off; the message above says why, please report it")]
    WorkerLost,
}
