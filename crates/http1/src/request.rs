//! From the bytes of a head to a request.

use httparse::{EMPTY_HEADER, Header};
use memchr::memchr;

use crate::conditional::{Conditions, Tags};
use crate::field::{elements, is_token};
use crate::framing::{Framing, body_framing, keep_alive};
use crate::host;
use crate::method::Method;
use crate::status::Status;
use crate::target::Target;

/// Longest request line in bytes, without its line end. At least 8000 are recommended (section 3).
pub const REQUEST_LINE_BYTES_MAX: usize = 8 << 10;
/// Longest header section in bytes, line ends included.
pub const FIELD_SECTION_BYTES_MAX: usize = 32 << 10;
/// Longest head in bytes, and so the most that is ever kept of one.
pub const HEAD_BYTES_MAX: usize = REQUEST_LINE_BYTES_MAX + FIELD_SECTION_BYTES_MAX + 16;
/// Most field lines of a request.
pub const FIELDS_MAX: usize = 100;

/// Field lines that there is room for at first: few requests have more.
const FIELDS_USUAL: usize = 16;

/// The version of a request, as far as it matters: a later minor version is treated as 1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "nothing to add to the names")]
pub enum Version {
    Http10,
    Http11,
}

/// A request: what its head says, in terms of slices of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// What is to be done.
    pub method: Method,
    /// To what.
    pub target: Target<'a>,
    /// The version of the request line.
    pub version: Version,
    /// The host that is meant: of the target if it names one, else of the Host field (section 3.3).
    pub host: Option<&'a [u8]>,
    /// The preconditions.
    pub conditions: Conditions<'a>,
    /// How the content that follows the head is delimited.
    pub framing: Framing,
    /// Whether the client means to send another request on this connection.
    pub keep_alive: bool,
    /// The client may be waiting for `100 (Continue)` before it sends the content.
    pub expects_continue: bool,
}

impl<'a> Request<'a> {
    /// Parses a head that [`crate::HeadScanner`] has found complete: from the request line to the
    /// empty line, both included.
    ///
    /// # Errors
    /// The status of the answer, after which the connection is to be closed.
    pub fn parse(head: &'a [u8]) -> Result<Self, Status> {
        let line_end = memchr(b'\r', head).ok_or(Status::BadRequest)?;
        let (method, target, version) = parse_request_line(&head[..line_end])?;
        let section = head.get(line_end + 2..).ok_or(Status::BadRequest)?;
        let mut few = [EMPTY_HEADER; FIELDS_USUAL];
        match httparse::parse_headers(section, &mut few) {
            Err(httparse::Error::TooManyHeaders) => {
                let mut many = [EMPTY_HEADER; FIELDS_MAX];
                let fields = complete(httparse::parse_headers(section, &mut many))?;
                Self::from_fields(method, target, version, section, fields)
            }
            parsed => Self::from_fields(method, target, version, section, complete(parsed)?),
        }
    }

    fn from_fields(
        method: Method,
        target: Target<'a>,
        version: Version,
        section: &'a [u8],
        fields: &[Header<'a>],
    ) -> Result<Self, Status> {
        let known = Known::collect(fields)?;
        match known.host {
            // "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request
            // message that lacks a Host header field and to any request message that contains more
            // than one Host header field line or a Host header field with an invalid field value."
            // (section 3.2)
            None if version == Version::Http11 => return Err(Status::BadRequest),
            Some(value) if !host::is_valid(value) => return Err(Status::BadRequest),
            _ => {}
        }
        let framing = body_framing(
            version,
            known.content_length,
            known.transfer_encoding,
            known.is_framing_repeated,
        )?;
        // "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that
        // expectation." (9110 section 10.1.1)
        let expects = if version == Version::Http11 { known.expects } else { Expects::default() };
        if expects.something_else {
            return Err(Status::ExpectationFailed);
        }
        let connection = fields
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case("connection"))
            .map(|field| field.value);
        Ok(Self {
            method,
            target,
            version,
            host: target.authority().or(known.host),
            conditions: known.conditions(section),
            framing,
            keep_alive: keep_alive(version, connection),
            expects_continue: expects.to_continue && framing != Framing::None,
        })
    }
}

/// The members of Expect.
///
/// > Expect = #expectation (9110 section 10.1.1)
///
/// A list may have no members, and members on several lines (section 5.6.1).
#[derive(Clone, Copy, Default)]
struct Expects {
    to_continue: bool,
    /// > A server that receives an Expect field value containing a member other than 100-continue
    /// > MAY respond with a 417 (Expectation Failed) status code (9110 section 10.1.1)
    something_else: bool,
}

impl Expects {
    fn add(&mut self, value: &[u8]) {
        for member in elements(value).filter(|member| !member.is_empty()) {
            let to_continue = member.eq_ignore_ascii_case(b"100-continue");
            self.to_continue |= to_continue;
            self.something_else |= !to_continue;
        }
    }
}

/// The values of the fields that the server reads.
#[derive(Default)]
struct Known<'a> {
    host: Option<&'a [u8]>,
    expects: Expects,
    content_length: Option<&'a [u8]>,
    transfer_encoding: Option<&'a [u8]>,
    is_framing_repeated: bool,
    if_none_match: Option<&'a [u8]>,
    if_modified_since: Option<&'a [u8]>,
    are_tags_repeated: bool,
    is_date_repeated: bool,
}

impl<'a> Known<'a> {
    fn collect(fields: &[Header<'a>]) -> Result<Self, Status> {
        let mut known = Self::default();
        let mut is_host_repeated = false;
        for field in fields {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            let (place, is_repeated) = match field.name.len() {
                4 if is("host") => (&mut known.host, &mut is_host_repeated),
                6 if is("expect") => {
                    known.expects.add(field.value);
                    continue;
                }
                13 if is("if-none-match") => {
                    (&mut known.if_none_match, &mut known.are_tags_repeated)
                }
                14 if is("content-length") => {
                    (&mut known.content_length, &mut known.is_framing_repeated)
                }
                17 if is("transfer-encoding") => {
                    (&mut known.transfer_encoding, &mut known.is_framing_repeated)
                }
                17 if is("if-modified-since") => {
                    (&mut known.if_modified_since, &mut known.is_date_repeated)
                }
                _ => continue,
            };
            *is_repeated |= place.replace(field.value).is_some();
        }
        if is_host_repeated {
            return Err(Status::BadRequest);
        }
        Ok(known)
    }

    /// The preconditions. Lines of a list are one list.
    ///
    /// > A recipient MUST ignore the If-Modified-Since header field if the received field value is
    /// > not a valid HTTP-date, the field value has more than one member, or if the request method
    /// > is neither GET nor HEAD. (9110 section 13.1.3)
    fn conditions(&self, section: &'a [u8]) -> Conditions<'a> {
        let tags =
            |value| if self.are_tags_repeated { Tags::Section(section) } else { Tags::Line(value) };
        Conditions {
            if_none_match: self.if_none_match.map(tags),
            if_modified_since: self.if_modified_since.filter(|_| !self.is_date_repeated),
        }
    }
}

/// > request-line = method SP request-target SP HTTP-version (section 3)
///
/// with exactly one space each: "recipients MAY instead parse on whitespace-delimited word
/// boundaries" (section 3), but two recipients that differ on it see different targets.
fn parse_request_line(line: &[u8]) -> Result<(Method, Target<'_>, Version), Status> {
    let space = memchr(b' ', line).ok_or(Status::BadRequest)?;
    let (token, rest) = (&line[..space], &line[space + 1..]);
    if !is_token(token) {
        return Err(Status::BadRequest);
    }
    let space = memchr(b' ', rest).ok_or(Status::BadRequest)?;
    let version = parse_version(&rest[space + 1..])?;
    let method = Method::from_token(token);
    Ok((method, Target::parse(method, &rest[..space])?, version))
}

/// Whether `line` is a request line.
pub(crate) fn check_request_line(line: &[u8]) -> Result<(), Status> {
    parse_request_line(line).map(drop)
}

/// > HTTP-version = HTTP-name "/" DIGIT "." DIGIT (section 2.3)
fn parse_version(version: &[u8]) -> Result<Version, Status> {
    let Some([major, b'.', minor]) = version.strip_prefix(b"HTTP/") else {
        return Err(Status::BadRequest);
    };
    match (major, minor) {
        (b'1', b'0') => Ok(Version::Http10),
        (b'1', b'1'..=b'9') => Ok(Version::Http11),
        (b'0'..=b'9', b'0'..=b'9') => Err(Status::VersionNotSupported),
        _ => Err(Status::BadRequest),
    }
}

/// The fields that httparse has found.
fn complete<'h, 'a>(
    parsed: httparse::Result<(usize, &'h [Header<'a>])>,
) -> Result<&'h [Header<'a>], Status> {
    match parsed {
        Ok(httparse::Status::Complete((_, fields))) => Ok(fields),
        Err(httparse::Error::TooManyHeaders) => Err(Status::FieldsTooLarge),
        // The scanner has seen the end, so the fields cannot be incomplete: a line is malformed.
        Ok(httparse::Status::Partial) | Err(_) => Err(Status::BadRequest),
    }
}

#[cfg(test)]
mod tests;
