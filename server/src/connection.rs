//! One connection: a transport, a protocol on it, and the exchange that is under way.
//!
//! A connection never calls the kernel. It turns bytes into an answer in [`Context::out`] and says
//! what it has come to; the worker does the rest.

use std::mem;
use std::rc::Rc;

use rim_driver::{Owner, Socket, Time, Token};
use rim_http1::{Framing, Method, Request, Status, Version};

use crate::answer::{Persistence, Writer};
use crate::body::{Body, FileBody};
use crate::clock::DateLine;
use crate::close_reason::CloseReason;
use crate::files::{Files, LocalEntry, RootId};
use crate::limits::JOINED_ANSWERS_BYTES_MAX;
use crate::protocol::{Http1, Step, begins_with_head};
use crate::service::{self, Plan};
use crate::transport::Transport;

/// A connection with a client.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) transport: Transport,
    pub(crate) protocol: Http1,
    pub(crate) life: Life,
    pub(crate) exchange: Exchange,
    /// When something has to have happened; what, depends on `life`.
    pub(crate) deadline: Time,
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Nothing of a next request has come, and every earlier one has been answered.
    Idle,
    /// Collecting a request; every earlier one has been answered.
    Reading,
    /// Waiting for the file that a request names. The request is still in the input.
    Waiting,
    /// An answer is on its way.
    Sending,
    /// The last answer has been sent. Input is dropped, up to so many bytes, until the client has
    /// had time to read the answer: a close with unread input would destroy it.
    Lingering {
        /// How many bytes more.
        left: usize,
        /// Why the connection ends.
        reason: CloseReason,
    },
    /// Nothing is begun any more; waiting for the kernel to give everything back.
    Closing(CloseReason),
}

/// One request and its answer.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    /// What is still to be sent of the answer.
    pub(crate) body: Body,
    /// The root that is in use while the body's file is opened.
    pub(crate) root: Option<RootId>,
    /// What follows.
    pub(crate) then: Then,
    /// How often its file was not what was known of it.
    pub(crate) doubts: u8,
    /// How much of what is being sent had been sent when it was submitted, in bytes.
    pub(crate) sent_before: usize,
    /// The send under way has been cancelled because its time was up.
    pub(crate) is_overdue: bool,
}

/// What follows an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Then {
    /// The next request.
    #[default]
    NextRequest,
    /// The end, because the client or its version of HTTP wants it so.
    Close,
    /// The end, with input that may still come.
    Linger(CloseReason),
}

/// What a connection needs while it looks at its input.
pub(crate) struct Context<'a> {
    pub(crate) files: &'a mut Files,
    pub(crate) date: &'a DateLine,
    /// Where answers are written.
    pub(crate) out: &'a mut Vec<u8>,
    pub(crate) scratch: &'a mut Vec<u8>,
    /// Requests that have been answered.
    pub(crate) requests: &'a mut u64,
    pub(crate) token: Token,
    /// The server is stopping: the answer to the last request at hand is the last one.
    pub(crate) is_draining: bool,
}

impl Connection {
    pub(crate) fn new(socket: Socket, deadline: Time) -> Self {
        Self {
            transport: Transport::plain(socket),
            protocol: Http1::default(),
            life: Life::Idle,
            exchange: Exchange::default(),
            deadline,
        }
    }

    /// Looks at bytes that have not been consumed: answers requests as long as answers can be
    /// joined. How many bytes were consumed.
    pub(crate) fn process(&mut self, bytes: &[u8], context: &mut Context<'_>) -> usize {
        debug_assert!(matches!(self.life, Life::Idle | Life::Reading | Life::Waiting));
        let mut consumed = 0;
        while consumed < bytes.len() && context.out.len() < JOINED_ANSWERS_BYTES_MAX {
            match self.protocol.step(&bytes[consumed..]) {
                Step::Partial => break,
                Step::Content(len) => consumed += len,
                Step::Reject(status) => {
                    let head_only = begins_with_head(&bytes[consumed..]);
                    self.reject(status, CloseReason::BadRequest, head_only, context);
                    return bytes.len();
                }
                Step::Request(request, len) => {
                    let is_last = consumed + len == bytes.len();
                    let Some(then) = self.answer(&request, is_last, context) else {
                        self.life =
                            if context.out.is_empty() { Life::Waiting } else { Life::Sending };
                        return consumed;
                    };
                    consumed += len;
                    *context.requests += 1;
                    self.exchange.then = then;
                    if then != Then::NextRequest {
                        consumed = bytes.len();
                    }
                    if !matches!(self.exchange.body, Body::Empty) {
                        break;
                    }
                }
            }
        }
        self.life = match context.out.is_empty() {
            false => Life::Sending,
            true if self.protocol.has_begun(&bytes[consumed..]) => Life::Reading,
            true => Life::Idle,
        };
        consumed
    }

    /// Answers with an error after which nothing more is understood.
    pub(crate) fn reject(
        &mut self,
        status: Status,
        reason: CloseReason,
        head_only: bool,
        context: &mut Context<'_>,
    ) {
        let persistence = Persistence::Close;
        Writer { out: context.out, date: context.date, persistence, head_only }.text(status);
        *context.requests += 1;
        self.life = Life::Sending;
        self.exchange.then = Then::Linger(reason);
    }

    /// Answers one request, and says what follows; none if it has to wait.
    fn answer(
        &mut self,
        request: &Request<'_>,
        is_last: bool,
        context: &mut Context<'_>,
    ) -> Option<Then> {
        if self.exchange.body.as_file().is_some_and(|body| body.is_busy()) {
            return None;
        }
        let then = follow_up(request, is_last, context.is_draining);
        let persistence = match (then, request.version) {
            (Then::NextRequest, Version::Http11) => Persistence::Usual,
            (Then::NextRequest, Version::Http10) => Persistence::KeepAlive,
            (Then::Close | Then::Linger(_), _) => Persistence::Close,
        };
        let Context { files, date, out, scratch, token, .. } = context;
        let head_only = request.method == Method::Head;
        let is_first = out.is_empty();
        let plan = service::respond(request, files, scratch, *token);
        let writer = Writer { out, date, persistence, head_only };
        let body = match plan {
            Plan::Wait => return None,
            Plan::Text(status) => writer.text(status),
            Plan::Redirect(path) => writer.redirect(&path, request.target.query()),
            Plan::File(local, status) => {
                let is_read = local.content.is_none() && status == Status::Ok && !head_only;
                let is_at_hand =
                    self.exchange.body.as_file().is_some_and(|b| b.is_verified_for(local));
                if is_read && !is_at_hand {
                    let local = local.clone();
                    // Earlier answers go out first.
                    if is_first {
                        self.open(local, files, *token);
                    }
                    return None;
                }
                let joined_or_in_memory = writer.file(local, status);
                if is_read { mem::take(&mut self.exchange.body) } else { joined_or_in_memory }
            }
        };
        // A file that was opened for this answer, and that the answer then was not about.
        self.drop_body(files);
        self.exchange.doubts = 0;
        let is_joined = matches!(body, Body::Empty);
        self.exchange.body = body;
        match then {
            Then::NextRequest => self.protocol.discard_content(request.framing),
            // Much of it will still be on its way when it has been sent: a client that sends
            // something all the same would destroy it.
            Then::Close if !is_joined => return Some(Then::Linger(CloseReason::LastAnswer)),
            Then::Close | Then::Linger(_) => {}
        }
        Some(then)
    }

    /// Begins to open the file of an answer; the request is looked at again when that is done.
    fn open(&mut self, local: Rc<LocalEntry>, files: &mut Files, token: Token) {
        self.drop_body(files);
        if let Some((root, op)) = files.open_again(&local.entry) {
            self.exchange.root = Some(root);
            self.exchange.body = Body::File(Box::new(FileBody::new(local)));
            files.ops.push((exchange_token(token), op));
        }
    }

    /// Gives up what is left of an answer's body. No operation of it may be under way.
    pub(crate) fn drop_body(&mut self, files: &mut Files) {
        if let Body::File(mut body) = mem::take(&mut self.exchange.body) {
            assert!(!body.is_busy(), "the kernel holds nothing of a body that is dropped");
            files.close(body.take_file());
        }
    }

    /// Whether the kernel holds nothing of this connection.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let is_body_quiet = self.exchange.body.as_file().is_none_or(|body| !body.is_busy());
        is_body_quiet && self.transport.is_quiet()
    }
}

/// The token for operations on the file that is being sent.
pub(crate) fn exchange_token(connection: Token) -> Token {
    Token::new(Owner::Exchange, connection.slot(), connection.generation())
}

/// What is to follow the answer to `request`, which is the last one at hand or not.
fn follow_up(request: &Request<'_>, is_last: bool, is_draining: bool) -> Then {
    let can_discard = service::can_discard(request.framing, request.expects_continue);
    match (can_discard, request.keep_alive && !(is_draining && is_last)) {
        (true, true) => Then::NextRequest,
        // Who has not asked for the end may be sending already.
        (true, false) if request.keep_alive => Then::Linger(CloseReason::Drained),
        // Unless there is input that nobody has asked for: closing on it could destroy the answer.
        (true, false) if request.framing == Framing::None && is_last => Then::Close,
        _ => Then::Linger(CloseReason::LastAnswer),
    }
}

#[cfg(test)]
mod tests;
