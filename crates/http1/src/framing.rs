//! Where a request's content ends, and whether the connection persists after the answer.

use crate::field::{elements, has_token};
use crate::request::Version;
use crate::status::Status;

/// How the content of a request is delimited (section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// That many bytes.
    Length(u64),
    /// In chunks (section 7.1).
    Chunked,
}

/// The framing that the fields of a request give it.
///
/// `content_length` and `transfer_encoding` are the values of the field lines of that name, if any;
/// the flags tell that there was more than one line of it.
///
/// > A server MAY reject a request that contains both Content-Length and Transfer-Encoding
/// > (section 6.1)
///
/// This one does. It also refuses Content-Length lines that are equal, which section 6.3 would let
/// it merge, and Transfer-Encoding in HTTP/1.0, which section 6.1 calls faulty.
///
/// # Errors
/// The status of the answer, after which the connection is to be closed.
pub fn body_framing(
    version: Version,
    content_length: Option<&[u8]>,
    transfer_encoding: Option<&[u8]>,
    is_repeated: bool,
) -> Result<Framing, Status> {
    match (content_length, transfer_encoding) {
        (None, None) => Ok(Framing::None),
        _ if is_repeated => Err(Status::BadRequest),
        (Some(_), Some(_)) => Err(Status::BadRequest),
        (Some(length), None) => parse_length(length).map(|length| match length {
            0 => Framing::None,
            length => Framing::Length(length),
        }),
        (None, Some(_)) if version == Version::Http10 => Err(Status::BadRequest),
        (None, Some(codings)) => transfer_framing(codings),
    }
}

/// > Content-Length = 1*DIGIT (9110 section 8.6)
fn parse_length(value: &[u8]) -> Result<u64, Status> {
    if value.is_empty() {
        return Err(Status::BadRequest);
    }
    value.iter().try_fold(0u64, |length, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10);
        let digit = digit.ok_or(Status::BadRequest)?;
        length
            .checked_mul(10)
            .and_then(|length| length.checked_add(u64::from(digit)))
            .ok_or(Status::BadRequest)
    })
}

/// > If a Transfer-Encoding header field is present in a request and the chunked transfer coding is
/// > not the final encoding, the message body length cannot be determined reliably; the server MUST
/// > respond with the 400 (Bad Request) status code and then close the connection. (section 6.3)
///
/// > A server that receives a request message with a transfer coding it does not understand SHOULD
/// > respond with 501 (Not Implemented). (section 6.1)
fn transfer_framing(codings: &[u8]) -> Result<Framing, Status> {
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    if elements(codings).any(<[u8]>::is_empty) || !elements(codings).last().is_some_and(is_chunked)
    {
        return Err(Status::BadRequest);
    }
    match elements(codings).filter(|coding| is_chunked(coding)).count() {
        1 if elements(codings).count() == 1 => Ok(Framing::Chunked),
        1 => Err(Status::NotImplemented),
        // "A sender MUST NOT apply the chunked transfer coding more than once" (section 6.1)
        _ => Err(Status::BadRequest),
    }
}

/// Whether the client's side of the connection is to persist (section 9.3):
///
/// > If the "close" connection option is present, the connection will not persist after the current
/// > response; else, if the received protocol is HTTP/1.1 (or later), the connection will persist
/// > after the current response; else, if the received protocol is HTTP/1.0, the "keep-alive"
/// > connection option is present, \[…\] the connection will persist after the current response;
/// > otherwise, the connection will close after the current response.
pub fn keep_alive<'a>(
    version: Version,
    connection: impl Iterator<Item = &'a [u8]> + Clone,
) -> bool {
    let has = |option: &[u8]| connection.clone().any(|value| has_token(value, option));
    !has(b"close") && (version == Version::Http11 || has(b"keep-alive"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Status::{BadRequest, NotImplemented};
    use Version::{Http10, Http11};

    #[track_caller]
    fn length(value: &[u8], expected: Result<Framing, Status>) {
        assert_eq!(body_framing(Http11, Some(value), None, false), expected);
    }

    #[track_caller]
    fn coding(value: &[u8], expected: Result<Framing, Status>) {
        assert_eq!(body_framing(Http11, None, Some(value), false), expected);
    }

    #[test]
    fn a_length_is_digits_that_fit() {
        length(b"0", Ok(Framing::None));
        length(b"007", Ok(Framing::Length(7)));
        length(b"18446744073709551615", Ok(Framing::Length(u64::MAX)));
        for bad in [
            &b""[..],
            b"-1",
            b"+5",
            b"0x5",
            b"1_0",
            b"5 5",
            b"5;",
            b"1Z",
            b"5, 5",
            b"5,",
            b"18446744073709551616",
            b"9999999999999999999999999999999999999999",
        ] {
            length(bad, Err(BadRequest));
        }
    }

    #[test]
    fn chunked_comes_last_and_once_and_alone() {
        coding(b"chunked", Ok(Framing::Chunked));
        coding(b"Chunked", Ok(Framing::Chunked));
        coding(b"gzip, chunked", Err(NotImplemented));
        for bad in [
            &b""[..],
            b"gzip",
            b"identity",
            b"xchunked",
            b"chunked, gzip",
            b"chunked, chunked",
            b",chunked",
            b"chunked,",
            b"chunked\x0b",
            b"\"chunked\"",
        ] {
            coding(bad, Err(BadRequest));
        }
    }

    #[test]
    fn every_doubt_about_the_end_is_refused() {
        for (version, length, coding, is_repeated) in [
            (Http11, Some(&b"5"[..]), Some(&b"chunked"[..]), false),
            (Http11, Some(b"5"), None, true),
            (Http11, None, Some(b"chunked"), true),
            (Http10, None, Some(b"chunked"), false),
        ] {
            assert_eq!(body_framing(version, length, coding, is_repeated), Err(BadRequest));
        }
        assert_eq!(body_framing(Http10, None, None, false), Ok(Framing::None));
    }

    #[test]
    fn persistence_follows_version_and_options() {
        for (version, values, expected) in [
            (Http11, &[][..], true),
            (Http11, &[&b"close"[..]][..], false),
            (Http11, &[b"keep-alive", b"Close"], false),
            (Http11, &[b",,x , close"], false),
            (Http11, &[b"closed"], true),
            (Http10, &[], false),
            (Http10, &[b"Keep-Alive"], true),
            (Http10, &[b"keep-alive, close"], false),
        ] {
            assert_eq!(keep_alive(version, values.iter().copied()), expected, "{values:?}");
        }
    }
}
