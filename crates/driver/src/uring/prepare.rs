//! Submission entries: each operation as the kernel wants it.
//!
//! These only fill in an entry. Whoever pushes it answers for the memory that it names.

use std::ffi::CStr;
use std::mem;
use std::os::fd::RawFd;

use io_uring::types::{DestinationSlot, Fd, Fixed};
use io_uring::{opcode, squeue, types};
use libc::{iovec, msghdr};
use rustix::fs::Statx;
use socket2::{SockAddr, SockAddrStorage};

use super::receive::GROUP;
use crate::OpenHow;
use crate::file::{STAT_FIELDS, open_flags};

/// Every send: until all is sent, and without SIGPIPE.
const SEND_FLAGS: i32 = libc::MSG_WAITALL | libc::MSG_NOSIGNAL;
/// `IORING_SEND_VECTORIZED` of `linux/io_uring.h`.
const SEND_VECTORIZED: u16 = 1 << 5;
/// `SOCKET_URING_OP_GETSOCKOPT` of `linux/io_uring.h`.
const GETSOCKOPT: u32 = 2;
/// Where `struct io_uring_sqe` has `cmd_op`, in bytes.
const COMMAND_OFFSET: usize = 8;
/// `SO_PEERNAME` of `asm-generic/socket.h`.
const SO_PEERNAME: u32 = 28;
/// The length of an IPv4 address; of an IPv6 one, it reaches as far as the family.
pub(super) const IPV4_BYTES: u32 = size_of::<libc::sockaddr_in>() as u32;
/// The length of an IPv6 address.
pub(super) const IPV6_BYTES: u32 = size_of::<libc::sockaddr_in6>() as u32;
/// Makes `IORING_OP_FILES_UPDATE` choose the place: `IORING_FILE_INDEX_ALLOC`.
const ANY_PLACE: i32 = -1;

/// A socket, as the kernel knows it.
#[derive(Clone, Copy)]
pub(super) enum Descriptor {
    /// A descriptor of the process.
    Real(RawFd),
    /// A place in the ring's own table.
    Direct(u32),
}

/// Builds an entry with `$fd` standing for a descriptor of either sort.
macro_rules! on {
    ($descriptor:expr, $fd:ident => $entry:expr) => {
        match $descriptor {
            Descriptor::Real(number) => {
                let $fd = Fd(number);
                $entry
            }
            Descriptor::Direct(place) => {
                let $fd = Fixed(place);
                $entry
            }
        }
    };
}

pub(super) fn accept(listener: RawFd, multishot: bool, direct: bool) -> squeue::Entry {
    let flags = if direct { 0 } else { libc::SOCK_CLOEXEC };
    if multishot {
        return opcode::AcceptMulti::new(Fd(listener))
            .allocate_file_index(direct)
            .flags(flags)
            .build();
    }
    opcode::Accept::new(Fd(listener), std::ptr::null_mut(), std::ptr::null_mut())
        .file_index(direct.then(DestinationSlot::auto_target))
        .flags(flags)
        .build()
}

/// Once and again, into buffers that the kernel picks. Without a length: before Linux 6.17 there
/// must be none.
pub(super) fn receive_multishot(socket: Descriptor) -> squeue::Entry {
    on!(socket, fd => opcode::RecvMulti::new(fd, GROUP).build())
}

/// Once, into a buffer that the kernel picks. Linux 5.19 takes the length as it stands: with none it
/// would receive nothing, which looks like the end of the stream.
pub(super) fn receive_provided(socket: Descriptor, buffer_bytes: u32) -> squeue::Entry {
    on!(socket, fd => opcode::Recv::new(fd, std::ptr::null_mut(), buffer_bytes)
        .buf_group(GROUP)
        .build())
    .flags(squeue::Flags::BUFFER_SELECT)
}

pub(super) fn receive(socket: Descriptor, buffer: *mut u8, len: u32) -> squeue::Entry {
    on!(socket, fd => opcode::Recv::new(fd, buffer, len).build())
}

/// One part.
pub(super) fn send(socket: Descriptor, bytes: &[u8]) -> squeue::Entry {
    on!(socket, fd => opcode::Send::new(fd, bytes.as_ptr(), length(bytes.len())).flags(SEND_FLAGS).build())
}

/// Several parts, without a message header.
pub(super) fn send_vectorized(socket: Descriptor, parts: &[iovec]) -> squeue::Entry {
    let (first, count) = (parts.as_ptr().cast(), length(parts.len()));
    on!(socket, fd => opcode::Send::new(fd, first, count)
        .ioprio(SEND_VECTORIZED)
        .flags(SEND_FLAGS)
        .build())
}

/// Several parts, by the header that names them.
pub(super) fn send_message(socket: Descriptor, header: &msghdr) -> squeue::Entry {
    let flags = SEND_FLAGS.cast_unsigned();
    on!(socket, fd => opcode::SendMsg::new(fd, header).flags(flags).build())
}

/// Moves a descriptor of the process into any free place of the ring's table; the place's number
/// replaces the descriptor's.
pub(super) fn install(descriptor: &mut RawFd) -> squeue::Entry {
    opcode::FilesUpdate::new(std::ptr::from_mut(descriptor), 1).offset(ANY_PLACE).build()
}

pub(super) fn connect(socket: Descriptor, address: &SockAddr) -> squeue::Entry {
    on!(socket, fd => opcode::Connect::new(fd, address.as_ptr().cast(), address.len()).build())
}

/// getsockopt(2) with `SO_PEERNAME`, which the crate has no builder for: the entry differs from
/// that of setsockopt in its command alone.
///
/// This option is unlike others: asked for more bytes than the address has, it gives none.
pub(super) fn peer_name(
    socket: Descriptor,
    address: &mut SockAddrStorage,
    bytes: u32,
) -> squeue::Entry {
    let level = libc::SOL_SOCKET.cast_unsigned();
    let address = std::ptr::from_mut(address).cast();
    let mut entry =
        on!(socket, fd => opcode::SetSockOpt::new(fd, level, SO_PEERNAME, address, bytes).build());
    let command = std::ptr::from_mut(&mut entry).wrapping_byte_add(COMMAND_OFFSET).cast::<u32>();
    // SAFETY: `Entry` is `repr(C)` and wraps the kernel's 64-byte structure, in which four bytes at
    // this offset, aligned to four, are the command.
    unsafe { command.write(GETSOCKOPT) };
    entry
}

pub(super) fn shutdown(socket: Descriptor) -> squeue::Entry {
    on!(socket, fd => opcode::Shutdown::new(fd, libc::SHUT_WR).build())
}

pub(super) fn close(socket: Descriptor) -> squeue::Entry {
    on!(socket, fd => opcode::Close::new(fd).build())
}

/// The `open_how` for `how`.
pub(super) fn open_how(how: OpenHow) -> types::OpenHow {
    let (flags, resolve) = open_flags(how);
    types::OpenHow::new().flags(u64::from(flags.bits())).resolve(resolve.bits())
}

pub(super) fn open(directory: RawFd, path: &CStr, how: &types::OpenHow) -> squeue::Entry {
    opcode::OpenAt2::new(Fd(directory), path.as_ptr(), how).build()
}

/// Room for the answer of statx(2).
pub(super) fn empty_statx() -> Box<Statx> {
    // SAFETY: the structure consists of integers, for which zero is a value.
    Box::new(unsafe { mem::zeroed() })
}

pub(super) fn stat(file: RawFd, answer: &mut Statx) -> squeue::Entry {
    opcode::Statx::new(Fd(file), c"".as_ptr(), std::ptr::from_mut(answer).cast())
        .flags(libc::AT_EMPTY_PATH)
        .mask(STAT_FIELDS.bits())
        .build()
}

/// Into the spare capacity of `buffer`, which must be at least `len`.
pub(super) fn read(file: RawFd, offset: u64, buffer: &mut Vec<u8>, len: usize) -> squeue::Entry {
    let room = &mut buffer.spare_capacity_mut()[..len];
    opcode::Read::new(Fd(file), room.as_mut_ptr().cast(), length(len)).offset(offset).build()
}

pub(super) fn read_count(eventfd: RawFd, count: &mut [u8; 8]) -> squeue::Entry {
    opcode::Read::new(Fd(eventfd), count.as_mut_ptr(), 8).build()
}

pub(super) fn cancel(user_data: u64) -> squeue::Entry {
    opcode::AsyncCancel::new(user_data).build()
}

/// Ends whatever is in flight.
pub(super) fn cancel_everything() -> squeue::Entry {
    opcode::AsyncCancel2::new(types::CancelBuilder::any()).build()
}

/// Lengths travel in 32 bits; a longer operation is cut and completes short.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
