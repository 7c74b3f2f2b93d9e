//! The content of an answer, pulled when the transport can take more.

use std::mem;
use std::ops::Range;
use std::rc::Rc;

use rim_driver::{Errno, File, Op, Outcome, Shared};

use crate::files::LocalEntry;
use crate::limits::READ_BYTES_MAX;

/// What is still to be sent of an answer's content.
#[derive(Debug, Default)]
pub(crate) enum Body {
    /// Nothing.
    #[default]
    Empty,
    /// A range of bytes in memory.
    Shared(Shared, Range<usize>),
    /// A file that is read as it is sent.
    File(Box<FileBody>),
}

/// The next piece of a body.
#[derive(Debug)]
pub(crate) enum Piece {
    /// There is none.
    End,
    /// Shared bytes.
    Shared(Shared, Range<usize>),
    /// Bytes read for this answer.
    Owned(Vec<u8>),
    /// Not yet: an operation is under way.
    Pending,
}

impl Body {
    /// Takes the next piece, of at most `max` bytes as far as that is for the body to decide.
    pub(crate) fn next(&mut self, max: usize) -> Piece {
        match self {
            Self::Empty => Piece::End,
            Self::Shared(shared, range) if range.len() <= max => {
                let piece = Piece::Shared(shared.clone(), range.clone());
                *self = Self::Empty;
                piece
            }
            Self::Shared(shared, range) => {
                let piece = range.start..range.start + max;
                range.start = piece.end;
                Piece::Shared(shared.clone(), piece)
            }
            Self::File(body) => body.next(),
        }
    }

    /// Whether there is no next piece, nor will be one.
    #[inline]
    pub(crate) fn is_at_end(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Shared(..) => false,
            Self::File(body) => matches!(body.step, Step::End),
        }
    }

    /// The file that is read, if that is what it is.
    pub(crate) fn as_file(&mut self) -> Option<&mut FileBody> {
        match self {
            Self::File(body) => Some(body),
            Self::Empty | Self::Shared(..) => None,
        }
    }
}

/// A file too long to be kept: read in pieces while it is sent, one piece ahead.
///
/// The file is compared with the version that the head of the answer describes before the first
/// piece is given out, and once more before the last: what has been sent by then is of one version,
/// or the answer never becomes whole.
#[derive(Debug)]
pub(crate) struct FileBody {
    local: Rc<LocalEntry>,
    file: Option<File>,
    /// How much has been read.
    offset: u64,
    step: Step,
    /// An operation is under way.
    is_busy: bool,
    /// A buffer from the last piece but one.
    spare: Vec<u8>,
}

#[derive(Debug)]
enum Step {
    Open,
    Stat,
    /// The file is open and of the right version; nothing has been read.
    Verified,
    Read,
    /// The last piece has been read and waits for the last look at the file.
    Verify(Vec<u8>),
    /// A piece waits to be taken.
    Ready(Vec<u8>),
    /// All pieces have been taken.
    End,
}

/// What came of an operation of a [`FileBody`].
#[derive(Debug)]
pub(crate) enum FileProgress {
    /// This is to be carried out next.
    Submit(Op),
    /// The file is open and of the version that was looked for.
    Verified,
    /// There is a piece to be taken.
    Ready,
    /// The file is not, or no longer, of that version.
    Changed,
    /// It cannot be opened or read.
    Failed,
}

impl FileBody {
    /// For a version of a file whose open is submitted by the caller.
    pub(crate) fn new(local: Rc<LocalEntry>) -> Self {
        let (step, spare) = (Step::Open, Vec::new());
        Self { local, file: None, offset: 0, step, is_busy: true, spare }
    }

    /// Whether it is for that version of that file, and ready to be sent.
    pub(crate) fn is_verified_for(&self, local: &LocalEntry) -> bool {
        let (ours, theirs) = (&self.local.entry, &local.entry);
        matches!(self.step, Step::Verified)
            && ours.version() == theirs.version()
            && ours.path() == theirs.path()
    }

    /// The version of the file that it is for.
    pub(crate) fn local(&self) -> &Rc<LocalEntry> {
        &self.local
    }

    /// Whether an operation is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// The file, to be closed when nothing is under way.
    pub(crate) fn take_file(&mut self) -> Option<File> {
        self.file.take()
    }

    /// The operation under way has ended.
    pub(crate) fn advance(&mut self, result: Result<Outcome, Errno>) -> FileProgress {
        self.is_busy = false;
        let Ok(outcome) = result else { return FileProgress::Failed };
        match (mem::replace(&mut self.step, Step::End), outcome) {
            (Step::Open, Outcome::Opened(file)) => {
                self.file = Some(file);
                self.step = Step::Stat;
                self.submit(Op::Stat { file })
            }
            (Step::Stat, Outcome::Stat(stat)) if stat == *self.local.entry.version() => {
                self.step = Step::Verified;
                FileProgress::Verified
            }
            (Step::Read, Outcome::Read(piece)) => self.read(piece),
            (Step::Verify(piece), Outcome::Stat(stat)) if stat == *self.local.entry.version() => {
                self.step = Step::Ready(piece);
                FileProgress::Ready
            }
            (Step::Stat | Step::Verify(_), Outcome::Stat(_)) => FileProgress::Changed,
            (step, outcome) => unreachable!("{outcome:?} while {step:?}"),
        }
    }

    /// The operation under way has ended, and nothing is to follow.
    pub(crate) fn end(&mut self, result: Result<Outcome, Errno>) {
        self.is_busy = false;
        self.step = Step::End;
        if let Ok(Outcome::Opened(file)) = result {
            self.file = Some(file);
        }
    }

    fn submit(&mut self, op: Op) -> FileProgress {
        self.is_busy = true;
        FileProgress::Submit(op)
    }

    fn read(&mut self, piece: Vec<u8>) -> FileProgress {
        let Some(file) = self.file else { unreachable!("opened before it is read") };
        if piece.is_empty() {
            return FileProgress::Changed;
        }
        self.offset += piece.len() as u64;
        if self.offset < self.local.entry.size() {
            self.step = Step::Ready(piece);
            return FileProgress::Ready;
        }
        self.step = Step::Verify(piece);
        self.submit(Op::Stat { file })
    }

    fn next(&mut self) -> Piece {
        match mem::replace(&mut self.step, Step::End) {
            Step::Ready(piece) => {
                if self.offset < self.local.entry.size() {
                    self.step = Step::Verified;
                }
                Piece::Owned(piece)
            }
            Step::End => Piece::End,
            step => {
                self.step = step;
                Piece::Pending
            }
        }
    }

    /// The read of the next piece, if one is due.
    pub(crate) fn read_ahead(&mut self) -> Option<Op> {
        let file = self.file.filter(|_| matches!(self.step, Step::Verified))?;
        self.step = Step::Read;
        self.is_busy = true;
        let mut buffer = mem::take(&mut self.spare);
        buffer.clear();
        let left = self.local.entry.size() - self.offset;
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(READ_BYTES_MAX);
        Some(Op::Read { file, offset: self.offset, buffer, len })
    }

    /// Takes back the buffer of a piece that has been sent.
    pub(crate) fn recycle(&mut self, piece: Vec<u8>) {
        self.spare = piece;
    }
}
