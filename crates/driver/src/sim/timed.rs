//! Operations of the simulated driver that take their time: files, jobs, connecting.

use std::ffi::CString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::progress::State;
use super::{OpenFile, Sim};
use crate::{Errno, File, Job, OpKind, OpenHow, Outcome};

/// What takes its time.
pub(super) enum Timed {
    Connect {
        to: SocketAddr,
        from: Option<IpAddr>,
    },
    Open {
        path: CString,
        how: OpenHow,
    },
    Stat {
        file: File,
    },
    Read {
        file: File,
        offset: u64,
        buffer: Vec<u8>,
        len: usize,
    },
    Offload(Job),
    /// Already carried out.
    Over,
}

impl Sim {
    pub(super) fn timed(&mut self, what: Timed) -> State {
        let mut world = self.world.borrow_mut();
        let longest_ns = world.faults.file_delay_max_ns;
        State::Timed { due: world.now() + world.delay(longest_ns), what }
    }

    pub(super) fn carry_out(
        &mut self,
        what: Timed,
        kind: OpKind,
        is_cancelled: bool,
    ) -> Result<Outcome, Errno> {
        if let Some(errno) = self.injected(kind) {
            return Err(errno);
        }
        match what {
            Timed::Connect { .. } if is_cancelled => Err(Errno::CANCELED),
            Timed::Connect { to, from } => {
                let from = SocketAddr::new(from.unwrap_or(Ipv4Addr::LOCALHOST.into()), 0);
                let end = self.world.borrow_mut().net.connect(from, to)?;
                Ok(Outcome::Connected(self.new_socket(end)))
            }
            Timed::Open { path, how } => self.open(path.as_bytes(), how),
            Timed::Stat { file } => {
                let inode = self.inode(file, OpKind::Stat)?;
                Ok(Outcome::Stat(self.world.borrow().files.stat(inode)))
            }
            Timed::Read { file, offset, mut buffer, len } => {
                let inode = self.readable_inode(file)?;
                let mut world = self.world.borrow_mut();
                let short_read = world.faults.short_read;
                let len =
                    if world.chance(short_read) { world.rng.usize(1..=len.max(1)) } else { len };
                buffer.extend_from_slice(world.files.read(inode, offset, len)?);
                Ok(Outcome::Read(buffer))
            }
            Timed::Offload(job) => {
                let run = std::panic::AssertUnwindSafe(|| job.run());
                Ok(Outcome::Offloaded(std::panic::catch_unwind(run).ok()))
            }
            Timed::Over => unreachable!("carried out once"),
        }
    }

    fn open(&mut self, path: &[u8], how: OpenHow) -> Result<Outcome, Errno> {
        let inode = match how {
            OpenHow::Root => self.world.borrow().files.open_root(path)?,
            OpenHow::Beneath(root) => {
                let root = self.inode(root, OpKind::Open)?;
                self.world.borrow().files.open_beneath(root, path)?
            }
        };
        let is_path = how == OpenHow::Root;
        let file = self.files.insert(OpenFile { inode, is_path });
        Ok(Outcome::Opened(File(u32::try_from(file).expect("few files"))))
    }
}
