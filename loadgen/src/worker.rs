//! One worker: a driver, its share of the connections, and a loop over completions.
//!
//! It reads no clock and starts no thread, so that it runs on any driver; threads, cores and
//! phases are the business of `run`.

mod events;
#[cfg(test)]
mod tests;
mod window;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rim_driver::{Body, Clock, Completion, Driver, Op, Outgoing, Shared, Time};

pub(crate) use self::window::Window;
use crate::connection::{Connection, Life, Opened};
use crate::errors::{ErrorClass, Errors};
use crate::intervals::Recorder;
use crate::live::{Live, Snapshot};
use crate::opening::Opening;
use crate::plan::Plan;
use crate::tally::Tally;

/// What a worker is to do.
pub(crate) struct Share {
    pub(crate) plan: Arc<Plan>,
    /// The number of its first connection among those of the plan.
    pub(crate) first: u32,
    /// How many connections are its own.
    pub(crate) connections: u32,
    /// How many it may be opening at once.
    pub(crate) connects_at_once: usize,
}

/// How a worker is tied to those around it.
#[derive(Default)]
pub(crate) struct Ties {
    /// Whether everybody is to stop. Its driver's waker makes it look.
    pub(crate) stop: Arc<AtomicBool>,
    /// What the progress line shows.
    pub(crate) live: Arc<Live>,
    /// What the interval log gets.
    pub(crate) recorder: Option<Recorder>,
    /// How long a turn takes is measured if there is a clock.
    pub(crate) clock: Option<Clock>,
}

/// A worker.
pub(crate) struct Worker<D: Driver> {
    driver: D,
    share: Share,
    ties: Ties,
    /// This thread's handles on the requests of the plan, in its order.
    requests: Vec<Shared>,
    connections: Vec<Connection>,
    opening: Opening,
    /// Connections with neither success nor failure in opening yet.
    pending: u32,
    completions: Vec<Completion>,
    /// Connections that may be asked when the completions at hand are done with: one of those may
    /// close them.
    ready: Vec<u32>,
    window: Option<Window>,
    /// Requests without an end.
    unanswered: u64,
    last_answer: Time,
    is_stopped: bool,
    /// Whether it is done, and what closes stays closed.
    is_leaving: bool,
    tally: Tally,
}

impl<D: Driver> Worker<D> {
    pub(crate) fn new(driver: D, share: Share, ties: Ties) -> Self {
        let requests = share.plan.targets.iter();
        let mut tally = Tally::default();
        tally.connections.requested = u64::from(share.connections);
        Self {
            requests: requests.map(|target| Shared::new(target.request.clone())).collect(),
            connections: (0..share.connections).map(|_| Connection::default()).collect(),
            opening: Opening::new(0..share.connections, share.connects_at_once),
            pending: share.connections,
            completions: Vec::new(),
            ready: Vec::new(),
            window: None,
            unanswered: 0,
            last_answer: Time::ZERO,
            is_stopped: false,
            is_leaving: false,
            tally,
            driver,
            share,
            ties,
        }
    }

    /// How many connections have been opened.
    pub(crate) fn opened(&self) -> u64 {
        self.tally.connections.opened
    }

    /// What has gone wrong so far.
    pub(crate) fn errors(&self) -> &Errors {
        &self.tally.errors
    }

    /// What has been counted since the beginning.
    pub(crate) fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Opens the connections and sends nothing. Ends when each has been opened or has failed, or
    /// after `at_most`.
    ///
    /// # Errors
    /// What the driver says.
    pub(crate) fn open(&mut self, at_most: Duration) -> io::Result<()> {
        self.turn(Some(Time::ZERO))?;
        let deadline = self.driver.now() + at_most;
        while self.pending > 0 && !self.is_stopped && self.driver.now() < deadline {
            let until = self.opening.next_due().map_or(deadline, |due| due.min(deadline));
            self.turn(Some(until))?;
        }
        if !self.is_stopped {
            let late = u64::from(self.pending);
            self.tally.errors.count_many(ErrorClass::ConnectTimeout, late);
        }
        // Those that were open once and have been closed again go on to be opened.
        self.abandon(|connection| connection.opened == Opened::Pending);
        Ok(())
    }

    /// Closes all connections, or as many as can be within `at_most`.
    ///
    /// The end of the driver would close them too, but a kernel takes its time to end thousands of
    /// operations that are not named one by one.
    ///
    /// # Errors
    /// What the driver says.
    pub(crate) fn leave(&mut self, at_most: Duration) -> io::Result<()> {
        self.is_leaving = true;
        self.window = None;
        self.abandon(|_| true);
        for slot in 0..self.share.connections {
            if self.connections[slot as usize].is_open() {
                self.close(slot);
            }
        }
        let deadline = self.driver.now() + at_most;
        let is_closed = |connection: &Connection| connection.life == Life::Closed;
        while !self.connections.iter().all(is_closed) && self.driver.now() < deadline {
            self.turn(Some(deadline))?;
        }
        Ok(())
    }

    /// Gives up connections that are on their way or are to be.
    fn abandon(&mut self, which: impl Fn(&Connection) -> bool) {
        self.opening.retain(|slot| !which(&self.connections[slot as usize]));
        for connection in self.connections.iter_mut().filter(|connection| which(connection)) {
            if let Life::Connecting(op) = connection.life {
                self.driver.cancel(op);
                connection.life = Life::Abandoned;
            }
        }
    }

    /// Hands everything to the driver, waits, and does all that follows from what it completes.
    fn turn(&mut self, until: Option<Time>) -> io::Result<()> {
        self.driver.turn(until, &mut self.completions)?;
        let now = self.driver.now();
        let mut completions = std::mem::take(&mut self.completions);
        for completion in completions.drain(..) {
            self.complete(completion, now);
        }
        self.completions = completions;
        self.ask_those_ready(now);
        self.open_more(now);
        self.tell();
        if let Some(clock) = self.ties.clock.filter(|_| self.window.is_some()) {
            let took = clock.now().since(now);
            self.tally.longest_turn = self.tally.longest_turn.max(took);
        }
        Ok(())
    }

    fn tell(&self) {
        if self.is_leaving {
            return;
        }
        self.ties.live.publish(Snapshot {
            opened: self.tally.connections.opened,
            sent: self.tally.requests.sent,
            answered: self.tally.requests.answered,
            failed: self.tally.requests.failed,
        });
    }

    /// Somebody used the driver's waker.
    fn look_whether_to_stop(&mut self) {
        self.is_stopped |= self.ties.stop.load(Ordering::Acquire);
    }

    fn open_more(&mut self, now: Time) {
        while let Some(slot) = self.opening.next(now) {
            let route = self.share.plan.route(self.share.first + slot);
            let connection = &mut self.connections[slot as usize];
            let op = Op::Connect { to: route.to, from: route.from };
            let id = self.driver.submit(connection.token(slot), op);
            connection.life = Life::Connecting(id);
        }
    }

    /// Sends the next request on every connection that is ready for it.
    fn ask_those_ready(&mut self, now: Time) {
        let mut ready = std::mem::take(&mut self.ready);
        for slot in ready.drain(..) {
            if self.connections[slot as usize].is_ready() && self.may_ask(now) {
                self.ask(slot, now);
            }
        }
        self.ready = ready;
    }

    fn ask(&mut self, slot: u32, now: Time) {
        let target = self.share.plan.target_of(self.share.first + slot);
        let request = self.requests[target].clone();
        let length = request.as_slice().len();
        let connection = &mut self.connections[slot as usize];
        let Some(socket) = connection.socket else {
            unreachable!("a connection that is ready has a socket")
        };
        let op = Op::Send {
            socket,
            outgoing: Outgoing {
                bytes: Vec::new(),
                body: Some(Body::Shared(request, 0..length)),
                sent: 0,
            },
        };
        let send = self.driver.submit(connection.token(slot), op);
        connection.asked(send, self.share.plan.targets[target].method, now);
        self.tally.requests.sent += 1;
        self.unanswered += 1;
    }

    /// Begins to close a connection's socket.
    fn close(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        connection.life = Life::Closing;
        for op in [connection.receive, connection.send].into_iter().flatten() {
            self.driver.cancel(op);
        }
        self.settle(slot);
    }

    /// Does what a connection's life wants and the kernel now allows: a receive for one that is
    /// open, the close of one that is to be closed.
    fn settle(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        let token = connection.token(slot);
        if connection.life == Life::Closing {
            let is_held = connection.receive.is_some() || connection.send.is_some();
            if let Some(socket) = connection.socket.take_if(|_| !is_held) {
                self.driver.submit(token, Op::Close { socket });
            }
        } else if let Some(socket) = connection.socket.filter(|_| connection.receive.is_none()) {
            connection.receive = Some(self.driver.submit(token, Op::Receive { socket }));
        }
    }

    /// Counts the connections by what came of them.
    fn count_connections(&mut self) {
        let counts = &mut self.tally.connections;
        for connection in &self.connections {
            counts.reset += u64::from(connection.was_reset);
            if connection.opened == Opened::Yes {
                counts.served += u64::from(connection.was_served);
                counts.starved += u64::from(connection.was_asked && !connection.was_served);
                counts.idle += u64::from(!connection.was_asked);
            }
        }
    }
}
