//! Finding out what there is at a path: opened, described, read between two equal descriptions.

use std::ffi::CString;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use rim_driver::{Errno, File, FileKind, FileStat, Op, OpenHow, Outcome};
use rim_http1::Status;

use super::entry::Entry;
use super::index::Resolved;
use crate::limits::{FILL_ATTEMPTS_MAX, READ_BYTES_MAX, SETTLED_AFTER};

/// One path being looked into.
#[derive(Debug)]
pub(super) struct Fill {
    path: CString,
    /// `path` is the index file of a directory that was asked for.
    in_directory: bool,
    /// What was there the last time: if it still is, nothing is read.
    current: Option<Arc<Entry>>,
    attempts: u8,
    file: Option<File>,
    step: Step,
}

/// The operation that is under way.
#[derive(Debug)]
enum Step {
    Open,
    Stat,
    /// Reading on behind that many bytes.
    Read(FileStat, usize),
    /// The second look, after reading.
    Verify(FileStat, Vec<u8>),
}

/// What is to happen next.
#[derive(Debug)]
pub(super) enum Progress {
    /// This operation is to be carried out.
    Submit(Op),
    /// After this time, everything is to be begun again.
    Retry(Duration),
    /// This is there.
    Done(Resolved),
}

/// What a fill needs to know of its surroundings.
pub(super) struct Surroundings<'a> {
    /// The time of day since 1970.
    pub(super) unix: Duration,
    /// Whether a file of that many bytes is to be kept in memory.
    pub(super) keeps: &'a dyn Fn(u64) -> bool,
}

impl Fill {
    pub(super) fn new(path: CString, in_directory: bool, current: Option<Arc<Entry>>) -> Self {
        Self { path, in_directory, current, attempts: 0, file: None, step: Step::Open }
    }

    /// The first operation, also after [`Progress::Retry`].
    pub(super) fn begin(&mut self, root: File) -> Op {
        self.step = Step::Open;
        Op::Open { path: self.path.clone(), how: OpenHow::Beneath(root) }
    }

    /// Whether the operation under way is the one that uses the root.
    pub(super) fn is_opening(&self) -> bool {
        matches!(self.step, Step::Open)
    }

    /// How much memory it needs for content, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        match &self.step {
            Step::Open | Step::Stat => 0,
            Step::Read(version, _) | Step::Verify(version, _) => version.size,
        }
    }

    /// The file that is open, to be closed when nothing is under way.
    pub(super) fn take_file(&mut self) -> Option<File> {
        self.file.take()
    }

    /// The operation under way has ended.
    pub(super) fn advance(
        &mut self,
        result: Result<Outcome, Errno>,
        surroundings: &Surroundings<'_>,
    ) -> Progress {
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(errno) => {
                self.step = Step::Open;
                return self.failed(errno);
            }
        };
        match (mem::replace(&mut self.step, Step::Open), outcome) {
            (Step::Open, Outcome::Opened(file)) => {
                self.file = Some(file);
                self.step = Step::Stat;
                Progress::Submit(Op::Stat { file })
            }
            (Step::Stat, Outcome::Stat(version)) => self.described(version, surroundings),
            // It has become shorter.
            (Step::Read(_, before), Outcome::Read(buffer)) if buffer.len() == before => {
                self.retry()
            }
            (Step::Read(version, _), Outcome::Read(buffer)) => self.read_on(version, buffer),
            (Step::Verify(version, buffer), Outcome::Stat(again)) if version == again => {
                self.found(version, Some(buffer), surroundings)
            }
            (Step::Verify(..), Outcome::Stat(_)) => self.retry(),
            (step, outcome) => unreachable!("{outcome:?} while {step:?}"),
        }
    }

    fn described(&mut self, version: FileStat, surroundings: &Surroundings<'_>) -> Progress {
        match version.kind {
            FileKind::Regular => {}
            FileKind::Directory if !self.in_directory => {
                return Progress::Done(Resolved::Directory);
            }
            FileKind::Directory | FileKind::Other => return Progress::Done(Resolved::Absent),
        }
        if !is_settled(&version, surroundings.unix) {
            return self.retry();
        }
        if let Some(current) = &self.current
            && *current.version() == version
        {
            return Progress::Done(Resolved::File(current.clone()));
        }
        if !(surroundings.keeps)(version.size) {
            return self.found(version, None, surroundings);
        }
        let size = usize::try_from(version.size).expect("what fits into memory");
        self.read_on(version, Vec::with_capacity(size))
    }

    /// `buffer` holds the beginning of the file: reads on, or looks at the file again.
    fn read_on(&mut self, version: FileStat, buffer: Vec<u8>) -> Progress {
        let Some(file) = self.file else { unreachable!("opened before it is read") };
        let (before, offset) = (buffer.len(), buffer.len() as u64);
        if offset == version.size {
            self.step = Step::Verify(version, buffer);
            return Progress::Submit(Op::Stat { file });
        }
        self.step = Step::Read(version, before);
        let len = READ_BYTES_MAX.min(buffer.capacity() - before);
        Progress::Submit(Op::Read { file, offset, buffer, len })
    }

    fn found(
        &self,
        version: FileStat,
        content: Option<Vec<u8>>,
        surroundings: &Surroundings<'_>,
    ) -> Progress {
        let unix = surroundings.unix.as_secs();
        let content = content.map(Arc::new);
        Progress::Done(Resolved::File(Arc::new(Entry::new(
            self.path.clone(),
            version,
            content,
            unix,
        ))))
    }

    /// The file changed under our eyes, or just before.
    fn retry(&mut self) -> Progress {
        self.attempts += 1;
        if self.attempts == FILL_ATTEMPTS_MAX {
            return Progress::Done(Resolved::Failed(Status::ServiceUnavailable));
        }
        Progress::Retry(SETTLED_AFTER)
    }

    fn failed(&mut self, errno: Errno) -> Progress {
        match errno {
            // openat2(2) gives up when names above the file are renamed at the same time.
            Errno::AGAIN | Errno::INTR => self.retry(),
            Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS => {
                Progress::Done(Resolved::Failed(Status::ServiceUnavailable))
            }
            Errno::IO | Errno::STALE => {
                Progress::Done(Resolved::Failed(Status::InternalServerError))
            }
            // There is none, it is outside the root (EXDEV), or it is not to be read. Which of these
            // is nobody's business.
            _ => Progress::Done(Resolved::Absent),
        }
    }
}

/// Whether the file has been left alone for so long that its next change will show in its times.
/// A time of change in the future, after the clock was set back, is as good.
fn is_settled(version: &FileStat, unix: Duration) -> bool {
    let now = i128::try_from(unix.as_nanos()).unwrap_or(i128::MAX);
    let settled_after = i128::try_from(SETTLED_AFTER.as_nanos()).unwrap_or(i128::MAX);
    (now - version.changed_ns).abs() >= settled_after
}
