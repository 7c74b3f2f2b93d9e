//! What the kernel can see while an operation is in flight.

use std::ffi::CString;
use std::mem;
use std::os::fd::{OwnedFd, RawFd};

use io_uring::types;
use libc::{iovec, msghdr};
use rustix::fs::Statx;
use socket2::{SockAddr, SockAddrStorage};

use super::prepare::Descriptor;
use crate::{OpKind, Outgoing, Token};

/// What an operation keeps alive until its last completion.
pub(super) enum Hold {
    /// The entry is free.
    Nothing,
    /// Bytes being sent. `Entry::vectors` and `Entry::header` point into them if they are two parts.
    Send(Outgoing),
    /// A buffer being received into, where buffers are not provided.
    Receive { buffer: u32 },
    /// A path being opened.
    Open { path: CString, how: Box<types::OpenHow> },
    /// Room for the answer of statx(2).
    Stat(Box<Statx>),
    /// A buffer being read into.
    Read(Vec<u8>),
    /// A socket on its way to being connected.
    Connect { stage: ConnectStage, address: Box<SockAddr> },
    /// Room for the address of a socket's peer.
    PeerName { socket: Descriptor, room: Box<SockAddrStorage> },
    /// Room for the count of the eventfd.
    Wake(#[expect(dead_code, reason = "for the kernel to write to")] Box<[u8; 8]>),
}

/// What a completion asks for that is not its operation's last.
///
/// It has to wait until all completions at hand have been taken: queueing an entry may need room,
/// making room may take completions, and those would come before the ones that are older.
pub(super) enum FollowUp {
    /// Wait for the eventfd again.
    ArmWake,
    /// A new socket is in the ring's table: connect it.
    Connect(UserData),
    /// The address was longer than was asked for.
    PeerName(Token, Descriptor),
    /// A place in the ring's table is not needed after all.
    Free(u32),
}

/// A new socket is made as a descriptor of the process, moved into the ring's table, and connected.
pub(super) enum ConnectStage {
    /// Moving; the kernel writes the place in the table over the descriptor's number.
    Installing {
        #[expect(dead_code, reason = "closed once it is in the table")]
        socket: OwnedFd,
        place: Box<RawFd>,
        cancelled: bool,
    },
    /// Connecting, as the direct descriptor of that place.
    Direct(u32),
    /// Connecting, as a descriptor of the process.
    Real(OwnedFd),
}

/// One operation in flight. It lives on the heap at one place for ever, because the kernel may hold
/// pointers into it.
pub(super) struct Entry {
    /// How often the entry has been freed: an old [`UserData`] shows itself by it.
    generation: u32,
    pub(super) token: Token,
    pub(super) kind: OpKind,
    pub(super) hold: Hold,
    /// Its user has asked for it to end.
    pub(super) is_cancelled: bool,
    pub(super) vectors: [iovec; 2],
    pub(super) header: msghdr,
}

/// The operations in flight that keep memory alive.
///
/// Entries are used again last in, first out: on a busy ring most sends complete at once, and the
/// same few entries stay in the processor's cache.
#[derive(Default)]
pub(super) struct InFlight {
    #[expect(clippy::vec_box, reason = "an entry must not move when the table grows")]
    entries: Vec<Box<Entry>>,
    free: Vec<u32>,
}

impl InFlight {
    /// Takes an entry for `hold`.
    pub(super) fn insert(&mut self, token: Token, kind: OpKind, hold: Hold) -> UserData {
        if let Some(index) = self.free.pop() {
            let entry = &mut self.entries[index as usize];
            entry.token = token;
            entry.kind = kind;
            entry.hold = hold;
            entry.is_cancelled = false;
            return UserData::of_kept(index, entry.generation);
        }
        // SAFETY: an all-zero msghdr is a valid one: no name, no vectors, no control data.
        let header = unsafe { mem::zeroed::<msghdr>() };
        let vectors = [const { iovec { iov_base: std::ptr::null_mut(), iov_len: 0 } }; 2];
        self.entries.push(Box::new(Entry {
            generation: 0,
            token,
            kind,
            hold,
            is_cancelled: false,
            vectors,
            header,
        }));
        let index = u32::try_from(self.entries.len() - 1).expect("fewer than 2^32 operations");
        UserData::of_kept(index, 0)
    }

    /// The entry that `data` names, if that operation is still in flight.
    pub(super) fn get(&mut self, data: UserData) -> Option<&mut Entry> {
        let Source::Kept { index, generation } = data.source() else {
            return None;
        };
        let entry = self.entries.get_mut(index as usize)?;
        let is_live = !matches!(entry.hold, Hold::Nothing);
        (is_live && entry.generation & UserData::GENERATION == generation).then_some(&mut **entry)
    }

    /// Frees the entry that `data` names, after the operation's last completion.
    pub(super) fn remove(&mut self, data: UserData) -> (Token, OpKind, Hold) {
        let entry = self.get(data).expect("an operation completes once");
        let hold = mem::replace(&mut entry.hold, Hold::Nothing);
        entry.generation = entry.generation.wrapping_add(1);
        let (token, kind) = (entry.token, entry.kind);
        self.free.push(data.0 as u32);
        (token, kind, hold)
    }
}

/// The 64 bits that travel with an entry through the kernel.
///
/// For operations that keep something, bit 63 is set, the next 31 are the generation of an entry of
/// [`InFlight`], and the low 32 its index. For the others, four bits below bit 63 are the kind and
/// the rest is the token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct UserData(pub(super) u64);

/// What a [`UserData`] says.
pub(super) enum Source {
    /// An operation of the caller's that keeps nothing.
    Token(OpKind, Token),
    /// An entry of [`InFlight`].
    Kept { index: u32, generation: u32 },
    /// The driver's own request, whose result nobody waits for.
    Ignored,
}

impl UserData {
    const KEPT: u64 = 1 << 63;
    /// The part of an entry's generation that travels.
    const GENERATION: u32 = u32::MAX >> 1;
    const KIND_SHIFT: u32 = 59;
    /// A kind that [`OpKind`] does not have.
    pub(super) const IGNORED: Self = Self(15 << Self::KIND_SHIFT);

    pub(super) fn of_token(kind: OpKind, token: Token) -> Self {
        Self((kind as u64) << Self::KIND_SHIFT | token.bits())
    }

    fn of_kept(index: u32, generation: u32) -> Self {
        Self(Self::KEPT | u64::from(generation & Self::GENERATION) << 32 | u64::from(index))
    }

    #[inline]
    pub(super) fn source(self) -> Source {
        if self.0 & Self::KEPT != 0 {
            let generation = (self.0 >> 32) as u32 & Self::GENERATION;
            return Source::Kept { index: self.0 as u32, generation };
        }
        match OpKind::from_bits(self.0 >> Self::KIND_SHIFT) {
            Some(kind) => Source::Token(kind, Token::from_bits(self.0)),
            None => Source::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Owner;

    #[test]
    fn user_data_gives_back_what_it_was_made_of() {
        let token = Token::new(Owner::Fill, 0xff_ffff, u32::MAX);
        for kind in [OpKind::Accept, OpKind::Offload] {
            let Source::Token(read, again) = UserData::of_token(kind, token).source() else {
                panic!("a token came back as something else");
            };
            assert_eq!((read, again), (kind, token));
        }
        let kept = UserData::of_kept(7, u32::MAX).source();
        assert!(matches!(kept, Source::Kept { index: 7, generation: UserData::GENERATION }));
        assert!(matches!(UserData::IGNORED.source(), Source::Ignored));
    }

    fn read(in_flight: &mut InFlight) -> UserData {
        let token = Token::new(Owner::Control, 0, 0);
        in_flight.insert(token, OpKind::Read, Hold::Read(Vec::new()))
    }

    #[test]
    fn entries_are_used_again_and_do_not_move() {
        let mut in_flight = InFlight::default();
        let first = read(&mut in_flight);
        let place = in_flight.get(first).map(std::ptr::from_mut);
        for _ in 0..100 {
            read(&mut in_flight);
        }
        assert_eq!(in_flight.get(first).map(std::ptr::from_mut), place);
        in_flight.remove(first);
        let again = read(&mut in_flight);
        assert_eq!(again.0 as u32, first.0 as u32);
        assert!(in_flight.get(first).is_none(), "the old name no longer finds the entry");
        assert!(in_flight.get(again).is_some());
    }

    #[test]
    #[should_panic(expected = "completes once")]
    fn an_entry_is_freed_once() {
        let mut in_flight = InFlight::default();
        let data = read(&mut in_flight);
        in_flight.remove(data);
        in_flight.remove(data);
    }
}
