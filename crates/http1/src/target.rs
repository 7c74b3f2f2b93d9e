//! Request targets (section 3.2), and the paths that they name.

use crate::host;
use crate::method::Method;
use crate::status::Status;

/// The one directory whose name may begin with a dot (RFC 8615).
const WELL_KNOWN: &[u8] = b".well-known";

/// A request-target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// > origin-form = absolute-path [ "?" query ] (section 3.2.1)
    Origin {
        /// From the first slash on, encoded.
        path: &'a [u8],
        /// From the question mark on; empty if there is none.
        query: &'a [u8],
    },
    /// > absolute-form = absolute-URI (section 3.2.2)
    Absolute {
        /// Host and port.
        authority: &'a [u8],
        /// As for `Origin`; a lone slash if there is none.
        path: &'a [u8],
        /// As for `Origin`.
        query: &'a [u8],
    },
    /// > authority-form = uri-host ":" port (section 3.2.3), with CONNECT
    Authority,
    /// > asterisk-form = "*" (section 3.2.4), with OPTIONS
    Asterisk,
}

/// A decoded path without dot segments, relative to the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    /// The segments with one slash between them; empty for the root.
    pub bytes: &'a [u8],
    /// The target ended with a slash or a dot segment.
    pub is_directory: bool,
    /// Some segment begins with a dot and is not to be seen.
    pub is_hidden: bool,
}

impl<'a> Target<'a> {
    /// Finds the form of `target`, which depends on `method` for two of the four.
    pub(crate) fn parse(method: Method, target: &'a [u8]) -> Result<Self, Status> {
        // No form has anything but visible ASCII, and a fragment is never sent (section 3.2).
        if !target.iter().all(|&byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(Status::BadRequest);
        }
        match (method, target) {
            (Method::Connect, _) => parse_authority(target),
            (_, [b'/', ..]) => {
                let (path, query) = split_query(target);
                Ok(Self::Origin { path, query })
            }
            (Method::Options, b"*") => Ok(Self::Asterisk),
            _ => parse_absolute(target),
        }
    }

    /// The authority, if the target names one.
    #[must_use]
    pub fn authority(&self) -> Option<&'a [u8]> {
        match self {
            Self::Absolute { authority, .. } => Some(authority),
            _ => None,
        }
    }

    /// The query with its question mark; empty if there is none.
    #[must_use]
    pub fn query(&self) -> &'a [u8] {
        match self {
            Self::Origin { query, .. } | Self::Absolute { query, .. } => query,
            Self::Authority | Self::Asterisk => b"",
        }
    }

    /// Decodes the path and removes dot segments, in that order and once each, so that nothing
    /// further down decodes again. `scratch` is only written to if the path does not stand in the
    /// target as it is.
    ///
    /// Empty segments are dropped, and `..` in the root stays there.
    ///
    /// # Errors
    /// 400 for a broken escape or an escaped control byte; 404 for an escaped slash, which is
    /// neither a separator nor part of any file's name; 400 for a target without a path.
    pub fn resolve<'b>(&self, scratch: &'b mut Vec<u8>) -> Result<Path<'b>, Status>
    where
        'a: 'b,
    {
        let (Self::Origin { path, .. } | Self::Absolute { path, .. }) = self else {
            return Err(Status::BadRequest);
        };
        if is_plain(path) {
            let inside = &path[1..];
            let trimmed = inside.strip_suffix(b"/").unwrap_or(inside);
            let is_directory = path.ends_with(b"/");
            return Ok(Path { bytes: trimmed, is_directory, is_hidden: false });
        }
        normalize(path, scratch)
    }
}

/// > absolute-path = 1*( "/" segment ) (9110 section 4.1); the query is nothing to a file.
fn split_query(target: &[u8]) -> (&[u8], &[u8]) {
    let end = target.iter().position(|&byte| byte == b'?').unwrap_or(target.len());
    target.split_at(end)
}

fn parse_authority(target: &[u8]) -> Result<Target<'_>, Status> {
    let has_port = target.iter().rposition(|&byte| byte == b':').is_some_and(|colon| {
        target[colon + 1..].iter().all(u8::is_ascii_digit) && colon + 1 < target.len()
    });
    if has_port && host::is_valid(target) { Ok(Target::Authority) } else { Err(Status::BadRequest) }
}

/// A scheme, `://`, an authority without user information, and perhaps path and query.
fn parse_absolute(target: &[u8]) -> Result<Target<'_>, Status> {
    let colon = target.iter().position(|&byte| byte == b':').ok_or(Status::BadRequest)?;
    let (scheme, rest) = target.split_at(colon);
    let is_scheme = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    let rest = rest.strip_prefix(b"://").filter(|_| is_scheme).ok_or(Status::BadRequest)?;
    if !scheme.eq_ignore_ascii_case(b"http") {
        return Err(Status::MisdirectedRequest);
    }
    let end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    if !host::is_valid(authority) {
        return Err(Status::BadRequest);
    }
    let (path, query) = split_query(rest);
    let path = if path.is_empty() { b"/" } else { path };
    Ok(Target::Absolute { authority, path, query })
}

/// Whether a path is its own decoded form: no escape, no empty segment, none that begins with a dot.
fn is_plain(path: &[u8]) -> bool {
    let mut after_slash = false;
    for &byte in path {
        match byte {
            b'%' => return false,
            b'/' | b'.' if after_slash => return false,
            _ => after_slash = byte == b'/',
        }
    }
    true
}

/// Writes the decoded, dot-free path to `out`.
fn normalize<'b>(path: &[u8], out: &'b mut Vec<u8>) -> Result<Path<'b>, Status> {
    out.clear();
    let mut is_directory = false;
    for segment in path[1..].split(|&byte| byte == b'/') {
        let before = out.len();
        if before > 0 {
            out.push(b'/');
        }
        let start = out.len();
        decode(segment, out)?;
        is_directory = true;
        match &out[start..] {
            b"" | b"." => out.truncate(before),
            b".." => {
                out.truncate(before);
                let parent = out.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                out.truncate(parent);
            }
            _ => is_directory = false,
        }
    }
    let is_hidden = out
        .split(|&byte| byte == b'/')
        .enumerate()
        .any(|(depth, name)| name.starts_with(b".") && (depth > 0 || name != WELL_KNOWN));
    Ok(Path { bytes: out, is_directory, is_hidden })
}

/// Appends `segment` with its escapes decoded.
fn decode(segment: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
    let mut bytes = segment.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
            return Err(Status::BadRequest);
        };
        match high << 4 | low {
            b'/' => return Err(Status::NotFound),
            byte if byte.is_ascii_control() => return Err(Status::BadRequest),
            byte => out.push(byte),
        }
    }
    Ok(())
}

/// > pct-encoded = "%" HEXDIG HEXDIG (3986 section 2.1)
fn digit(byte: Option<&u8>) -> Option<u8> {
    let digit = char::from(*byte?).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Status::{BadRequest, MisdirectedRequest, NotFound};

    #[track_caller]
    fn form(method: Method, target: &str, expected: Result<Target<'_>, Status>) {
        assert_eq!(Target::parse(method, target.as_bytes()), expected, "{target}");
    }

    #[test]
    fn there_are_four_forms() {
        for (target, path, query) in
            [("/a?b?c", "/a", "?b?c"), ("//a", "//a", ""), ("/?", "/", "?"), ("/a/b", "/a/b", "")]
        {
            let (path, query) = (path.as_bytes(), query.as_bytes());
            form(Method::Get, target, Ok(Target::Origin { path, query }));
        }
        for (target, authority, path, query) in [
            ("http://h/p?q", "h", "/p", "?q"),
            ("HTTP://h:80", "h:80", "/", ""),
            ("http://h?x/y", "h", "/", "?x/y"),
            ("http://[::1]/", "[::1]", "/", ""),
        ] {
            let (authority, path) = (authority.as_bytes(), path.as_bytes());
            let query = query.as_bytes();
            form(Method::Get, target, Ok(Target::Absolute { authority, path, query }));
        }
        form(Method::Connect, "h:443", Ok(Target::Authority));
        form(Method::Options, "*", Ok(Target::Asterisk));
    }

    #[test]
    fn what_has_none_of_them_is_refused() {
        for target in [
            "*",
            "a",
            "h:80",
            "@h/x",
            "http:/h",
            "http://",
            "http:///p",
            "http://u@h/",
            "://h/",
            "1http://h/",
            "http://h h/",
            "http://h/#f",
            "/a#f",
            "/\u{e4}",
            "/a\x7f",
            "/a\tb",
            "?a",
        ] {
            form(Method::Get, target, Err(BadRequest));
        }
        form(Method::Options, "*/x", Err(BadRequest));
        for target in ["/", "h", "h:", "h:0", "*", "http://h:80/"] {
            form(Method::Connect, target, Err(BadRequest));
        }
        form(Method::Get, "https://h/", Err(MisdirectedRequest));
        form(Method::Get, "ftp://h/", Err(MisdirectedRequest));
    }

    fn origin(path: &(impl AsRef<[u8]> + ?Sized)) -> Target<'_> {
        Target::Origin { path: path.as_ref(), query: b"" }
    }

    #[track_caller]
    fn resolve(path: &str, expected: Result<(&str, bool), Status>) {
        let mut scratch = b"left over".to_vec();
        let target = origin(path);
        let resolved = target.resolve(&mut scratch);
        let resolved = resolved.map(|path| (path.bytes.to_vec(), path.is_directory));
        let expected =
            expected.map(|(bytes, is_directory)| (bytes.as_bytes().to_vec(), is_directory));
        assert_eq!(resolved, expected, "{path}");
    }

    #[test]
    fn paths_are_decoded_once_and_dot_segments_removed() {
        for (path, bytes, is_directory) in [
            ("/", "", true),
            ("/a", "a", false),
            ("/a/", "a", true),
            ("/a/b.c", "a/b.c", false),
            ("/a%20b", "a b", false),
            ("/a%2eb/%7E", "a.b/~", false),
            ("/%252e%252e/a", "%2e%2e/a", false),
            ("/./a", "a", false),
            ("/a/.", "a", true),
            ("/a/..", "", true),
            ("/a/../b", "b", false),
            ("/../../a", "a", false),
            ("/a/../../b", "b", false),
            ("/a/b/../c/", "a/c", true),
            ("/%2e%2e/a", "a", false),
            ("/.%2E/a", "a", false),
            ("/a/%2e", "a", true),
            ("//a", "a", false),
            ("//evil.example/..", "", true),
            ("/a//b", "a/b", false),
            ("///", "", true),
            ("/..;/a", "..;/a", false),
            ("/....//a", "..../a", false),
            ("/..%5ca", "..\\a", false),
            ("/...", "...", false),
        ] {
            resolve(path, Ok((bytes, is_directory)));
        }
    }

    #[test]
    fn broken_and_dangerous_escapes_are_refused() {
        for path in [
            "/%",
            "/%1",
            "/%zz",
            "/%u002e",
            "/%%32%65",
            "/a%",
            "/%00",
            "/a%00.html",
            "/%0d%0aX",
            "/%7f",
        ] {
            resolve(path, Err(BadRequest));
        }
        for path in ["/a%2fb", "/%2F", "/..%2f..%2fetc/passwd"] {
            resolve(path, Err(NotFound));
        }
        assert_eq!(Target::Asterisk.resolve(&mut Vec::new()), Err(BadRequest));
    }

    #[test]
    fn other_bytes_are_opaque() {
        let mut scratch = Vec::new();
        let target = origin(b"/%c0%ae%c0%ae/%ff");
        assert_eq!(target.resolve(&mut scratch).unwrap().bytes, b"\xc0\xae\xc0\xae/\xff");
    }

    #[test]
    fn names_with_a_leading_dot_are_hidden() {
        let hidden = |path: &str| {
            let target = origin(path);
            target.resolve(&mut Vec::new()).unwrap().is_hidden
        };
        for path in ["/.git/config", "/a/.b", "/%2ehtpasswd", "/a/.well-known", "/.well-known/.x"] {
            assert!(hidden(path), "{path}");
        }
        for path in ["/", "/a.b", "/.well-known/acme", "/./a", "/a/.", "/%2e/a"] {
            assert!(!hidden(path), "{path}");
        }
    }

    #[test]
    fn plain_paths_do_not_touch_the_scratch_space() {
        let mut scratch = Vec::new();
        let target = origin(b"/static/app.js");
        assert_eq!(target.resolve(&mut scratch).unwrap().bytes, b"static/app.js");
        assert_eq!(scratch.capacity(), 0);
    }
}
