//! Finding the end of a request head, each byte looked at once.

use memchr::{memchr, memchr2};

use crate::field::is_token_byte;
use crate::request::{
    FIELD_SECTION_BYTES_MAX, FIELDS_MAX, REQUEST_LINE_BYTES_MAX, check_request_line,
};
use crate::status::Status;

/// Empty lines that are ignored before a request line. A robust server ignores at least one
/// (section 2.2); a peer that sends nothing else is not to go on for ever.
const EMPTY_LINES_MAX: u8 = 4;

/// Bytes that are looked at for signs of something else than HTTP (TLS, say) before the line ends.
const METHOD_CHECKED: u8 = 16;

/// How far a head has been received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// No end yet: more bytes are needed.
    Partial,
    /// The head is in the bytes of this range, final empty line included; before it come ignored
    /// empty lines.
    Complete {
        /// Where the request line begins.
        start: usize,
        /// One past the empty line that ends the head.
        end: usize,
    },
    /// This can never become a request: answer so and close.
    Reject(Status),
}

/// The state of the search for the end of one head.
///
/// It checks line ends on its way: a line ends with CR LF, and neither byte may stand anywhere else.
/// The grammar lets a recipient take a bare LF for a line end (section 2.2); this one does not,
/// because two recipients that differ on it see different messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadScanner {
    /// Bytes that need not be looked at again.
    scanned: u32,
    /// Where the line begins that `scanned` lies in.
    line_start: u32,
    /// Where the request line begins.
    head_start: u32,
    /// Where the header section begins, once the request line has ended.
    section_start: u32,
    /// Lines that have ended, the request line included.
    lines: u16,
    empty_lines: u8,
    /// Bytes of the request line that have been found to be a method so far.
    method: u8,
    /// What `method` counts is the whole method, or enough of it.
    method_checked: bool,
    /// The request line has been found to be one.
    line_checked: bool,
    /// Bytes looked at in all, which has to stay in proportion to the bytes received.
    #[cfg(test)]
    looked_at: usize,
}

impl HeadScanner {
    /// Looks at what is new in `bytes`, which begin where they began in the calls before.
    pub fn scan(&mut self, bytes: &[u8]) -> Scan {
        loop {
            let from = self.scanned as usize;
            let found = memchr2(b'\r', b'\n', &bytes[from..]);
            self.look_at(found.map_or(bytes.len() - from, |found| found + 2));
            let Some(found) = found else {
                self.scanned = narrow(bytes.len());
                return self.partial(bytes);
            };
            let at = from + found;
            if bytes[at] == b'\n' {
                return self.refuse(&bytes[..at]);
            }
            match bytes.get(at + 1) {
                // The CR is looked at again together with its successor.
                None => {
                    self.scanned = narrow(at);
                    return self.partial(bytes);
                }
                Some(b'\n') => {}
                Some(_) => return self.refuse(&bytes[..=at]),
            }
            if let Some(end) = self.end_line(bytes, at) {
                return end;
            }
        }
    }

    /// Whether any byte of a request has been seen, ignored empty lines aside.
    #[must_use]
    pub fn has_begun(&self, bytes: &[u8]) -> bool {
        let head = bytes.get(self.head_start as usize..).unwrap_or_default();
        !matches!(head, b"" | b"\r")
    }

    /// A line ends with a CR at `at`; what that means for the whole, if it does not just go on.
    fn end_line(&mut self, bytes: &[u8], at: usize) -> Option<Scan> {
        let is_empty = at == self.line_start as usize;
        let line_len = at - self.line_start as usize;
        self.scanned = narrow(at + 2);
        self.line_start = self.scanned;
        if is_empty && self.lines == 0 {
            self.head_start = self.scanned;
            self.empty_lines += 1;
            return (self.empty_lines > EMPTY_LINES_MAX)
                .then_some(Scan::Reject(Status::BadRequest));
        }
        if is_empty {
            return Some(Scan::Complete { start: self.head_start as usize, end: at + 2 });
        }
        self.lines += 1;
        if self.lines == 1 {
            self.section_start = self.scanned;
            if line_len <= REQUEST_LINE_BYTES_MAX {
                return None;
            }
            let method = self.check_method(&bytes[self.head_start as usize..at]);
            return Some(Scan::Reject(method.err().unwrap_or(Status::UriTooLong)));
        }
        let section = at + 2 - self.section_start as usize;
        let too_large =
            usize::from(self.lines) > 1 + FIELDS_MAX || section > FIELD_SECTION_BYTES_MAX;
        if !too_large {
            return None;
        }
        let line = self.check_line(&bytes[self.head_start as usize..]);
        Some(Scan::Reject(line.err().unwrap_or(Status::FieldsTooLarge)))
    }

    /// What can be said before the end is there.
    fn partial(&mut self, bytes: &[u8]) -> Scan {
        self.check_beginning(bytes).map_or_else(Scan::Reject, |()| Scan::Partial)
    }

    /// Behind `bytes`, a CR or LF stands where none may. What is wrong before it comes first: an
    /// answer is not to depend on how the bytes were cut on their way.
    fn refuse(&mut self, bytes: &[u8]) -> Scan {
        Scan::Reject(self.check_beginning(bytes).err().unwrap_or(Status::BadRequest))
    }

    /// What is wrong with the beginning of a head, in the order of its bytes: whether it begins like
    /// a request, and limits.
    fn check_beginning(&mut self, bytes: &[u8]) -> Result<(), Status> {
        let head = &bytes[self.head_start as usize..];
        if self.lines == 0 {
            self.check_method(head)?;
            let is_too_long = head.len() > REQUEST_LINE_BYTES_MAX + 2;
            return if is_too_long { Err(Status::UriTooLong) } else { Ok(()) };
        }
        self.check_line(head)?;
        // The empty line is none of the section's.
        let is_end = bytes.get(self.line_start as usize..) == Some(b"\r");
        let section = bytes.len() - self.section_start as usize - usize::from(is_end);
        if section > FIELD_SECTION_BYTES_MAX { Err(Status::FieldsTooLarge) } else { Ok(()) }
    }

    /// What is no HTTP usually shows in its first bytes.
    fn check_method(&mut self, head: &[u8]) -> Result<(), Status> {
        while !self.method_checked {
            let Some(&byte) = head.get(usize::from(self.method)) else {
                return Ok(());
            };
            self.look_at(1);
            match byte {
                _ if is_token_byte(byte) => self.method += 1,
                b' ' if self.method > 0 => self.method_checked = true,
                // Perhaps an empty line.
                b'\r' if self.method == 0 => return Ok(()),
                _ => return Err(Status::BadRequest),
            }
            self.method_checked |= self.method == METHOD_CHECKED;
        }
        Ok(())
    }

    /// A bad request line need not wait for the fields, which may never come.
    fn check_line(&mut self, head: &[u8]) -> Result<(), Status> {
        if self.line_checked {
            return Ok(());
        }
        self.line_checked = true;
        let line = &head[..memchr(b'\r', head).unwrap_or(head.len())];
        self.look_at(line.len());
        check_request_line(line)
    }

    #[cfg(test)]
    fn look_at(&mut self, bytes: usize) {
        self.looked_at += bytes;
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "only tests count")]
    fn look_at(&self, _bytes: usize) {}
}

/// Heads are limited to far less than 4 GiB, and so is what a caller keeps of the next one.
fn narrow(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

    fn scan_whole(bytes: &[u8]) -> Scan {
        HeadScanner::default().scan(bytes)
    }

    /// Feeds `bytes` one more at a time; the first answer that is not `Partial`, or the last.
    fn scan_bytewise(bytes: &[u8]) -> Scan {
        let mut scanner = HeadScanner::default();
        for end in 1..=bytes.len() {
            let scan = scanner.scan(&bytes[..end]);
            if scan != Scan::Partial {
                return scan;
            }
        }
        Scan::Partial
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: Scan) {
        assert_eq!(scan_whole(bytes), expected, "whole");
        assert_eq!(scan_bytewise(bytes), expected, "byte by byte");
    }

    #[test]
    fn a_head_ends_with_an_empty_line() {
        let end = HEAD.len();
        check(HEAD, Scan::Complete { start: 0, end });
        for cut in 0..end {
            check(&HEAD[..cut], Scan::Partial);
        }
        let two = [HEAD, HEAD].concat();
        assert_eq!(scan_whole(&two), Scan::Complete { start: 0, end });
    }

    #[test]
    fn a_few_empty_lines_before_it_are_ignored() {
        let bytes = [b"\r\n\r\n", HEAD].concat();
        check(&bytes, Scan::Complete { start: 4, end: bytes.len() });
        check(&b"\r\n".repeat(5), Scan::Reject(Status::BadRequest));
    }

    #[test]
    fn every_bare_cr_or_lf_is_refused() {
        for bad in [
            &b"GET / HTTP/1.1\n"[..],
            b"GET / HTTP/1.1\r\nHost: a\n",
            b"GET /\r HTTP/1.1\r\n",
            b"GET / HTTP/1.1\r\nHost: a\rb\r\n",
            b"GET / HTTP/1.1\r\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\rX",
            b"\n",
        ] {
            check(bad, Scan::Reject(Status::BadRequest));
        }
    }

    #[test]
    fn what_is_no_http_is_refused_at_once() {
        for bad in [&b"\x16\x03\x01"[..], b" GET", b"GET\t/", b"G\0", b"SSH-2.0-x:"] {
            check(bad, Scan::Reject(Status::BadRequest));
        }
        check(b"GET /\r\n", Scan::Reject(Status::BadRequest));
        check(b"PRI * HTTP/2.0\r\n", Scan::Reject(Status::VersionNotSupported));
    }

    #[test]
    fn lines_and_heads_have_limits() {
        let line = |len: usize| {
            let target = "a".repeat(len - "GET / HTTP/1.1".len());
            format!("GET /{target} HTTP/1.1\r\n").into_bytes()
        };
        check(&line(REQUEST_LINE_BYTES_MAX), Scan::Partial);
        assert_eq!(scan_whole(&line(REQUEST_LINE_BYTES_MAX + 1)), Scan::Reject(Status::UriTooLong));
        assert_eq!(scan_bytewise(&[b'a'; 9000]), Scan::Reject(Status::UriTooLong));

        let fields =
            |count: usize| [b"GET / HTTP/1.1\r\n".to_vec(), b"a: b\r\n".repeat(count)].concat();
        check(&fields(FIELDS_MAX), Scan::Partial);
        check(&fields(FIELDS_MAX + 1), Scan::Reject(Status::FieldsTooLarge));
        let long =
            [b"GET / HTTP/1.1\r\na: ".to_vec(), vec![b'b'; FIELD_SECTION_BYTES_MAX]].concat();
        check(&long, Scan::Reject(Status::FieldsTooLarge));
    }

    /// What a client gets for `head`, cut after `cut`: the scanner's word, or the parser's.
    fn verdict(head: &[u8], cut: usize) -> Result<(), Status> {
        let mut scanner = HeadScanner::default();
        let mut scan = Scan::Partial;
        for end in [cut, head.len()] {
            if scan == Scan::Partial {
                scan = scanner.scan(&head[..end]);
            }
        }
        match scan {
            Scan::Partial => Ok(()),
            Scan::Reject(status) => Err(status),
            Scan::Complete { start, end } => crate::Request::parse(&head[start..end]).map(drop),
        }
    }

    #[test]
    fn with_several_things_wrong_the_answer_depends_on_no_cut() {
        let long_line = format!("GET /{} HTTP/1.1", "a".repeat(REQUEST_LINE_BYTES_MAX));
        let long_bad_line = format!("G@T /{} HTTP/1.1", "a".repeat(REQUEST_LINE_BYTES_MAX));
        let lines = [
            "GET / HTTP/1.1",
            "GET / HTTP/2.0",
            "GET /\x01 HTTP/1.1",
            "GET https://h/ HTTP/1.1",
            "G@T / HTTP/2.0",
            "GET /",
            "GET / HTTP/1.1\rX",
            "GET / HTTP/2.0\nX",
            &long_line,
            &long_bad_line,
        ];
        // What is left of the section for a value, so that it is one byte too long, or just not.
        let value =
            |rest: usize| "v".repeat(FIELD_SECTION_BYTES_MAX - "Host: a\r\nb: \r\n".len() + rest);
        let fields = [
            "Host: a\r\n".to_owned(),
            "Host: a\n".to_owned(),
            "Host: a\rb\r\n".to_owned(),
            "a: b\r\n".repeat(FIELDS_MAX + 1),
            format!("Host: a\r\nb: {}\r\n", value(0)),
            format!("Host: a\r\nb: {}\r\n", value(1)),
            format!("Host: a\r\nb: {}\n", value(1)),
            format!("Host: a\r\nb: {}\rX", value(0)),
            format!("Host: a\r\nb: {}\r\n\rX", value(0)),
        ];
        for line in lines {
            for fields in &fields {
                let head = format!("{line}\r\n{fields}\r\n");
                let whole = verdict(head.as_bytes(), head.len());
                // Every cut near something, and some between.
                let near = |cut: &usize| {
                    let around = &head.as_bytes()[cut.saturating_sub(3)..(cut + 3).min(head.len())];
                    *cut < 40 || cut.is_multiple_of(997) || memchr2(b'\r', b'\n', around).is_some()
                };
                for cut in (0..head.len()).filter(near) {
                    let start = &head[..40.min(head.len())];
                    assert_eq!(verdict(head.as_bytes(), cut), whole, "{start:?} cut at {cut}");
                }
                if let Scan::Reject(status) = scan_bytewise(head.as_bytes()) {
                    assert_eq!(Err(status), whole, "byte by byte");
                }
            }
        }
    }

    #[test]
    fn bytes_are_looked_at_no_more_than_twice() {
        let long_target = format!("GET /{} HTTP/1.1\r\n", "a".repeat(8000)).into_bytes();
        let long_field = [&long_target[..], b"b: ", &[b'c'; 20_000]].concat();
        let long_method = format!("{} / HTTP/1.1\r\n", "M".repeat(8000)).into_bytes();
        let empty_lines = b"\r\n\r\nGET / HTTP/1.1\r\n";
        for bytes in [&long_method[..], &long_field, HEAD, empty_lines] {
            for step in [1, 2, 7, bytes.len()] {
                let mut scanner = HeadScanner::default();
                let mut end = 0;
                while end < bytes.len() {
                    end = (end + step).min(bytes.len());
                    scanner.scan(&bytes[..end]);
                    // Slack: the first bytes, and each CR that was last when it came.
                    let slack = usize::from(METHOD_CHECKED) + 2 * usize::from(scanner.lines) + 8;
                    let allowed = 2 * end + slack;
                    assert!(scanner.looked_at <= allowed, "{} of {end}", scanner.looked_at);
                }
            }
        }
    }
}
