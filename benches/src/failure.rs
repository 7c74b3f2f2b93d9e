//! What can go wrong: with a target, and with the suite as a whole.

use std::io;
use std::path::PathBuf;

use rim_driver::CoreList;
use thiserror::Error;

/// Why a run of a target gave no figures.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// It was not there when its time was up, or could not be run at all.
    #[error("did not start: {0}")]
    NotStarted(String),
    /// It ended by itself.
    #[error("died {when}: {how}")]
    Died {
        /// During what.
        when: &'static str,
        /// What it left behind.
        how: String,
    },
    /// The line that says it is ready names another driver.
    #[error("uses another driver: {found} instead of {expected}")]
    OtherDriver {
        /// What the definition says.
        expected: String,
        /// What the target says.
        found: String,
    },
    /// Another program answers there.
    #[error("is another program: its Server field is {found:?} instead of {expected:?}")]
    OtherServer {
        /// What the definition says.
        expected: String,
        /// What the answer says.
        found: String,
    },
    /// The answer has another status.
    #[error("answers wrongly: status {found} instead of {expected}")]
    OtherStatus {
        /// What the definition says.
        expected: u16,
        /// What the answer says.
        found: u16,
    },
    /// The answer has other content.
    #[error("answers wrongly: {0}")]
    OtherBody(String),
    /// Under load, its answers are shorter than the file.
    #[error(
        "answers wrongly under load: {answered} answers in {received} bytes, though each owes a file \
         of {file_bytes} bytes"
    )]
    TooLittle {
        /// How many answers there were.
        answered: u64,
        /// Their bytes.
        received: u64,
        /// What each owes.
        file_bytes: u64,
    },
    /// There is no complete answer.
    #[error("does not answer: {0}")]
    NoAnswer(io::Error),
    /// The load generator gave no result.
    #[error("could not be loaded: {0}")]
    NotLoaded(String),
}

/// Why a run of a target ended without figures.
#[derive(Debug)]
pub(crate) enum Break {
    /// The target is to blame.
    Target(Failure),
    /// Somebody wants everything stopped.
    Stopped,
}

impl From<Failure> for Break {
    fn from(failure: Failure) -> Self {
        Self::Target(failure)
    }
}

impl From<Stopped> for Break {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

/// Somebody wants everything stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stopped;

/// Why a suite cannot be run, or not to its end: one line each, saying what is wrong and what to do.
#[derive(Debug, Error)]
pub enum CannotRun {
    /// Neither the name of a suite nor a file.
    #[error("no suite {name:?}; choose from {known}, or name a file")]
    UnknownSuite {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// No target of that name.
    #[error("no target {name:?}; choose from {known}")]
    UnknownTarget {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The file of a suite cannot be read.
    #[error("cannot read {path}: {1}; check path and permissions", path = .0.display())]
    Unreadable(PathBuf, io::Error),
    /// The file of a suite makes no sense; the text begins with the line's number.
    #[error("{path}{1}", path = .0.display())]
    Malformed(PathBuf, String),
    /// A core that may not be used.
    #[error(
        "not all of the cores {asked} may be used here; choose from {allowed} with --server-cores \
         and --client-cores"
    )]
    NoSuchCore {
        /// What was asked for.
        asked: CoreList,
        /// What may be used.
        allowed: CoreList,
    },
    /// Signals cannot be caught.
    #[error("cannot catch signals: {0}")]
    NoSignals(io::Error),
    /// The results have no place.
    #[error("cannot write to {path}: {1}; choose another folder with --out", path = .0.display())]
    Unwritable(PathBuf, io::Error),
    /// The files that are to be served cannot be made.
    #[error("cannot make the files to serve in {path}: {1}; set TMPDIR to a folder with room", path = .0.display())]
    NoSite(PathBuf, io::Error),
    /// The content of a file is not what the definition says.
    #[error(
        "scenario {scenario}: the content to serve has the hash {found} instead of {expected}; \
         correct body-blake3"
    )]
    OtherContent {
        /// Which scenario.
        scenario: String,
        /// What the definition says.
        expected: String,
        /// What it is.
        found: String,
    },
    /// What is to be started is not part of a checkout that can be built.
    #[error("no checkout at {path} to build from; use --binaries with a folder of programs", path = .0.display())]
    NoCheckout(PathBuf),
    /// Cargo could not be run.
    #[error("cannot run cargo: {0}; install Rust, or use --binaries with a folder of programs")]
    NoCargo(io::Error),
    /// Cargo said no.
    #[error("cargo could not build what the suite starts; its messages stand above")]
    NotBuilt,
    /// A program is missing.
    #[error("no program at {path}; build it, or choose another folder with --binaries", path = .0.display())]
    NoProgram(PathBuf),
    /// There is nothing to measure.
    #[error("none of the targets is installed; the lines above say how to install them")]
    NothingInstalled,
    /// A signal came.
    #[error("stopped by a signal; what was measured until then is kept")]
    Stopped,
}

impl CannotRun {
    /// The exit code of the program.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::UnknownSuite { .. } | Self::UnknownTarget { .. } => 2,
            _ => 1,
        }
    }
}

impl From<Stopped> for CannotRun {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}
