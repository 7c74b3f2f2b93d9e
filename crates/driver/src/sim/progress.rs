//! How operations of the simulated driver get on.

use super::timed::Timed;
use super::{End, InFlight, Received, Sim};
use crate::{
    Completion, Driver, Errno, File, Lease, Op, OpKind, OpenHow, Outcome, Outgoing, Socket, Time,
};

/// How far an operation is.
pub(super) enum State {
    Accept {
        listener: u32,
        once: bool,
    },
    Receive {
        socket: Socket,
        /// Nobody has looked at it yet.
        is_new: bool,
    },
    Send {
        socket: Socket,
        outgoing: Outgoing,
        sent_before: usize,
    },
    /// Done at a time that was drawn when it was submitted, and in the state of the world then.
    Timed {
        due: Time,
        what: Timed,
    },
    /// Known at submission.
    Instant(Option<Result<Outcome, Errno>>),
}

/// What has to stay open until an operation's last completion has been given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    Socket(Socket),
    File(File),
}

impl Needs {
    pub(super) fn of(op: &Op) -> Self {
        match op {
            Op::Receive { socket }
            | Op::Send { socket, .. }
            | Op::PeerName { socket }
            | Op::Shutdown { socket } => Self::Socket(*socket),
            Op::Open { how: OpenHow::Beneath(file), .. }
            | Op::Stat { file }
            | Op::Read { file, .. } => Self::File(*file),
            // Once it is submitted, the number may be that of the next.
            Op::Close { .. } | Op::CloseFile { .. } => Self::Nothing,
            Op::Accept { .. } | Op::Connect { .. } | Op::Open { .. } | Op::Offload(_) => {
                Self::Nothing
            }
        }
    }
}

/// What came of one look at an operation.
struct Step {
    result: Result<Outcome, Errno>,
    more: bool,
}

impl State {
    /// When it moves on by itself.
    pub(super) fn due(&self) -> Option<Time> {
        match self {
            Self::Timed { what: Timed::Over, .. } => None,
            Self::Timed { due, .. } => Some(*due),
            _ => None,
        }
    }
}

/// Errors that the manual pages name and a correct user has to expect at any time.
fn possible_errors(kind: OpKind) -> &'static [Errno] {
    match kind {
        OpKind::Accept => &[Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM],
        OpKind::Receive => &[Errno::CONNRESET, Errno::TIMEDOUT, Errno::NOMEM],
        OpKind::Send => &[Errno::PIPE, Errno::CONNRESET, Errno::NOBUFS],
        OpKind::Connect => &[Errno::CONNREFUSED, Errno::TIMEDOUT, Errno::NETUNREACH],
        OpKind::Shutdown => &[Errno::NOTCONN],
        OpKind::Open => &[Errno::AGAIN, Errno::IO, Errno::MFILE, Errno::NFILE, Errno::NOMEM],
        OpKind::Stat | OpKind::Read => &[Errno::IO, Errno::NOMEM],
        OpKind::Close | OpKind::CloseFile => &[Errno::IO, Errno::INTR],
        OpKind::Wake | OpKind::PeerName | OpKind::Offload => &[],
    }
}

impl Sim {
    /// The state in which an operation starts. What changes the world at once does it here.
    pub(super) fn start(&mut self, op: Op) -> State {
        match op {
            Op::Accept { listener, once } => State::Accept { listener: listener.0, once },
            Op::Receive { socket } => {
                self.refuse_second(socket, OpKind::Receive);
                State::Receive { socket, is_new: true }
            }
            Op::Send { socket, outgoing } => {
                self.refuse_second(socket, OpKind::Send);
                let sent_before = outgoing.sent;
                State::Send { socket, outgoing, sent_before }
            }
            Op::PeerName { socket } => {
                let end = self.end(socket, OpKind::PeerName);
                let name = end.map(|end| self.world.borrow().net.peer_name(end));
                State::Instant(Some(name.map(Outcome::PeerName)))
            }
            Op::Shutdown { socket } => {
                let end = self.end(socket, OpKind::Shutdown);
                let done = end.map(|end| self.world.borrow_mut().net.shutdown(end));
                State::Instant(Some(done.map(|()| Outcome::Done)))
            }
            Op::Close { socket } => State::Instant(Some(self.close(socket))),
            Op::CloseFile { file } => State::Instant(Some(self.close_file(file))),
            Op::Connect { to, from } => self.timed(Timed::Connect { to, from }),
            Op::Open { path, how } => self.timed(Timed::Open { path, how }),
            Op::Stat { file } => self.timed(Timed::Stat { file }),
            Op::Read { file, offset, buffer, len } => {
                self.timed(Timed::Read { file, offset, buffer, len })
            }
            Op::Offload(job) => self.timed(Timed::Offload(job)),
        }
    }

    /// Two sends could interleave, and two receives would part the stream between them.
    fn refuse_second(&self, socket: Socket, kind: OpKind) {
        if self.operations_on(Needs::Socket(socket)).any(|op| op.kind == kind) {
            self.world.borrow_mut().violation(format_args!("second {kind:?} on {socket:?}"));
        }
    }

    fn operations_on(&self, what: Needs) -> impl Iterator<Item = &InFlight> {
        self.ops.iter().map(|(_, op)| op).filter(move |op| op.needs == what)
    }

    /// What is closed must not be in use any more.
    fn refuse_close(&self, what: Needs) {
        if let Some(op) = self.operations_on(what).next() {
            let kind = op.kind;
            self.world.borrow_mut().violation(format_args!("{what:?} closed during {kind:?}"));
        }
    }

    fn close(&mut self, socket: Socket) -> Result<Outcome, Errno> {
        let end = self.end(socket, OpKind::Close)?;
        self.refuse_close(Needs::Socket(socket));
        self.sockets.remove(socket.0 as usize);
        self.world.borrow_mut().net.close(end);
        Ok(Outcome::Done)
    }

    fn close_file(&mut self, file: File) -> Result<Outcome, Errno> {
        self.open_file(file, OpKind::CloseFile)?;
        self.refuse_close(Needs::File(file));
        self.files.remove(file.0 as usize);
        Ok(Outcome::Done)
    }

    /// Moves every operation on as far as the world allows now. What one does may be what another
    /// waits for.
    pub(super) fn progress(&mut self) {
        let mut keys: Vec<usize> = self.ops.iter().map(|(key, _)| key).collect();
        loop {
            let before = self.world.borrow().net.activity;
            let mut has_moved = false;
            self.world.borrow_mut().rng.shuffle(&mut keys);
            for key in &keys {
                while !self.ops[*key].has_ended
                    && let Some(step) = self.step(*key)
                {
                    has_moved = true;
                    self.queue(*key, step);
                }
            }
            if !has_moved && self.world.borrow().net.activity == before {
                return;
            }
        }
    }

    /// Notes what came of an operation, to be given now or later.
    fn queue(&mut self, key: usize, step: Step) {
        let mut world = self.world.borrow_mut();
        let lateness = world.faults.late_completion;
        let delay = if world.chance(lateness) { 5_000_000 } else { 0 };
        let time = world.now() + world.delay(delay);
        let op = &mut self.ops[key];
        let time = op.ready.back().map_or(time, |(before, _)| time.max(*before));
        let Step { result, more } = step;
        let (token, kind) = (op.token, op.kind);
        op.ready.push_back((time, Completion { token, kind, more, result }));
        op.has_ended = !more;
    }

    /// Looks at one operation; what came of it, if anything.
    fn step(&mut self, key: usize) -> Option<Step> {
        let end = |result| Some(Step { result, more: false });
        let mut state = std::mem::replace(&mut self.ops[key].state, State::Instant(None));
        let (kind, is_cancelled) = (self.ops[key].kind, self.ops[key].is_cancelled);
        let step = match &mut state {
            State::Instant(result) => result.take().map(|result| {
                let result = self.injected(kind).map_or(result, Err);
                Step { result, more: false }
            }),
            State::Accept { .. } | State::Receive { .. } if is_cancelled => {
                end(Err(Errno::CANCELED))
            }
            State::Accept { listener, once } => self.step_accept(*listener, *once),
            State::Receive { socket, is_new } => self.step_receive(*socket, std::mem::take(is_new)),
            State::Send { socket, outgoing, sent_before } => {
                let result = self.step_send(*socket, outgoing, *sent_before, is_cancelled);
                result.and_then(|result| {
                    end(result.map(|()| Outcome::Sent(std::mem::take(outgoing))))
                })
            }
            State::Timed { due, what } => {
                let is_due = *due <= self.now();
                let what = is_due.then(|| std::mem::replace(what, Timed::Over));
                what.and_then(|what| end(self.carry_out(what, kind, is_cancelled)))
            }
        };
        self.ops[key].state = state;
        step
    }

    /// An error, if this is the moment for one.
    pub(super) fn injected(&self, kind: OpKind) -> Option<Errno> {
        let mut world = self.world.borrow_mut();
        let errors = possible_errors(kind);
        let frequency = world.faults.error;
        (!errors.is_empty() && world.chance(frequency))
            .then(|| errors[world.rng.usize(..errors.len())])
    }

    fn goes_on(&self) -> bool {
        let mut world = self.world.borrow_mut();
        let early_end = world.faults.early_end;
        !world.chance(early_end)
    }

    fn step_accept(&mut self, listener: u32, once: bool) -> Option<Step> {
        if !self.world.borrow().net.can_accept(listener) {
            return None;
        }
        if let Some(errno) = self.injected(OpKind::Accept) {
            return Some(Step { result: Err(errno), more: false });
        }
        let mut world = self.world.borrow_mut();
        let end = world.net.accept(listener)?;
        if self.sockets.len() >= world.faults.sockets_max {
            // As with a table of direct descriptors: it has left the queue already.
            world.net.close(end);
            return Some(Step { result: Err(Errno::NFILE), more: false });
        }
        drop(world);
        let result = Ok(Outcome::Accepted(self.new_socket(end)));
        Some(Step { result, more: !once && self.goes_on() })
    }

    pub(super) fn new_socket(&mut self, end: End) -> Socket {
        Socket(u32::try_from(self.sockets.insert(end)).expect("few sockets"))
    }

    fn step_receive(&mut self, socket: Socket, is_new: bool) -> Option<Step> {
        let end = |result| Some(Step { result, more: false });
        let Some(&place) = self.sockets.get(socket.0 as usize) else {
            return end(Err(Errno::BADF));
        };
        let Some(available) = self.world.borrow().net.can_receive(place) else {
            let fails = is_new && self.free_buffers.is_empty() && self.has_no_buffer_at_once();
            return if fails { end(Err(self.out_of_buffers())) } else { None };
        };
        if let Some(errno) = self.injected(OpKind::Receive) {
            return end(Err(errno));
        }
        let mut world = self.world.borrow_mut();
        let mut bytes = Vec::new();
        let mut len = available.clamp(1, world.faults.receive_buffer_bytes);
        let short_receive = world.faults.short_receive;
        if world.chance(short_receive) {
            len = world.rng.usize(1..=len);
        }
        if available > 0 && self.free_buffers.is_empty() {
            drop(world);
            return end(Err(self.out_of_buffers()));
        }
        let received = world.net.receive(place, len, &mut bytes);
        drop(world);
        match received {
            Err(errno) => end(Err(errno)),
            Ok(Received::EndOfStream) => end(Ok(Outcome::EndOfStream)),
            Ok(Received::Nothing) => None,
            Ok(Received::Bytes(len)) => {
                let id = self.free_buffers.pop()?;
                let buffer = &mut self.buffers[id as usize];
                buffer.bytes = bytes;
                buffer.is_leased = true;
                let len = u32::try_from(len).expect("a buffer's size");
                let result = Ok(Outcome::Received(Lease { id, len }));
                Some(Step { result, more: self.goes_on() })
            }
        }
    }

    fn has_no_buffer_at_once(&self) -> bool {
        let mut world = self.world.borrow_mut();
        let frequency = world.faults.no_buffer_at_once;
        world.chance(frequency)
    }

    fn out_of_buffers(&mut self) -> Errno {
        self.counters.out_of_buffers += 1;
        Errno::NOBUFS
    }

    /// Moves a send on; what came of it if it has ended.
    fn step_send(
        &mut self,
        socket: Socket,
        outgoing: &mut Outgoing,
        sent_before: usize,
        is_cancelled: bool,
    ) -> Option<Result<(), Errno>> {
        // What was sent counts, whatever happened after that.
        let ended = |outgoing: &Outgoing, errno| {
            Some(if outgoing.sent > sent_before { Ok(()) } else { Err(errno) })
        };
        let Some(&end) = self.sockets.get(socket.0 as usize) else {
            return ended(outgoing, Errno::BADF);
        };
        let mut world = self.world.borrow_mut();
        loop {
            let (first, second) = outgoing.unsent();
            let next = if first.is_empty() { second } else { first };
            if next.is_empty() {
                return Some(Ok(()));
            }
            match world.net.send(end, next) {
                Err(errno) => return ended(outgoing, errno),
                Ok(0) => break,
                Ok(sent) => outgoing.sent += sent,
            }
            let short_send = world.faults.short_send;
            if world.chance(short_send) {
                return Some(Ok(()));
            }
        }
        drop(world);
        if is_cancelled {
            return ended(outgoing, Errno::CANCELED);
        }
        self.injected(OpKind::Send).and_then(|errno| ended(outgoing, errno))
    }
}
