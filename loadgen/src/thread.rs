//! One worker thread: its core, its driver, and its part in the phases of a run.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rim_driver::{Driver, Epoll, Settings, Uring, Waker};
use rustix::time::{ClockId, clock_gettime};

use crate::errors::Errors;
use crate::failure::CannotRun;
use crate::tally::{CoreTime, Tally};
use crate::worker::{Share, Ties, Window, Worker};

/// Large enough for most answers to come in one piece.
const RECEIVE_BUFFER_BYTES: u32 = 16 << 10;
/// As many as may be filled before the worker looks; the driver uses only as many as it needs.
const RECEIVE_BUFFERS: u16 = 4096;

/// How long closing the connections may take after the run.
const LEAVE_AT_MOST: Duration = Duration::from_secs(1);

/// Which driver the workers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DriverKind {
    Uring,
    Epoll,
}

/// What a worker thread is given.
pub(crate) struct Post {
    pub(crate) number: usize,
    pub(crate) core: usize,
    pub(crate) driver: DriverKind,
    pub(crate) share: Share,
    pub(crate) ties: Ties,
    pub(crate) connect_timeout: Duration,
    pub(crate) to_crew: Sender<(usize, Message)>,
    /// Brings the window. Without one, the thread ends after opening.
    pub(crate) windows: Receiver<Window>,
}

/// What a worker thread says.
pub(crate) enum Message {
    /// It has a driver, whose wait this ends.
    Started(&'static str, Waker),
    /// Its connections are open, as far as they could be opened.
    Opened(u64, Errors),
    /// It has ended. Always its last message.
    Finished(Result<Box<Tally>, CannotRun>),
}

/// Starts a worker thread.
pub(crate) fn start(post: Post) -> Result<JoinHandle<()>, CannotRun> {
    let name = format!("rimload-{}", post.core);
    let run = move || {
        let (number, to_crew) = (post.number, post.to_crew.clone());
        // The panic has told of itself; the others must not wait for this thread.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(post)));
        let result = outcome.unwrap_or(Err(CannotRun::WorkerLost));
        // If nobody listens any more, nobody waits either.
        let _ = to_crew.send((number, Message::Finished(result.map(Box::new))));
    };
    thread::Builder::new().name(name).spawn(run).map_err(CannotRun::NoThread)
}

fn work(post: Post) -> Result<Tally, CannotRun> {
    if !rim_driver::pin(post.core) {
        return Err(CannotRun::NotPinned(post.core));
    }
    let settings = settings(post.share.connections);
    match post.driver {
        DriverKind::Uring => match Uring::new(&settings) {
            Ok(driver) => take_part(driver, post),
            Err(error) => Err(CannotRun::NoDriver(error.to_string())),
        },
        DriverKind::Epoll => match Epoll::new(&settings) {
            Ok(driver) => take_part(driver, post),
            Err(error) => Err(CannotRun::NoEpoll(error)),
        },
    }
}

fn settings(connections: u32) -> Settings {
    Settings {
        sockets_max: connections,
        receive_buffers: RECEIVE_BUFFERS,
        receive_buffer_bytes: RECEIVE_BUFFER_BYTES,
        ..Settings::default()
    }
}

/// The phases of a run, as one worker goes through them.
fn take_part<D: Driver>(driver: D, post: Post) -> Result<Tally, CannotRun> {
    let name = driver.name();
    let tell = |message| {
        let _ = post.to_crew.send((post.number, message));
    };
    let failed = |error| CannotRun::DriverFailed { driver: name, error };
    tell(Message::Started(name, driver.waker()));
    let mut worker = Worker::new(driver, post.share, post.ties);
    worker.open(post.connect_timeout).map_err(failed)?;
    tell(Message::Opened(worker.opened(), worker.errors().clone()));
    let mut cpu = CoreTime::default();
    if let Ok(window) = post.windows.recv() {
        let before = core_time();
        worker.measure(window).map_err(failed)?;
        let after = core_time();
        cpu.ran = after.ran.saturating_sub(before.ran);
        cpu.waited = after.waited.saturating_sub(before.waited);
    }
    let mut tally = worker.take_tally();
    tally.cpu.push(cpu);
    // The result stands, however this ends.
    let _ = worker.leave(LEAVE_AT_MOST);
    Ok(tally)
}

/// What this thread has had of its core so far.
fn core_time() -> CoreTime {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let ran = Duration::new(time.tv_sec as u64, time.tv_nsec as u32);
    // Time on the core, time on the run queue, and time slices: proc_pid_schedstat in the kernel's
    // documentation. A kernel that does not count them says nothing of waiting.
    let counts = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let waited = counts.split_whitespace().nth(1).and_then(|nanos| nanos.parse().ok());
    CoreTime { ran, waited: Duration::from_nanos(waited.unwrap_or(0)) }
}
