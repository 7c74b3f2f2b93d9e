//! The ring of provided buffers: the kernel takes one when there is something to receive.

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

use super::{Feature, Features};
use crate::buffers::Buffers;
use crate::{Lease, Settings};

/// The one group of provided buffers.
pub(super) const GROUP: u16 = 0;

/// Buffers in circulation at the start: few, so that they stay in the processor's cache.
const CIRCULATING_AT_START: u32 = 64;

/// Where received bytes land.
pub(super) struct ReceiveBuffers {
    buffers: Buffers,
    mode: Mode,
}

enum Mode {
    /// The kernel picks from the ring. Buffers from `circulating` on have never been in it: they
    /// join when the others do not suffice.
    Provided { ring: BufferRing, circulating: u32 },
    /// Each receive brings its own.
    Own { free: Vec<u32> },
}

/// The memory that the kernel takes buffers from: `struct io_uring_buf_ring`.
struct BufferRing {
    /// Entries of 16 bytes; the tail lies in the first one's last two bytes.
    memory: Buffers,
    mask: u16,
    tail: u16,
}

impl ReceiveBuffers {
    /// Buffers as the settings and features say.
    pub(super) fn new(
        submitter: &Submitter<'_>,
        settings: &Settings,
        features: Features,
        sockets_max: u32,
    ) -> io::Result<Self> {
        let size = settings.receive_buffer_bytes;
        if features.has(Feature::ProvidedBuffers) {
            return Self::provided(submitter, settings.receive_buffers, size);
        }
        // Every socket may hold one while it is idle, and some are on loan.
        let count = sockets_max + u32::from(settings.receive_buffers);
        let buffers = Buffers::new(count, size)?;
        Ok(Self { buffers, mode: Mode::Own { free: (0..count).rev().collect() } })
    }

    /// `count` buffers, a power of two, of `size` bytes, for the kernel to pick from.
    pub(super) fn provided(submitter: &Submitter<'_>, count: u16, size: u32) -> io::Result<Self> {
        let buffers = Buffers::new(u32::from(count), size)?;
        let circulating = CIRCULATING_AT_START.min(u32::from(count));
        let mut ring = BufferRing::new(submitter, count)?;
        for id in 0..circulating {
            ring.provide(id, &buffers);
        }
        ring.publish();
        Ok(Self { buffers, mode: Mode::Provided { ring, circulating } })
    }

    /// The size of one buffer.
    pub(super) fn buffer_bytes(&self) -> u32 {
        self.buffers.size()
    }

    /// A buffer for one receive, if buffers are not provided and one is free.
    pub(super) fn take(&mut self) -> Option<(u32, *mut u8, u32)> {
        let Mode::Own { free } = &mut self.mode else {
            return None;
        };
        let id = free.pop()?;
        Some((id, self.buffers.address(id), self.buffers.size()))
    }

    /// Gives a buffer back.
    pub(super) fn release(&mut self, id: u32) {
        match &mut self.mode {
            Mode::Own { free } => free.push(id),
            Mode::Provided { ring, .. } => ring.provide(id, &self.buffers),
        }
    }

    /// Makes what was released visible to the kernel.
    pub(super) fn publish(&mut self) {
        if let Mode::Provided { ring, .. } = &mut self.mode {
            ring.publish();
        }
    }

    /// Called when a receive found no buffer: doubles what circulates, if there is more.
    pub(super) fn grow(&mut self) {
        let Mode::Provided { ring, circulating } = &mut self.mode else {
            return;
        };
        let until = (*circulating * 2).min(self.buffers.count());
        for id in *circulating..until {
            ring.provide(id, &self.buffers);
        }
        *circulating = until;
        ring.publish();
    }

    /// The bytes of a lease.
    pub(super) fn bytes(&self, lease: &Lease) -> &[u8] {
        // SAFETY: the kernel writes to a buffer only from the time it is provided until the
        // completion that made this lease, and it is provided again only by `release`, which takes
        // the lease.
        unsafe { self.buffers.slice(lease.id, lease.len) }
    }
}

impl BufferRing {
    fn new(submitter: &Submitter<'_>, entries: u16) -> io::Result<Self> {
        assert!(entries.is_power_of_two(), "{entries} receive buffers: not a power of two");
        let memory = Buffers::new(u32::from(entries), size_of::<BufRingEntry>() as u32)?;
        // SAFETY: the mapping is page-aligned and long enough; the driver unmaps it only after the
        // ring is gone.
        unsafe {
            submitter.register_buf_ring_with_flags(memory.address(0) as u64, entries, GROUP, 0)
        }?;
        Ok(Self { memory, mask: entries - 1, tail: 0 })
    }

    /// Puts a buffer at the tail; the kernel sees it after `publish`.
    fn provide(&mut self, id: u32, buffers: &Buffers) {
        let place = self.memory.address(u32::from(self.tail & self.mask)).cast::<BufRingEntry>();
        // SAFETY: an entry of the ring; the kernel reads entries only up to the published tail, and
        // this one lies beyond it, because no more buffers exist than entries.
        let entry = unsafe { &mut *place };
        entry.set_addr(buffers.address(id) as u64);
        entry.set_len(buffers.size());
        // There are at most 32,768 buffers.
        entry.set_bid(id as u16);
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish(&mut self) {
        let base = self.memory.address(0).cast::<BufRingEntry>().cast_const();
        // SAFETY: computes the address of the tail inside the first entry.
        let tail = unsafe { BufRingEntry::tail(base) }.cast_mut();
        // SAFETY: two aligned bytes inside the mapping, shared with the kernel, which only reads
        // them; `provide` never touches them.
        let tail = unsafe { AtomicU16::from_ptr(tail) };
        tail.store(self.tail, Ordering::Release);
    }
}
