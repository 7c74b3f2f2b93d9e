//! The status line and the few field lines that matter: RFC 9112 sections 4, 5 and 6.3.

use memchr::memchr;

use super::{Fault, Method};

/// How every response begins.
const VERSION: &[u8] = b"HTTP/1.";
/// The longest head that is taken for one, in bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// What is known of a head so far.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// 0 before the status line.
    status: u16,
    bytes: usize,
    is_http_1_0: bool,
    length: Option<u64>,
    is_chunked: bool,
    says_close: bool,
    says_keep_alive: bool,
}

/// Where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is no body.
    None,
    /// This was not the response; it follows.
    Interim,
    Length(u64),
    Chunked,
    UntilClose,
}

impl Head {
    pub(super) fn is_empty(&self) -> bool {
        self.status == 0
    }

    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// Makes ready for the head that follows an interim one.
    pub(super) fn restart(&mut self) {
        *self = Self { bytes: self.bytes, ..Self::default() };
    }

    /// RFC 9112 section 9.3.
    pub(super) fn stays_open(&self) -> bool {
        !self.says_close && (!self.is_http_1_0 || self.says_keep_alive)
    }

    /// Checks the beginning of a status line, of which `pending` and then `bytes` have come: a peer
    /// that does not speak HTTP may never send a line end.
    #[inline]
    pub(super) fn check_beginning(pending: &[u8], bytes: &[u8]) -> Result<(), Fault> {
        let mut pairs = pending.iter().chain(bytes).zip(VERSION);
        if pairs.all(|(byte, expected)| byte == expected) {
            return Ok(());
        }
        Err(Fault::NotHttp)
    }

    /// Takes a line that is not the empty one at the end.
    #[inline]
    pub(super) fn take_line(&mut self, line: &[u8]) -> Result<(), Fault> {
        self.bytes += line.len() + 2;
        if self.bytes > HEAD_BYTES_MAX {
            return Err(Fault::Malformed);
        }
        if self.is_empty() { self.take_status_line(line) } else { self.take_field(line) }
    }

    /// Takes a line behind the last chunk. Trailers change nothing, but have to be field lines.
    pub(super) fn take_trailer(&mut self, line: &[u8]) -> Result<(), Fault> {
        self.bytes += line.len() + 2;
        if self.bytes > HEAD_BYTES_MAX {
            return Err(Fault::Malformed);
        }
        split_field(line).map(drop)
    }

    fn take_status_line(&mut self, line: &[u8]) -> Result<(), Fault> {
        let rest = line.strip_prefix(VERSION).ok_or(Fault::NotHttp)?;
        let [minor @ (b'0' | b'1'), b' ', code @ ..] = rest else {
            return Err(Fault::Malformed);
        };
        let ([a @ b'1'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9']
        | [a @ b'1'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ', ..]) = code
        else {
            return Err(Fault::Malformed);
        };
        self.is_http_1_0 = *minor == b'0';
        self.status = [a, b, c].iter().fold(0, |code, digit| code * 10 + u16::from(**digit - b'0'));
        Ok(())
    }

    #[inline]
    fn take_field(&mut self, line: &[u8]) -> Result<(), Fault> {
        let (name, value) = split_field(line)?;
        // By length first: most fields are none of these.
        match name.len() {
            10 if name.eq_ignore_ascii_case(b"connection") => self.take_connection(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => self.take_length(value)?,
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                // Nothing else was offered, and twice is not chunked.
                if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Fault::Malformed);
                }
                self.is_chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn take_connection(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            self.says_close |= option.eq_ignore_ascii_case(b"close");
            self.says_keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    fn take_length(&mut self, value: &[u8]) -> Result<(), Fault> {
        let number = parse_length(value).ok_or(Fault::Malformed)?;
        if self.length.is_some_and(|length| length != number) {
            return Err(Fault::Malformed);
        }
        self.length = Some(number);
        Ok(())
    }

    /// RFC 9112 section 6.3, but for two lengths at once, which it calls an error to be handled.
    #[inline]
    pub(super) fn framing(&self, method: Method) -> Result<Framing, Fault> {
        if self.is_chunked && (self.length.is_some() || self.is_http_1_0) {
            return Err(Fault::Malformed);
        }
        Ok(match (self.status, self.length) {
            // Nobody asked for another protocol.
            (101, _) => return Err(Fault::Malformed),
            (100..=199, _) => Framing::Interim,
            (204 | 304, _) => Framing::None,
            _ if method == Method::Head => Framing::None,
            _ if self.is_chunked => Framing::Chunked,
            (_, Some(length)) => Framing::Length(length),
            (_, None) => Framing::UntilClose,
        })
    }
}

/// A field's name and value: RFC 9112 section 5, without folded lines, which are obsolete.
#[inline]
fn split_field(line: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let colon = memchr(b':', line).ok_or(Fault::Malformed)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
        return Err(Fault::Malformed);
    }
    Ok((name, value.trim_ascii()))
}

/// Digits and nothing else: `str::parse` would take a sign.
fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}
