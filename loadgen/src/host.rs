//! What the machine allows.

use std::fs;
use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::failure::CannotRun;

const PORT_RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
const OPEN_FILES: &str = "/proc/self/fd";

/// The most connections that a worker opens at once: well below the queue of any usual listener.
const CONNECTS_AT_ONCE_MAX: u64 = 128;
/// Descriptors that a worker needs for itself, with some to spare.
const FILES_PER_WORKER: u64 = 8;

/// The limits of the machine, as far as connections are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many files the process may have open.
    pub files: u64,
    /// How many it has open.
    pub files_open: u64,
    /// How many local ports connect(2) chooses from.
    pub ports: u32,
}

impl Limits {
    /// Raises the soft limit on open files to the hard one, and reads what there is.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn raise() -> Result<Self, CannotRun> {
        let limit = getrlimit(Resource::Nofile);
        // If it cannot be raised, the soft one is what there is.
        let _ =
            setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
        let unreadable = |path| move |error| CannotRun::Unreadable(path, error);
        let range = fs::read_to_string(PORT_RANGE).map_err(unreadable(PORT_RANGE))?;
        let malformed = || unreadable(PORT_RANGE)(io::ErrorKind::InvalidData.into());
        Ok(Self {
            files: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
            files_open: fs::read_dir(OPEN_FILES).map_err(unreadable(OPEN_FILES))?.count() as u64,
            ports: parse_range(&range).ok_or_else(malformed)?,
        })
    }

    /// How many connections each of so many workers may be opening at once.
    ///
    /// If sockets are direct descriptors, each ring may hold as many as the process may have files
    /// open, and counts against that limit only while it is being opened.
    ///
    /// # Errors
    /// That there cannot be as many as are asked for.
    pub fn connects_at_once(
        &self,
        connections: u32,
        workers: usize,
        are_direct: bool,
    ) -> Result<usize, CannotRun> {
        let workers = workers as u64;
        let own = self.files_open + workers * FILES_PER_WORKER;
        let each = u64::from(connections).div_ceil(workers);
        let needed =
            if are_direct { each.max(own + workers) } else { own + u64::from(connections) };
        if needed > self.files {
            return Err(CannotRun::TooFewFiles { connections, needed, limit: self.files });
        }
        let spare = (self.files - own) / workers;
        Ok(spare.clamp(1, CONNECTS_AT_ONCE_MAX) as usize)
    }
}

/// How many ports there are from the first to the last of them.
fn parse_range(text: &str) -> Option<u32> {
    let mut ends = text.split_whitespace().map(str::parse::<u32>);
    let (first, last) = (ends.next()?.ok()?, ends.next()?.ok()?);
    last.checked_sub(first).map(|between| between + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_range_counts_both_ends() {
        assert_eq!(parse_range("32768\t60999\n"), Some(28_232));
        assert_eq!(parse_range("7 7"), Some(1));
        for bad in ["", "1", "2 1", "a b"] {
            assert_eq!(parse_range(bad), None, "{bad:?}");
        }
    }

    fn at_once(files: u64, connections: u32, workers: usize, are_direct: bool) -> Option<usize> {
        let limits = Limits { files, files_open: 5, ports: 1 };
        limits.connects_at_once(connections, workers, are_direct).ok()
    }

    #[test]
    fn direct_descriptors_take_the_limit_per_ring() {
        assert_eq!(at_once(64, 64, 1, true), Some(51));
        assert_eq!(at_once(64, 65, 1, true), None);
        assert_eq!(at_once(64, 128, 2, true), Some(21));
        assert_eq!(at_once(20_000, 40_000, 2, true), Some(128));
        assert_eq!(at_once(13, 1, 1, true), None);
        assert_eq!(at_once(14, 1, 1, true), Some(1));
    }

    #[test]
    fn other_descriptors_take_it_together() {
        assert_eq!(at_once(1_024, 1_000, 1, false), Some(128));
        assert_eq!(at_once(1_024, 1_012, 1, false), None);
        assert_eq!(at_once(1_024, 1_011, 1, false), Some(128));
    }

    #[test]
    fn this_machine_has_limits() {
        let limits = Limits::raise().unwrap();
        assert!(limits.files > limits.files_open && limits.ports > 0);
    }
}
