//! From completion entries to completions.

use io_uring::cqueue;
use socket2::{SockAddr, SockAddrStorage};

use super::in_flight::{ConnectStage, FollowUp, Hold, Source, UserData};
use super::prepare::IPV4_BYTES;
use super::{Feature, REAL, Uring, id};
use crate::pool::Failure;
use crate::{Completion, Errno, File, FileStat, Lease, OpKind, Outcome, Socket};
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};

impl Uring {
    /// Takes what the kernel has posted, up to `max` entries; how many that were.
    pub(super) fn reap(&mut self, completions: &mut Vec<Completion>, max: usize) -> usize {
        let mut count = 0;
        let out_of_buffers = self.counters.out_of_buffers;
        if self.ring.is_overflowing() {
            self.counters.overflows += 1;
        }
        self.ring.sync_completions();
        while count < max
            && let Some(entry) = self.ring.next()
        {
            count += 1;
            let more = cqueue::more(entry.flags());
            if !more {
                self.requests -= 1;
            }
            let data = UserData(entry.user_data());
            match data.source() {
                Source::Token(kind, token) => {
                    if kind == OpKind::Receive && entry.result() < 0 {
                        self.take_back_buffer(entry.flags());
                    }
                    let result = check(entry.result())
                        .and_then(|value| self.complete_plain(kind, value, entry.flags()));
                    if result.as_ref().err() == Some(&Errno::NOBUFS) && kind == OpKind::Receive {
                        self.counters.out_of_buffers += 1;
                    }
                    completions.push(Completion { token, kind, more, result });
                }
                Source::Kept { .. } => self.complete_kept(data, check(entry.result()), completions),
                Source::Ignored => {}
            }
        }
        self.ring.sync_completions();
        self.counters.completed += count as u64;
        if self.counters.out_of_buffers != out_of_buffers {
            self.receive.grow();
        }
        count
    }

    /// A receive has failed after a buffer had been picked for it.
    #[cold]
    fn take_back_buffer(&mut self, flags: u32) {
        if let Some(buffer) = cqueue::buffer_select(flags) {
            self.receive.release(u32::from(buffer));
        }
    }

    /// A completion of an operation that keeps no memory.
    #[inline]
    fn complete_plain(&mut self, kind: OpKind, value: u32, flags: u32) -> Result<Outcome, Errno> {
        Ok(match kind {
            OpKind::Receive => match (value, cqueue::buffer_select(flags)) {
                (0, None) => Outcome::EndOfStream,
                (0, Some(buffer)) => {
                    self.receive.release(u32::from(buffer));
                    Outcome::EndOfStream
                }
                (len, Some(buffer)) => Outcome::Received(Lease { id: u32::from(buffer), len }),
                (_, None) => return Err(Errno::IO),
            },
            OpKind::Accept => Outcome::Accepted(self.new_socket(value)),
            _ => Outcome::Done,
        })
    }

    /// The name of a socket that the kernel has just made.
    fn new_socket(&mut self, number: u32) -> Socket {
        if self.features.has(Feature::DirectDescriptors) {
            return Socket(number);
        }
        self.real_sockets.insert(number.cast_signed());
        Socket(number | REAL)
    }

    /// A completion of an operation that keeps memory.
    fn complete_kept(
        &mut self,
        data: UserData,
        value: Result<u32, Errno>,
        completions: &mut Vec<Completion>,
    ) {
        let entry = self.in_flight.get(data).expect("the kernel completes what is in flight");
        if let Hold::Connect { stage: ConnectStage::Installing { .. }, .. } = entry.hold {
            self.complete_install(data, value, completions);
            return;
        }
        // The kernel also says so where it could start no thread for an operation on a file.
        let value = match value {
            Err(Errno::CANCELED) if !entry.is_cancelled && entry.kind.is_of_file() => {
                Err(Errno::AGAIN)
            }
            value => value,
        };
        let (token, kind, hold) = self.in_flight.remove(data);
        let result = match hold {
            Hold::Send(mut outgoing) => value.map(|sent| {
                outgoing.sent += sent as usize;
                Outcome::Sent(outgoing)
            }),
            Hold::Receive { buffer } => match value {
                Ok(len) if len > 0 => Ok(Outcome::Received(Lease { id: buffer, len })),
                ended => {
                    self.receive.release(buffer);
                    ended.map(|_| Outcome::EndOfStream)
                }
            },
            Hold::Open { .. } => value.map(|raw| {
                // SAFETY: the kernel has just made this descriptor for us.
                let file = unsafe { OwnedFd::from_raw_fd(raw.cast_signed()) };
                Outcome::Opened(File(id(self.files.insert(file))))
            }),
            Hold::Stat(answer) => value.map(|_| Outcome::Stat(FileStat::new(&answer))),
            Hold::Read(mut buffer) => value.map(|len| {
                let filled = buffer.len() + len as usize;
                // SAFETY: the kernel has just written `len` bytes behind the old end.
                unsafe { buffer.set_len(filled) };
                Outcome::Read(buffer)
            }),
            Hold::Connect { stage, .. } => self.complete_connect(stage, value),
            Hold::PeerName { socket, mut room } => {
                if value == Ok(IPV4_BYTES) && is_ipv6(&mut room) {
                    self.follow_ups.push(FollowUp::PeerName(token, socket));
                    return;
                }
                value.and_then(|len| {
                    // SAFETY: the kernel has just written a whole address of that length.
                    let address = unsafe { SockAddr::new(*room, len) };
                    address.as_socket().map(Outcome::PeerName).ok_or(Errno::AFNOSUPPORT)
                })
            }
            Hold::Wake(_) => return self.complete_wake(completions),
            Hold::Nothing => unreachable!("`remove` gives back what is held"),
        };
        completions.push(Completion { token, kind, more: false, result });
    }

    /// A new socket is in the ring's table, or could not be put there.
    fn complete_install(
        &mut self,
        data: UserData,
        value: Result<u32, Errno>,
        completions: &mut Vec<Completion>,
    ) {
        let entry = self.in_flight.get(data).expect("the caller has looked it up");
        let Hold::Connect { stage, .. } = &mut entry.hold else { unreachable!("by the caller") };
        let ConnectStage::Installing { place, cancelled, .. } = stage else {
            unreachable!("by the caller")
        };
        let place = place.cast_unsigned();
        let failure = value.err().or(cancelled.then_some(Errno::CANCELED));
        let Some(errno) = failure else {
            // The process's own descriptor is closed here; the table keeps the socket.
            *stage = ConnectStage::Direct(place);
            self.follow_ups.push(FollowUp::Connect(data));
            return;
        };
        if value.is_ok() {
            self.follow_ups.push(FollowUp::Free(place));
        }
        let (token, kind, _) = self.in_flight.remove(data);
        completions.push(Completion { token, kind, more: false, result: Err(errno) });
    }

    fn complete_connect(
        &mut self,
        stage: ConnectStage,
        value: Result<u32, Errno>,
    ) -> Result<Outcome, Errno> {
        match (stage, value) {
            (ConnectStage::Direct(place), Ok(_)) => Ok(Outcome::Connected(Socket(place))),
            (ConnectStage::Direct(place), Err(errno)) => {
                self.follow_ups.push(FollowUp::Free(place));
                Err(errno)
            }
            (ConnectStage::Real(socket), Ok(_)) => {
                let raw = socket.into_raw_fd();
                self.real_sockets.insert(raw);
                Ok(Outcome::Connected(Socket(raw.cast_unsigned() | REAL)))
            }
            (ConnectStage::Real(_) | ConnectStage::Installing { .. }, Err(errno)) => Err(errno),
            (ConnectStage::Installing { .. }, Ok(_)) => unreachable!("`complete_install` took it"),
        }
    }

    /// The eventfd was signalled, by a waker or by the pool.
    fn complete_wake(&mut self, completions: &mut Vec<Completion>) {
        self.follow_ups.push(FollowUp::ArmWake);
        while let Some((job, result)) = self.pool.take_result() {
            let token = self.jobs.remove(job as usize);
            let result = match result {
                Ok(result) => Ok(Outcome::Offloaded(Some(result))),
                Err(Failure::Panicked) => Ok(Outcome::Offloaded(None)),
                Err(Failure::NoThread) => Err(Errno::AGAIN),
            };
            completions.push(Completion { token, kind: OpKind::Offload, more: false, result });
        }
        completions.extend(self.wake.take());
    }
}

/// A result as the kernel gives it: negative is an error.
#[inline]
fn check(result: i32) -> Result<u32, Errno> {
    u32::try_from(result).map_err(|_| Errno::from_raw_os_error(-result))
}

fn is_ipv6(address: &mut SockAddrStorage) -> bool {
    // SAFETY: every address begins with its family, and zeros are one too.
    let address = unsafe { address.view_as::<libc::sockaddr>() };
    i32::from(address.sa_family) == libc::AF_INET6
}
