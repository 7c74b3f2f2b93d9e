//! Who an operation belongs to.

use std::fmt;

/// What kind of object started an operation; with the slot, it finds the object again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Owner {
    /// The loop itself: listeners, timers, messages.
    Control = 0,
    /// A connection, for operations on its transport.
    Connection = 1,
    /// One request and its answer, for operations on the file that is being sent.
    Exchange = 2,
    /// The filling of one cache entry.
    Fill = 3,
}

/// The name under which the caller finds an operation's owner again when it completes.
///
/// A slot is used again after its object is gone, so the token also carries the slot's generation:
/// a late completion then shows itself as stale and cannot reach the wrong object.
///
/// Layout, from the top: 5 bits zero (the drivers use them), 3 bits owner, 32 bits generation,
/// 24 bits slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(u64);

impl Token {
    /// One more than the highest slot number.
    pub const SLOTS_MAX: u32 = 1 << 24;
    /// The bits that a token never sets.
    pub(crate) const FREE_BITS: u32 = 5;

    /// # Panics
    /// If `slot` is not below [`Token::SLOTS_MAX`].
    #[inline]
    #[must_use]
    pub fn new(owner: Owner, slot: u32, generation: u32) -> Self {
        assert!(slot < Self::SLOTS_MAX, "a token has 24 bits for the slot");
        Self((owner as u64) << 56 | u64::from(generation) << 24 | u64::from(slot))
    }

    /// The kind of object that owns the operation.
    #[inline]
    #[must_use]
    pub fn owner(self) -> Owner {
        match (self.0 >> 56) & 7 {
            0 => Owner::Control,
            1 => Owner::Connection,
            2 => Owner::Exchange,
            _ => Owner::Fill,
        }
    }

    /// The owner's place in its table.
    #[inline]
    #[must_use]
    pub fn slot(self) -> u32 {
        (self.0 & 0xff_ffff) as u32
    }

    /// How many times that place had been given back when the operation was started.
    #[inline]
    #[must_use]
    pub fn generation(self) -> u32 {
        (self.0 >> 24) as u32
    }

    #[inline]
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits & (u64::MAX >> Self::FREE_BITS))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:{}.{}", self.owner(), self.slot(), self.generation())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_gives_back_what_it_was_made_of() {
        for owner in [Owner::Control, Owner::Connection, Owner::Exchange, Owner::Fill] {
            for slot in [0, 1, 0xff_ffff] {
                for generation in [0, 1, u32::MAX] {
                    let token = Token::new(owner, slot, generation);
                    assert_eq!(
                        (token.owner(), token.slot(), token.generation()),
                        (owner, slot, generation)
                    );
                    assert_eq!(Token::from_bits(token.bits() | 1 << 63), token);
                }
            }
        }
    }
}
