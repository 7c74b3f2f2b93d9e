//! What follows from a completion.

use rim_driver::{Completion, Driver, Errno, Op, OpKind, Outcome, Owner, Socket, Time};

use super::Worker;
use crate::connection::{Life, Next, Opened, Times};
use crate::errors::ErrorClass;

/// The first status that tells of an error: RFC 9110 section 15.
const ERROR_STATUS: u16 = 400;

impl<D: Driver> Worker<D> {
    pub(super) fn complete(&mut self, completion: Completion, now: Time) {
        let Completion { token, kind, more, result } = completion;
        if token.owner() != Owner::Connection {
            self.look_whether_to_stop();
            return;
        }
        let slot = token.slot();
        if self.connections[slot as usize].generation != token.generation() {
            // Of a socket that is closed: there should be none, and a buffer must not be lost.
            if let Ok(Outcome::Received(lease)) = result {
                self.driver.release(lease);
            }
            return;
        }
        match kind {
            OpKind::Receive => self.received(slot, more, result, now),
            OpKind::Send => self.sent(slot, result, now),
            OpKind::Connect => self.connected(slot, result, now),
            OpKind::Close => self.closed(slot, now),
            _ => unreachable!("no other operation is submitted"),
        }
    }

    fn received(&mut self, slot: u32, more: bool, result: Result<Outcome, Errno>, now: Time) {
        let connection = &mut self.connections[slot as usize];
        if !more {
            connection.receive = None;
        }
        let next = match result {
            Ok(Outcome::Received(lease)) => {
                let bytes = self.driver.received(&lease);
                self.tally.bytes += bytes.len() as u64;
                let next = connection.received(bytes, now);
                self.driver.release(lease);
                next
            }
            Ok(Outcome::EndOfStream) => connection.ended(now),
            Ok(_) => unreachable!("a receive gives bytes or their end"),
            // It ended for a reason of ours, and is armed again if it is still wanted.
            Err(Errno::NOBUFS | Errno::CANCELED) => Next::Wait,
            Err(errno) => connection.broke(errno),
        };
        self.follow(slot, next, now);
        if !more {
            self.settle(slot);
        }
    }

    fn sent(&mut self, slot: u32, result: Result<Outcome, Errno>, now: Time) {
        let connection = &mut self.connections[slot as usize];
        connection.send = None;
        let next = match result {
            Ok(Outcome::Sent(outgoing)) if outgoing.remaining() > 0 && connection.is_open() => {
                if let Some(socket) = connection.socket {
                    let token = connection.token(slot);
                    let op = Op::Send { socket, outgoing };
                    connection.send = Some(self.driver.submit(token, op));
                }
                Next::Wait
            }
            Ok(_) | Err(Errno::CANCELED) => Next::Wait,
            Err(errno) => connection.broke(errno),
        };
        if connection.is_ready() {
            self.ready.push(slot);
        }
        self.follow(slot, next, now);
        self.settle(slot);
    }

    fn connected(&mut self, slot: u32, result: Result<Outcome, Errno>, now: Time) {
        self.opening.ended();
        let connection = &mut self.connections[slot as usize];
        let is_wanted = connection.life != Life::Abandoned;
        match result {
            Ok(Outcome::Connected(socket)) if is_wanted => self.opened_with(slot, socket),
            Ok(Outcome::Connected(socket)) => {
                connection.socket = Some(socket);
                self.close(slot);
            }
            Ok(_) => unreachable!("a connect gives a socket"),
            Err(_) if !is_wanted => connection.life = Life::Closed,
            Err(errno) => self.not_connected(slot, errno, now),
        }
    }

    fn opened_with(&mut self, slot: u32, socket: Socket) {
        let connection = &mut self.connections[slot as usize];
        if connection.opened == Opened::Yes {
            self.tally.connections.reconnects += 1;
        } else {
            self.pending -= 1;
            self.tally.connections.opened += 1;
        }
        connection.connected(socket);
        self.ready.push(slot);
        self.settle(slot);
    }

    fn not_connected(&mut self, slot: u32, errno: Errno, now: Time) {
        let class = ErrorClass::of_connect(errno);
        self.tally.errors.count(class);
        let connection = &mut self.connections[slot as usize];
        connection.life = Life::Closed;
        connection.was_reset |= class == ErrorClass::Reset;
        if connection.opened == Opened::Yes {
            self.opening.add_later(slot, now);
            return;
        }
        self.pending -= 1;
        connection.opened = Opened::Failed;
        if class == ErrorClass::Refused {
            connection.opened = Opened::Refused;
            self.tally.connections.refused += 1;
        }
    }

    /// A socket is closed; the connection gets another one, if it ever had one in time.
    fn closed(&mut self, slot: u32, now: Time) {
        let connection = &mut self.connections[slot as usize];
        // A server that closes what it was never asked anything on would close the next as well.
        let is_hopeful = connection.was_asked_here();
        connection.closed();
        match connection.opened {
            _ if self.is_leaving => {}
            Opened::Yes if is_hopeful => self.opening.add(slot),
            Opened::Yes => self.opening.add_later(slot, now),
            _ => {}
        }
    }

    /// Does what a connection's event demands.
    fn follow(&mut self, slot: u32, next: Next, now: Time) {
        match next {
            Next::Wait => return,
            Next::Answered { took, answer } => {
                self.unanswered -= 1;
                self.note_answer(now);
                if answer.status < ERROR_STATUS {
                    self.tally.requests.answered += 1;
                    self.tally.latency.answered(took.latency);
                    self.tally.service.answered(took.service);
                    if let Some(recorder) = &mut self.ties.recorder {
                        recorder.record(took.latency);
                    }
                } else {
                    self.failed(took, ErrorClass::BadStatus);
                }
                if answer.stays_open {
                    if self.connections[slot as usize].is_ready() {
                        self.ready.push(slot);
                    }
                    return;
                }
            }
            Next::Failed(class) => {
                self.unanswered -= 1;
                let connection = &mut self.connections[slot as usize];
                let took = connection.times(now).expect("a request failed, so there was one");
                connection.due = now;
                self.failed(took, class);
            }
            Next::Broken(class) => self.tally.errors.count(class),
            Next::Closed => {}
        }
        self.close(slot);
    }

    /// A request came to nothing. A right answer would have taken longer than that.
    fn failed(&mut self, took: Times, class: ErrorClass) {
        self.tally.requests.failed += 1;
        self.tally.errors.count(class);
        self.tally.latency.unanswered(took.latency);
        self.tally.service.unanswered(took.service);
    }
}
