//! Conditional requests (9110 section 13).

use crate::date::parse_date;
use crate::field::trim;

/// The preconditions of a request: the values of the field lines of that name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions<'a> {
    /// `If-None-Match`.
    pub if_none_match: Option<&'a [u8]>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<&'a [u8]>,
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
            (Some(tags), _) => matches_any(tags, validators.etag),
            (None, Some(date)) => {
                parse_date(date).is_some_and(|date| validators.last_modified <= date)
            }
        };
        if is_unchanged { Evaluation::NotModified } else { Evaluation::Proceed }
    }
}

/// Whether a list of entity tags, or `*`, matches `etag` by the weak comparison (9110 section
/// 8.8.3.2). A list that breaks the grammar (section 8.8.3) matches nothing.
fn matches_any(list: &[u8], etag: &[u8]) -> bool {
    if trim(list) == b"*" {
        return true;
    }
    let mut rest = trim(list);
    let mut is_match = false;
    loop {
        // > A recipient MUST parse and ignore a reasonable number of empty list elements
        // (9110 section 5.6.1.2)
        while let Some(after) = rest.strip_prefix(b",") {
            rest = trim(after);
        }
        if rest.is_empty() {
            return is_match;
        }
        let Some((tag, after)) = take_tag(rest) else {
            return false;
        };
        is_match |= tag == etag;
        rest = trim(after);
        if !rest.is_empty() && !rest.starts_with(b",") {
            return false;
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
            if_none_match: if_none_match.map(str::as_bytes),
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
