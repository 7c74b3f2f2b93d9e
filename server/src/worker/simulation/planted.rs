//! Bugs put between worker and kernel, to show that the simulation finds them.
//!
//! Each is what a worker or a driver with that bug would look like from the other side.

use std::cell::Cell;
use std::collections::HashMap;
use std::io;
use std::time::Duration;

use fastrand::Rng;
use rim_driver::{
    Completion, Counters, Driver, Errno, Lease, Op, OpId, OpKind, Outcome, Owner, Sim, Time, Token,
    Waker,
};

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The generation of a token is not looked at: what was meant for a connection that is gone
    /// reaches the next one in its slot.
    StaleTokenDelivered,
    /// A send that was cut short counts as done.
    ShortWriteNotResumed,
    /// A receive that found no buffer is not tried again.
    NoBuffersNotRearmed,
    /// A repeated operation that ended early is not begun again.
    EarlyEndNotRearmed,
    /// A cancellation does not reach the kernel.
    CancelLost,
    /// A socket is closed while the kernel still receives on it.
    SlotReusedEarly,
    /// A receive buffer is given back twice.
    BufferReturnedTwice,
    /// A receive buffer is not given back.
    BufferNotReturned,
    /// A completion is lost.
    CompletionLost,
    /// Two pieces of input change places.
    InputReordered,
    /// A send is submitted twice.
    SentTwice,
    /// A socket is never closed.
    CloseLost,
    /// A read that got less counts as if it had got all.
    ShortReadPadded,
    /// The second look at a file says what the first one said.
    SecondLookSkipped,
    /// Time-outs never come.
    TimeoutsLost,
    /// The handling of one piece of input panics. Not one of those to be found: the worker has to
    /// survive it.
    HandlingPanics,
}

impl Fault {
    pub(super) const ALL: [Self; 15] = [
        Self::StaleTokenDelivered,
        Self::ShortWriteNotResumed,
        Self::NoBuffersNotRearmed,
        Self::EarlyEndNotRearmed,
        Self::CancelLost,
        Self::SlotReusedEarly,
        Self::BufferReturnedTwice,
        Self::BufferNotReturned,
        Self::CompletionLost,
        Self::InputReordered,
        Self::SentTwice,
        Self::CloseLost,
        Self::ShortReadPadded,
        Self::SecondLookSkipped,
        Self::TimeoutsLost,
    ];
}

/// The simulated driver, perhaps with a bug on the way to it.
pub(super) struct Planted {
    sim: Sim,
    fault: Option<Fault>,
    rng: Rng,
    /// Completions that the kernel never gave.
    made_up: Vec<Completion>,
    /// Operations that are not to be submitted the next time.
    to_swallow: Vec<(OpKind, Token)>,
    /// Receives by their ids, to make up their ends.
    receives: HashMap<OpId, Token>,
    /// What was asked for in reads under way: where the buffer ends then.
    reads: HashMap<Token, usize>,
    looks: HashMap<rim_driver::File, rim_driver::FileStat>,
    looked_at: HashMap<Token, rim_driver::File>,
    /// Slots whose connection has gone.
    freed: Vec<u32>,
    /// Pieces of input until the one whose handling panics.
    until_panic: Cell<u32>,
}

/// Which piece of input it is whose handling panics.
const PANICS_AT: u32 = 5;

impl Planted {
    pub(super) fn new(sim: Sim, fault: Option<Fault>, seed: u64) -> Self {
        Self {
            sim,
            fault,
            rng: Rng::with_seed(seed ^ 0xfa17),
            made_up: Vec::new(),
            to_swallow: Vec::new(),
            receives: HashMap::new(),
            reads: HashMap::new(),
            looks: HashMap::new(),
            looked_at: HashMap::new(),
            freed: Vec::new(),
            until_panic: Cell::new(PANICS_AT),
        }
    }

    pub(super) fn sim(&self) -> &Sim {
        &self.sim
    }

    fn make_up(&mut self, token: Token, kind: OpKind, result: Result<Outcome, Errno>) {
        self.made_up.push(Completion { token, kind, more: false, result });
    }

    /// An operation on its way to the kernel; none if it does not get there.
    fn falsify_op(&mut self, token: Token, op: Op) -> Option<Op> {
        let kind = op.kind();
        if let Some(place) = self.to_swallow.iter().position(|what| *what == (kind, token)) {
            self.to_swallow.swap_remove(place);
            return None;
        }
        match (self.fault?, &op) {
            (Fault::StaleTokenDelivered, Op::Receive { .. }) => {
                if let Some(place) = self.freed.iter().position(|slot| *slot == token.slot()) {
                    self.freed.swap_remove(place);
                    self.make_up(token, OpKind::Receive, Ok(Outcome::EndOfStream));
                }
            }
            (Fault::SentTwice, Op::Send { socket, outgoing }) => {
                let (first, second) = outgoing.unsent();
                let again = rim_driver::Outgoing::new([first, second].concat());
                self.sim.submit(token, Op::Send { socket: *socket, outgoing: again });
            }
            (Fault::CloseLost, Op::Close { .. }) => {
                self.make_up(token, OpKind::Close, Ok(Outcome::Done));
                return None;
            }
            (Fault::ShortReadPadded, Op::Read { buffer, len, .. }) => {
                self.reads.insert(token, buffer.len() + len);
            }
            (Fault::SecondLookSkipped, Op::Stat { file }) => {
                self.looked_at.insert(token, *file);
            }
            _ => {}
        }
        Some(op)
    }

    /// A completion on its way back; whether it gets there.
    fn falsify_completion(&mut self, completion: &mut Completion) -> bool {
        let Some(fault) = self.fault else { return true };
        let Completion { token, kind, more, result } = completion;
        match (fault, result) {
            (Fault::ShortWriteNotResumed, Ok(Outcome::Sent(outgoing))) => {
                outgoing.sent = outgoing.len();
            }
            (Fault::NoBuffersNotRearmed, Err(Errno::NOBUFS))
            | (Fault::EarlyEndNotRearmed, Ok(Outcome::Received(_) | Outcome::Accepted(_)))
                if !*more =>
            {
                self.to_swallow.push((*kind, *token));
            }
            (Fault::CompletionLost, Ok(Outcome::Sent(_))) => return self.rng.u8(..20) > 0,
            (Fault::ShortReadPadded, Ok(Outcome::Read(buffer))) => {
                if let Some(end) = self.reads.remove(token) {
                    buffer.resize(end, 0);
                }
            }
            (Fault::SecondLookSkipped, Ok(Outcome::Stat(stat))) => {
                if let Some(file) = self.looked_at.remove(token) {
                    *stat = *self.looks.entry(file).or_insert(*stat);
                }
            }
            (Fault::SecondLookSkipped, Ok(Outcome::Opened(file))) => {
                self.looks.remove(file);
            }
            (Fault::StaleTokenDelivered, Ok(Outcome::Done))
                if *kind == OpKind::Close && token.owner() == Owner::Connection =>
            {
                self.freed.push(token.slot());
            }
            _ => {}
        }
        true
    }

    /// Lets two pieces of one connection's input change places.
    fn reorder(completions: &mut [Completion]) {
        let is_input = |completion: &Completion| {
            matches!(completion.result, Ok(Outcome::Received(_))) && completion.more
        };
        for first in 0..completions.len() {
            for second in first + 1..completions.len() {
                let same = completions[first].token == completions[second].token;
                if same && is_input(&completions[first]) && is_input(&completions[second]) {
                    completions.swap(first, second);
                    return;
                }
            }
        }
    }
}

impl Driver for Planted {
    fn name(&self) -> &'static str {
        "planted"
    }

    fn submit(&mut self, token: Token, op: Op) -> OpId {
        let is_receive = op.kind() == OpKind::Receive;
        let op = if self.fault.is_some() { self.falsify_op(token, op) } else { Some(op) };
        let Some(op) = op else { return OpId(u64::MAX) };
        let id = self.sim.submit(token, op);
        if is_receive && self.fault == Some(Fault::SlotReusedEarly) {
            self.receives.insert(id, token);
        }
        id
    }

    fn cancel(&mut self, id: OpId) {
        match self.fault {
            Some(Fault::CancelLost) => {}
            Some(Fault::SlotReusedEarly) => {
                if let Some(token) = self.receives.remove(&id) {
                    self.make_up(token, OpKind::Receive, Err(Errno::CANCELED));
                }
            }
            _ => self.sim.cancel(id),
        }
    }

    fn turn(&mut self, until: Option<Time>, completions: &mut Vec<Completion>) -> io::Result<()> {
        let until = match self.fault {
            Some(Fault::TimeoutsLost) => until.map(|until| until + Duration::from_secs(3600)),
            _ => until,
        };
        if self.made_up.is_empty() {
            self.sim.turn(until, completions)?;
        }
        completions.retain_mut(|completion| self.falsify_completion(completion));
        completions.append(&mut self.made_up);
        if self.fault == Some(Fault::InputReordered) {
            Self::reorder(completions);
        }
        Ok(())
    }

    fn received(&self, lease: &Lease) -> &[u8] {
        if self.fault == Some(Fault::HandlingPanics) {
            let left = self.until_panic.get().wrapping_sub(1);
            self.until_panic.set(left);
            assert!(left != 0, "planted");
        }
        self.sim.received(lease)
    }

    fn release(&mut self, lease: Lease) {
        match self.fault {
            Some(Fault::BufferReturnedTwice) => {
                let again = Lease { id: lease.id, len: lease.len };
                self.sim.release(lease);
                self.sim.release(again);
            }
            Some(Fault::BufferNotReturned) if self.rng.u8(..10) == 0 => {}
            _ => self.sim.release(lease),
        }
    }

    fn now(&self) -> Time {
        self.sim.now()
    }

    fn unix_time(&self) -> Duration {
        self.sim.unix_time()
    }

    fn waker(&self) -> Waker {
        self.sim.waker()
    }

    fn counters(&self) -> Counters {
        self.sim.counters()
    }
}
