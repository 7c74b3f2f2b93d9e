//! What an event is about, and what an operation's name says.

use rustix::event::epoll::EventData;

use crate::OpId;

/// Something that becomes ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A socket, by its descriptor.
    Socket(u32),
    /// A listening socket, by its place in the table.
    Listener(u32),
    /// The eventfd.
    Wake,
}

impl Source {
    /// Where the sort begins, above the number.
    const SORT_SHIFT: u32 = 32;
    /// How many bits number and sort take.
    const BITS: u32 = 34;

    fn bits(self) -> u64 {
        match self {
            Self::Socket(number) => u64::from(number),
            Self::Listener(number) => 1 << Self::SORT_SHIFT | u64::from(number),
            Self::Wake => 2 << Self::SORT_SHIFT,
        }
    }

    fn from_bits(bits: u64) -> Self {
        let number = bits as u32;
        match bits >> Self::SORT_SHIFT & 3 {
            0 => Self::Socket(number),
            1 => Self::Listener(number),
            _ => Self::Wake,
        }
    }

    /// For epoll to give back with each event.
    #[inline]
    pub(super) fn data(self) -> EventData {
        EventData::new_u64(self.bits())
    }

    /// What epoll has given back.
    #[inline]
    pub(super) fn of_data(data: EventData) -> Self {
        Self::from_bits(data.u64())
    }

    /// Where the operation of that name is armed, if it still is.
    #[inline]
    pub(super) fn of_name(id: OpId) -> Self {
        Self::from_bits(id.0)
    }
}

/// Gives operations their names: a running number above the bits of their source, so that the name
/// of one that has completed finds no other.
#[derive(Default)]
pub(super) struct Names {
    last: u64,
}

impl Names {
    /// The name of all operations that cannot be cancelled.
    pub(super) const NOT_ARMED: OpId = OpId(2 << Source::SORT_SHIFT);

    pub(super) fn next(&mut self, source: Source) -> OpId {
        self.last += 1;
        OpId(self.last << Source::BITS | source.bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_events_lead_back_to_their_source() {
        let mut names = Names::default();
        for source in
            [Source::Socket(0), Source::Socket(u32::MAX), Source::Listener(7), Source::Wake]
        {
            assert_eq!(Source::of_data(source.data()), source);
            let (first, second) = (names.next(source), names.next(source));
            assert_ne!(first, second);
            assert_eq!(Source::of_name(first), source);
            assert_eq!(Source::of_name(second), source);
        }
        assert_eq!(Source::of_name(Names::NOT_ARMED), Source::Wake);
    }
}
