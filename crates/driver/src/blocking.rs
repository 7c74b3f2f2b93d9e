//! File operations for a thread that may wait.

use std::os::fd::OwnedFd;

use slab::Slab;

use crate::{Errno, File, Op, OpenHow, Outcome, file};

/// Carries out file operations one after the other, with the results that a driver would give.
///
/// It is for programs that have a thread or a process per client.
#[derive(Debug, Default)]
pub struct BlockingFiles(Slab<OwnedFd>);

impl BlockingFiles {
    /// Carries out one operation.
    ///
    /// # Errors
    /// What the system says; `EOPNOTSUPP` for an operation that is not about files.
    ///
    /// # Panics
    /// If it names a file that is not open.
    pub fn run(&mut self, op: Op) -> Result<Outcome, Errno> {
        match op {
            Op::Open { path, how } => {
                let root = match how {
                    OpenHow::Root => None,
                    OpenHow::Beneath(root) => Some(&self.0[root.0 as usize]),
                };
                let index = self.0.insert(file::open(root, &path, how)?);
                Ok(Outcome::Opened(File(u32::try_from(index).expect("few open files"))))
            }
            Op::Stat { file } => file::stat(&self.0[file.0 as usize]).map(Outcome::Stat),
            Op::Read { file, offset, mut buffer, len } => {
                file::read(&self.0[file.0 as usize], offset, &mut buffer, len)?;
                Ok(Outcome::Read(buffer))
            }
            Op::CloseFile { file } => {
                self.0.remove(file.0 as usize);
                Ok(Outcome::Done)
            }
            _ => Err(Errno::OPNOTSUPP),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;

    #[test]
    fn a_file_is_opened_below_a_root_and_read() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a"), "content").unwrap();
        let mut files = BlockingFiles::default();
        let open = |files: &mut BlockingFiles, path: &str, how| match files
            .run(Op::Open { path: CString::new(path).unwrap(), how })?
        {
            Outcome::Opened(file) => Ok(file),
            outcome => panic!("{outcome:?}"),
        };
        let root = open(&mut files, directory.path().to_str().unwrap(), OpenHow::Root).unwrap();
        let file = open(&mut files, "a", OpenHow::Beneath(root)).unwrap();
        assert_eq!(open(&mut files, "../a", OpenHow::Beneath(root)), Err(Errno::XDEV));
        let Ok(Outcome::Stat(stat)) = files.run(Op::Stat { file }) else { panic!("stat") };
        assert_eq!(stat.size, 7);
        let read = Op::Read { file, offset: 3, buffer: b"=".to_vec(), len: 100 };
        let Ok(Outcome::Read(buffer)) = files.run(read) else { panic!("read") };
        assert_eq!(buffer, b"=tent");
        assert!(matches!(files.run(Op::CloseFile { file }), Ok(Outcome::Done)));
    }
}
