//! The files that a run writes. They are opened before it starts: a result that cannot be written
//! is not worth waiting for.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::args::{Args, Destination};
use crate::failure::CannotRun;
use crate::intervals::IntervalLog;
use crate::report::Report;

/// Where results go.
pub(crate) struct Outputs {
    json: Option<Sink>,
    log: Option<(PathBuf, File)>,
}

struct Sink {
    /// For people.
    name: PathBuf,
    out: Out,
}

enum Out {
    Standard,
    File(File),
}

impl Outputs {
    /// Opens what the command line names.
    pub(crate) fn open(args: &Args) -> Result<Self, CannotRun> {
        let json = match &args.json {
            None => None,
            Some(Destination::Standard) => {
                Some(Sink { name: "standard output".into(), out: Out::Standard })
            }
            Some(Destination::File(path)) => {
                Some(Sink { name: path.clone(), out: Out::File(create(path)?) })
            }
        };
        let log = match &args.hdr {
            None => None,
            Some(path) => Some((path.clone(), create(path)?)),
        };
        Ok(Self { json, log })
    }

    pub(crate) fn has_log(&self) -> bool {
        self.log.is_some()
    }

    /// Begins the interval log, if there is to be one.
    pub(crate) fn begin_log(
        &mut self,
        workers: usize,
        start: SystemTime,
    ) -> Result<Option<(PathBuf, IntervalLog)>, CannotRun> {
        let Some((path, file)) = self.log.take() else {
            return Ok(None);
        };
        let begun =
            empty(&file).and_then(|()| IntervalLog::begin(BufWriter::new(file), workers, start));
        match begun {
            Ok(log) => Ok(Some((path, log))),
            Err(error) => Err(CannotRun::Unwritable(path, error)),
        }
    }

    /// Writes the result as JSON, if it is wanted.
    pub(crate) fn write_json(&mut self, report: &Report) -> Result<(), CannotRun> {
        let Some(Sink { name, out }) = &mut self.json else {
            return Ok(());
        };
        let mut json = serde_json::to_string_pretty(report).expect("a report has no odd keys");
        json.push('\n');
        let written = match out {
            Out::Standard => io::stdout().write_all(json.as_bytes()),
            Out::File(file) => empty(file).and_then(|()| file.write_all(json.as_bytes())),
        };
        written.map_err(|error| CannotRun::Unwritable(name.clone(), error))
    }
}

/// Opens a file for writing. What it holds stays until there is something to take its place: a run
/// that cannot begin is not to cost an earlier result.
fn create(path: &Path) -> Result<File, CannotRun> {
    let opened = File::options().write(true).create(true).truncate(false).open(path);
    opened.map_err(|error| CannotRun::Unwritable(path.to_owned(), error))
}

/// Removes what a file holds; terminals, pipes and devices hold nothing.
fn empty(file: &File) -> io::Result<()> {
    if file.metadata()?.is_file() { file.set_len(0) } else { Ok(()) }
}
