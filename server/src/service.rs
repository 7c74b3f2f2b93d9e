//! What to answer to a request: a pure decision.

use std::rc::Rc;

use rim_driver::Token;
use rim_http1::{Evaluation, Framing, Method, Path, Request, Status};

use crate::files::{Files, Local, LocalEntry, Lookup};

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

/// Decides, top to bottom: method, target, path, file, preconditions.
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

/// Whether the connection can go on after the content of a request has been dropped.
pub(crate) fn can_discard(framing: Framing, expects_continue: bool, bytes_max: u64) -> bool {
    match framing {
        Framing::None => true,
        // A client that waits for `100 (Continue)` may or may not send it after another answer.
        Framing::Length(length) => !expects_continue && length <= bytes_max,
        Framing::Chunked => false,
    }
}
