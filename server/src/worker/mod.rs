//! One worker: a thread with a driver, its connections, and the loop over what completes.

mod accept;
mod connections;
mod counters;
mod events;
#[cfg(test)]
mod simulation;

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use rim_driver::{Completion, Driver, Listener, OpKind, Outcome, Owner, Time, Token};

use self::accept::Listening;
use self::connections::Connections;
pub(crate) use self::counters::Counters;
use crate::clock::DateLine;
use crate::close_reason::CloseReason;
use crate::connection::Life;
use crate::files::{FileMessage, FileSettings, Files};
use crate::limits::{DRAIN_IDLE_AT_MOST, SPARE_BUFFER_BYTES_MAX, SPARE_BUFFERS_MAX};
use crate::mailbox::Mailbox;
use crate::snapshot::Snapshot;
use crate::timers::Timers;

/// The alarm at which idle connections of a draining server are closed.
const DRAIN_IDLE: u32 = 5;
/// The alarm for what is to be done now and then.
const EVERY_SECOND: u32 = 6;

/// A message to a worker.
#[derive(Debug)]
pub(crate) enum Message {
    /// From another worker, about files.
    File(FileMessage),
    /// Accept nothing more, finish what is under way, end.
    Drain,
    /// End.
    Stop,
    /// Panic, outside the handling of any connection.
    #[cfg(test)]
    Panic,
}

/// The mailboxes of all workers, by number.
pub(crate) type Mailboxes = Arc<[Arc<Mailbox<Message>>]>;

/// Whether a worker goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// It does.
    Running,
    /// It is to stop, or has drained.
    Ended,
}

/// What a worker is made of, besides its driver.
#[derive(Debug)]
pub(crate) struct WorkerSettings {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) files: FileSettings,
    /// Connections that it may have at the same time.
    pub(crate) connections_max: usize,
    pub(crate) mailboxes: Mailboxes,
}

/// The state of a worker. Nothing in it is shared but what is immutable, and the mailboxes.
pub(crate) struct Worker<D> {
    driver: D,
    snapshot: Arc<Snapshot>,
    number: usize,
    mailboxes: Mailboxes,
    listening: Vec<Listening>,
    connections: Connections,
    connections_max: usize,
    files: Files,
    timers: Timers,
    date: DateLine,
    now: Time,
    /// Connections whose receive found no buffer, in the order in which they are to try again.
    starved: VecDeque<Token>,
    /// Output buffers for the next answers, used last in, first out.
    spare: Vec<Vec<u8>>,
    /// Where paths are decoded.
    scratch: Vec<u8>,
    is_resting: bool,
    is_draining: bool,
    is_stopped: bool,
    counters: Counters,
    completions: Vec<Completion>,
    due: Vec<Token>,
}

impl<D: Driver> Worker<D> {
    /// A worker that does not accept yet.
    pub(crate) fn new(driver: D, listeners: Vec<Listener>, settings: WorkerSettings) -> Self {
        let now = driver.now();
        let number = settings.files.worker;
        settings.mailboxes[number].set_waker(driver.waker());
        let mut timers = Timers::new(now);
        timers.insert(Token::new(Owner::Control, EVERY_SECOND, 0), now + Duration::from_secs(1));
        Self {
            driver,
            snapshot: settings.snapshot,
            number,
            mailboxes: settings.mailboxes,
            listening: listeners.into_iter().map(Listening::new).collect(),
            connections: Connections::default(),
            connections_max: settings.connections_max,
            files: Files::new(settings.files),
            timers,
            date: DateLine::new(),
            now,
            starved: VecDeque::new(),
            spare: Vec::new(),
            scratch: Vec::new(),
            is_resting: false,
            is_draining: false,
            is_stopped: false,
            counters: Counters::default(),
            completions: Vec::new(),
            due: Vec::new(),
        }
    }

    /// Serves until it is told to end.
    ///
    /// # Errors
    /// What made the driver unusable.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        self.start();
        while self.turn()? == Flow::Running {}
        Ok(())
    }

    /// Begins to accept.
    pub(crate) fn start(&mut self) {
        self.read_mail();
        self.accept();
    }

    /// One turn of the loop: waits for completions and timers, and acts on them.
    ///
    /// # Errors
    /// What made the driver unusable.
    pub(crate) fn turn(&mut self) -> io::Result<Flow> {
        let mut completions = std::mem::take(&mut self.completions);
        self.driver.turn(self.timers.next(), &mut completions)?;
        self.now = self.driver.now();
        self.files.set_time(self.now);
        let driver = &self.driver;
        self.date.update(self.now, || driver.unix_time());
        for completion in completions.drain(..) {
            self.complete(completion);
            self.settle_files();
        }
        self.completions = completions;
        self.look_at_deadlines();
        self.settle_files();
        self.receive_again();
        self.files.end_turn();
        let has_drained =
            self.is_draining && self.connections.len() == 0 && self.has_stopped_accepting();
        Ok(if self.is_stopped || has_drained { Flow::Ended } else { Flow::Running })
    }

    /// Brings a completion to its owner.
    fn complete(&mut self, completion: Completion) {
        let token = completion.token;
        match token.owner() {
            Owner::Connection | Owner::Exchange => {
                let handle = AssertUnwindSafe(|| self.complete_connection(completion));
                if catch_unwind(handle).is_err() {
                    self.panicked(token);
                }
            }
            Owner::Fill => {
                let unix = self.driver.unix_time();
                self.files.complete_fill(token, completion.result, unix);
            }
            Owner::Control if completion.kind == OpKind::Wake => self.read_mail(),
            Owner::Control if Files::is_mine(token) => {
                self.files.complete_control(token, completion.result);
            }
            Owner::Control => self.accepted(completion),
        }
    }

    fn complete_connection(&mut self, completion: Completion) {
        if completion.token.owner() == Owner::Exchange {
            self.exchange_completed(completion);
        } else {
            self.connection_completed(completion);
        }
    }

    /// Nobody is there any more for a completion: gives back what came with it.
    fn stale(&mut self, outcome: Result<Outcome, rim_driver::Errno>) {
        self.counters.stale += 1;
        match outcome {
            Ok(Outcome::Received(lease)) => self.driver.release(lease),
            Ok(Outcome::Opened(file)) => self.files.close(Some(file)),
            _ => {}
        }
    }

    /// A bug in the handling of one connection ends that connection alone. What the kernel holds of
    /// it is waited for as usual.
    fn panicked(&mut self, token: Token) {
        self.counters.panics += 1;
        let token = Token::new(Owner::Connection, token.slot(), token.generation());
        self.close(token, CloseReason::Panicked);
    }

    /// Carries out what the files have put out.
    #[inline]
    fn settle_files(&mut self) {
        loop {
            for (token, op) in self.files.ops.drain(..) {
                self.driver.submit(token, op);
            }
            for (token, time) in self.files.alarms.drain(..) {
                self.timers.insert(token, time);
            }
            for (worker, message) in self.files.messages.drain(..) {
                self.mailboxes[worker].send(Message::File(message));
            }
            let Some(token) = self.files.ready.pop() else { return };
            let look = AssertUnwindSafe(|| self.look_again(token));
            if catch_unwind(look).is_err() {
                self.panicked(token);
            }
        }
    }

    /// Receives once more where no buffer was free.
    fn receive_again(&mut self) {
        while let Some(token) = self.starved.pop_front() {
            self.want_input(token);
        }
    }

    fn read_mail(&mut self) {
        for message in self.mailboxes[self.number].take() {
            match message {
                Message::File(message) => self.files.receive(message),
                Message::Drain => self.drain(),
                Message::Stop => self.is_stopped = true,
                #[cfg(test)]
                Message::Panic => panic!("as the test wants"),
            }
        }
    }

    /// Accepts nothing more. Idle connections have a little time for a last request.
    fn drain(&mut self) {
        if self.is_draining {
            return;
        }
        self.is_draining = true;
        self.stop_accepting();
        self.files.work_alone();
        let token = Token::new(Owner::Control, DRAIN_IDLE, 0);
        self.timers.insert(token, self.now + DRAIN_IDLE_AT_MOST);
    }

    fn close_idle(&mut self) {
        for token in self.connections.tokens() {
            if self.connections.get(token).is_some_and(|connection| connection.life == Life::Idle) {
                self.close(token, CloseReason::Drained);
            }
        }
    }

    fn every_second(&mut self) {
        self.files.every_second();
        let token = Token::new(Owner::Control, EVERY_SECOND, 0);
        self.timers.insert(token, self.now + Duration::from_secs(1));
    }

    /// Looks at those whose deadline may have come.
    fn look_at_deadlines(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        self.timers.take_due(self.now, &mut due);
        for token in due.drain(..) {
            match token.owner() {
                Owner::Connection => self.look_at_deadline(token),
                Owner::Fill => self.files.alarm(token),
                Owner::Control | Owner::Exchange => self.control_alarm(token),
            }
        }
        self.due = due;
    }

    /// An empty output buffer.
    #[inline]
    fn take_buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Keeps an output buffer for later.
    #[inline]
    fn keep_buffer(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < SPARE_BUFFERS_MAX && buffer.capacity() <= SPARE_BUFFER_BYTES_MAX {
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}
