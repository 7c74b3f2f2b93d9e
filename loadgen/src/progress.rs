//! How a run is going, while it goes.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::live::Snapshot;
use crate::table::grouped;

/// How often a line on a terminal is written over.
const REDRAW: Duration = Duration::from_millis(250);
/// How often a line is written where it stays.
const ANOTHER_LINE: Duration = Duration::from_secs(5);
/// Goes back to the beginning of the line and clears it: ECMA-48.
const CLEAR: &str = "\r\x1b[K";

/// What a run is doing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Phase {
    /// Opening so many connections.
    Opening(u64),
    /// Sending requests, for so long or so many.
    Window { time: Option<Duration>, requests: Option<u64> },
}

/// Tells on standard error how it is going.
#[derive(Debug)]
pub(crate) struct Progress {
    /// How often; never if there is no telling.
    every: Option<Duration>,
    is_terminal: bool,
    began: Instant,
    last: (Instant, Snapshot),
    /// Whether a line stands there that is to be written over.
    is_line_open: bool,
}

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let every = if is_terminal { REDRAW } else { ANOTHER_LINE };
        let now = Instant::now();
        Self {
            every: (!quiet).then_some(every),
            is_terminal,
            began: now,
            last: (now, Snapshot::default()),
            is_line_open: false,
        }
    }

    /// A phase begins.
    pub(crate) fn begin(&mut self, figures: Snapshot) {
        self.began = Instant::now();
        self.last = (self.began, figures);
    }

    /// Tells how it is going, if it is time to.
    pub(crate) fn show(&mut self, phase: Phase, figures: Snapshot) {
        let now = Instant::now();
        let since = now.duration_since(self.last.0);
        if self.every.is_none_or(|every| since < every) {
            return;
        }
        let line = line(phase, now.duration_since(self.began), since, figures, self.last.1);
        let mut out = io::stderr().lock();
        // Progress that cannot be shown is no reason to stop.
        let _ = if self.is_terminal {
            write!(out, "{CLEAR}{line}").and_then(|()| out.flush())
        } else {
            writeln!(out, "{line}")
        };
        self.is_line_open = self.is_terminal;
        self.last = (now, figures);
    }

    /// Leaves the terminal as it was found.
    pub(crate) fn end(&mut self) {
        if self.is_line_open {
            let _ = write!(io::stderr(), "{CLEAR}");
            self.is_line_open = false;
        }
    }
}

fn line(phase: Phase, elapsed: Duration, since: Duration, now: Snapshot, last: Snapshot) -> String {
    let elapsed = elapsed.as_secs_f64();
    match phase {
        Phase::Opening(wanted) => format!(
            "opening connections: {} of {} after {elapsed:.1} s",
            grouped(now.opened),
            grouped(wanted)
        ),
        Phase::Window { time, requests } => {
            let of_time = time.map(|time| format!(" of {:.1}", time.as_secs_f64()));
            let of_requests = requests.map(|requests| format!(" of {}", grouped(requests)));
            let rate = now.answered.saturating_sub(last.answered) as f64 / since.as_secs_f64();
            format!(
                "{elapsed:.1}{} s: {}{} answered, {} per second, {} failed, {} outstanding",
                of_time.unwrap_or_default(),
                grouped(now.answered),
                of_requests.unwrap_or_default(),
                grouped(rate.round() as u64),
                grouped(now.failed),
                grouped(now.sent.saturating_sub(now.answered + now.failed))
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_how_far_it_is() {
        let half = Duration::from_millis(500);
        let before = Snapshot { opened: 10, sent: 110, answered: 100, failed: 0 };
        let now = Snapshot { opened: 10, sent: 1_115, answered: 1_100, failed: 5 };
        assert_eq!(
            line(Phase::Opening(10_000), half, half, now, before),
            "opening connections: 10 of 10,000 after 0.5 s"
        );
        let time = Some(Duration::from_secs(10));
        assert_eq!(
            line(Phase::Window { time, requests: None }, half, half, now, before),
            "0.5 of 10.0 s: 1,100 answered, 2,000 per second, 5 failed, 10 outstanding"
        );
        assert_eq!(
            line(Phase::Window { time: None, requests: Some(5_000) }, half, half, now, before),
            "0.5 s: 1,100 of 5,000 answered, 2,000 per second, 5 failed, 10 outstanding"
        );
    }
}
