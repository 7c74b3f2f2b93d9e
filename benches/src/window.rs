//! What a server used while the load generator measured it.
//!
//! The load generator opens its connections first and closes them afterwards, which costs the server
//! something as well. So usage is read again and again, with the time, and worked out for the window
//! afterwards: its beginning is in the load generator's log of intervals, its length in the result.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::group::Group;
use crate::usage::{Meter, Spent};

/// How often usage is read.
const READ_EVERY: Duration = Duration::from_millis(50);
/// How many times as long as the reading itself the pause until the next one is, so that reading of
/// hundreds of processes disturbs little.
const PAUSE_FACTOR: u32 = 40;

/// Readings of a group's usage.
pub(crate) struct Readings {
    meter: Meter,
    /// In seconds since 1970, in order.
    taken: Vec<(f64, Spent)>,
    due: Instant,
}

/// The window of a run, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Window {
    pub(crate) start: f64,
    pub(crate) end: f64,
}

/// What a server used in a window.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Used {
    /// Of one core.
    pub(crate) cpu_percent: f64,
    /// Processor time for each answer; none without answers.
    pub(crate) cpu_us_per_answer: Option<f64>,
    /// How often one of its threads was put on a core, for each answer.
    pub(crate) switches_per_answer: Option<f64>,
}

impl Readings {
    /// Begins with a first reading.
    pub(crate) fn begin(group: &Group) -> Self {
        let mut readings = Self { meter: Meter::default(), taken: Vec::new(), due: Instant::now() };
        readings.take(group);
        readings
    }

    /// Reads, if it is time to.
    pub(crate) fn take_if_due(&mut self, group: &Group) {
        if Instant::now() >= self.due {
            self.take(group);
        }
    }

    /// Reads in any case.
    pub(crate) fn take(&mut self, group: &Group) {
        let began = Instant::now();
        let spent = self.meter.read(group);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.taken.push((now.as_secs_f64(), spent));
        let pause = (began.elapsed() * PAUSE_FACTOR).max(READ_EVERY);
        self.due = Instant::now() + pause;
    }

    /// What was used in a window in which so many requests were answered.
    pub(crate) fn used(&self, window: Window, answered: u64) -> Used {
        let spent = self.at(window.end) - self.at(window.start);
        let per_answer = |value: f64| (answered > 0).then(|| value / answered as f64);
        Used {
            cpu_percent: spent.cpu_ns / 1e7 / (window.end - window.start),
            cpu_us_per_answer: per_answer(spent.cpu_ns / 1e3),
            switches_per_answer: per_answer(spent.switches),
        }
    }

    /// Between two readings usage is taken to have grown evenly.
    fn at(&self, time: f64) -> Spent {
        let after = self.taken.partition_point(|(taken, _)| *taken < time);
        match (after.checked_sub(1).map(|before| self.taken[before]), self.taken.get(after)) {
            (Some((from, before)), Some((to, after))) => {
                before + (*after - before) * ((time - from) / (to - from))
            }
            (Some((_, last)), None) => last,
            (None, first) => first.map_or(Spent::default(), |(_, first)| *first),
        }
    }
}

impl Window {
    /// Finds the beginning in a log of HdrHistogram's intervals.
    pub(crate) fn find(log: &str, elapsed_s: f64) -> Option<Self> {
        let line = log.lines().find_map(|line| line.strip_prefix("#[StartTime: "))?;
        let start: f64 = line.split_whitespace().next()?.parse().ok()?;
        Some(Self { start, end: start + elapsed_s })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(taken: &[(f64, f64)]) -> Readings {
        let spent = |cpu_s: f64| Spent { cpu_ns: cpu_s * 1e9, switches: cpu_s * 1e3 };
        Readings {
            meter: Meter::default(),
            taken: taken.iter().map(|(time, cpu_s)| (*time, spent(*cpu_s))).collect(),
            due: Instant::now(),
        }
    }

    #[test]
    fn only_the_window_counts() {
        // A second of opening at half a core, a window of two at a whole one, a second of closing.
        let readings = readings(&[(10.0, 5.0), (11.0, 5.5), (12.0, 6.5), (13.0, 7.5), (14.0, 8.0)]);
        let used = readings.used(Window { start: 11.0, end: 13.0 }, 100_000);
        assert!((used.cpu_percent - 100.0).abs() < 1e-6, "{used:?}");
        assert!((used.cpu_us_per_answer.unwrap() - 20.0).abs() < 1e-6, "{used:?}");
        assert!((used.switches_per_answer.unwrap() - 0.02).abs() < 1e-6, "{used:?}");
        // Between readings, and beyond them.
        let used = readings.used(Window { start: 11.5, end: 12.5 }, 0);
        assert!((used.cpu_percent - 100.0).abs() < 1e-6, "{used:?}");
        assert!(used.cpu_us_per_answer.is_none());
        let used = readings.used(Window { start: 0.0, end: 30.0 }, 1);
        assert!((used.cpu_percent - 10.0).abs() < 1e-6, "{used:?}");
    }

    #[test]
    fn the_window_begins_where_the_log_says() {
        let log = "#[comment]\n#[StartTime: 1700000000.250 (seconds since epoch)]\n\"Start\"\n";
        let window = Window::find(log, 2.0).unwrap();
        assert_eq!(window, Window { start: 1_700_000_000.25, end: 1_700_000_002.25 });
        assert_eq!(Window::find("", 2.0), None);
    }
}
