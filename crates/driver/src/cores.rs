//! Which cores: a driver belongs to a thread, and a thread to a core.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use core_affinity::CoreId;
use thiserror::Error;

/// One more than the highest core that a mask of the kernel's can name: CPU_SET(3).
const CORES_MAX: usize = 1024;

/// A set of cores, written `0-3,8`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreList(BTreeSet<usize>);

/// A core that this process may not run on, or that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no core {missing} here that may be used; choose from {allowed} with --cores")]
pub struct NoSuchCore {
    missing: usize,
    allowed: CoreList,
}

/// Why something is not a list of cores.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is no core and no range of cores; write for example 0 or 0-3,8")]
pub struct CoreListError(String);

impl CoreList {
    /// The cores that this process may run on.
    #[must_use]
    pub fn allowed() -> Self {
        // There is a core, whether the kernel names it or not.
        let ids = core_affinity::get_core_ids().unwrap_or_else(|| vec![CoreId { id: 0 }]);
        Self(ids.into_iter().map(|core| core.id).collect())
    }

    /// How many there are; never none.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// At most so many of them.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        Self(self.iter().take(count).collect())
    }

    /// The cores, in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().copied()
    }

    /// Checks that the process may run on all of them.
    ///
    /// # Errors
    /// One on which it may not.
    pub fn check(&self, allowed: &Self) -> Result<(), NoSuchCore> {
        match self.0.difference(&allowed.0).next() {
            None => Ok(()),
            Some(missing) => Err(NoSuchCore { missing: *missing, allowed: allowed.clone() }),
        }
    }
}

impl FromStr for CoreList {
    type Err = CoreListError;

    fn from_str(text: &str) -> Result<Self, CoreListError> {
        let mut cores = BTreeSet::new();
        for part in text.split(',') {
            let range = parse_part(part).ok_or_else(|| CoreListError(part.to_owned()))?;
            cores.extend(range);
        }
        Ok(Self(cores))
    }
}

fn parse_part(part: &str) -> Option<std::ops::RangeInclusive<usize>> {
    let number = |text: &str| text.parse().ok().filter(|core| *core < CORES_MAX);
    let (first, last) = match part.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(part)?, number(part)?),
    };
    (first <= last).then_some(first..=last)
}

impl fmt::Display for CoreList {
    /// As it is written on the command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cores = self.iter().peekable();
        let mut separator = "";
        while let Some(first) = cores.next() {
            let mut last = first;
            while let Some(next) = cores.next_if_eq(&(last + 1)) {
                last = next;
            }
            write!(f, "{separator}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
            separator = ",";
        }
        Ok(())
    }
}

/// Keeps the calling thread on one core from now on; whether that could be done.
#[must_use]
pub fn pin(core: usize) -> bool {
    core_affinity::set_for_current(CoreId { id: core })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_written() {
        for (text, cores, again) in [
            ("0", vec![0], "0"),
            ("0-3,8", vec![0, 1, 2, 3, 8], "0-3,8"),
            ("8,1,0,1", vec![0, 1, 8], "0-1,8"),
            ("1023-1023", vec![1023], "1023"),
        ] {
            let list: CoreList = text.parse().unwrap();
            assert_eq!(list.iter().collect::<Vec<_>>(), cores);
            assert_eq!(list.to_string(), again);
        }
        for bad in ["", ",", "a", "-", "-1", "1-", "3-1", "1024", "0,", "0-99999999999", "0 1"] {
            assert!(bad.parse::<CoreList>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_core_that_may_not_be_used_is_named() {
        let allowed: CoreList = "0-1".parse().unwrap();
        assert!(allowed.check(&allowed).is_ok());
        let asked: CoreList = "1,7".parse().unwrap();
        let error = asked.check(&allowed).unwrap_err().to_string();
        assert!(error.contains("no core 7") && error.contains("0-1"), "{error}");
    }
}
