//! The two queues and the system call between them.

use std::io;
use std::mem::ManuallyDrop;
use std::time::Duration;

use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{CompletionQueue, IoUring, SubmissionQueue, Submitter, cqueue, squeue};

/// An io_uring taken apart once, at the start.
///
/// The crate hands out its parts as borrows, and a `Submitter` knows of a registered ring
/// descriptor only as long as it lives: it has to be kept, and so the ring has to stay in place.
pub(super) struct Ring {
    submitter: ManuallyDrop<Submitter<'static>>,
    submission: ManuallyDrop<SubmissionQueue<'static>>,
    completion: ManuallyDrop<CompletionQueue<'static>>,
    /// INVARIANT: made by `Box::into_raw`, freed in `drop` after the three borrows of it above.
    ring: *mut IoUring,
}

/// How long to wait for completions.
#[derive(Clone, Copy)]
pub(super) enum Wait {
    /// Not at all.
    No,
    /// Until there are that many, or that time has passed.
    For { completions: usize, at_most: Option<Duration>, min_wait_us: u32 },
}

impl Ring {
    pub(super) fn new(ring: IoUring) -> Self {
        let ring = Box::into_raw(Box::new(ring));
        // SAFETY: `ring` is a live allocation that nothing else refers to; the borrow ends in
        // `drop`, before it is freed.
        let parts = unsafe { &mut *ring };
        let (submitter, submission, completion) = parts.split();
        Self {
            submitter: ManuallyDrop::new(submitter),
            submission: ManuallyDrop::new(submission),
            completion: ManuallyDrop::new(completion),
            ring,
        }
    }

    pub(super) fn submitter(&mut self) -> &mut Submitter<'static> {
        &mut self.submitter
    }

    /// Whether completions do not fit into their queue at the moment.
    pub(super) fn is_overflowing(&self) -> bool {
        self.submission.cq_overflow()
    }

    /// Queues an entry; false if the queue is full.
    ///
    /// # Safety
    /// All memory that `entry` names must stay valid, and be left alone as the operation demands,
    /// until the operation's last completion.
    pub(super) unsafe fn push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: the caller's promise is the one that `push` asks for.
        unsafe { self.submission.push(entry) }.is_ok()
    }

    /// Hands all queued entries to the kernel and waits as told.
    ///
    /// # Errors
    /// What io_uring_enter(2) says. `ETIME`, `EINTR` and `EBUSY` are not errors here: what is
    /// there is to be reaped, and the next call goes on.
    pub(super) fn enter(&mut self, wait: Wait) -> io::Result<()> {
        self.submission.sync();
        let entered = match wait {
            Wait::No if self.has_nothing_to_do() => return Ok(()),
            Wait::No => self.submitter.submit(),
            Wait::For { completions, at_most: None, min_wait_us: 0 } => {
                self.submitter.submit_and_wait(completions)
            }
            Wait::For { completions, at_most, min_wait_us } => {
                let timespec = at_most.map(Timespec::from);
                let mut args = SubmitArgs::new();
                if let Some(timespec) = &timespec {
                    args = args.timespec(timespec);
                }
                if completions > 1 {
                    args = args.min_wait_usec(min_wait_us);
                }
                self.submitter.submit_with_args(completions, &args)
            }
        };
        self.submission.sync();
        match entered.map_err(|error| (error.raw_os_error(), error)) {
            Ok(_) | Err((Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN), _)) => {
                Ok(())
            }
            Err((_, error)) => Err(error),
        }
    }

    /// Whether entering the kernel without waiting would change nothing.
    fn has_nothing_to_do(&self) -> bool {
        self.submission.is_empty() && !self.submission.taskrun() && !self.submission.cq_overflow()
    }

    /// Whether completions have been posted that `next` has not given yet.
    pub(super) fn has_completions(&mut self) -> bool {
        self.completion.sync();
        !self.completion.is_empty()
    }

    /// Makes the completions that the kernel has posted so far visible to `next`.
    pub(super) fn sync_completions(&mut self) {
        self.completion.sync();
    }

    /// The next completion that has been synced.
    #[inline]
    pub(super) fn next(&mut self) -> Option<cqueue::Entry> {
        self.completion.next()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // A registered descriptor would keep the ring alive for as long as the thread. There may
        // be none, which is an error that does not matter.
        let _ = self.submitter.unregister_ring_fd();
        // SAFETY: dropped once, here, and not used again.
        unsafe { ManuallyDrop::drop(&mut self.submission) };
        // SAFETY: as above.
        unsafe { ManuallyDrop::drop(&mut self.completion) };
        // SAFETY: as above.
        unsafe { ManuallyDrop::drop(&mut self.submitter) };
        // SAFETY: made by `Box::into_raw`, and its last borrows have just ended.
        drop(unsafe { Box::from_raw(self.ring) });
    }
}
