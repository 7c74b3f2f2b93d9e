//! Request methods (9110 section 9, RFC 5789).

/// A method that is known here. Known does not mean allowed: only GET and HEAD get a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "named as 9110 section 9 names them")]
pub enum Method {
    Get,
    Head,
    Options,
    Post,
    Put,
    Patch,
    Delete,
    Trace,
    Connect,
    /// A token that names no method known here: to be answered with 501 (9110 section 9.1).
    Unknown,
}

impl Method {
    /// The method that `token` names. Names are case-sensitive.
    #[inline]
    pub(crate) fn from_token(token: &[u8]) -> Self {
        match token {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"OPTIONS" => Self::Options,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"PATCH" => Self::Patch,
            b"DELETE" => Self::Delete,
            b"TRACE" => Self::Trace,
            b"CONNECT" => Self::Connect,
            _ => Self::Unknown,
        }
    }
}
