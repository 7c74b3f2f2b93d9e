//! Lines out of bytes that come in pieces.

use memchr::memchr;

use super::Fault;

/// The longest line that is taken for one, in bytes.
const LINE_BYTES_MAX: usize = 16 << 10;

/// Finds lines; keeps the beginning of one that has not come whole.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
    /// `partial` became whole and has been handed out.
    is_spent: bool,
}

impl Lines {
    /// Forgets what has been kept, not the memory for it.
    pub(super) fn clear(&mut self) {
        self.partial.clear();
        self.is_spent = false;
    }

    /// The next line without its end, and how many of `bytes` it took; `None` if there is no line
    /// end in them, and then they are kept.
    ///
    /// Lines end with CRLF alone: a lone LF, which RFC 9112 section 2.2 lets a recipient tolerate,
    /// is a fault of a server under test.
    #[inline]
    pub(super) fn next<'a>(
        &'a mut self,
        bytes: &'a [u8],
    ) -> Result<Option<(&'a [u8], usize)>, Fault> {
        if self.is_spent {
            self.clear();
        }
        let end = memchr(b'\n', bytes);
        let taken = end.map_or(bytes.len(), |end| end + 1);
        if self.partial.len() + taken > LINE_BYTES_MAX {
            return Err(Fault::Malformed);
        }
        if end.is_none() || !self.partial.is_empty() {
            self.partial.extend_from_slice(&bytes[..taken]);
            if end.is_none() {
                return Ok(None);
            }
            self.is_spent = true;
        }
        let line = if self.is_spent { &self.partial } else { &bytes[..taken] };
        match line {
            [line @ .., b'\r', b'\n'] => Ok(Some((line, taken))),
            _ => Err(Fault::Malformed),
        }
    }

    /// What has come of a line that is not whole.
    pub(super) fn pending(&self) -> &[u8] {
        if self.is_spent { &[] } else { &self.partial }
    }
}
