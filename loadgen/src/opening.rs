//! Which connection is opened when.

use std::collections::VecDeque;
use std::time::Duration;

use rim_driver::Time;

/// How long a connection that could not be opened again waits before the next attempt.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Connections to be opened, with a bound on how many are on their way at once: more would overflow
/// the queue of a listener, and what the kernel drops there comes back only after a second.
#[derive(Debug)]
pub(crate) struct Opening {
    now: VecDeque<u32>,
    /// All wait equally long, so the first is always the next.
    later: VecDeque<(Time, u32)>,
    under_way: usize,
    at_once_max: usize,
}

impl Opening {
    pub(crate) fn new(slots: std::ops::Range<u32>, at_once_max: usize) -> Self {
        Self { now: slots.collect(), later: VecDeque::new(), under_way: 0, at_once_max }
    }

    /// The next connection to be opened now, if there is one and another may be on its way.
    #[inline]
    pub(crate) fn next(&mut self, now: Time) -> Option<u32> {
        while self.later.front().is_some_and(|(time, _)| *time <= now) {
            self.now.extend(self.later.pop_front().map(|(_, slot)| slot));
        }
        if self.under_way >= self.at_once_max {
            return None;
        }
        let slot = self.now.pop_front()?;
        self.under_way += 1;
        Some(slot)
    }

    /// An attempt has ended, in whatever way.
    pub(crate) fn ended(&mut self) {
        self.under_way -= 1;
    }

    /// Has one opened as soon as there is room.
    pub(crate) fn add(&mut self, slot: u32) {
        self.now.push_back(slot);
    }

    /// Has one opened after a while.
    pub(crate) fn add_later(&mut self, slot: u32, now: Time) {
        self.later.push_back((now + AGAIN_AFTER, slot));
    }

    /// When the next one that waits is due.
    #[inline]
    pub(crate) fn next_due(&self) -> Option<Time> {
        self.later.front().map(|(time, _)| *time)
    }

    /// Forgets those that have not been started, but for some.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(u32) -> bool) {
        self.now.retain(|slot| keep(*slot));
        self.later.retain(|(_, slot)| keep(*slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_next(opening: &mut Opening, now: Time) -> Vec<u32> {
        std::iter::from_fn(|| opening.next(now)).collect()
    }

    #[test]
    fn only_so_many_are_on_their_way_at_once() {
        let mut opening = Opening::new(0..5, 2);
        assert_eq!(all_next(&mut opening, Time::ZERO), [0, 1]);
        opening.ended();
        assert_eq!(all_next(&mut opening, Time::ZERO), [2]);
        opening.ended();
        opening.ended();
        assert_eq!(all_next(&mut opening, Time::ZERO), [3, 4]);
    }

    #[test]
    fn what_failed_waits_before_it_is_tried_again() {
        let mut opening = Opening::new(0..0, 8);
        opening.add_later(7, Time::ZERO);
        opening.add(8);
        assert_eq!(all_next(&mut opening, Time::ZERO), [8]);
        let due = opening.next_due().expect("one waits");
        assert!(all_next(&mut opening, due - Duration::from_nanos(1)).is_empty());
        assert_eq!(all_next(&mut opening, due), [7]);
        assert_eq!(opening.next_due(), None);
    }

    #[test]
    fn what_is_no_longer_wanted_is_not_opened() {
        let mut opening = Opening::new(0..4, 8);
        opening.add_later(4, Time::ZERO);
        opening.add_later(5, Time::ZERO);
        opening.retain(|slot| slot % 2 == 1);
        let due = opening.next_due().expect("one waits");
        assert_eq!(all_next(&mut opening, due), [1, 3, 5]);
    }
}
