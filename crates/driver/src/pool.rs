//! A few threads for work that would hold up a loop.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::event_fd::EventFd;

type Work<T> = Box<dyn FnOnce() -> T + Send>;
/// Work, or its result, under the number that the owner gave it.
type Numbered<T> = (u64, T);
/// Starts a thread that runs this.
type Spawn = fn(Box<dyn FnOnce() + Send>) -> io::Result<()>;

/// Why work has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It panicked.
    Panicked,
    /// There was no thread to run it, and none could be started. It has been dropped.
    NoThread,
}

/// Threads that run work and give back `T`.
///
/// Results wait in a queue; whoever owns the pool is woken through its eventfd. Threads start with
/// the first work and end, when the pool is dropped, after the work at hand.
pub(crate) struct Pool<T> {
    threads: usize,
    running: usize,
    spawn: Spawn,
    to_threads: Sender<Numbered<Work<T>>>,
    work: Arc<Mutex<Receiver<Numbered<Work<T>>>>>,
    to_owner: Sender<Numbered<Result<T, Failure>>>,
    results: Receiver<Numbered<Result<T, Failure>>>,
    wake: Arc<EventFd>,
}

impl<T: Send + 'static> Pool<T> {
    pub(crate) fn new(threads: usize, wake: Arc<EventFd>) -> Self {
        let (to_threads, work) = channel();
        let (to_owner, results) = channel();
        Self {
            threads: threads.max(1),
            running: 0,
            spawn,
            to_threads,
            work: Arc::new(Mutex::new(work)),
            to_owner,
            results,
            wake,
        }
    }

    /// Queues `work` under a number that comes back with its result.
    pub(crate) fn run(&mut self, id: u64, work: Work<T>) {
        // Where the system has no thread now it may have one the next time; until then those that
        // there are do the work.
        while self.running < self.threads && self.start_thread().is_ok() {
            self.running += 1;
        }
        // `self` keeps the other ends open.
        if self.running > 0 {
            let _ = self.to_threads.send((id, work));
        } else {
            drop(work);
            let _ = self.to_owner.send((id, Err(Failure::NoThread)));
            self.wake.signal();
        }
    }

    fn start_thread(&self) -> io::Result<()> {
        let (work, results, wake) = (self.work.clone(), self.to_owner.clone(), self.wake.clone());
        (self.spawn)(Box::new(move || {
            loop {
                let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok((id, work)) = next else { return };
                let result = catch_unwind(AssertUnwindSafe(work)).map_err(|_| Failure::Panicked);
                if results.send((id, result)).is_err() {
                    return;
                }
                wake.signal();
            }
        }))
    }

    /// The next result, if there is one.
    pub(crate) fn take_result(&mut self) -> Option<(u64, Result<T, Failure>)> {
        self.results.try_recv().ok()
    }

    /// From now on no thread can be started.
    #[cfg(test)]
    pub(crate) fn refuse_threads(&mut self) {
        self.spawn = |_| Err(io::ErrorKind::WouldBlock.into());
    }
}

fn spawn(run: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    thread::Builder::new().name("rim-offload".into()).spawn(run).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_fails_only_as_long_as_there_is_no_thread() {
        let wake = Arc::new(EventFd::new().unwrap());
        let mut pool = Pool::new(2, wake.clone());
        pool.refuse_threads();
        pool.run(1, Box::new(|| 10));
        // It would wait if nobody had signalled.
        wake.clear();
        assert_eq!(pool.take_result(), Some((1, Err(Failure::NoThread))));
        pool.spawn = spawn;
        pool.run(2, Box::new(|| 20));
        wake.clear();
        assert_eq!(pool.take_result(), Some((2, Ok(20))));
        assert_eq!(pool.running, 2);
    }
}
