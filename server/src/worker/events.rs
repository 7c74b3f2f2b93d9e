//! What happens to connections.

use std::mem;

use rim_driver::Body as OutgoingBody;
use rim_driver::{Completion, Driver, Errno, Lease, OpKind, Outcome, Outgoing, Owner, Token};
use rim_http1::Status;

use super::Worker;
use crate::body::{FileProgress, Piece};
use crate::close_reason::CloseReason;
use crate::connection::{Connection, Context, Life, Then, exchange_token};
use crate::limits::{
    DOUBTS_MAX, DRAIN_IDLE_AT_MOST, LINGER_AT_MOST, LINGER_BYTES_MAX, SEND_BYTES_MAX,
};
use crate::protocol::{INPUT_BYTES_MAX, begins_with_head};

impl<D: Driver> Worker<D> {
    /// An operation on a connection's transport has completed.
    #[inline]
    pub(super) fn connection_completed(&mut self, completion: Completion) {
        let Completion { token, kind, more, result } = completion;
        let Some(connection) = self.connections.get(token) else {
            return self.stale(result);
        };
        if !more {
            connection.transport.completed(kind);
        }
        match (kind, result) {
            (OpKind::Receive, Ok(Outcome::Received(lease))) => self.received(token, lease),
            (OpKind::Receive, Ok(_)) => self.input_ended(token),
            (OpKind::Receive, Err(errno)) => self.receive_failed(token, errno),
            (OpKind::Send, Ok(Outcome::Sent(outgoing))) => self.sent(token, outgoing),
            (OpKind::Send, _) => self.send_failed(token),
            (OpKind::Close, _) => return self.closed(token),
            _ => {}
        }
        self.go_on_closing(token);
    }

    /// Bytes have come.
    #[inline]
    fn received(&mut self, token: Token, lease: Lease) {
        let Some(connection) = self.connections.get(token) else { return };
        match connection.life {
            Life::Idle | Life::Reading => self.process(token, Some(&lease)),
            Life::Waiting | Life::Sending => {
                connection.protocol.input.extend_from_slice(self.driver.received(&lease));
            }
            Life::Lingering { left, reason } => {
                let left = left.saturating_sub(self.driver.received(&lease).len());
                connection.life = Life::Lingering { left, reason };
                if left == 0 {
                    self.close(token, reason);
                }
            }
            Life::Closing(_) => {}
        }
        self.driver.release(lease);
        self.want_input(token);
    }

    /// Lets a connection act, with everything at hand that it needs for an answer.
    fn with_context<R>(
        &mut self,
        token: Token,
        out: &mut Vec<u8>,
        act: impl FnOnce(&mut Connection, &mut Context<'_>, &D) -> R,
    ) -> Option<R> {
        let connection = self.connections.get(token)?;
        let mut context = Context {
            files: &mut self.files,
            date: &self.date,
            out,
            scratch: &mut self.scratch,
            requests: &mut self.counters.requests,
            token,
            is_draining: self.is_draining,
        };
        Some(act(connection, &mut context, &self.driver))
    }

    /// Looks at what a connection has received: what it has kept, and the bytes of the lease.
    fn process(&mut self, token: Token, lease: Option<&Lease>) {
        let mut out = self.take_buffer();
        let lives = self.with_context(token, &mut out, |connection, context, driver| {
            let before = connection.life;
            let mut input = mem::take(&mut connection.protocol.input);
            let received = lease.map_or(&[][..], |lease| driver.received(lease));
            if input.is_empty() {
                // The usual case: whole requests in one buffer, answered where they lie.
                let consumed = connection.process(received, context);
                input.extend_from_slice(&received[consumed..]);
            } else {
                input.extend_from_slice(received);
                let consumed = connection.process(&input, context);
                input.drain(..consumed);
            }
            if !input.is_empty() {
                connection.protocol.input = input;
            }
            (before, connection.life)
        });
        let Some((before, life)) = lives else { return };
        if life == Life::Sending {
            return self.send(token, out);
        }
        self.keep_buffer(out);
        self.waits_for(token, before, life, lease.is_some());
    }

    /// A connection has nothing to send now: sets its deadline if it waits for something new.
    fn waits_for(&mut self, token: Token, before: Life, life: Life, has_received: bool) {
        let Some(connection) = self.connections.get(token) else { return };
        // Empty lines are no request, and buy no time.
        let is_noise = has_received && before == Life::Idle && life == Life::Idle;
        let timeout = match life {
            Life::Idle if self.is_draining => DRAIN_IDLE_AT_MOST,
            Life::Idle => self.snapshot.idle_timeout,
            Life::Reading => self.snapshot.head_timeout,
            _ => self.snapshot.file_timeout,
        };
        if life != before || (life == Life::Idle && !is_noise) {
            connection.deadline = self.now + timeout;
        }
        if connection.transport.has_ended() && life != Life::Waiting {
            let is_whole = life == Life::Idle;
            let reason = if is_whole { CloseReason::ClientDone } else { CloseReason::ClientGone };
            self.close(token, reason);
        }
    }

    /// Sends `out`, and of the answer's body what is at hand.
    fn send(&mut self, token: Token, out: Vec<u8>) {
        let Some(connection) = self.connections.get(token) else { return };
        let body = match connection.exchange.body.next(SEND_BYTES_MAX) {
            Piece::Shared(shared, range) => Some(OutgoingBody::Shared(shared, range)),
            Piece::Owned(bytes) => Some(OutgoingBody::Owned(bytes)),
            Piece::End | Piece::Pending => None,
        };
        if let Some(op) = connection.exchange.body.as_file().and_then(|body| body.read_ahead()) {
            self.driver.submit(exchange_token(token), op);
        }
        if out.is_empty() && body.is_none() {
            return self.keep_buffer(out);
        }
        self.submit_send(token, Outgoing { bytes: out, body, sent: 0 });
    }

    #[inline]
    fn submit_send(&mut self, token: Token, outgoing: Outgoing) {
        let Some(connection) = self.connections.get(token) else { return };
        connection.exchange.sent_before = outgoing.sent;
        connection.deadline = self.now + self.snapshot.send_timeout;
        connection.transport.send(&mut self.driver, token, outgoing);
    }

    /// A send has ended, all of it or part.
    #[inline]
    fn sent(&mut self, token: Token, outgoing: Outgoing) {
        let Some(connection) = self.connections.get(token) else { return };
        let is_overdue = mem::take(&mut connection.exchange.is_overdue);
        if connection.life != Life::Sending {
            return;
        }
        if outgoing.remaining() > 0 {
            let progress = outgoing.sent - connection.exchange.sent_before;
            if is_overdue && progress < self.snapshot.send_bytes_min() {
                return self.close(token, CloseReason::SlowReceiver);
            }
            return self.submit_send(token, outgoing);
        }
        if let (Some(OutgoingBody::Owned(piece)), Some(file)) =
            (outgoing.body, connection.exchange.body.as_file())
        {
            file.recycle(piece);
        }
        self.keep_buffer(outgoing.bytes);
        self.go_on_sending(token);
    }

    /// Sends the next piece of an answer, or sees to what follows the answer.
    #[inline]
    fn go_on_sending(&mut self, token: Token) {
        let Some(connection) = self.connections.get(token) else { return };
        if !connection.exchange.body.is_at_end() {
            return self.send(token, Vec::new());
        }
        connection.drop_body(&mut self.files);
        match connection.exchange.then {
            Then::NextRequest => {
                connection.life = Life::Idle;
                self.process(token, None);
                self.want_input(token);
            }
            Then::Close if connection.protocol.input.is_empty() => {
                self.close(token, CloseReason::LastAnswer);
            }
            Then::Close => self.linger(token, CloseReason::LastAnswer),
            Then::Linger(reason) => self.linger(token, reason),
        }
    }

    fn send_failed(&mut self, token: Token) {
        let Some(connection) = self.connections.get(token) else { return };
        let is_overdue = mem::take(&mut connection.exchange.is_overdue);
        let reason = if is_overdue { CloseReason::SlowReceiver } else { CloseReason::SendFailed };
        self.close(token, reason);
    }

    /// The client will send nothing more, but may still want its answer.
    fn input_ended(&mut self, token: Token) {
        let Some(connection) = self.connections.get(token) else { return };
        connection.transport.set_ended();
        match connection.life {
            Life::Idle => self.close(token, CloseReason::ClientDone),
            Life::Reading => self.close(token, CloseReason::ClientGone),
            Life::Lingering { reason, .. } => self.close(token, reason),
            Life::Waiting | Life::Sending | Life::Closing(_) => {}
        }
    }

    fn receive_failed(&mut self, token: Token, errno: Errno) {
        match errno {
            Errno::NOBUFS => self.starved.push_back(token),
            Errno::CANCELED => self.want_input(token),
            _ => self.close(token, CloseReason::ReceiveFailed),
        }
    }

    /// Receives, if there is room for what comes; stops if there is none.
    #[inline]
    pub(super) fn want_input(&mut self, token: Token) {
        let Some(connection) = self.connections.get(token) else { return };
        match connection.life {
            Life::Closing(_) => {}
            _ if connection.protocol.input.len() < INPUT_BYTES_MAX => {
                connection.transport.receive(&mut self.driver, token);
            }
            _ => connection.transport.cancel_receive(&mut self.driver),
        }
    }

    /// An operation on the file that is being sent has completed.
    pub(super) fn exchange_completed(&mut self, completion: Completion) {
        let Completion { token, result, .. } = completion;
        let token = Token::new(Owner::Connection, token.slot(), token.generation());
        let Some(connection) = self.connections.get(token) else { return self.stale(result) };
        if let Some(root) = connection.exchange.root.take() {
            self.files.release_root(root);
        }
        let life = connection.life;
        let Some(body) = connection.exchange.body.as_file() else { return self.stale(result) };
        if matches!(life, Life::Closing(_)) {
            body.end(result);
            return self.go_on_closing(token);
        }
        match body.advance(result) {
            FileProgress::Submit(op) => {
                self.driver.submit(exchange_token(token), op);
            }
            FileProgress::Verified => self.process(token, None),
            FileProgress::Ready if connection.transport.is_sending() => {}
            FileProgress::Ready => self.go_on_sending(token),
            // It may be gone, or another one: what is there now is found out anew.
            FileProgress::Changed | FileProgress::Failed if life == Life::Waiting => {
                self.files.doubt(&body.local().entry);
                connection.drop_body(&mut self.files);
                connection.exchange.doubts += 1;
                if connection.exchange.doubts < DOUBTS_MAX {
                    self.process(token, None);
                } else {
                    self.reject(token, Status::ServiceUnavailable, CloseReason::FileFailed);
                }
            }
            FileProgress::Changed => self.close(token, CloseReason::FileChanged),
            FileProgress::Failed => self.close(token, CloseReason::FileFailed),
        }
        self.want_input(token);
    }

    /// What a connection waited for may be there.
    pub(super) fn look_again(&mut self, token: Token) {
        if self.connections.get(token).is_some_and(|connection| connection.life == Life::Waiting) {
            self.process(token, None);
            self.want_input(token);
        }
    }

    /// Answers with an error without having understood a request.
    fn reject(&mut self, token: Token, status: Status, reason: CloseReason) {
        let mut out = self.take_buffer();
        self.with_context(token, &mut out, |connection, context, _| {
            let input = mem::take(&mut connection.protocol.input);
            connection.reject(status, reason, begins_with_head(&input), context);
        });
        self.send(token, out);
    }

    /// The time for a look at a connection's deadline has come.
    pub(super) fn look_at_deadline(&mut self, token: Token) {
        let Some(connection) = self.connections.get(token) else { return };
        if connection.deadline <= self.now {
            // Whatever follows sets its own, if it is to have one.
            connection.deadline = self.now + self.snapshot.send_timeout;
            self.deadline_passed(token);
        }
        if let Some(connection) = self.connections.get(token) {
            self.timers.insert(token, connection.deadline);
        }
    }

    fn deadline_passed(&mut self, token: Token) {
        let Some(connection) = self.connections.get(token) else { return };
        match connection.life {
            Life::Idle if self.is_draining => self.close(token, CloseReason::Drained),
            Life::Idle => self.close(token, CloseReason::IdleTimeout),
            // The answer has been sent already; another one would be taken for the next one.
            Life::Reading if connection.protocol.expects_content() => {
                self.close(token, CloseReason::RequestTimeout);
            }
            Life::Reading => {
                self.reject(token, Status::RequestTimeout, CloseReason::RequestTimeout);
            }
            Life::Waiting => self.close(token, CloseReason::FileTimeout),
            Life::Sending if connection.transport.is_sending() => {
                connection.exchange.is_overdue = true;
                connection.transport.cancel_send(&mut self.driver);
            }
            Life::Sending => self.close(token, CloseReason::FileTimeout),
            Life::Lingering { reason, .. } => self.close(token, reason),
            Life::Closing(_) => {}
        }
    }

    /// Lets the client read its last answer before the connection is closed.
    fn linger(&mut self, token: Token, reason: CloseReason) {
        let Some(connection) = self.connections.get(token) else { return };
        connection.protocol.input = Vec::new();
        if connection.transport.has_ended() {
            return self.close(token, reason);
        }
        connection.life = Life::Lingering { left: LINGER_BYTES_MAX, reason };
        connection.deadline = self.now + LINGER_AT_MOST;
        connection.transport.shut_down(&mut self.driver, token);
        self.want_input(token);
    }

    /// First step of a close: nothing new is begun, and what is under way is asked to end.
    pub(super) fn close(&mut self, token: Token, reason: CloseReason) {
        let Some(connection) = self.connections.get(token) else { return };
        if matches!(connection.life, Life::Closing(_)) {
            return;
        }
        connection.life = Life::Closing(reason);
        connection.protocol.input = Vec::new();
        connection.transport.cancel_receive(&mut self.driver);
        connection.transport.cancel_send(&mut self.driver);
        self.go_on_closing(token);
    }

    /// Second step: once the kernel holds nothing of the connection, the socket is closed.
    #[inline]
    fn go_on_closing(&mut self, token: Token) {
        let Some(connection) = self.connections.get(token) else { return };
        let is_due = matches!(connection.life, Life::Closing(_))
            && !connection.transport.is_closing()
            && connection.is_quiet();
        if is_due {
            connection.drop_body(&mut self.files);
            connection.transport.close(&mut self.driver, token);
        }
    }

    /// Third step: the socket is closed, and the slot is free for another connection.
    fn closed(&mut self, token: Token) {
        let Some(connection) = self.connections.remove(token) else { return };
        let Life::Closing(reason) = connection.life else {
            unreachable!("only a connection that is closing is closed")
        };
        self.counters.count_close(reason);
        self.accept();
    }
}
