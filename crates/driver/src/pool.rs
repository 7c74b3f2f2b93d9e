//! A few threads for work that would hold up a loop.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::event_fd::EventFd;

type Work<T> = Box<dyn FnOnce() -> T + Send>;
/// Work, or its result (none if it panicked), under the number that the owner gave it.
type Numbered<T> = (u64, T);

/// Threads that run work and give back `T`.
///
/// Results wait in a queue; whoever owns the pool is woken through its eventfd. Threads start with
/// the first work and end, when the pool is dropped, after the work at hand.
pub(crate) struct Pool<T> {
    threads: usize,
    started: bool,
    to_threads: Sender<Numbered<Work<T>>>,
    work: Arc<Mutex<Receiver<Numbered<Work<T>>>>>,
    to_owner: Sender<Numbered<Option<T>>>,
    results: Receiver<Numbered<Option<T>>>,
    wake: Arc<EventFd>,
}

impl<T: Send + 'static> Pool<T> {
    pub(crate) fn new(threads: usize, wake: Arc<EventFd>) -> Self {
        let (to_threads, work) = channel();
        let (to_owner, results) = channel();
        Self {
            threads: threads.max(1),
            started: false,
            to_threads,
            work: Arc::new(Mutex::new(work)),
            to_owner,
            results,
            wake,
        }
    }

    /// Queues `work` under a number that comes back with its result.
    pub(crate) fn run(&mut self, id: u64, work: Work<T>) {
        if !self.started {
            self.started = true;
            for _ in 0..self.threads {
                self.start_thread();
            }
        }
        // `self.work` keeps the other end open.
        let _ = self.to_threads.send((id, work));
    }

    fn start_thread(&self) {
        let (work, results, wake) = (self.work.clone(), self.to_owner.clone(), self.wake.clone());
        let run = move || {
            loop {
                let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok((id, work)) = next else { return };
                let result = catch_unwind(AssertUnwindSafe(work)).ok();
                if results.send((id, result)).is_err() {
                    return;
                }
                wake.signal();
            }
        };
        // Without this thread the others do the work; without any, a job never completes, which is
        // what a process that can start no thread has to expect.
        let _ = thread::Builder::new().name("rim-offload".into()).spawn(run);
    }

    /// The next result, if there is one; `None` in it if the work panicked.
    pub(crate) fn take_result(&mut self) -> Option<(u64, Option<T>)> {
        self.results.try_recv().ok()
    }
}
