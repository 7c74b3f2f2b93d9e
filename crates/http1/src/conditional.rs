//! Conditional requests (9110 section 13).

use memchr::memchr;

use crate::date::parse_date;
use crate::field::trim;

/// The preconditions of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions<'a> {
    /// `If-None-Match`.
    pub if_none_match: Option<Tags<'a>>,
    /// `If-Modified-Since`: the value of the one field line.
    pub if_modified_since: Option<&'a [u8]>,
}

/// A list of entity tags, or `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tags<'a> {
    /// The value of the one field line.
    Line(&'a [u8]),
    /// The whole header section, with several lines of the field, which make one list (9110 section
    /// 5.3). They are looked for again when they are needed: hardly any request has them, and keeping
    /// their values would take memory.
    Section(&'a [u8]),
}

/// What a representation is compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validators<'a> {
    /// The entity tag, with its quotes.
    pub etag: &'a [u8],
    /// The time of the last change, in seconds since 1970.
    pub last_modified: u64,
}

/// What the preconditions come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evaluation {
    /// Answer as if there were none.
    Proceed,
    /// Answer 304 (Not Modified).
    NotModified,
}

impl Conditions<'_> {
    /// Evaluates the preconditions of a GET or HEAD in the order of 9110 section 13.2.2:
    ///
    /// > 3. When If-None-Match is present, evaluate the If-None-Match precondition:
    /// >    if true, continue to step 5; if false for GET/HEAD, respond 304 (Not Modified)
    /// > 4. When the method is GET or HEAD, If-None-Match is not present, and If-Modified-Since is
    /// >    present, evaluate the If-Modified-Since precondition: if true, continue to step 5;
    /// >    if false, respond 304 (Not Modified)
    #[inline]
    #[must_use]
    pub fn evaluate(&self, validators: &Validators<'_>) -> Evaluation {
        let is_unchanged = match (self.if_none_match, self.if_modified_since) {
            (None, None) => false,
            (Some(tags), _) => tags.match_any(validators.etag),
            (None, Some(date)) => {
                parse_date(date).is_some_and(|date| validators.last_modified <= date)
            }
        };
        if is_unchanged { Evaluation::NotModified } else { Evaluation::Proceed }
    }
}

impl Tags<'_> {
    /// Whether any of them matches `etag` by the weak comparison (9110 section 8.8.3.2). A list that
    /// breaks the grammar (section 8.8.3) matches nothing.
    fn match_any(self, etag: &[u8]) -> bool {
        match self {
            Self::Line(value) => trim(value) == b"*" || find(value, etag) == Some(true),
            Self::Section(section) => {
                let mut lists = values(section, b"if-none-match");
                lists.try_fold(false, |is_match, list| Some(is_match | find(list, etag)?))
                    == Some(true)
            }
        }
    }
}

/// The values of the field lines of that name, in a header section that is well-formed.
fn values<'a>(section: &'a [u8], name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    section.split(|&byte| byte == b'\n').filter_map(move |line| {
        let colon = memchr(b':', line)?;
        let is_it = line[..colon].eq_ignore_ascii_case(name);
        let value = &line[colon + 1..];
        is_it.then(|| value.strip_suffix(b"\r").unwrap_or(value))
    })
}

/// Whether `etag` is in a list of entity tags; none if that breaks the grammar.
fn find(list: &[u8], etag: &[u8]) -> Option<bool> {
    let mut rest = trim(list);
    let mut is_match = false;
    loop {
        // > A recipient MUST parse and ignore a reasonable number of empty list elements
        // (9110 section 5.6.1.2)
        while let Some(after) = rest.strip_prefix(b",") {
            rest = trim(after);
        }
        if rest.is_empty() {
            return Some(is_match);
        }
        let (tag, after) = take_tag(rest)?;
        is_match |= tag == etag;
        rest = trim(after);
        if !rest.is_empty() && !rest.starts_with(b",") {
            return None;
        }
    }
}

/// The opaque tag, with quotes and without `W/`, that `list` begins with, and what follows it.
fn take_tag(list: &[u8]) -> Option<(&[u8], &[u8])> {
    let opaque = list.strip_prefix(b"W/").unwrap_or(list);
    let inside = opaque.strip_prefix(b"\"")?;
    let end = inside.iter().position(|&byte| byte == b'"')? + 2;
    Some(opaque.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALIDATORS: Validators<'_> = Validators { etag: b"\"abc\"", last_modified: 784_111_777 };

    #[track_caller]
    fn check(if_none_match: Option<&str>, if_modified_since: Option<&str>, expected: Evaluation) {
        let conditions = Conditions {
            if_none_match: if_none_match.map(|value| Tags::Line(value.as_bytes())),
            if_modified_since: if_modified_since.map(str::as_bytes),
        };
        assert_eq!(conditions.evaluate(&VALIDATORS), expected);
    }

    #[test]
    fn a_tag_that_matches_weakly_is_not_modified() {
        for tags in [
            ", \"abc\"",
            "\"x\" ,,\"abc\",",
            "\"abc\"",
            "W/\"abc\"",
            "*",
            " * ",
            "\"x\", W/\"abc\"",
            "\"a,b\" , \"abc\"",
        ] {
            check(Some(tags), None, Evaluation::NotModified);
        }
    }

    #[test]
    fn other_tags_and_broken_lists_match_nothing() {
        for tags in [
            "",
            "abc",
            "\"ABC\"",
            "\"abc",
            "\"x\"\"abc\"",
            "w/\"abc\"",
            "\"x\";\"abc\"",
            "*, \"abc\"",
        ] {
            check(Some(tags), None, Evaluation::Proceed);
        }
    }

    #[test]
    fn several_lines_are_one_list() {
        for (section, expected) in [
            ("If-None-Match: \"x\"\r\nA: \"y\"\r\nif-none-match:\"abc\"\r\n\r\n", true),
            ("If-None-Match: \"abc\"\r\nIf-None-Match:\r\n\r\n", true),
            ("If-None-Match: W/\"abc\",\r\nIf-None-Match: ,\"y\"\t\r\n\r\n", true),
            ("If-None-Match: \"x\"\r\nA: \"abc\"\r\nIf-None-Match: \"y\"\r\n\r\n", false),
            ("If-None-Match: \"abc\"\r\nIf-None-Match: y\r\n\r\n", false),
            ("If-None-Match: \"abc\"\r\nIf-None-Match: *\r\n\r\n", false),
        ] {
            let tags = Tags::Section(section.as_bytes());
            assert_eq!(tags.match_any(VALIDATORS.etag), expected, "{section:?}");
        }
    }

    #[test]
    fn the_date_counts_only_without_tags() {
        let (same, earlier, later) = (
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:36 GMT",
            "Fri, 01 Jan 2038 00:00:00 GMT",
        );
        check(None, Some(same), Evaluation::NotModified);
        check(None, Some(later), Evaluation::NotModified);
        check(None, Some(earlier), Evaluation::Proceed);
        check(None, Some("yesterday"), Evaluation::Proceed);
        check(Some("\"x\""), Some(same), Evaluation::Proceed);
        check(Some("\"abc\""), Some(earlier), Evaluation::NotModified);
    }
}
