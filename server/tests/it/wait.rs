//! Waiting for conditions.

use std::thread;
use std::time::{Duration, Instant};

/// The longest that anything may take that is to happen at all.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(20);
/// The longest that a change to a file may stay unseen. About a second is promised; the rest is for
/// machines that have other things to do.
pub(crate) const VISIBLE_WITHIN: Duration = Duration::from_secs(5);
/// Time between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(what, || holds().then_some(()));
}

/// Waits until there is something.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + WATCHDOG;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < give_up, "not in time: {what}");
        thread::sleep(LOOK_EVERY);
    }
}
