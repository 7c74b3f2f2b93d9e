//! A timer wheel.
//!
//! Deadlines of connections move with every request, mostly further away, and are hardly ever
//! reached. So the wheel does not hold deadlines but looks: at a look, the owner says when its
//! deadline is, and if that is far away the next look is in about a second. Moving a deadline then
//! costs nothing here, and one is noticed at most a second late.

use rim_driver::{Time, Token};

/// Time from one slot to the next, in nanoseconds.
const TICK_NS: u64 = 10_000_000;
const SLOTS: usize = 128;
/// Looks at distant deadlines are put off to slots that are multiples of this, so that many of them
/// wake the worker together.
const COARSE: u64 = 32;
/// The longest time to the next look, in ticks: less than once around.
const LOOK_AFTER_MAX: u64 = 96;

/// Looks to be taken, in slots by time.
#[derive(Debug)]
pub(crate) struct Timers {
    slots: Box<[Vec<Token>; SLOTS]>,
    /// Which slots hold something.
    occupied: u128,
    /// The first tick that has not been handled.
    next_tick: u64,
}

impl Timers {
    pub(crate) fn new(now: Time) -> Self {
        let slots = Box::new([const { Vec::new() }; SLOTS]);
        Self { slots, occupied: 0, next_tick: tick_at(now) + 1 }
    }

    /// Sees to a look at `token` when `deadline` has come, or before that if it is far away.
    pub(crate) fn insert(&mut self, token: Token, deadline: Time) {
        let latest = self.next_tick + LOOK_AFTER_MAX;
        let due = tick_at(deadline) + 1;
        let tick = if due > latest { latest - latest % COARSE } else { due.max(self.next_tick) };
        let slot = slot_of(tick);
        self.slots[slot].push(token);
        self.occupied |= 1 << slot;
    }

    /// When the next look is due.
    pub(crate) fn next(&self) -> Option<Time> {
        if self.occupied == 0 {
            return None;
        }
        let from = self.next_tick as u32 % SLOTS as u32;
        let ticks = self.next_tick + u64::from(self.occupied.rotate_right(from).trailing_zeros());
        Some(Time::from_nanos(ticks * TICK_NS))
    }

    /// Moves the looks that are due at `now` to `due`.
    pub(crate) fn take_due(&mut self, now: Time, due: &mut Vec<Token>) {
        let last = tick_at(now);
        // Once around reaches every slot.
        let stop = last.min(self.next_tick + SLOTS as u64 - 1);
        while self.next_tick <= stop {
            let slot = slot_of(self.next_tick);
            due.append(&mut self.slots[slot]);
            self.occupied &= !(1 << slot);
            self.next_tick += 1;
        }
        self.next_tick = self.next_tick.max(last + 1);
    }
}

fn tick_at(time: Time) -> u64 {
    time.as_nanos() / TICK_NS
}

fn slot_of(tick: u64) -> usize {
    tick as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use rim_driver::Owner;

    fn token(slot: u32) -> Token {
        Token::new(Owner::Connection, slot, 0)
    }

    fn at(ms: u64) -> Time {
        Time::from_nanos(1_000_000_000_000 + ms * 1_000_000)
    }

    fn take(timers: &mut Timers, now: Time) -> Vec<Token> {
        let mut due = Vec::new();
        timers.take_due(now, &mut due);
        due
    }

    #[test]
    fn near_deadlines_are_met_within_a_tick() {
        let mut timers = Timers::new(at(0));
        timers.insert(token(1), at(25));
        timers.insert(token(2), at(500));
        assert_eq!(timers.next(), Some(at(30)));
        assert_eq!(take(&mut timers, at(29)), []);
        assert_eq!(take(&mut timers, at(30)), [token(1)]);
        assert_eq!(timers.next(), Some(at(510)));
        assert_eq!(take(&mut timers, at(510)), [token(2)]);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_past_deadline_is_met_at_once() {
        let mut timers = Timers::new(at(1000));
        timers.insert(token(1), at(0));
        assert_eq!(take(&mut timers, at(1010)), [token(1)]);
    }

    #[test]
    fn distant_deadlines_are_looked_at_early_and_together() {
        let mut timers = Timers::new(at(0));
        for (slot, ms) in [(1, 60_000), (2, 2_000), (3, 100_000)] {
            timers.insert(token(slot), at(ms));
        }
        let next = timers.next().unwrap();
        assert!(next > at(600) && next <= at(1000), "{next:?}");
        assert_eq!(take(&mut timers, next).len(), 3);
    }

    #[test]
    fn a_long_sleep_reaches_everything_once() {
        let mut timers = Timers::new(at(0));
        for slot in 0..200 {
            timers.insert(token(slot), at(u64::from(slot) * 5));
        }
        assert_eq!(take(&mut timers, at(1_000_000)).len(), 200);
        timers.insert(token(1), at(1_000_020));
        assert_eq!(take(&mut timers, at(1_000_030)), [token(1)]);
    }
}
