//! Times by interval: what a worker hands over while it runs, and the log that it goes to.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::mem;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::IntervalLogWriterBuilder;
use rim_driver::Time;

use crate::failure::CannotRun;
use crate::latency::{histogram, nanos};

/// How long an interval is.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// What one worker recorded in one interval.
#[derive(Debug)]
pub(crate) struct Interval {
    /// Which, counted from the start of the window.
    pub(crate) index: u32,
    pub(crate) times: Histogram<u64>,
}

/// Records times and hands them over at the end of each interval.
#[derive(Debug)]
pub(crate) struct Recorder {
    current: Interval,
    ends: Time,
    to_log: Sender<Interval>,
}

impl Recorder {
    pub(crate) fn new(to_log: Sender<Interval>) -> Self {
        Self { current: Interval { index: 0, times: histogram() }, ends: Time::ZERO, to_log }
    }

    /// The window begins.
    pub(crate) fn begin(&mut self, start: Time) {
        self.ends = start + INTERVAL;
    }

    /// When the interval at hand ends.
    #[inline]
    pub(crate) fn ends(&self) -> Time {
        self.ends
    }

    /// An answer took so long.
    #[inline]
    pub(crate) fn record(&mut self, took: Duration) {
        self.current.times.saturating_record(nanos(took));
    }

    /// Hands over the intervals that have ended.
    #[inline]
    pub(crate) fn tick(&mut self, now: Time) {
        while now >= self.ends {
            self.hand_over();
            self.ends = self.ends + INTERVAL;
        }
    }

    /// Hands over what has been recorded so far.
    pub(crate) fn hand_over(&mut self) {
        let next = Interval { index: self.current.index + 1, times: histogram() };
        // Whoever kept the log may have given it up; the run goes on.
        let _ = self.to_log.send(mem::replace(&mut self.current, next));
    }
}

/// Writes the interval log of HdrHistogram's tools (format 1.3, V2 with DEFLATE).
#[derive(Debug)]
pub(crate) struct IntervalLog<W: Write = BufWriter<File>> {
    out: W,
    workers: usize,
    /// Intervals that not all workers have handed over, with how many did.
    open: BTreeMap<u32, (usize, Histogram<u64>)>,
}

impl<W: Write> IntervalLog<W> {
    /// Begins a log of so many workers whose window starts at `start`.
    pub(crate) fn begin(mut out: W, workers: usize, start: SystemTime) -> io::Result<Self> {
        IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .add_comment("[rimload: all times in the histograms are nanoseconds]")
            .with_start_time(start)
            .with_base_time(start)
            .begin_log_with(&mut out, &mut V2DeflateSerializer::new())?;
        writeln!(
            out,
            "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\""
        )?;
        let open = BTreeMap::new();
        Ok(Self { out, workers, open })
    }

    /// Takes what one worker recorded, and writes the interval once all have handed theirs over.
    pub(crate) fn take(&mut self, interval: &Interval) -> io::Result<()> {
        let empty = || (0, histogram());
        let (from, times) = self.open.entry(interval.index).or_insert_with(empty);
        *from += 1;
        times.add(&interval.times).expect("all histograms have the same bounds");
        if *from == self.workers {
            let (_, times) = self.open.remove(&interval.index).expect("just seen");
            self.write(interval.index, &times, INTERVAL)?;
        }
        Ok(())
    }

    /// Writes the intervals that some workers took no part in, of a window that was so long.
    pub(crate) fn end(mut self, window: Duration) -> io::Result<()> {
        for (index, (_, times)) in mem::take(&mut self.open) {
            let length = window.saturating_sub(INTERVAL * index).min(INTERVAL);
            self.write(index, &times, length)?;
        }
        self.out.flush()
    }

    fn write(&mut self, index: u32, times: &Histogram<u64>, length: Duration) -> io::Result<()> {
        // Without a time or a comment, a new writer writes no header of its own.
        IntervalLogWriterBuilder::new()
            .begin_log_with(&mut self.out, &mut V2DeflateSerializer::new())?
            .write_histogram(times, INTERVAL * index, length, None)
            .map_err(io::Error::other)
    }
}

/// The receiving end of what recorders hand over, with the log that it goes to, if there is one.
pub(crate) struct LogEnd {
    log: Option<(PathBuf, IntervalLog)>,
    intervals: Receiver<Interval>,
    /// Why there is no log any more, if there was to be one: the run is worth more than that.
    broken: Option<CannotRun>,
}

impl LogEnd {
    pub(crate) fn new(log: Option<(PathBuf, IntervalLog)>, intervals: Receiver<Interval>) -> Self {
        Self { log, intervals, broken: None }
    }

    /// Writes what has been handed over.
    pub(crate) fn write(&mut self) {
        let Some((path, log)) = &mut self.log else { return };
        let mut intervals = self.intervals.try_iter();
        if let Err(error) = intervals.try_for_each(|interval| log.take(&interval)) {
            self.broken = Some(CannotRun::Unwritable(path.clone(), error));
            self.log = None;
        }
    }

    /// Writes the rest, of a window that was so long; why it is not all there, if it is not.
    pub(crate) fn end(mut self, window: Duration) -> Option<CannotRun> {
        self.write();
        if let Some((path, log)) = self.log {
            return log.end(window).err().map(|error| CannotRun::Unwritable(path, error));
        }
        self.broken
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;

    /// What HdrHistogram's own reader finds in a log: start, length and count of each interval.
    fn read(log: &[u8]) -> Vec<(Duration, Duration, u64)> {
        let mut intervals = Vec::new();
        for entry in IntervalLogIterator::new(log) {
            let LogEntry::Interval(interval) = entry.expect("the log can be read") else {
                continue;
            };
            let packed = interval.encoded_histogram();
            let bytes = BASE64.decode(packed).expect("it is base64");
            let times: Histogram<u64> =
                Deserializer::new().deserialize(&mut bytes.as_slice()).expect("it is a histogram");
            let (start, length) = (interval.start_timestamp(), interval.duration());
            intervals.push((start, length, times.len()));
        }
        intervals
    }

    #[test]
    fn intervals_of_all_workers_are_added_and_come_in_order() {
        let mut log = Vec::new();
        let mut writer = IntervalLog::begin(&mut log, 2, SystemTime::now()).unwrap();
        let (to_log, intervals) = channel();
        let start = Time::from_nanos(7);
        let seconds = |seconds| start + Duration::from_millis(seconds);
        let mut recorders = [Recorder::new(to_log.clone()), Recorder::new(to_log)];
        for recorder in &mut recorders {
            recorder.begin(start);
            recorder.record(Duration::from_micros(300));
        }
        // The first is held up for two intervals; the second ends early.
        recorders[0].tick(seconds(2_500));
        recorders[0].record(Duration::from_micros(400));
        recorders[0].hand_over();
        recorders[1].tick(seconds(900));
        recorders[1].hand_over();
        drop(recorders);
        for interval in intervals {
            writer.take(&interval).unwrap();
        }
        writer.end(Duration::from_millis(2_600)).unwrap();
        let second = Duration::from_secs(1);
        assert_eq!(
            read(&log),
            [
                (Duration::ZERO, second, 2),
                (second, second, 0),
                (2 * second, Duration::from_millis(600), 1),
            ]
        );
    }
}
