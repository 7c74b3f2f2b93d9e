//! HTTP/1.1 on one connection: where requests begin and end in what the client sends.

use rim_http1::{Framing, HEAD_BYTES_MAX, HeadScanner, Request, Scan, Status};

/// Bytes that are kept while an answer is under way: a head, whatever comes with it, and some.
pub(crate) const INPUT_BYTES_MAX: usize = HEAD_BYTES_MAX + (8 << 10);

/// The reading side of the protocol.
#[derive(Debug, Default)]
pub(crate) struct Http1 {
    /// Received and not consumed. Empty on an idle connection, without an allocation.
    pub(crate) input: Vec<u8>,
    scanner: HeadScanner,
    /// Content of the last request that is still to come, in bytes.
    content_left: u64,
}

/// Whether `bytes`, which begin with what has come of a request, are of a HEAD. No answer to one has
/// content, whatever it says (9110 section 9.3.2).
pub(crate) fn begins_with_head(bytes: &[u8]) -> bool {
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    start.is_some_and(|start| bytes[start..].starts_with(b"HEAD "))
}

/// What the next bytes are.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// Part of a head: more is needed.
    Partial,
    /// That many bytes of content of a request that has its answer.
    Content(usize),
    /// A whole head of that many bytes.
    Request(Request<'a>, usize),
    /// Nothing that can be answered otherwise.
    Reject(Status),
}

impl Http1 {
    /// Looks at `bytes`, which begin with the first one that is not consumed.
    #[inline]
    pub(crate) fn step<'a>(&mut self, bytes: &'a [u8]) -> Step<'a> {
        if self.content_left > 0 {
            let len = usize::try_from(self.content_left).unwrap_or(usize::MAX).min(bytes.len());
            self.content_left -= len as u64;
            return Step::Content(len);
        }
        match self.scanner.scan(bytes) {
            Scan::Partial => Step::Partial,
            Scan::Reject(status) => Step::Reject(status),
            Scan::Complete { start, end } => {
                self.scanner = HeadScanner::default();
                Request::parse(&bytes[start..end])
                    .map_or_else(Step::Reject, |request| Step::Request(request, end))
            }
        }
    }

    /// Notes that the content of an answered request comes next and is to be dropped.
    pub(crate) fn discard_content(&mut self, framing: Framing) {
        if let Framing::Length(length) = framing {
            self.content_left = length;
        }
    }

    /// Whether anything of a request is in `bytes`, which have been looked at: empty lines before one
    /// are nothing.
    pub(crate) fn has_begun(&self, bytes: &[u8]) -> bool {
        self.content_left > 0 || self.scanner.has_begun(bytes)
    }

    /// Whether content of an answered request is still to come.
    #[inline]
    pub(crate) fn expects_content(&self) -> bool {
        self.content_left > 0
    }
}
