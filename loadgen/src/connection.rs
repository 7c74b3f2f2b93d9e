//! One connection: what it is doing, and what came of it.
//!
//! A state machine without a socket: the worker tells it what happened and does what follows from
//! its answer.

use std::time::Duration;

use rim_driver::{Errno, OpId, Owner, Socket, Time, Token};

use crate::errors::ErrorClass;
use crate::response::{Answer, Fault, Method, Progress, ResponseReader};

/// What a connection is doing. What the kernel holds of it is kept apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Life {
    /// Not open, and nobody is opening it.
    #[default]
    Closed,
    /// On its way.
    Connecting(OpId),
    /// On its way, and no longer wanted.
    Abandoned,
    /// Open, and nothing is asked.
    Idle,
    /// A request is out, since then.
    Asking(Time),
    /// To be closed as soon as the kernel holds nothing of it.
    Closing,
}

/// What came of opening it for the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Opened {
    /// Nothing yet.
    #[default]
    Pending,
    /// It was open.
    Yes,
    /// Nobody listened.
    Refused,
    /// Something else was in the way.
    Failed,
}

/// What follows from an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing.
    Wait,
    /// The answer is whole.
    Answered {
        /// It took so long.
        took: Times,
        /// It says this.
        answer: Answer,
    },
    /// There will be no answer, and the connection is of no more use.
    Failed(ErrorClass),
    /// Nothing was asked, and the connection is of no more use.
    Broken(ErrorClass),
    /// Nothing was asked, and the server closed the connection, as it may.
    Closed,
}

/// How long a request took, or has taken so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// Since it was due: since the window began, or the request before it ended. It may have had to
    /// wait for a new socket.
    pub(crate) latency: Duration,
    /// Since it was sent.
    pub(crate) service: Duration,
}

/// One connection of the run; over time it may have one socket after another.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    pub(crate) life: Life,
    /// How many sockets it has had: old tokens show themselves by it.
    pub(crate) generation: u32,
    pub(crate) socket: Option<Socket>,
    /// The receive that the kernel holds.
    pub(crate) receive: Option<OpId>,
    /// The send that the kernel holds.
    pub(crate) send: Option<OpId>,
    reader: ResponseReader,
    /// Requests that were sent on this socket.
    asked_here: u64,
    /// When its last request ended, or the window began: since then the next one is due.
    pub(crate) due: Time,
    /// When its last answer came, or the window began.
    pub(crate) last_answer: Time,
    pub(crate) opened: Opened,
    pub(crate) was_asked: bool,
    pub(crate) was_served: bool,
    pub(crate) was_reset: bool,
}

impl Connection {
    /// What its operations are submitted with.
    #[inline]
    pub(crate) fn token(&self, slot: u32) -> Token {
        Token::new(Owner::Connection, slot, self.generation)
    }

    /// Whether a request can be sent. The last send may still be on its way when its answer is
    /// there already.
    #[inline]
    pub(crate) fn is_ready(&self) -> bool {
        self.life == Life::Idle && self.send.is_none()
    }

    /// Whether it has a socket that is of use.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.life, Life::Idle | Life::Asking(_))
    }

    /// How long the request has taken so far that has no answer yet, if there is one.
    #[inline]
    pub(crate) fn times(&self, now: Time) -> Option<Times> {
        match self.life {
            Life::Asking(sent) => Some(self.times_since(sent, now)),
            _ => None,
        }
    }

    fn times_since(&self, sent: Time, now: Time) -> Times {
        Times { latency: now.since(self.due), service: now.since(sent) }
    }

    /// Whether it would ask if it had a socket.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.opened == Opened::Yes && self.was_asked && !self.is_open()
    }

    /// Whether the server has been asked for anything on this socket.
    pub(crate) fn was_asked_here(&self) -> bool {
        self.asked_here > 0
    }

    /// It has a socket.
    pub(crate) fn connected(&mut self, socket: Socket) {
        self.life = Life::Idle;
        self.opened = Opened::Yes;
        self.socket = Some(socket);
        self.asked_here = 0;
    }

    /// A request has been handed to the driver.
    #[inline]
    pub(crate) fn asked(&mut self, send: OpId, method: Method, now: Time) {
        self.life = Life::Asking(now);
        self.send = Some(send);
        self.was_asked = true;
        self.asked_here += 1;
        self.reader.expect(method);
    }

    /// Bytes came.
    #[inline]
    pub(crate) fn received(&mut self, bytes: &[u8], now: Time) -> Next {
        match self.life {
            Life::Asking(sent) => match self.reader.read(bytes) {
                Ok(Progress::Partial) => Next::Wait,
                Ok(Progress::Complete { taken, answer }) if taken == bytes.len() => {
                    self.answered(answer, sent, now)
                }
                Ok(Progress::Complete { .. }) => Next::Failed(ErrorClass::ExtraBytes),
                // Where an answer has just ended, what is no answer is a rest of it.
                Err(Fault::NotHttp) if self.asked_here > 1 => Next::Failed(ErrorClass::ExtraBytes),
                Err(fault) => Next::Failed(fault.into()),
            },
            Life::Idle => Next::Broken(ErrorClass::ExtraBytes),
            _ => Next::Wait,
        }
    }

    /// The server will send nothing more.
    pub(crate) fn ended(&mut self, now: Time) -> Next {
        match self.life {
            Life::Asking(sent) => match self.reader.end() {
                Ok(answer) => self.answered(answer, sent, now),
                Err(fault) => Next::Failed(fault.into()),
            },
            Life::Idle => Next::Closed,
            _ => Next::Wait,
        }
    }

    /// A send or receive failed.
    pub(crate) fn broke(&mut self, errno: Errno) -> Next {
        let class = ErrorClass::of_connection(errno);
        if self.is_open() {
            self.was_reset |= class == ErrorClass::Reset;
        }
        match self.life {
            Life::Asking(_) => Next::Failed(class),
            Life::Idle => Next::Broken(class),
            _ => Next::Wait,
        }
    }

    #[inline]
    fn answered(&mut self, answer: Answer, sent: Time, now: Time) -> Next {
        let took = self.times_since(sent, now);
        self.life = Life::Idle;
        self.was_served = true;
        (self.due, self.last_answer) = (now, now);
        Next::Answered { took, answer }
    }

    /// Its socket is closed.
    pub(crate) fn closed(&mut self) {
        self.life = Life::Closed;
        self.generation = self.generation.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    fn at(micros: u64) -> Time {
        Time::from_nanos(micros * 1_000)
    }

    /// A connection that has been asked at 10 µs and has sent its request.
    fn asked() -> Connection {
        let mut connection = Connection::default();
        connection.connected(Socket(1));
        ask(&mut connection);
        connection
    }

    fn ask(connection: &mut Connection) {
        connection.due = at(10);
        connection.asked(OpId(1), Method::Get, at(10));
        connection.send = None;
    }

    fn answered(stays_open: bool, micros: u64) -> Next {
        let micros = Duration::from_micros(micros);
        Next::Answered {
            took: Times { latency: micros, service: micros },
            answer: Answer { status: 200, stays_open },
        }
    }

    #[test]
    fn an_answer_makes_it_ready_for_the_next_request() {
        let mut connection = asked();
        assert!(!connection.is_ready());
        assert_eq!(connection.received(&OK[..20], at(15)), Next::Wait);
        assert_eq!(connection.received(&OK[20..], at(30)), answered(true, 20));
        assert!(connection.is_ready() && connection.was_served);
    }

    #[test]
    fn a_request_that_waits_for_a_socket_is_late_all_the_same() {
        let mut connection = asked();
        connection.received(OK, at(30));
        connection.closed();
        assert!(connection.is_cut_off());
        connection.connected(Socket(2));
        connection.asked(OpId(2), Method::Get, at(100));
        let times = connection.times(at(110)).unwrap();
        assert_eq!((times.latency.as_micros(), times.service.as_micros()), (80, 10));
    }

    #[test]
    fn it_is_not_ready_before_the_last_request_has_left() {
        let mut connection = Connection::default();
        connection.connected(Socket(1));
        connection.due = at(10);
        connection.asked(OpId(1), Method::Get, at(10));
        assert_eq!(connection.received(OK, at(11)), answered(true, 1));
        assert!(!connection.is_ready());
        connection.send = None;
        assert!(connection.is_ready());
    }

    #[test]
    fn bytes_behind_an_answer_are_a_failure_of_their_own_class() {
        let longer = [OK, b"x"].concat();
        let extra = Next::Failed(ErrorClass::ExtraBytes);
        assert_eq!(asked().received(&longer, at(20)), extra);
        // The same in two pieces, before the next request and behind it.
        let mut connection = asked();
        connection.received(OK, at(20));
        let broken = Next::Broken(ErrorClass::ExtraBytes);
        assert_eq!(connection.received(b"x", at(21)), broken);
        ask(&mut connection);
        assert_eq!(connection.received(b"x", at(22)), extra);
        // But the first thing that a server says is no rest of anything.
        let malformed = Next::Failed(ErrorClass::MalformedResponse);
        assert_eq!(asked().received(b"x", at(20)), malformed);
    }

    #[test]
    fn the_end_of_the_connection_means_what_the_moment_makes_of_it() {
        let early = Next::Failed(ErrorClass::ClosedEarly);
        assert_eq!(asked().ended(at(20)), early);
        let mut connection = asked();
        connection.received(&OK[..30], at(20));
        assert_eq!(connection.ended(at(21)), early);
        connection = asked();
        connection.received(&OK[..OK.len() - 1], at(20));
        let short = Next::Failed(ErrorClass::ShortBody);
        assert_eq!(connection.ended(at(21)), short);
        connection = asked();
        connection.received(OK, at(20));
        assert_eq!(connection.ended(at(21)), Next::Closed);
        connection = asked();
        connection.received(b"HTTP/1.1 200 OK\r\n\r\nall of it", at(20));
        assert_eq!(connection.ended(at(60)), answered(false, 50));
    }

    #[test]
    fn a_reset_is_remembered() {
        let mut connection = asked();
        let reset = Next::Failed(ErrorClass::Reset);
        assert_eq!(connection.broke(Errno::CONNRESET), reset);
        assert!(connection.was_reset);
        connection.life = Life::Closing;
        assert_eq!(connection.broke(Errno::CONNRESET), Next::Wait);
    }

    #[test]
    fn a_closed_socket_leaves_its_tokens_behind() {
        let mut connection = asked();
        let token = connection.token(7);
        connection.closed();
        assert_ne!(connection.token(7), token);
        assert_eq!(connection.life, Life::Closed);
    }
}
