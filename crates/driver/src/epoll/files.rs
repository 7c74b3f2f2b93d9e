//! What runs on the pool: files, because a disk may be slow and epoll cannot wait for it, and jobs.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::source::Names;
use super::{Epoll, id};
use crate::pool::Failure;
use crate::{
    Completion, Errno, File, FileStat, Job, JobResult, OpId, OpKind, OpenHow, Outcome, Token, file,
};

/// What comes back from the pool.
pub(super) enum Answer {
    Opened(Result<OwnedFd, Errno>),
    Stat(Result<FileStat, Errno>),
    Read(Result<Vec<u8>, Errno>),
    Closed,
    Offloaded(JobResult),
}

impl Epoll {
    fn run(
        &mut self,
        token: Token,
        kind: OpKind,
        work: impl FnOnce() -> Answer + Send + 'static,
    ) -> OpId {
        let job = self.jobs.insert((token, kind));
        self.pool.run(job as u64, Box::new(work));
        Names::NOT_ARMED
    }

    /// The descriptor stays open as long as somebody on the pool uses it.
    fn file(&self, file: File) -> Arc<OwnedFd> {
        self.files[file.0 as usize].clone()
    }

    pub(super) fn open(&mut self, token: Token, path: CString, how: OpenHow) -> OpId {
        let root = match how {
            OpenHow::Root => None,
            OpenHow::Beneath(root) => Some(self.file(root)),
        };
        self.run(token, OpKind::Open, move || {
            Answer::Opened(file::open(root.as_deref(), &path, how))
        })
    }

    pub(super) fn stat(&mut self, token: Token, file: File) -> OpId {
        let file = self.file(file);
        self.run(token, OpKind::Stat, move || Answer::Stat(file::stat(&file)))
    }

    pub(super) fn read(
        &mut self,
        token: Token,
        file: File,
        offset: u64,
        mut buffer: Vec<u8>,
        len: usize,
    ) -> OpId {
        let file = self.file(file);
        self.run(token, OpKind::Read, move || {
            let result = file::read(&file, offset, &mut buffer, len);
            Answer::Read(result.map(|()| buffer))
        })
    }

    pub(super) fn close_file(&mut self, token: Token, file: File) -> OpId {
        let file = self.files.remove(file.0 as usize);
        self.run(token, OpKind::CloseFile, move || {
            drop(file);
            Answer::Closed
        })
    }

    pub(super) fn offload(&mut self, token: Token, job: Job) -> OpId {
        self.run(token, OpKind::Offload, move || Answer::Offloaded(job.run()))
    }

    /// Completes what the pool has finished.
    pub(super) fn take_results(&mut self, completions: &mut Vec<Completion>) {
        while let Some((job, answer)) = self.pool.take_result() {
            let (token, kind) = self.jobs.remove(job as usize);
            let result = match answer {
                Ok(answer) => self.outcome(answer),
                // Of all that runs there, only the callers' jobs can panic.
                Err(Failure::Panicked) => Ok(Outcome::Offloaded(None)),
                // Dropping the work has closed the file.
                Err(Failure::NoThread) if kind == OpKind::CloseFile => Ok(Outcome::Done),
                Err(Failure::NoThread) => Err(Errno::AGAIN),
            };
            completions.push(Completion { token, kind, more: false, result });
        }
    }

    fn outcome(&mut self, answer: Answer) -> Result<Outcome, Errno> {
        match answer {
            Answer::Opened(opened) => {
                let index = self.files.insert(Arc::new(opened?));
                Ok(Outcome::Opened(File(id(index))))
            }
            Answer::Stat(stat) => Ok(Outcome::Stat(stat?)),
            Answer::Read(buffer) => Ok(Outcome::Read(buffer?)),
            Answer::Closed => Ok(Outcome::Done),
            Answer::Offloaded(result) => Ok(Outcome::Offloaded(Some(result))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Driver, Op, Owner, Settings};

    #[test]
    fn without_threads_an_open_fails_and_may_be_tried_again() {
        let mut epoll = Epoll::new(&Settings::default()).unwrap();
        epoll.pool.refuse_threads();
        let op = Op::Open { path: c"/".into(), how: OpenHow::Root };
        epoll.submit(Token::new(Owner::Control, 1, 0), op);
        let mut completions = Vec::new();
        epoll.turn(None, &mut completions).unwrap();
        assert!(matches!(completions[..], [Completion { result: Err(Errno::AGAIN), .. }]));
    }
}
