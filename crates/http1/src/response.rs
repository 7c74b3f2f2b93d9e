//! Encoding the head of a response (section 4).

use crate::status::Status;

/// Appends a response head to a buffer, field by field. Nothing is written that the caller has not
/// asked for.
#[derive(Debug)]
pub struct HeadWriter<'a> {
    bytes: &'a mut Vec<u8>,
}

impl<'a> HeadWriter<'a> {
    /// Begins with the status line: always of HTTP/1.1, whatever version was asked in (section 2.3
    /// through 9110 section 6.2).
    pub fn new(bytes: &'a mut Vec<u8>, status: Status) -> Self {
        bytes.extend_from_slice(b"HTTP/1.1 ");
        bytes.extend_from_slice(status.as_str().as_bytes());
        bytes.extend_from_slice(b"\r\n");
        Self { bytes }
    }

    /// Appends a field line. The value must be valid: callers pass what they have made or checked
    /// themselves.
    pub fn field(self, name: &str, value: &[u8]) -> Self {
        self.field_of(name, |bytes| bytes.extend_from_slice(value))
    }

    /// Appends a field line whose value `write` appends, so that it stands nowhere else before.
    pub fn field_of(self, name: &str, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b": ");
        let start = self.bytes.len();
        write(self.bytes);
        let value = &self.bytes[start..];
        debug_assert!(value.iter().all(|byte| !matches!(byte, b'\r' | b'\n' | 0)));
        self.bytes.extend_from_slice(b"\r\n");
        self
    }

    /// Appends a field line with a number for its value.
    pub fn number(self, name: &str, value: u64) -> Self {
        let mut digits = [0; 20];
        let mut start = digits.len();
        let mut rest = value;
        loop {
            start -= 1;
            // A remainder of division by ten is a digit.
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.field(name, &digits[start..])
    }

    /// Appends field lines that are encoded already, line ends included.
    #[inline]
    pub fn lines(self, encoded: &[u8]) -> Self {
        self.bytes.extend_from_slice(encoded);
        self
    }

    /// Ends the head.
    #[inline]
    pub fn end(self) {
        self.bytes.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_lines_and_an_empty_one() {
        let mut bytes = b"before".to_vec();
        HeadWriter::new(&mut bytes, Status::NotFound)
            .field("Content-Type", b"text/plain")
            .number("Content-Length", 0)
            .number("X", u64::MAX)
            .lines(b"Date: x\r\n")
            .end();
        let expected = "beforeHTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\n\
            Content-Length: 0\r\nX: 18446744073709551615\r\nDate: x\r\n\r\n";
        assert_eq!(str::from_utf8(&bytes).unwrap(), expected);
    }
}
