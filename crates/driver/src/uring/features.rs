//! What the running kernel's io_uring can do.

use std::io::{self, Read};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;

use io_uring::types::Fixed;
use io_uring::{Builder, IoUring, Probe, cqueue, opcode, squeue};
use socket2::SockAddrStorage;
use thiserror::Error;

use super::prepare::{self, Descriptor, IPV4_BYTES};
use super::receive::ReceiveBuffers;
use crate::Settings;

/// Something that a kernel may lack or a setting switch off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[expect(missing_docs, reason = "named as the settings that switch them, which are documented")]
pub enum Feature {
    SingleIssuer,
    DeferTaskrun,
    CoopTaskrun,
    SubmitAll,
    NoSqarray,
    RegisteredRing,
    DirectDescriptors,
    MultishotAccept,
    MultishotReceive,
    ProvidedBuffers,
    VectorizedSend,
    MinimumWait,
    SocketCommands,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::SingleIssuer,
        Self::DeferTaskrun,
        Self::CoopTaskrun,
        Self::SubmitAll,
        Self::NoSqarray,
        Self::RegisteredRing,
        Self::DirectDescriptors,
        Self::MultishotAccept,
        Self::MultishotReceive,
        Self::ProvidedBuffers,
        Self::VectorizedSend,
        Self::MinimumWait,
        Self::SocketCommands,
    ];

    /// Its name, and the first kernel that has it.
    #[must_use]
    pub fn describe(self) -> (&'static str, &'static str) {
        match self {
            Self::SingleIssuer => ("single_issuer", "6.0"),
            Self::DeferTaskrun => ("defer_taskrun", "6.1"),
            Self::CoopTaskrun => ("coop_taskrun", "5.19"),
            Self::SubmitAll => ("submit_all", "5.18"),
            Self::NoSqarray => ("no_sqarray", "6.6"),
            Self::RegisteredRing => ("registered_ring", "5.18"),
            Self::DirectDescriptors => ("direct_descriptors", "6.13"),
            Self::MultishotAccept => ("multishot_accept", "5.19"),
            Self::MultishotReceive => ("multishot_receive", "6.0"),
            Self::ProvidedBuffers => ("provided_buffers", "5.19"),
            Self::VectorizedSend => ("vectorized_send", "6.17"),
            Self::MinimumWait => ("wait_min_us", "6.12"),
            Self::SocketCommands => ("socket_commands", "6.7"),
        }
    }
}

/// A set of features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features(u32);

impl Features {
    /// Whether `feature` is in it.
    #[inline]
    #[must_use]
    pub fn has(self, feature: Feature) -> bool {
        self.0 & 1 << feature as u32 != 0
    }

    fn set(&mut self, feature: Feature, present: bool) {
        self.0 = self.0 & !(1 << feature as u32) | u32::from(present) << feature as u32;
    }

    /// What is left of the kernel's features when the settings have had their say and features that
    /// need an absent one are gone.
    #[must_use]
    pub fn in_use(self, settings: &Settings) -> Self {
        let mut used = self;
        for (feature, wanted) in [
            (Feature::SingleIssuer, settings.single_issuer),
            (Feature::DeferTaskrun, settings.defer_taskrun && settings.single_issuer),
            (Feature::CoopTaskrun, settings.coop_taskrun),
            (Feature::SubmitAll, settings.submit_all),
            (Feature::NoSqarray, settings.no_sqarray),
            (Feature::RegisteredRing, settings.registered_ring),
            (Feature::MultishotAccept, settings.multishot_accept),
            (Feature::MultishotReceive, settings.multishot_receive && settings.provided_buffers),
            (Feature::ProvidedBuffers, settings.provided_buffers),
            (Feature::VectorizedSend, settings.vectorized_send),
            (Feature::SocketCommands, settings.socket_commands),
            // Without a bound on the time, a wait for several would last until they are there.
            (Feature::MinimumWait, settings.wait_completions_max > 1 && settings.wait_min_us > 0),
            (
                Feature::DirectDescriptors,
                settings.direct_descriptors
                    && (!settings.peer_names
                        || settings.socket_commands && self.has(Feature::SocketCommands)),
            ),
        ] {
            used.set(feature, self.has(feature) && wanted);
        }
        used
    }
}

/// Why there is no ring, with the likely cause and what to do.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SetupError {
    /// `EPERM`, `EACCES`.
    #[error(
        "io_uring unavailable: EPERM: kernel.io_uring_disabled is set or a seccomp filter forbids \
         it (containers do by default); allow io_uring_setup, or use the epoll driver"
    )]
    Forbidden,
    /// `ENOSYS`.
    #[error(
        "io_uring unavailable: ENOSYS: this kernel is built without it or a seccomp filter hides \
         it; use the epoll driver"
    )]
    Absent,
    /// Something that no version since Linux 5.19 lacks is missing.
    #[error("io_uring too old: no {0}; Linux 5.19 or newer is needed, or use the epoll driver")]
    TooOld(&'static str),
    /// Any other error.
    #[error("io_uring unavailable: {call}: {error}; check the limits on memory and open files")]
    Failed {
        /// The system call or registration that failed.
        call: &'static str,
        /// What it said.
        error: String,
    },
}

impl SetupError {
    pub(super) fn new(call: &'static str, error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::Forbidden,
            Some(libc::ENOSYS) => Self::Absent,
            _ => Self::Failed { call, error: error.to_string() },
        }
    }
}

/// Asks the running kernel, once per process, what its io_uring can do.
///
/// # Errors
/// That there is no usable io_uring, and why.
pub fn probe() -> Result<Features, SetupError> {
    static PROBED: OnceLock<Result<Features, SetupError>> = OnceLock::new();
    PROBED.get_or_init(probe_now).clone()
}

fn probe_now() -> Result<Features, SetupError> {
    let mut ring = IoUring::new(8).map_err(|error| SetupError::new("io_uring_setup", &error))?;
    require_operations(&ring)?;
    let mut features = Features::default();
    let builds = |set: fn(&mut Builder) -> &mut Builder| set(&mut IoUring::builder()).build(8);
    features.set(Feature::SubmitAll, builds(|b| b.setup_submit_all()).is_ok());
    features.set(Feature::CoopTaskrun, builds(|b| b.setup_coop_taskrun()).is_ok());
    features.set(Feature::SingleIssuer, builds(|b| b.setup_single_issuer()).is_ok());
    let deferred = builds(|b| b.setup_single_issuer().setup_defer_taskrun());
    features.set(Feature::DeferTaskrun, deferred.is_ok());
    features.set(Feature::NoSqarray, builds(|b| b.setup_no_sqarray()).is_ok());
    features.set(Feature::MinimumWait, ring.params().is_feature_min_timeout());
    let mut submitter = ring.submitter();
    features.set(Feature::RegisteredRing, submitter.register_ring_fd().is_ok());
    // Else this ring would live as long as the thread.
    let _ = submitter.unregister_ring_fd();
    features.set(Feature::DirectDescriptors, has_direct_descriptors(&mut ring));
    // Multishot accept came with the same release as buffer rings and needs no probe of its own.
    let buffers = ReceiveBuffers::provided(&ring.submitter(), 8, 4096);
    features.set(Feature::ProvidedBuffers, buffers.is_ok());
    features.set(Feature::MultishotAccept, buffers.is_ok());
    features.set(Feature::MultishotReceive, buffers.is_ok() && has_multishot_receive(&mut ring));
    features.set(Feature::VectorizedSend, has_vectorized_send(&mut ring));
    features.set(Feature::SocketCommands, has_socket_commands(&mut ring));
    drop(ring);
    Ok(features)
}

/// Checks for the operations that every feature set needs.
fn require_operations(ring: &IoUring) -> Result<(), SetupError> {
    if !ring.params().is_feature_ext_arg() {
        return Err(SetupError::TooOld("wait with a time-out"));
    }
    let mut probe = Probe::new();
    ring.submitter()
        .register_probe(&mut probe)
        .map_err(|error| SetupError::new("io_uring_register", &error))?;
    for (name, code) in [
        ("accept", opcode::Accept::CODE),
        ("recv", opcode::Recv::CODE),
        ("send", opcode::Send::CODE),
        ("sendmsg", opcode::SendMsg::CODE),
        ("connect", opcode::Connect::CODE),
        ("shutdown", opcode::Shutdown::CODE),
        ("openat2", opcode::OpenAt2::CODE),
        ("statx", opcode::Statx::CODE),
        ("read", opcode::Read::CODE),
        ("close", opcode::Close::CODE),
        ("cancel", opcode::AsyncCancel::CODE),
        ("files_update", opcode::FilesUpdate::CODE),
    ] {
        if !probe.is_supported(code) {
            return Err(SetupError::TooOld(name));
        }
    }
    Ok(())
}

/// Runs one operation to its first completion: its result and flags.
fn complete(ring: &mut IoUring, entry: &squeue::Entry) -> Option<(i32, u32)> {
    // SAFETY: what `entry` names lives in the callers' frames, which wait here for its completion;
    // an operation that goes on after its first completion (multishot) names nothing there.
    unsafe { ring.submission().push(entry) }.ok()?;
    ring.submit_and_wait(1).ok()?;
    ring.completion().next().map(|entry| (entry.result(), entry.flags()))
}

/// Whether the ring's table takes sockets, and closing one closes it at once.
///
/// Before Linux 6.13, a closed socket stayed open until all operations had ended that had begun
/// before: one idle connection kept all others from being closed
/// (<https://github.com/axboe/liburing/issues/1192>).
fn has_direct_descriptors(ring: &mut IoUring) -> bool {
    let (Ok((idle, end_of_idle)), Ok((closed, mut peer))) =
        (UnixStream::pair(), UnixStream::pair())
    else {
        return false;
    };
    let sockets = [idle.as_raw_fd(), closed.as_raw_fd()];
    let is_table = ring.submitter().register_files_sparse(8).is_ok()
        && ring.submitter().register_files_update(0, &sockets).is_ok();
    if !is_table || peer.set_nonblocking(true).is_err() {
        return false;
    }
    // The table keeps both open.
    drop((idle, closed));
    let wait = opcode::PollAdd::new(Fixed(0), libc::POLLIN as u32).build();
    // SAFETY: it names no memory.
    if unsafe { ring.submission().push(&wait) }.is_err() {
        return false;
    }
    let close = complete(ring, &prepare::close(Descriptor::Direct(1)));
    let is_closed = matches!((close, peer.read(&mut [0])), (Some((0, _)), Ok(0)));
    // Ends the operation; its completion is to be out of the way.
    drop(end_of_idle);
    let _ = ring.submit_and_wait(1);
    ring.completion().for_each(drop);
    is_closed
}

fn has_multishot_receive(ring: &mut IoUring) -> bool {
    let Ok((ours, theirs)) = UnixStream::pair() else {
        return false;
    };
    let Ok(1) = rustix::io::write(&theirs, b"x") else {
        return false;
    };
    let entry = prepare::receive_multishot(Descriptor::Real(ours.as_raw_fd()));
    let answer = complete(ring, &entry);
    // The peer is gone now, which ends the operation; its last completion is to be out of the way.
    drop(theirs);
    let goes_on = matches!(answer, Some((1, flags)) if cqueue::more(flags));
    if goes_on {
        let _ = ring.submit_and_wait(1);
        ring.completion().for_each(drop);
    }
    goes_on
}

fn has_vectorized_send(ring: &mut IoUring) -> bool {
    let Ok((ours, _theirs)) = UnixStream::pair() else {
        return false;
    };
    let parts = [b"a".as_slice(), b"b"]
        .map(|part| libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() });
    let entry = prepare::send_vectorized(Descriptor::Real(ours.as_raw_fd()), &parts);
    matches!(complete(ring, &entry), Some((2, _)))
}

fn has_socket_commands(ring: &mut IoUring) -> bool {
    let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) else {
        return false;
    };
    let mut address = SockAddrStorage::zeroed();
    let entry = prepare::peer_name(Descriptor::Real(socket.as_raw_fd()), &mut address, IPV4_BYTES);
    // The socket has no peer; a kernel that knows the command says just that.
    matches!(complete(ring, &entry), Some((result, _)) if result == -libc::ENOTCONN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_switches_its_feature_off_and_what_needs_it() {
        let mut all = Features::default();
        for feature in Feature::ALL {
            all.set(feature, true);
        }
        let settings = Settings { wait_completions_max: 8, ..Settings::default() };
        assert_eq!(all.in_use(&settings), all);
        let settings = Settings { single_issuer: false, provided_buffers: false, ..settings };
        let used = all.in_use(&settings);
        for feature in [
            Feature::SingleIssuer,
            Feature::DeferTaskrun,
            Feature::ProvidedBuffers,
            Feature::MultishotReceive,
        ] {
            assert!(!used.has(feature), "{feature:?}");
        }
        assert!(used.has(Feature::DirectDescriptors));
    }

    #[test]
    fn nobody_waits_for_several_completions_without_a_bound_on_the_time() {
        let mut features = Features::default();
        features.set(Feature::MinimumWait, true);
        for (wait_completions_max, wait_min_us, used) in
            [(8, 50, true), (8, 0, false), (1, 50, false)]
        {
            let settings = Settings { wait_completions_max, wait_min_us, ..Settings::default() };
            assert_eq!(features.in_use(&settings).has(Feature::MinimumWait), used);
        }
    }

    #[test]
    fn peer_names_that_the_kernel_cannot_tell_cost_the_direct_descriptors() {
        let mut features = Features::default();
        features.set(Feature::DirectDescriptors, true);
        let settings = Settings { peer_names: true, ..Settings::default() };
        assert!(!features.in_use(&settings).has(Feature::DirectDescriptors));
        features.set(Feature::SocketCommands, true);
        assert!(features.in_use(&settings).has(Feature::DirectDescriptors));
        let settings = Settings { socket_commands: false, ..settings };
        assert!(!features.in_use(&settings).has(Feature::DirectDescriptors));
        assert!(!features.in_use(&settings).has(Feature::SocketCommands));
    }
}
