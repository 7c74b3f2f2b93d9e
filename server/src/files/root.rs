//! The directory that everything is served from.

use std::ffi::CString;

use rim_driver::{Errno, File, FileStat, Op, OpenHow, Outcome, Time};
use slab::Slab;

/// An opened root in use, by its place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RootId(usize);

/// The root: its path is resolved anew from time to time, so that a symbolic link that has been
/// switched to another directory is followed.
///
/// Opens that are under way go on with the directory that they began with; it is closed after the
/// last of them. If the path leads nowhere, the directory that it last led to stays in use.
#[derive(Debug)]
pub(super) struct Root {
    path: CString,
    opened: Slab<Opened>,
    current: Option<RootId>,
    /// When the path was last resolved.
    resolved_at: Option<Time>,
    step: Step,
}

#[derive(Debug)]
struct Opened {
    file: File,
    /// Device and inode.
    identity: (u64, u64),
    users: usize,
}

/// The operation that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    Open,
    Stat(File),
}

/// What came of an operation.
pub(super) enum Progress {
    /// This is to be carried out next.
    Submit(Op),
    /// The path has been resolved, perhaps to another directory than before.
    Resolved {
        /// It is another directory.
        has_changed: bool,
        /// Not needed any more.
        close: Option<File>,
    },
}

impl Root {
    pub(super) fn new(path: CString) -> Self {
        let (opened, current) = (Slab::new(), None);
        Self { path, opened, current, resolved_at: None, step: Step::Nothing }
    }

    /// Whether the path has been resolved since `since`.
    #[inline]
    pub(super) fn is_fresh(&self, since: Time) -> bool {
        self.resolved_at.is_some_and(|at| at >= since)
    }

    /// Begins to resolve the path, if nobody does so already.
    pub(super) fn begin(&mut self) -> Option<Op> {
        if self.step != Step::Nothing {
            return None;
        }
        self.step = Step::Open;
        Some(Op::Open { path: self.path.clone(), how: OpenHow::Root })
    }

    /// The operation under way has ended.
    pub(super) fn advance(&mut self, result: Result<Outcome, Errno>, now: Time) -> Progress {
        match (std::mem::replace(&mut self.step, Step::Nothing), result) {
            (Step::Open, Ok(Outcome::Opened(file))) => {
                self.step = Step::Stat(file);
                Progress::Submit(Op::Stat { file })
            }
            (Step::Stat(file), Ok(Outcome::Stat(stat))) => self.resolved(file, &stat, now),
            (Step::Stat(file), _) => self.unresolved(Some(file), now),
            (_, _) => self.unresolved(None, now),
        }
    }

    fn resolved(&mut self, file: File, stat: &FileStat, now: Time) -> Progress {
        self.resolved_at = Some(now);
        let identity = (stat.device, stat.inode);
        let before = self.current;
        if before.is_some_and(|RootId(id)| self.opened[id].identity == identity) {
            return Progress::Resolved { has_changed: false, close: Some(file) };
        }
        let opened = Opened { file, identity, users: 0 };
        self.current = Some(RootId(self.opened.insert(opened)));
        let close = before.and_then(|before| self.close_if_unused(before));
        Progress::Resolved { has_changed: true, close }
    }

    fn unresolved(&mut self, close: Option<File>, now: Time) -> Progress {
        self.resolved_at = Some(now);
        Progress::Resolved { has_changed: false, close }
    }

    /// Whether the path has never led anywhere.
    #[inline]
    pub(super) fn is_missing(&self) -> bool {
        self.current.is_none()
    }

    /// Takes the current root for an open. To be given back when the open has ended.
    pub(super) fn acquire(&mut self) -> Option<(RootId, File)> {
        let id = self.current?;
        let opened = &mut self.opened[id.0];
        opened.users += 1;
        Some((id, opened.file))
    }

    /// Gives a root back; a file that is to be closed then.
    pub(super) fn release(&mut self, id: RootId) -> Option<File> {
        self.opened[id.0].users -= 1;
        self.close_if_unused(id)
    }

    fn close_if_unused(&mut self, id: RootId) -> Option<File> {
        let is_unused = self.current != Some(id) && self.opened[id.0].users == 0;
        is_unused.then(|| self.opened.remove(id.0).file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rim_driver::FileKind;

    fn stat(inode: u64) -> FileStat {
        let kind = FileKind::Directory;
        FileStat { kind, size: 0, device: 1, inode, modified_ns: 0, changed_ns: 0 }
    }

    /// Resolves the path to the directory `inode`, opened as `file`; what changed and is closed.
    fn resolve(root: &mut Root, file: u32, inode: u64, now: Time) -> (bool, Option<File>) {
        assert!(root.begin().is_some());
        assert!(root.begin().is_none(), "once at a time");
        let opened = Ok(Outcome::Opened(File(file)));
        assert!(matches!(root.advance(opened, now), Progress::Submit(Op::Stat { .. })));
        match root.advance(Ok(Outcome::Stat(stat(inode))), now) {
            Progress::Resolved { has_changed, close } => (has_changed, close),
            _ => panic!("resolved"),
        }
    }

    #[test]
    fn a_switched_root_is_closed_after_its_last_user() {
        let now = Time::from_nanos(5);
        let mut root = Root::new(c"/srv".into());
        assert_eq!(resolve(&mut root, 1, 100, now), (true, None));
        assert_eq!(resolve(&mut root, 2, 100, now), (false, Some(File(2))), "the same directory");
        let (first, file) = root.acquire().unwrap();
        assert_eq!(file, File(1));
        assert_eq!(resolve(&mut root, 3, 200, now), (true, None), "the first is in use");
        assert_eq!(root.acquire().unwrap().1, File(3));
        assert_eq!(root.release(first), Some(File(1)));
    }

    #[test]
    fn a_root_that_has_gone_stays_in_use() {
        let mut root = Root::new(c"/srv".into());
        root.begin();
        root.advance(Err(Errno::NOENT), Time::ZERO);
        assert!(root.is_missing() && root.is_fresh(Time::ZERO));
        resolve(&mut root, 1, 100, Time::from_nanos(5));
        root.begin();
        let later = Time::from_nanos(9);
        let gone = root.advance(Err(Errno::NOENT), later);
        assert!(matches!(gone, Progress::Resolved { has_changed: false, close: None }));
        assert!(root.is_fresh(later));
        assert_eq!(root.acquire().unwrap().1, File(1));
    }
}
