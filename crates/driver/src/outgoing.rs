//! Bytes on their way out.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

/// Immutable bytes that the whole process shares.
pub type Content = Arc<Vec<u8>>;

/// One thread's handle on [`Content`].
///
/// The process-wide count is touched once per thread; each send then counts without atomics.
#[derive(Clone, Debug)]
pub struct Shared(Rc<Content>);

impl Shared {
    /// Takes this thread's one reference to `content`.
    #[must_use]
    pub fn new(content: Content) -> Self {
        Self(Rc::new(content))
    }

    /// The bytes.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.0.as_slice()
    }
}

/// The second part of an [`Outgoing`].
#[derive(Clone, Debug)]
pub enum Body {
    /// A range of shared bytes.
    Shared(Shared, Range<usize>),
    /// Bytes read for this one answer.
    Owned(Vec<u8>),
}

impl Body {
    /// The bytes.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Shared(shared, range) => &shared.as_slice()[range.clone()],
            Self::Owned(bytes) => bytes,
        }
    }
}

/// What one send operation sends: `bytes`, then `body`, from `sent` on.
///
/// It moves into the operation and comes back with its completion, so that a short send can go on
/// where it ended and the allocation can be used again.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// The first part; usually response heads, with small bodies already joined to them.
    pub bytes: Vec<u8>,
    /// The second part.
    pub body: Option<Body>,
    /// How many bytes of both parts together the kernel has taken.
    pub sent: usize,
}

impl Outgoing {
    /// Only `bytes`, nothing sent yet.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, body: None, sent: 0 }
    }

    /// How many bytes there are in all.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() + self.body.as_ref().map_or(0, |body| body.as_slice().len())
    }

    /// Whether there is nothing to send at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes are still to be sent.
    #[inline]
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.len() - self.sent
    }

    /// The bytes still to be sent, as two slices, each possibly empty.
    #[must_use]
    pub fn unsent(&self) -> (&[u8], &[u8]) {
        let first = self.sent.min(self.bytes.len());
        let body = self.body.as_ref().map_or(&[][..], Body::as_slice);
        (&self.bytes[first..], &body[self.sent - first..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unsent_is_what_is_left_of_both_parts() {
        let shared = Shared::new(Arc::new(b"0123456789".to_vec()));
        let mut outgoing =
            Outgoing { bytes: b"head".to_vec(), body: Some(Body::Shared(shared, 2..5)), sent: 0 };
        let whole = b"head234";
        for sent in 0..=whole.len() {
            outgoing.sent = sent;
            let (first, second) = outgoing.unsent();
            assert_eq!([first, second].concat(), &whole[sent..]);
            assert_eq!(outgoing.remaining(), whole.len() - sent);
        }
    }
}
