//! What to answer to a request: a pure decision.

use std::rc::Rc;

use rim_driver::Token;
use rim_http1::{Evaluation, Framing, Method, Path, Request, Status};

use crate::files::{Files, Local, LocalEntry, Lookup};
use crate::limits::DISCARDED_CONTENT_BYTES_MAX;

/// What is answered.
#[derive(Debug)]
pub(crate) enum Plan<'a> {
    /// A file, or that it has not changed.
    File(&'a Rc<LocalEntry>, Status),
    /// A status with a line of text.
    Text(Status),
    /// The directory is at the path with a slash behind it.
    Redirect(Path<'a>),
    /// It is not known yet; the connection will be told when to ask again.
    Wait,
}

/// Decides, top to bottom: method, content, target, path, file, preconditions.
///
/// `scratch` is for paths that have to be decoded; `connection` waits if something is not known.
#[inline]
pub(crate) fn respond<'a>(
    request: &Request<'a>,
    files: &'a mut Files,
    scratch: &'a mut Vec<u8>,
    connection: Token,
) -> Plan<'a> {
    match request.method {
        Method::Get | Method::Head => {}
        Method::Unknown => return Plan::Text(Status::NotImplemented),
        _ => return Plan::Text(Status::MethodNotAllowed),
    }
    if is_too_large(request.framing) {
        return Plan::Text(Status::ContentTooLarge);
    }
    let path = match request.target.resolve(scratch) {
        Ok(path) if path.is_hidden => return Plan::Text(Status::NotFound),
        Ok(path) => path,
        Err(status) => return Plan::Text(status),
    };
    match files.look_up(&path, connection) {
        Lookup::Wait => Plan::Wait,
        Lookup::Found(Local::File(local)) => {
            let status = match request.conditions.evaluate(&local.entry.validators()) {
                Evaluation::NotModified => Status::NotModified,
                Evaluation::Proceed => Status::Ok,
            };
            Plan::File(local, status)
        }
        Lookup::Found(Local::Directory) => Plan::Redirect(path),
        Lookup::Found(Local::Absent) => Plan::Text(Status::NotFound),
        Lookup::Found(Local::Failed(status)) => Plan::Text(*status),
    }
}

/// > The 413 (Content Too Large) status code indicates that the server is refusing to process a
/// > request because the request content is larger than the server is willing or able to process.
/// > (9110 section 15.5.14)
///
/// How much comes in chunks shows only when it has come, and the answer does not wait for that.
fn is_too_large(framing: Framing) -> bool {
    matches!(framing, Framing::Length(length) if length > DISCARDED_CONTENT_BYTES_MAX)
}

/// Whether the connection can go on after the content of a request has been dropped.
pub(crate) fn can_discard(framing: Framing, expects_continue: bool) -> bool {
    match framing {
        Framing::None => true,
        // A client that waits for `100 (Continue)` may or may not send it after another answer.
        Framing::Length(_) => !expects_continue && !is_too_large(framing),
        Framing::Chunked => false,
    }
}
