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
    out: Box<dyn Write>,
}

impl Outputs {
    /// Opens what the command line names.
    pub(crate) fn open(args: &Args) -> Result<Self, CannotRun> {
        let json = match &args.json {
            None => None,
            Some(Destination::Standard) => {
                Some(Sink { name: "standard output".into(), out: Box::new(io::stdout()) })
            }
            Some(Destination::File(path)) => {
                Some(Sink { name: path.clone(), out: Box::new(create(path)?) })
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
        match IntervalLog::begin(BufWriter::new(file), workers, start) {
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
        out.write_all(json.as_bytes())
            .and_then(|()| out.flush())
            .map_err(|error| CannotRun::Unwritable(name.clone(), error))
    }
}

fn create(path: &Path) -> Result<File, CannotRun> {
    File::create(path).map_err(|error| CannotRun::Unwritable(path.to_owned(), error))
}
