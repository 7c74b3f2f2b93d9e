//! HTTP/1.1 for a server of files: bytes in, values out.
//!
//! This crate never sees a socket, a file or a clock, allocates nothing per request, and has no
//! unsafe code. It is strict where leniency has hurt others: whatever leaves a doubt about where a
//! message ends is refused, and the connection has to be closed after that answer.
//!
//! The way of a request through it:
//!
//! 1. [`HeadScanner::scan`] looks at each received byte once until it has seen the end of the head.
//! 2. [`Request::parse`] turns the head into a [`Request`]: method, target, the fields that matter,
//!    [`Framing`] and whether the connection may persist.
//! 3. [`Target::resolve`] turns the target into a decoded path without dot segments.
//! 4. [`Conditions::evaluate`] decides between the file and `304 Not Modified`.
//! 5. [`HeadWriter`] encodes the head of the response.
//!
//! RFC section numbers without a name are of RFC 9112; "9110" and "3986" name the others.

mod conditional;
mod date;
mod field;
mod framing;
mod host;
mod method;
mod request;
mod response;
mod scan;
mod status;
mod target;

pub use conditional::{Conditions, Evaluation, Tags, Validators};
pub use date::{DATE_LEN, format_date, parse_date};
pub use framing::{Framing, body_framing, keep_alive};
pub use method::Method;
pub use request::{
    FIELD_SECTION_BYTES_MAX, FIELDS_MAX, HEAD_BYTES_MAX, REQUEST_LINE_BYTES_MAX, Request, Version,
};
pub use response::HeadWriter;
pub use scan::{HeadScanner, Scan};
pub use status::Status;
pub use target::{Path, Target};
