//! From a decision to bytes: the head of an answer, with its content if that is short.

use std::ops::Range;
use std::rc::Rc;

use rim_http1::{HeadWriter, Path, Status};

use crate::body::Body;
use crate::clock::DateLine;
use crate::files::LocalEntry;
use crate::limits::JOINED_BODY_BYTES_MAX;

/// What an answer says about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// Nothing: it goes on, as is usual.
    Usual,
    /// That it goes on, which an HTTP/1.0 client would not expect.
    KeepAlive,
    /// That this is the last answer.
    Close,
}

impl Persistence {
    fn line(self) -> &'static [u8] {
        match self {
            Self::Usual => b"",
            Self::KeepAlive => b"Connection: keep-alive\r\n",
            Self::Close => b"Connection: close\r\n",
        }
    }
}

/// Writes answers to `out`.
pub(crate) struct Writer<'a> {
    pub(crate) out: &'a mut Vec<u8>,
    pub(crate) date: &'a DateLine,
    pub(crate) persistence: Persistence,
    /// The request was HEAD: no content.
    pub(crate) head_only: bool,
}

impl Writer<'_> {
    /// An answer about a file whose content, if it is to be sent, is in memory; what of it is not
    /// joined to the head.
    #[inline]
    pub(crate) fn file(self, local: &Rc<LocalEntry>, status: Status) -> Body {
        self.out.extend_from_slice(local.entry.head(status));
        self.out.extend_from_slice(self.date.as_bytes());
        self.out.extend_from_slice(self.persistence.line());
        self.out.extend_from_slice(b"\r\n");
        if self.head_only || status == Status::NotModified {
            return Body::Empty;
        }
        match &local.content {
            Some(content) if content.as_slice().len() <= JOINED_BODY_BYTES_MAX => {
                self.out.extend_from_slice(content.as_slice());
                Body::Empty
            }
            Some(content) => {
                let range: Range<usize> = 0..content.as_slice().len();
                Body::Shared(content.clone(), range)
            }
            None => Body::Empty,
        }
    }

    /// A status with a line of text that says the same.
    pub(crate) fn text(self, status: Status) -> Body {
        let text = status.as_str();
        let (date, persistence) = (self.date.as_bytes(), self.persistence.line());
        let mut head = HeadWriter::new(self.out, status)
            .field("Server", crate::SERVER.as_bytes())
            .field("Content-Type", b"text/plain; charset=utf-8")
            .number("Content-Length", text.len() as u64 + 1);
        head = match status {
            // "The origin server MUST generate an Allow header field in a 405 response" (9110
            // section 15.5.6).
            Status::MethodNotAllowed => head.field("Allow", b"GET, HEAD"),
            Status::ServiceUnavailable => head.field("Retry-After", b"1"),
            _ => head,
        };
        head.lines(date).lines(persistence).end();
        if !self.head_only {
            self.out.extend_from_slice(text.as_bytes());
            self.out.push(b'\n');
        }
        Body::Empty
    }

    /// Where a directory is, whose path was asked for without the slash. The query stays with
    /// it: nothing to a file, but perhaps something to the page in it.
    pub(crate) fn redirect(self, path: &Path<'_>, query: &[u8]) -> Body {
        let (date, persistence) = (self.date.as_bytes(), self.persistence.line());
        HeadWriter::new(self.out, Status::MovedPermanently)
            .field("Server", crate::SERVER.as_bytes())
            .field_of("Location", |out| write_location(path.bytes, query, out))
            .number("Content-Length", 0)
            .lines(date)
            .lines(persistence)
            .end();
        Body::Empty
    }
}

/// Appends the absolute path of a directory, encoded, and the query. It begins with exactly one
/// slash, so that no client takes what follows for a host.
fn write_location(path: &[u8], query: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push(b'/');
    for &byte in path {
        // The slash between segments is no pchar.
        if is_pchar(byte) || byte == b'/' {
            out.push(byte);
        } else {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            out.extend_from_slice(&[b'%', DIGITS[high], DIGITS[low]]);
        }
    }
    if !path.is_empty() {
        out.push(b'/');
    }
    // > query = *( pchar / "/" / "?" ) (3986 section 3.4)
    //
    // As it came: an escape in it may differ from the byte. One that is no query is left out.
    if query.iter().all(|&byte| is_pchar(byte) || b"/?%".contains(&byte)) {
        out.extend_from_slice(query);
    }
}

/// pchar without escapes (3986 section 3.3).
fn is_pchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rim_driver::Time;

    use super::*;

    #[test]
    fn a_location_is_encoded_and_never_names_a_host() {
        for (path, query, expected) in [
            (&b"a"[..], "", "/a/"),
            (b"a/b c", "", "/a/b%20c/"),
            (b"evil.example", "", "/evil.example/"),
            (b"", "", "/"),
            (b"a\r\nX: y", "", "/a%0D%0AX:%20y/"),
            (b"50%", "", "/50%25/"),
            (b"\xc3\xa4?#", "", "/%C3%A4%3F%23/"),
            (b"a", "?x=1&y=%2F/?~", "/a/?x=1&y=%2F/?~"),
            (b"a", "?", "/a/?"),
            (b"a", "?x=\r\n", "/a/"),
            (b"a", "?x=\"1\"", "/a/"),
            (b"a", "?\0", "/a/"),
        ] {
            let mut location = Vec::new();
            write_location(path, query.as_bytes(), &mut location);
            assert_eq!(String::from_utf8(location).unwrap(), expected);
        }
    }

    #[test]
    fn an_answer_in_text_has_no_content_after_head() {
        let write = |head_only| {
            let (mut out, mut date) = (Vec::new(), DateLine::new());
            date.update(Time::ZERO, || Duration::ZERO);
            let persistence = Persistence::Close;
            Writer { out: &mut out, date: &date, persistence, head_only }
                .text(Status::MethodNotAllowed);
            out
        };
        let (get, head) = (write(false), write(true));
        assert_eq!(get.strip_prefix(&head[..]), Some(&b"405 Method Not Allowed\n"[..]));
        let text = String::from_utf8_lossy(&head);
        assert!(text.contains("\r\nContent-Length: 23\r\n"));
        assert!(text.contains("\r\nAllow: GET, HEAD\r\n"));
        assert!(text.contains("\r\nConnection: close\r\n"));
    }
}
