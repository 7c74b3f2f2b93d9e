//! Asynchronous I/O for one thread, behind one trait with three implementations.
//!
//! * [`Uring`] is the product: one io_uring per thread.
//! * [`Epoll`] is the honest fallback where io_uring is not to be had, the event-driven baseline of
//!   the benchmark suite, and a test oracle: both must give the same bytes.
//! * [`Sim`] is a seeded model of a kernel with virtual time, which makes everything above this
//!   crate deterministic in a test.
//!
//! The caller hands in an [`Op`] together with a [`Token`] and gets [`Completion`]s back from
//! [`Driver::turn`]. An `Op` carries ids and owned memory, never pointers: whatever the kernel can
//! see belongs to the driver until the last completion of that operation, which gives it back.
//!
//! This is the only crate of the workspace with unsafe code. There is no async runtime in it and no
//! future: an operation that has been submitted cannot be dropped by accident.

mod blocking;
mod buffers;
mod completion;
mod cores;
mod driver;
mod epoll;
mod event_fd;
mod file;
mod op;
mod outgoing;
mod pool;
mod settings;
pub mod sim;
mod socket;
mod time;
mod token;
mod uring;
mod wake;

pub use blocking::BlockingFiles;
pub use completion::{Completion, FileKind, FileStat, Outcome};
pub use cores::{CoreList, CoreListError, NoSuchCore, pin};
pub use driver::{Counters, Driver, Waker};
pub use epoll::Epoll;
pub use op::{File, Job, JobResult, Lease, Listener, Op, OpId, OpKind, OpenHow, Socket};
pub use outgoing::{Body, Content, Outgoing, Shared};
pub use rustix::io::Errno;
pub use settings::{Kind, Settings};
pub use sim::Sim;
pub use socket::{ListenError, bind};
pub use time::{Clock, Time};
pub use token::{Owner, Token};
pub use uring::{Feature, Features, SetupError, Uring, probe};
