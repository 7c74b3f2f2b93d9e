//! The date that answers carry, formatted once a second.

use std::time::Duration;

use rim_driver::Time;
use rim_http1::{DATE_LEN, format_date};

const PREFIX: &[u8] = b"Date: ";
const LINE_LEN: usize = PREFIX.len() + DATE_LEN + 2;

/// The current `Date` field line.
#[derive(Debug)]
pub(crate) struct DateLine {
    line: [u8; LINE_LEN],
    /// When the line will be out of date.
    until: Time,
}

impl DateLine {
    pub(crate) fn new() -> Self {
        Self { line: [0; LINE_LEN], until: Time::ZERO }
    }

    /// Brings the line up to date; reads the time of day only if it has to.
    #[inline]
    pub(crate) fn update(&mut self, now: Time, unix_time: impl FnOnce() -> Duration) {
        if now >= self.until {
            self.format(now, unix_time());
        }
    }

    fn format(&mut self, now: Time, unix: Duration) {
        self.line[..PREFIX.len()].copy_from_slice(PREFIX);
        self.line[PREFIX.len()..LINE_LEN - 2].copy_from_slice(&format_date(unix.as_secs()));
        self.line[LINE_LEN - 2..].copy_from_slice(b"\r\n");
        let rest = Duration::from_secs(1) - Duration::from_nanos(unix.subsec_nanos().into());
        self.until = now + rest;
    }

    /// The line, with its end.
    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_changes_with_the_second() {
        let mut line = DateLine::new();
        let start = Time::from_nanos(5_000_000_000);
        line.update(start, || Duration::from_millis(784_111_777_750));
        assert_eq!(line.as_bytes(), b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        line.update(start + Duration::from_millis(249), || panic!("not yet"));
        line.update(start + Duration::from_millis(250), || Duration::from_secs(784_111_778));
        assert_eq!(line.as_bytes(), b"Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n");
    }
}
