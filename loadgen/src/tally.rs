//! What a run counts.

use std::time::Duration;

use rim_driver::{Counters, Time};

use crate::errors::Errors;
use crate::latency::Latency;

/// Connections, by what came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// How many there were to be.
    pub requested: u64,
    /// How many were open before the first request.
    pub opened: u64,
    /// How many nobody listened for.
    pub refused: u64,
    /// Opened, and got at least one whole answer.
    pub served: u64,
    /// Opened and never asked for anything.
    pub idle: u64,
    /// Opened, asked, and got no whole answer.
    pub starved: u64,
    /// Served at first, and then not any more: see [`crate::verdict::patience`].
    pub silent: u64,
    /// Broken by the server or on the way, at least once.
    pub reset: u64,
    /// How many times one was opened again.
    pub reconnects: u64,
}

impl Connections {
    /// How many were neither opened nor refused.
    #[must_use]
    pub fn not_opened(&self) -> u64 {
        self.requested.saturating_sub(self.opened + self.refused)
    }

    fn add(&mut self, other: &Self) {
        self.requested += other.requested;
        self.opened += other.opened;
        self.refused += other.refused;
        self.served += other.served;
        self.idle += other.idle;
        self.starved += other.starved;
        self.silent += other.silent;
        self.reset += other.reset;
        self.reconnects += other.reconnects;
    }
}

/// Requests, by what came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Handed to the driver.
    pub sent: u64,
    /// Answered whole, with a status below 400.
    pub answered: u64,
    /// Ended in any other way.
    pub failed: u64,
    /// Without an end when the run ended.
    pub outstanding: u64,
    /// Due, and not sent when the time was up, because the connection had been lost.
    pub unsent: u64,
}

impl Requests {
    fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.failed += other.failed;
        self.outstanding += other.outstanding;
        self.unsent += other.unsent;
    }
}

/// What a thread had of its core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoreTime {
    /// It ran.
    pub ran: Duration,
    /// It could have run, and somebody else did.
    pub waited: Duration,
}

/// Everything that one worker, or all of them, counted.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Connections.
    pub connections: Connections,
    /// Requests.
    pub requests: Requests,
    /// Errors.
    pub errors: Errors,
    /// Bytes received in the window.
    pub bytes: u64,
    /// Times since requests were due.
    pub latency: Latency,
    /// Times since they were sent.
    pub service: Latency,
    /// The longest time for which nothing was answered on any connection of a worker.
    pub longest_gap: Duration,
    /// The longest time that a silent connection had waited at the end.
    pub longest_silence: Duration,
    /// When the last worker was done.
    pub ended: Time,
    /// The longest time between two looks at the driver, waiting not counted.
    pub longest_turn: Duration,
    /// What the drivers did.
    pub driver: Counters,
    /// What each worker's thread had of its core in the window.
    pub cpu: Vec<CoreTime>,
    /// Whether a run for a number of requests was ended because answers had stopped coming.
    pub gave_up: bool,
}

impl Tally {
    /// Adds what another worker counted.
    pub fn add(&mut self, other: &Self) {
        self.connections.add(&other.connections);
        self.requests.add(&other.requests);
        self.errors.add(&other.errors);
        self.bytes += other.bytes;
        self.latency.add(&other.latency);
        self.service.add(&other.service);
        self.longest_gap = self.longest_gap.max(other.longest_gap);
        self.longest_silence = self.longest_silence.max(other.longest_silence);
        self.ended = self.ended.max(other.ended);
        self.longest_turn = self.longest_turn.max(other.longest_turn);
        self.driver.enters += other.driver.enters;
        self.driver.submitted += other.driver.submitted;
        self.driver.completed += other.driver.completed;
        self.driver.out_of_buffers += other.driver.out_of_buffers;
        self.driver.overflows += other.driver.overflows;
        self.cpu.extend_from_slice(&other.cpu);
        self.gave_up |= other.gave_up;
    }

    /// The laws that every run obeys, each with whether this one did.
    #[must_use]
    pub fn laws(&self) -> [(&'static str, bool); 5] {
        let (connections, requests) = (&self.connections, &self.requests);
        let unanswered = requests.failed + requests.outstanding;
        [
            (
                "sent = answered + failed + outstanding",
                requests.sent == requests.answered + requests.failed + requests.outstanding,
            ),
            (
                "every answer has one time in each histogram",
                requests.answered == self.latency.count()
                    && requests.answered == self.service.count(),
            ),
            (
                "every request without an answer has one time in each histogram",
                unanswered + requests.unsent == self.latency.unanswered_count()
                    && unanswered == self.service.unanswered_count(),
            ),
            (
                "opened = served + starved + idle",
                connections.opened == connections.served + connections.starved + connections.idle,
            ),
            (
                "requested >= opened + refused",
                connections.requested >= connections.opened + connections.refused,
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_of_each() -> Tally {
        let mut tally = Tally {
            connections: Connections {
                requested: 10,
                opened: 6,
                refused: 1,
                served: 3,
                idle: 2,
                starved: 1,
                silent: 1,
                reset: 1,
                reconnects: 4,
            },
            requests: Requests { sent: 6, answered: 1, failed: 2, outstanding: 3, unsent: 1 },
            ended: Time::from_nanos(5),
            cpu: vec![CoreTime::default()],
            ..Tally::default()
        };
        tally.latency.answered(Duration::from_millis(1));
        tally.service.answered(Duration::from_millis(1));
        for number in 0..6 {
            tally.latency.unanswered(Duration::from_millis(2));
            if number > 0 {
                tally.service.unanswered(Duration::from_millis(2));
            }
        }
        tally
    }

    #[test]
    fn sums_obey_the_laws_that_their_parts_obey() {
        let mut sum = one_of_each();
        sum.add(&one_of_each());
        assert!(sum.laws().iter().all(|(_, holds)| *holds));
        assert_eq!(sum.connections.not_opened(), 6);
        assert_eq!(sum.requests.sent, 12);
        assert_eq!(sum.cpu.len(), 2);
        assert_eq!(sum.ended, Time::from_nanos(5));
    }

    #[test]
    fn a_lost_request_breaks_the_laws_that_count_it() {
        let mut tally = one_of_each();
        tally.requests.outstanding -= 1;
        let holds = tally.laws().map(|(_, holds)| holds);
        assert_eq!(holds, [false, true, false, true, true]);
    }
}
