//! What a target is put through.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::text::{bytes, grouped, humane};

/// The largest file, in bytes: its content is held in memory.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// The longest time that makes sense; sums of several still fit.
pub(crate) const TIME_MAX: Duration = Duration::from_hours(24);

/// A load, and the question that it answers.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Scenario {
    /// How definitions and records call it.
    #[serde(skip_deserializing)]
    pub(crate) name: String,
    /// What its figures tell.
    pub(crate) question: String,
    /// How many clients there are; each asks again as soon as it has its answer.
    pub(crate) connections: u32,
    /// The size of the file that they ask for.
    pub(crate) file_bytes: u64,
    /// The hash of its content, which is always the same; a suite of one's own need not say it.
    pub(crate) body_blake3: Option<String>,
    /// The status of a right answer.
    pub(crate) expected_status: u16,
    /// How long the target is loaded beforehand, which no figure shows.
    #[serde(with = "humane")]
    pub(crate) warm_up: Duration,
    /// How long the window is that figures come from.
    #[serde(with = "humane")]
    pub(crate) duration: Duration,
    /// How long opening the connections may take, before the window.
    #[serde(with = "humane")]
    pub(crate) connect_timeout: Duration,
}

impl Scenario {
    /// The path that clients ask for.
    pub(crate) fn path(&self) -> String {
        format!("/{}", self.file_name())
    }

    /// The name of the file below the root.
    pub(crate) fn file_name(&self) -> String {
        format!("{}.bin", self.file_bytes)
    }

    /// What makes it one, for people.
    pub(crate) fn describe(&self) -> String {
        format!(
            "{} connections kept alive, a file of {}, {} per run",
            grouped(self.connections.into()),
            bytes(self.file_bytes),
            humantime::format_duration(self.duration)
        )
    }

    /// What makes it impossible, if something does.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        if self.connections == 0 {
            return Some("connections: has to be at least 1");
        }
        let times = [self.warm_up, self.duration, self.connect_timeout];
        if times.iter().any(Duration::is_zero) {
            return Some("warm-up, duration and connect-timeout have to be more than nothing");
        }
        if times.iter().any(|time| *time > TIME_MAX) {
            return Some("warm-up, duration and connect-timeout: a day is the most");
        }
        if self.file_bytes > FILE_BYTES_MAX {
            return Some("file-bytes: 1073741824 is the most");
        }
        None
    }
}
