//! One run of a script on one driver.

use std::collections::{HashMap, VecDeque};
use std::fmt::Display;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rim_driver::{
    Completion, Content, Driver, Errno, Listener, Op, OpId, OpKind, Outcome, Outgoing, Owner,
    Shared, Socket, Time, Token,
};

use super::environment::Environment;

/// The longest that anything may take.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(10);

/// How the note begins that a script cannot be played.
pub(crate) const SKIPPED: &str = "skipped: ";

/// What a script has noted so far; shared, so that it can be shown when the script hangs.
pub(crate) type Log = Arc<Mutex<Vec<String>>>;

/// The last result of an operation, or one of several.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) more: bool,
    pub(crate) result: Result<Outcome, Errno>,
}

/// An operation that has been submitted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Started {
    pub(crate) id: OpId,
    slot: u32,
    kind: OpKind,
}

/// A listener and the accept that is armed on it.
pub(crate) struct Door {
    pub(crate) listener: Listener,
    pub(crate) address: SocketAddr,
    pub(crate) accept: Option<Started>,
}

/// A driver, what came from it and has not been asked for yet, and the notes.
pub(crate) struct Run {
    pub(crate) environment: Box<dyn Environment>,
    inbox: HashMap<u32, VecDeque<Came>>,
    woken: usize,
    next_slot: u32,
    door: Option<Door>,
    contents: Vec<Content>,
    log: Log,
}

impl Run {
    pub(crate) fn new(environment: Box<dyn Environment>, log: Log) -> Self {
        Self {
            environment,
            inbox: HashMap::new(),
            woken: 0,
            next_slot: 0,
            door: None,
            contents: Vec::new(),
            log,
        }
    }

    /// Writes a line of the log.
    pub(crate) fn note(&mut self, line: impl Display) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_string());
    }

    /// Writes that this script cannot be played here.
    pub(crate) fn skip(&mut self, reason: &str) {
        self.note(format_args!("{SKIPPED}{reason}"));
    }

    pub(crate) fn driver(&mut self) -> &mut dyn Driver {
        self.environment.driver()
    }

    /// Submits an operation, under a token that no other has had.
    pub(crate) fn start(&mut self, op: Op) -> Started {
        self.next_slot += 1;
        let (slot, kind) = (self.next_slot, op.kind());
        let id = self.driver().submit(Token::new(Owner::Connection, slot, slot), op);
        self.inbox.insert(slot, VecDeque::new());
        Started { id, slot, kind }
    }

    pub(crate) fn cancel(&mut self, started: Started) {
        self.driver().cancel(started.id);
    }

    /// One turn; how many completions it brought.
    pub(crate) fn turn(&mut self, until: Option<Time>) -> usize {
        let mut completions = Vec::new();
        self.driver().turn(until, &mut completions).expect("a turn does not fail");
        let count = completions.len();
        for Completion { token, kind, more, result } in completions {
            if token == Token::new(Owner::Control, 0, 0) {
                assert!(matches!((kind, more, result), (OpKind::Wake, true, Ok(Outcome::Woken))));
                self.woken += 1;
                continue;
            }
            let waiting = self.inbox.get_mut(&token.slot());
            let waiting = waiting.unwrap_or_else(|| panic!("{kind:?} {token:?} completed twice"));
            assert_eq!(token.generation(), token.slot(), "{kind:?}: a token came back changed");
            waiting.push_back(Came { more, result });
        }
        count
    }

    /// A turn that does not wait.
    pub(crate) fn turn_at_once(&mut self) -> usize {
        self.turn(Some(Time::ZERO))
    }

    /// How many times the driver told of a waker since the last time that somebody asked.
    pub(crate) fn take_woken(&mut self) -> usize {
        mem::take(&mut self.woken)
    }

    /// What has come of an operation, if something has.
    pub(crate) fn poll(&mut self, started: Started) -> Option<Came> {
        let waiting = self.inbox.get_mut(&started.slot);
        let came = waiting.expect("an operation that has not ended").pop_front()?;
        if !came.more {
            let rest = self.inbox.remove(&started.slot);
            assert!(rest.is_none_or(|rest| rest.is_empty()), "{started:?} came after its end");
        }
        Some(came)
    }

    /// Waits for the next that comes of an operation.
    pub(crate) fn next(&mut self, started: Started) -> Came {
        let give_up = self.driver().now() + WATCHDOG;
        loop {
            if let Some(came) = self.poll(started) {
                return came;
            }
            self.turn(Some(give_up));
            assert!(self.driver().now() < give_up, "{:?} never completes", started.kind);
        }
    }

    /// Waits for the end of an operation that has one completion.
    pub(crate) fn end(&mut self, started: Started) -> Result<Outcome, Errno> {
        let came = self.next(started);
        assert!(!came.more, "{:?} goes on", started.kind);
        came.result
    }

    /// Submits an operation and waits for it.
    pub(crate) fn perform(&mut self, op: Op) -> Result<Outcome, Errno> {
        let started = self.start(op);
        self.end(started)
    }

    /// Submits one that must succeed, with nothing to tell.
    pub(crate) fn must(&mut self, op: Op) {
        let kind = op.kind();
        let result = self.perform(op);
        assert!(matches!(result, Ok(Outcome::Done)), "{kind:?}: {result:?}");
    }

    /// A listener on 127.0.0.1.
    pub(crate) fn door(&mut self) -> Door {
        self.door_at(Ipv4Addr::LOCALHOST.into()).expect("127.0.0.1")
    }

    pub(crate) fn door_at(&mut self, ip: IpAddr) -> Option<Door> {
        let (listener, address) = self.environment.listen(ip)?;
        Some(Door { listener, address, accept: None })
    }

    /// Arms the accept of a door, if it is not.
    pub(crate) fn arm(&mut self, door: &mut Door) -> Started {
        let listener = door.listener;
        *door.accept.get_or_insert_with(|| self.start(Op::Accept { listener, once: false }))
    }

    /// The next connection that comes in.
    pub(crate) fn accept(&mut self, door: &mut Door) -> Socket {
        let started = self.arm(door);
        let came = self.next(started);
        if !came.more {
            door.accept = None;
        }
        match came.result {
            Ok(Outcome::Accepted(socket)) => socket,
            other => panic!("accept: {other:?}"),
        }
    }

    pub(crate) fn connect(&mut self, to: SocketAddr, from: Option<IpAddr>) -> Socket {
        match self.perform(Op::Connect { to, from }) {
            Ok(Outcome::Connected(socket)) => socket,
            other => panic!("connect: {other:?}"),
        }
    }

    /// A connection: the end that connected, and the one that was accepted.
    pub(crate) fn pair(&mut self) -> (Socket, Socket) {
        let mut door = self.door.take().unwrap_or_else(|| self.door());
        let connect = self.start(Op::Connect { to: door.address, from: None });
        let accepted = self.accept(&mut door);
        self.door = Some(door);
        match self.end(connect) {
            Ok(Outcome::Connected(socket)) => (socket, accepted),
            other => panic!("connect: {other:?}"),
        }
    }

    /// Waits for a send; what came back, if anything was sent.
    pub(crate) fn sent(&mut self, send: Started) -> Result<Outgoing, Errno> {
        match self.end(send)? {
            Outcome::Sent(outgoing) => Ok(outgoing),
            other => panic!("send: {other:?}"),
        }
    }

    /// Sends what must go out whole.
    pub(crate) fn send(&mut self, socket: Socket, bytes: &[u8]) {
        let outgoing = Outgoing::new(bytes.to_vec());
        let send = self.start(Op::Send { socket, outgoing });
        let outgoing = self.sent(send).expect("a send that nothing hinders");
        assert_eq!((outgoing.remaining(), outgoing.bytes.as_slice()), (0, bytes));
    }

    pub(crate) fn close(&mut self, socket: Socket) {
        self.must(Op::Close { socket });
    }

    /// Bytes to be sent, of which nobody may hold a reference after the driver is gone.
    pub(crate) fn shared(&mut self, bytes: Vec<u8>) -> Shared {
        let content = Arc::new(bytes);
        self.contents.push(content.clone());
        Shared::new(content)
    }

    /// Drops the driver with whatever it has in flight.
    pub(crate) fn finish(self) {
        let Self { environment, inbox, contents, .. } = self;
        drop(inbox);
        drop(environment);
        for content in contents {
            let others = Arc::strong_count(&content) - 1;
            assert_eq!(others, 0, "the driver is gone and not all that it was sending");
        }
    }
}

/// How an error is noted.
pub(crate) fn name(errno: Errno) -> String {
    match errno {
        Errno::BADF => "EBADF".into(),
        Errno::CANCELED => "ECANCELED".into(),
        Errno::CONNREFUSED => "ECONNREFUSED".into(),
        Errno::CONNRESET => "ECONNRESET".into(),
        Errno::ISDIR => "EISDIR".into(),
        Errno::LOOP => "ELOOP".into(),
        Errno::NAMETOOLONG => "ENAMETOOLONG".into(),
        Errno::NOBUFS => "ENOBUFS".into(),
        Errno::NOENT => "ENOENT".into(),
        Errno::NOTDIR => "ENOTDIR".into(),
        Errno::PIPE => "EPIPE".into(),
        Errno::XDEV => "EXDEV".into(),
        other => format!("{other:?}"),
    }
}

/// How a result without bytes is noted.
pub(crate) fn told(result: &Result<Outcome, Errno>) -> String {
    match result {
        Err(errno) => name(*errno),
        Ok(Outcome::Sent(outgoing)) if outgoing.remaining() == 0 => "sent".into(),
        Ok(Outcome::Sent(_)) => "sent in part".into(),
        Ok(Outcome::Done) => "done".into(),
        Ok(Outcome::EndOfStream) => "end of stream".into(),
        Ok(Outcome::Connected(_)) => "connected".into(),
        Ok(Outcome::Accepted(_)) => "accepted".into(),
        Ok(Outcome::Opened(_)) => "opened".into(),
        Ok(other) => format!("{other:?}"),
    }
}
