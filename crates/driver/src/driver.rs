//! The trait.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::{Completion, Lease, Op, OpId, Time, Token};

/// Asynchronous I/O for one thread.
///
/// A driver is made on the thread that uses it and stays there.
pub trait Driver {
    /// What the ready line and the reports call it.
    fn name(&self) -> &'static str;

    /// Starts `op`. Its completions carry `token`. It never blocks and never fails: a failure is a
    /// completion too.
    fn submit(&mut self, token: Token, op: Op) -> OpId;

    /// Asks for `id` to end soon. Its last completion comes in any case: with what it had done, or
    /// with `ECANCELED` if that was nothing. Cancelling what has completed already does nothing, but
    /// the id of an `Accept` or `Receive` is not to be used any more once its last completion has
    /// been given and another one has been submitted with the same token.
    fn cancel(&mut self, id: OpId);

    /// Hands everything submitted to the kernel, waits until something completes or `until` has
    /// come (for ever if there is none, not at all if it has passed), and appends the completions.
    /// May come back with none.
    ///
    /// # Errors
    /// Only what makes this driver unusable from now on.
    fn turn(&mut self, until: Option<Time>, completions: &mut Vec<Completion>) -> io::Result<()>;

    /// The bytes of a lease.
    fn received(&self, lease: &Lease) -> &[u8];

    /// Gives the buffer of a lease back.
    fn release(&mut self, lease: Lease);

    /// The time at the end of the last turn.
    fn now(&self) -> Time;

    /// The time of day, since 1970-01-01T00:00:00Z.
    fn unix_time(&self) -> Duration;

    /// A handle with which another thread ends the wait of this driver's turn. Uses of it complete
    /// as [`crate::Outcome::Woken`] with `Token::new(Owner::Control, 0, 0)`.
    fn waker(&self) -> Waker;

    /// What this driver has done so far.
    fn counters(&self) -> Counters;
}

/// Ends the wait of a driver's turn from any thread.
#[derive(Clone)]
pub struct Waker(Arc<dyn Fn() + Send + Sync>);

impl Waker {
    pub(crate) fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(wake))
    }

    /// Wakes the driver, now or as soon as it waits.
    pub fn wake(&self) {
        (self.0)();
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waker")
    }
}

/// Running totals of a driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// System calls that entered the kernel to submit or to wait.
    pub enters: u64,
    /// Operations handed to the kernel.
    pub submitted: u64,
    /// Completions taken from it.
    pub completed: u64,
    /// Times a receive found no free buffer.
    pub out_of_buffers: u64,
    /// Turns that found completions waiting outside a completion queue that was full.
    pub overflows: u64,
}
