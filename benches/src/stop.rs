//! Stopping: whatever waits looks here, so that a signal ends it soon.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::flag;

use crate::failure::{CannotRun, Stopped};

/// How long something that waits does not look.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Whether somebody wants everything stopped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// One that signals set. However often they come: a program that is being stopped is left by
    /// nobody behind.
    pub(crate) fn on_signals() -> Result<Self, CannotRun> {
        let stop = Self::default();
        for signal in [SIGINT, SIGQUIT, SIGTERM, SIGHUP] {
            flag::register(signal, stop.0.clone()).map_err(CannotRun::NoSignals)?;
        }
        Ok(stop)
    }

    /// One that is set.
    #[cfg(test)]
    pub(crate) fn set() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    /// Fails if everything is to stop.
    pub(crate) fn check(&self) -> Result<(), Stopped> {
        if self.0.load(Ordering::Relaxed) { Err(Stopped) } else { Ok(()) }
    }

    /// Looks again and again until there is something or the time is up.
    pub(crate) fn wait<T>(
        &self,
        at_most: Duration,
        mut look: impl FnMut() -> Option<T>,
    ) -> Result<Option<T>, Stopped> {
        let give_up = Instant::now() + at_most;
        loop {
            self.check()?;
            let found = look();
            if found.is_some() || Instant::now() >= give_up {
                return Ok(found);
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_when_it_has_something_or_is_stopped_or_late() {
        let stop = Stop::default();
        let mut looks = 0;
        let found = stop.wait(Duration::from_secs(60), || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(found, Ok(Some(3)));
        assert_eq!(stop.wait(Duration::from_millis(1), || None::<()>), Ok(None));
        stop.0.store(true, Ordering::Relaxed);
        assert_eq!(stop.wait(Duration::from_secs(60), || Some(())), Err(Stopped));
    }
}
