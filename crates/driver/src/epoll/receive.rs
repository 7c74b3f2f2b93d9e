//! Receiving.

use std::io;

use rustix::net::{RecvFlags, recv};

use super::Epoll;
use super::sockets::{Armed, SocketState};
use super::source::Source;
use crate::buffers::Buffers;
use crate::{Completion, Errno, Lease, OpId, OpKind, Outcome, Socket, Token};

/// How many buffers one socket may fill at once, before others have their turn: as many as
/// io_uring's multishot receive.
const READS_AT_ONCE: usize = 32;

/// Where received bytes land.
pub(super) struct ReceiveBuffers {
    buffers: Buffers,
    /// INVARIANT: no buffer is in here while a lease of it exists. The last one is used first, so
    /// that few buffers stay in the processor's cache.
    free: Vec<u32>,
}

impl ReceiveBuffers {
    pub(super) fn new(count: u16, size: u32) -> io::Result<Self> {
        let count = u32::from(count);
        Ok(Self { buffers: Buffers::new(count, size)?, free: (0..count).rev().collect() })
    }

    /// Receives into a free buffer; nothing received leaves it free.
    fn receive(&mut self, socket: &SocketState) -> Result<Lease, Errno> {
        let id = *self.free.last().ok_or(Errno::NOBUFS)?;
        // SAFETY: the buffer is free, so there is no lease through which it could be read.
        let buffer = unsafe { self.buffers.slice_mut(id) };
        let (_, len) = recv(&socket.fd, buffer, RecvFlags::empty())?;
        if len > 0 {
            self.free.pop();
        }
        // No more than the size of a buffer.
        let len = len as u32;
        Ok(Lease { id, len })
    }

    /// The bytes of a lease.
    pub(super) fn bytes(&self, lease: &Lease) -> &[u8] {
        // SAFETY: only `receive` writes, and only to free buffers; this one is on loan.
        unsafe { self.buffers.slice(lease.id, lease.len) }
    }

    /// Gives a buffer back.
    pub(super) fn release(&mut self, id: u32) {
        self.free.push(id);
    }
}

impl Epoll {
    pub(super) fn receive(&mut self, token: Token, socket: Socket) -> OpId {
        let Some(state) = self.sockets.get(socket.0) else {
            return self.fail(token, OpKind::Receive, Errno::BADF);
        };
        assert!(state.receive.is_none(), "{socket:?}: a second receive");
        let source = Source::Socket(socket.0);
        let id = self.names.next(source);
        state.receive = Some(Armed { token, id });
        if state.readable {
            self.left_over.push_back(source);
        }
        id
    }

    /// Reads what has come, if a receive is armed.
    pub(super) fn receive_some(&mut self, number: u32, completions: &mut Vec<Completion>) {
        let Some(state) = self.sockets.get(number) else {
            return;
        };
        let Some(armed) = state.receive else {
            return;
        };
        for _ in 0..READS_AT_ONCE {
            if !state.readable {
                return;
            }
            self.counters.enters += 1;
            let result = read(state, &mut self.buffers);
            let more = match &result {
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => continue,
                Ok(Outcome::Received(_)) => true,
                _ => false,
            };
            if !more {
                state.receive = None;
            }
            if matches!(result, Err(Errno::NOBUFS)) {
                self.counters.out_of_buffers += 1;
            }
            completions.push(armed.complete(OpKind::Receive, more, result));
            if !more {
                return;
            }
        }
        self.left_over.push_back(Source::Socket(number));
    }
}

/// Reads once, and notes whether another read is worth its while. A socket that has ended or broken
/// stays readable: the next receive is to be told the same.
fn read(state: &mut SocketState, buffers: &mut ReceiveBuffers) -> Result<Outcome, Errno> {
    match buffers.receive(state) {
        Ok(Lease { len: 0, .. }) => Ok(Outcome::EndOfStream),
        Ok(lease) => {
            let is_full = lease.len == buffers.buffers.size();
            state.readable = is_full || state.hides_more;
            Ok(Outcome::Received(lease))
        }
        Err(Errno::AGAIN) => {
            state.readable = false;
            Err(Errno::AGAIN)
        }
        Err(errno) => Err(errno),
    }
}
