//! What a group of processes uses: from /proc.

use std::collections::HashMap;
use std::ops::{Add, Mul, Sub};

use procfs::process::{MMapExtension, Process, Task};
use serde::Serialize;

use crate::group::Group;

/// What was used up to a moment, or between two.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Spent {
    /// Processor time, in nanoseconds.
    pub(crate) cpu_ns: f64,
    /// How often a thread was put on a core.
    pub(crate) switches: f64,
}

impl Add for Spent {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { cpu_ns: self.cpu_ns + other.cpu_ns, switches: self.switches + other.switches }
    }
}

impl Sub for Spent {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + other * -1.0
    }
}

impl Mul<f64> for Spent {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        Self { cpu_ns: self.cpu_ns * factor, switches: self.switches * factor }
    }
}

/// Adds up what the threads of a group have used. What a thread had used when it was last seen
/// still counts when it has ended.
#[derive(Debug, Default)]
pub(crate) struct Meter(HashMap<i32, Spent>);

impl Meter {
    /// What has been used so far.
    pub(crate) fn read(&mut self, group: &Group) -> Spent {
        for process in group.processes() {
            for task in process.tasks().into_iter().flatten().flatten() {
                if let Some(spent) = spent(&task) {
                    self.0.insert(task.tid, spent);
                }
            }
        }
        self.0.values().fold(Spent::default(), |sum, spent| sum + *spent)
    }
}

/// Counted to the nanosecond where the kernel does so, else in ticks, which are 10 ms.
fn spent(task: &Task) -> Option<Spent> {
    if let Ok(counted) = task.schedstat() {
        let (cpu_ns, switches) = (counted.sum_exec_runtime as f64, counted.pcount as f64);
        return Some(Spent { cpu_ns, switches });
    }
    let stat = task.stat().ok()?;
    let ticks = (stat.utime + stat.stime) as f64;
    Some(Spent { cpu_ns: ticks / procfs::ticks_per_second() as f64 * 1e9, switches: 0.0 })
}

/// The memory of a group of processes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Memory {
    /// Proportional: a page that several processes share counts once in all (PSS).
    pub(crate) pss_bytes: u64,
    /// Resident: such a page counts for each (RSS).
    pub(crate) rss_bytes: u64,
    pub(crate) processes: usize,
    pub(crate) threads: usize,
}

impl Memory {
    /// What a group has at this moment.
    pub(crate) fn of(group: &Group) -> Self {
        let mut memory = Self::default();
        for process in group.processes() {
            memory.processes += 1;
            memory.threads += process.tasks().map_or(0, Iterator::count);
            memory.add(&process);
        }
        memory
    }

    fn add(&mut self, process: &Process) {
        let Ok(rollup) = process.smaps_rollup() else {
            // Before Linux 4.14, or somebody else's process: at least the resident pages.
            let pages = process.statm().map_or(0, |statm| statm.resident);
            self.pss_bytes += pages * procfs::page_size();
            self.rss_bytes += pages * procfs::page_size();
            return;
        };
        for map in rollup.memory_map_rollup.iter() {
            let MMapExtension { map, .. } = &map.extension;
            self.pss_bytes += map.get("Pss").copied().unwrap_or(0);
            self.rss_bytes += map.get("Rss").copied().unwrap_or(0);
        }
    }
}
