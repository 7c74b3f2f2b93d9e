//! Memory that received bytes land in.

use std::io;
use std::ptr::{self, NonNull};

/// Equal buffers in one anonymous mapping, so that a page costs memory only once it has been used.
///
/// Which of them are free is not its business.
pub(crate) struct Buffers {
    /// INVARIANT: a live private mapping of `count * size` bytes that only this value knows of.
    base: NonNull<u8>,
    count: u32,
    size: u32,
}

impl Buffers {
    /// Maps `count` buffers of `size` bytes.
    ///
    /// # Errors
    /// What mmap(2) says.
    pub(crate) fn new(count: u32, size: u32) -> io::Result<Self> {
        let bytes = count as usize * size as usize;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new anonymous mapping touches no memory that exists.
        let base = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, count, size })
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    /// Where buffer `id` begins.
    ///
    /// # Panics
    /// If there is no such buffer.
    pub(crate) fn address(&self, id: u32) -> *mut u8 {
        assert!(id < self.count, "buffer {id} of {}", self.count);
        // SAFETY: below `count * size`, so inside the mapping.
        unsafe { self.base.as_ptr().add(id as usize * self.size as usize) }
    }

    /// The first `len` bytes of buffer `id`.
    ///
    /// # Safety
    /// Nobody may write to the buffer while the slice lives.
    ///
    /// # Panics
    /// If there is no such buffer or it is not that long.
    pub(crate) unsafe fn slice(&self, id: u32, len: u32) -> &[u8] {
        assert!(len <= self.size, "{len} bytes of a buffer of {}", self.size);
        // SAFETY: inside the mapping, initialised (the kernel gives zeros), and by the caller's
        // promise not written to.
        unsafe { std::slice::from_raw_parts(self.address(id), len as usize) }
    }

    /// Buffer `id`, to write to.
    ///
    /// # Safety
    /// Nobody else may use the buffer while the slice lives.
    ///
    /// # Panics
    /// If there is no such buffer.
    pub(crate) unsafe fn slice_mut(&mut self, id: u32) -> &mut [u8] {
        // SAFETY: inside the mapping, initialised, and by the caller's promise nobody else's.
        unsafe { std::slice::from_raw_parts_mut(self.address(id), self.size as usize) }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        let bytes = self.count as usize * self.size as usize;
        // SAFETY: the mapping is this value's own, and no slice of it outlives this value.
        unsafe { libc::munmap(self.base.as_ptr().cast(), bytes) };
    }
}
