//! Dates (9110 section 5.6.7), by way of the httpdate crate.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

/// Length of a date in bytes: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub const DATE_LEN: usize = 29;

/// The last second that has four digits for its year.
const LAST_SECOND: u64 = 253_402_300_799;

/// The date `unix` seconds after 1970, in the one form that is to be sent. Beyond the year 9999 it
/// stays at its last second.
#[must_use]
pub fn format_date(unix: u64) -> [u8; DATE_LEN] {
    let date = HttpDate::from(UNIX_EPOCH + Duration::from_secs(unix.min(LAST_SECOND)));
    let mut text = [b' '; DATE_LEN];
    // The text is exactly that long, so writing it cannot fail.
    let _ = write!(&mut text[..], "{date}");
    text
}

/// The time that a date of any of the three forms names, in seconds since 1970; earlier ones, which
/// no file here has, are no date.
#[must_use]
pub fn parse_date(text: &[u8]) -> Option<u64> {
    let date: SystemTime = str::from_utf8(text).ok()?.parse::<HttpDate>().ok()?.into();
    Some(date.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_forms_are_read_and_one_is_written() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse_date(text.as_bytes()), Some(784_111_777), "{text}");
        }
        assert_eq!(&format_date(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(&format_date(0), b"Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(&format_date(u64::MAX), b"Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in
            ["", "0", "yesterday", "Sun, 06 Nov 1994 08:49:37", "Sun, 99 Nov 1994 08:49:37 GMT"]
        {
            assert_eq!(parse_date(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse_date(b"\xff"), None);
    }
}
