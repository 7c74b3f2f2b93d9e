//! The chunked transfer coding: RFC 9112 section 7.1.

use super::Fault;

/// More digits than this would not fit 64 bits.
const SIZE_DIGITS_MAX: u8 = 16;

/// Where in a chunked body the next byte belongs, up to the line of the last chunk.
///
/// Everything but data goes byte by byte, because a server that lies about a size is to be caught
/// at the first wrong byte: it may send no other.
#[derive(Clone, Copy, Debug)]
pub(super) enum Chunked {
    Size { value: u64, digits: u8 },
    Extension { size: u64 },
    SizeEnd { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
}

impl Default for Chunked {
    fn default() -> Self {
        Self::Size { value: 0, digits: 0 }
    }
}

impl Chunked {
    /// Takes bytes; how many, and whether the last chunk's line ended there.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(usize, bool), Fault> {
        let mut taken = 0;
        while let Some(byte) = bytes.get(taken) {
            if let Self::Data { left } = self {
                let here = (*left).min((bytes.len() - taken) as u64);
                *left -= here;
                taken += here as usize;
                if *left == 0 {
                    *self = Self::DataCr;
                }
                continue;
            }
            taken += 1;
            let is_last = matches!(self, Self::SizeEnd { size: 0 });
            *self = self.after(*byte).ok_or(Fault::Malformed)?;
            if is_last {
                return Ok((taken, true));
            }
        }
        Ok((taken, false))
    }

    /// The state behind a byte that is not data; `None` if it cannot stand there.
    fn after(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Size { value, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = u64::from(char::from(byte).to_digit(16)?);
                let digits = (digits < SIZE_DIGITS_MAX).then_some(digits + 1)?;
                let value = value << 4 | digit;
                Self::Size { value, digits }
            }
            (Self::Size { digits: 0, .. }, _) => return None,
            (Self::Size { value, .. }, b';' | b' ' | b'\t') => Self::Extension { size: value },
            (Self::Size { value: size, .. } | Self::Extension { size }, b'\r') => {
                Self::SizeEnd { size }
            }
            (Self::Extension { .. }, b'\n') => return None,
            (Self::Extension { size }, _) => Self::Extension { size },
            (Self::SizeEnd { size }, b'\n') => Self::Data { left: size },
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::default(),
            _ => return None,
        })
    }
}
