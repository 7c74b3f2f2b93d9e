//! The window: the part of a run that is measured.

use std::io;
use std::time::Duration;

use rim_driver::{Driver, Time};

use super::Worker;
use crate::verdict::patience;

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// When it begins, for all workers.
    pub(crate) start: Time,
    /// When it ends; `None` if it ends with the last answer.
    pub(crate) end: Option<Time>,
    /// How many requests this worker sends at most.
    pub(crate) requests: u64,
    /// A window without end ends when nothing has been answered for so long.
    pub(crate) give_up_after: Duration,
}

impl<D: Driver> Worker<D> {
    /// Sends requests on all connections, one after the other on each, until the window ends.
    ///
    /// # Errors
    /// What the driver says.
    pub(crate) fn measure(&mut self, window: Window) -> io::Result<()> {
        // Others may have taken their time to open, and the driver's clock has stood still.
        self.turn(Some(Time::ZERO))?;
        let now = self.driver.now();
        self.begin(window, now);
        self.ask_those_ready(now);
        while !self.is_over() {
            let until = self.next_due();
            self.turn(until)?;
            let now = self.driver.now();
            if let Some(recorder) = &mut self.ties.recorder {
                recorder.tick(now);
            }
        }
        self.end();
        Ok(())
    }

    fn begin(&mut self, window: Window, now: Time) {
        self.window = Some(window);
        self.last_answer = now;
        for connection in &mut self.connections {
            (connection.due, connection.last_answer) = (now, now);
        }
        self.tally.bytes = 0;
        if let Some(recorder) = &mut self.ties.recorder {
            recorder.begin(window.start);
        }
        let slots = 0..self.share.connections;
        self.ready.clear();
        self.ready.extend(slots.filter(|slot| self.connections[*slot as usize].is_ready()));
    }

    /// Something was answered.
    #[inline]
    pub(super) fn note_answer(&mut self, now: Time) {
        let gap = now.since(self.last_answer);
        self.tally.longest_gap = self.tally.longest_gap.max(gap);
        self.last_answer = now;
    }

    /// Whether another request may be sent.
    #[inline]
    pub(super) fn may_ask(&self, now: Time) -> bool {
        !self.is_stopped
            && self.window.is_some_and(|window| {
                window.end.is_none_or(|end| now < end) && self.tally.requests.sent < window.requests
            })
    }

    /// Whether there is nothing left to wait for.
    fn is_over(&self) -> bool {
        let now = self.driver.now();
        self.is_stopped
            || self.has_given_up(now)
            || self.window.is_none_or(|window| {
                let is_done = self.unanswered == 0 && self.tally.requests.sent >= window.requests;
                is_done || window.end.is_some_and(|end| now >= end)
            })
    }

    fn has_given_up(&self, now: Time) -> bool {
        self.window.is_some_and(|window| {
            let is_done = self.unanswered == 0 && self.tally.requests.sent >= window.requests;
            window.end.is_none() && !is_done && now >= self.last_answer + window.give_up_after
        })
    }

    /// When something is to be done even if nothing completes.
    fn next_due(&self) -> Option<Time> {
        let window = self.window?;
        let end = window.end.unwrap_or(self.last_answer + window.give_up_after);
        let interval = self.ties.recorder.as_ref().map(|recorder| recorder.ends());
        let reopening = self.opening.next_due();
        [Some(end), interval, reopening].into_iter().flatten().min()
    }

    /// Takes stock: what has no answer now counts as such.
    fn end(&mut self) {
        let now = self.driver.now();
        self.tally.ended = now;
        self.tally.gave_up = self.has_given_up(now);
        self.count_unanswered(now);
        self.count_silence(now);
        self.count_connections();
        self.tally.driver = self.driver.counters();
        if let Some(recorder) = &mut self.ties.recorder {
            recorder.hand_over();
        }
    }

    /// Counts the requests that have no answer, whether they were sent or could not be.
    fn count_unanswered(&mut self, now: Time) {
        let is_timed = self.window.is_some_and(|window| window.end.is_some());
        for connection in &self.connections {
            if let Some(times) = connection.times(now) {
                self.tally.requests.outstanding += 1;
                self.tally.service.unanswered(times.service);
                self.tally.latency.unanswered(times.latency);
            } else if connection.is_cut_off() && is_timed {
                self.tally.requests.unsent += 1;
                self.tally.latency.unanswered(now.since(connection.due));
            }
        }
    }

    /// Looks for connections, and for all of them, that had answers for a while and then none.
    fn count_silence(&mut self, now: Time) {
        let Some(window) = self.window.filter(|window| window.end.is_some()) else { return };
        let longest = self.tally.latency.longest_answer();
        let patience = patience(now.since(window.start), longest);
        for connection in self.connections.iter().filter(|connection| connection.was_served) {
            let silence = now.since(connection.last_answer);
            if silence > patience {
                self.tally.connections.silent += 1;
                self.tally.longest_silence = self.tally.longest_silence.max(silence);
            }
        }
        if self.tally.connections.opened > 0 {
            let gap = now.since(self.last_answer);
            self.tally.longest_gap = self.tally.longest_gap.max(gap);
        }
    }
}
