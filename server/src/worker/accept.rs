//! New connections.

use rim_driver::{Completion, Driver, Errno, Listener, Op, OpId, Outcome, Owner, Socket, Token};

use super::Worker;
use crate::close_reason::CloseReason;
use crate::connection::Connection;
use crate::limits::{ACCEPT_REST, ACCEPT_SINGLY_BELOW};

/// Slots of control tokens from here on name listeners.
const LISTENERS: u32 = 16;
/// The token of closes that nobody waits for.
const CLOSE: u32 = 3;
/// The alarm at which accepting goes on.
const REST: u32 = 4;

/// A listener, and whether connections are being accepted from it.
#[derive(Debug)]
pub(super) struct Listening {
    listener: Listener,
    /// Some exactly while an accept is submitted and has not given its last completion.
    accept: Option<OpId>,
}

impl Listening {
    pub(super) fn new(listener: Listener) -> Self {
        Self { listener, accept: None }
    }
}

fn control(slot: u32) -> Token {
    Token::new(Owner::Control, slot, 0)
}

impl<D: Driver> Worker<D> {
    /// Accepts from all listeners, unless there is a reason not to.
    pub(super) fn accept(&mut self) {
        if !self.accepts() {
            return;
        }
        let once = self.room() < ACCEPT_SINGLY_BELOW;
        for (number, listening) in self.listening.iter_mut().enumerate() {
            if listening.accept.is_none() {
                let token = control(LISTENERS + number as u32);
                let op = Op::Accept { listener: listening.listener, once };
                listening.accept = Some(self.driver.submit(token, op));
            }
        }
    }

    /// Whether new connections are wanted now.
    fn accepts(&self) -> bool {
        !self.is_draining && !self.is_resting && self.room() > 0
    }

    /// How many more connections there may be.
    fn room(&self) -> usize {
        self.connections_max - self.connections.len()
    }

    /// Asks for all accepts to end.
    pub(super) fn stop_accepting(&mut self) {
        for id in self.listening.iter().filter_map(|listening| listening.accept) {
            self.driver.cancel(id);
        }
    }

    /// Whether nothing more can come from a listener.
    pub(super) fn has_stopped_accepting(&self) -> bool {
        self.listening.iter().all(|listening| listening.accept.is_none())
    }

    pub(super) fn accepted(&mut self, completion: Completion) {
        if completion.token.slot() == CLOSE {
            return;
        }
        if !completion.more {
            self.listening[(completion.token.slot() - LISTENERS) as usize].accept = None;
        }
        match completion.result {
            Ok(Outcome::Accepted(socket)) => self.admit(socket),
            // The connection was gone before it was accepted, or we ended it ourselves.
            Ok(_) | Err(Errno::CONNABORTED | Errno::CANCELED | Errno::INTR) => {}
            Err(_) => self.rest(),
        }
        self.accept();
    }

    fn admit(&mut self, socket: Socket) {
        self.counters.accepted += 1;
        if self.room() == 0 {
            // It was on its way when the accept was cancelled.
            self.counters.count_close(CloseReason::Full);
            self.driver.submit(control(CLOSE), Op::Close { socket });
            return;
        }
        let deadline = self.now + self.snapshot.head_timeout;
        let token = self.connections.insert(Connection::new(socket, deadline));
        self.timers.insert(token, deadline);
        if let Some(connection) = self.connections.get(token) {
            connection.transport.receive(&mut self.driver, token);
        }
        let room = self.room();
        if room == 0 || room + 1 == ACCEPT_SINGLY_BELOW {
            self.stop_accepting();
        }
    }

    /// The system is out of descriptors or memory: trying again at once would only spin.
    fn rest(&mut self) {
        if !self.is_resting {
            self.is_resting = true;
            self.counters.accept_rests += 1;
            self.timers.insert(control(REST), self.now + ACCEPT_REST);
        }
    }

    /// An alarm of the loop itself.
    pub(super) fn control_alarm(&mut self, token: Token) {
        match token.slot() {
            REST => {
                self.is_resting = false;
                self.accept();
            }
            super::DRAIN_IDLE => self.close_idle(),
            super::EVERY_SECOND => self.every_second(),
            slot => unreachable!("no alarm {slot}"),
        }
    }
}
