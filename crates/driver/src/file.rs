//! Files: how they are opened and what is asked about them, whichever driver does it.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags, StatxTimestamp, openat2,
    statx,
};
use rustix::io::{pread, retry_on_intr};

use crate::{Errno, FileKind, FileStat, OpenHow};

/// What statx(2) is asked for.
pub(crate) const STAT_FIELDS: StatxFlags = StatxFlags::TYPE
    .union(StatxFlags::SIZE)
    .union(StatxFlags::MTIME)
    .union(StatxFlags::CTIME)
    .union(StatxFlags::INO);

/// The flags for openat2(2), and what its path may not lead through.
pub(crate) fn open_flags(how: OpenHow) -> (OFlags, ResolveFlags) {
    match how {
        OpenHow::Root => {
            (OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, ResolveFlags::empty())
        }
        OpenHow::Beneath(_) => (
            OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC,
            ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
        ),
    }
}

/// Opens `path` as `how` says, below `root` if that is what it says.
pub(crate) fn open(root: Option<&OwnedFd>, path: &CStr, how: OpenHow) -> Result<OwnedFd, Errno> {
    let (flags, resolve) = open_flags(how);
    retry_on_intr(|| match root {
        None => openat2(CWD, path, flags, Mode::empty(), resolve),
        Some(root) => openat2(root, path, flags, Mode::empty(), resolve),
    })
}

/// Asks for size, kind and times.
pub(crate) fn stat(file: &OwnedFd) -> Result<FileStat, Errno> {
    let answer = statx(file, c"", AtFlags::EMPTY_PATH, STAT_FIELDS)?;
    Ok(FileStat::new(&answer))
}

/// Reads once, behind what is in `buffer`.
pub(crate) fn read(
    file: &OwnedFd,
    offset: u64,
    buffer: &mut Vec<u8>,
    len: usize,
) -> Result<(), Errno> {
    buffer.reserve(len);
    let room = &mut buffer.spare_capacity_mut()[..len];
    let (read, _) = pread(file, room, offset)?;
    let filled = read.len() + buffer.len();
    // SAFETY: that many bytes of the spare capacity have just been filled, from its start.
    unsafe { buffer.set_len(filled) };
    Ok(())
}

impl FileStat {
    /// The part that is wanted of what statx(2) has answered.
    pub(crate) fn new(answer: &Statx) -> Self {
        Self {
            kind: match FileType::from_raw_mode(u32::from(answer.stx_mode)) {
                FileType::RegularFile => FileKind::Regular,
                FileType::Directory => FileKind::Directory,
                _ => FileKind::Other,
            },
            size: answer.stx_size,
            device: u64::from(answer.stx_dev_major) << 32 | u64::from(answer.stx_dev_minor),
            inode: answer.stx_ino,
            modified_ns: nanoseconds(&answer.stx_mtime),
            changed_ns: nanoseconds(&answer.stx_ctime),
        }
    }
}

fn nanoseconds(time: &StatxTimestamp) -> i128 {
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}
