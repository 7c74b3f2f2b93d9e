use super::*;
use crate::conditional::{Evaluation, Validators};

fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

#[track_caller]
fn reject(head: impl AsRef<[u8]>, status: Status) {
    assert_eq!(Request::parse(head.as_ref()), Err(status), "{}", head.as_ref().escape_ascii());
}

#[track_caller]
fn accept(head: &str) -> Request<'_> {
    Request::parse(head.as_bytes()).unwrap_or_else(|status| panic!("{status:?} for {head:?}"))
}

#[test]
fn a_plain_request_is_understood() {
    let head = "GET /a?b HTTP/1.1\r\nHost: example.org\r\nUser-Agent: x\r\n\r\n";
    let request = accept(head);
    assert_eq!(request.method, Method::Get);
    assert_eq!(request.version, Version::Http11);
    assert_eq!(request.host, Some(&b"example.org"[..]));
    assert_eq!(request.framing, Framing::None);
    assert!(request.keep_alive);
    assert!(!request.expects_continue);
}

#[test]
fn a_request_line_has_exactly_two_spaces() {
    for line in [
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET / ",
        "GET /",
        "GET",
        "",
        "G ET / HTTP/1.1",
        "G/T / HTTP/1.1",
        "G\0T / HTTP/1.1",
    ] {
        reject(format!("{line}\r\nHost: a\r\n\r\n"), Status::BadRequest);
    }
    reject(b"\xefET / HTTP/1.1\r\nHost: a\r\n\r\n", Status::BadRequest);
}

#[test]
fn versions_are_one_digit_each() {
    for (version, expected) in [
        ("HTTP/1.0", Ok(Version::Http10)),
        ("HTTP/1.1", Ok(Version::Http11)),
        ("HTTP/1.9", Ok(Version::Http11)),
        ("HTTP/2.0", Err(Status::VersionNotSupported)),
        ("HTTP/0.9", Err(Status::VersionNotSupported)),
        ("HTTP/9.9", Err(Status::VersionNotSupported)),
        ("HTTP/01.1", Err(Status::BadRequest)),
        ("HTTP/1.11", Err(Status::BadRequest)),
        ("HTTP/1", Err(Status::BadRequest)),
        ("HTTP/1.", Err(Status::BadRequest)),
        ("HTTP/", Err(Status::BadRequest)),
        ("HTT/1.1", Err(Status::BadRequest)),
        ("http/1.1", Err(Status::BadRequest)),
        ("ICE/1.0", Err(Status::BadRequest)),
        ("HTTP/4294967295.255", Err(Status::BadRequest)),
        ("HTTP/1,1", Err(Status::BadRequest)),
    ] {
        assert_eq!(parse_version(version.as_bytes()), expected, "{version}");
    }
}

#[test]
fn unknown_methods_are_known_to_be_unknown() {
    for (line, method) in [
        ("HEAD / HTTP/1.1", Method::Head),
        ("OPTIONS * HTTP/1.1", Method::Options),
        ("CONNECT a:80 HTTP/1.1", Method::Connect),
        ("get / HTTP/1.1", Method::Unknown),
        ("FOO / HTTP/1.1", Method::Unknown),
    ] {
        assert_eq!(accept(&format!("{line}\r\nHost: a\r\n\r\n")).method, method, "{line}");
    }
}

#[test]
fn one_valid_host_is_needed_since_1_1() {
    reject("GET / HTTP/1.1\r\n\r\n", Status::BadRequest);
    reject("GET / HTTP/1.1\r\nHost:\r\n\r\n", Status::BadRequest);
    reject("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Status::BadRequest);
    reject("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Status::BadRequest);
    reject("GET / HTTP/1.0\r\nHost: a/b\r\n\r\n", Status::BadRequest);
    assert_eq!(accept("GET / HTTP/1.0\r\n\r\n").host, None);
    let absolute = "GET http://b:81/x HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(accept(absolute).host, Some(&b"b:81"[..]));
}

#[test]
fn malformed_fields_are_refused() {
    for fields in [
        "a : b\r\n",
        "a\t: b\r\n",
        ": b\r\n",
        "a\r\n",
        "a(: b\r\n",
        "\"a\": b\r\n",
        "a: b\r\n c\r\n",
        " a: b\r\n",
        "a: b\0c\r\n",
        "a: b\x01c\r\n",
        "a: b\x7fc\r\n",
        "a\u{e4}: b\r\n",
    ] {
        reject(get(fields), Status::BadRequest);
    }
    reject("GET / HTTP/1.1\r\n Host: a\r\n\r\n", Status::BadRequest);
    accept(&get("a: b\tc\u{e4}\r\nempty:\r\n"));
}

#[test]
fn many_fields_are_fine_up_to_the_limit() {
    accept(&get(&"a: b\r\n".repeat(FIELDS_MAX - 1)));
    reject(get(&"a: b\r\n".repeat(FIELDS_MAX)), Status::FieldsTooLarge);
}

#[test]
fn framing_and_persistence_come_from_their_fields() {
    assert_eq!(accept(&get("Content-Length: 5\r\n")).framing, Framing::Length(5));
    assert_eq!(accept(&get("TRANSFER-ENCODING: chunked\r\n")).framing, Framing::Chunked);
    assert!(!accept(&get("Connection: x\r\nconnection: close\r\n")).keep_alive);
    assert!(accept("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
    reject(get("Content-Length: 5\r\nContent-Length: 5\r\n"), Status::BadRequest);
    reject(get("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), Status::BadRequest);
}

#[test]
fn expectations_are_met_or_failed() {
    assert!(accept(&get("Expect: 100-Continue\r\nContent-Length: 5\r\n")).expects_continue);
    assert!(!accept(&get("Expect: 100-continue\r\n")).expects_continue);
    for list in ["100-continue,", ", 100-continue", "\r\nExpect: 100-continue"] {
        let head = get(&format!("Expect: {list}\r\nContent-Length: 5\r\n"));
        assert!(accept(&head).expects_continue, "{list:?}");
    }
    for empty in ["", " ", ",", " , ,"] {
        let head = get(&format!("Expect:{empty}\r\nContent-Length: 5\r\n"));
        assert!(!accept(&head).expects_continue, "{empty:?}");
    }
    for other in ["other", "100-continue, x", "100-continue\r\nExpect: x"] {
        reject(get(&format!("Expect: {other}\r\n")), Status::ExpectationFailed);
    }
    assert!(!accept("GET / HTTP/1.0\r\nExpect: other\r\n\r\n").expects_continue);
}

#[test]
fn lines_of_tags_are_one_list_and_a_date_that_is_repeated_is_none() {
    let validators = Validators { etag: b"\"b\"", last_modified: 784_111_777 };
    let date = "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    for (fields, expected) in [
        ("If-None-Match: \"b\"\r\n", Evaluation::NotModified),
        ("If-None-Match: \"a\"\r\nIf-None-Match: \"b\"\r\n", Evaluation::NotModified),
        ("If-None-Match: \"a\"\r\nX: y\r\nif-none-match: \"b\"\r\n", Evaluation::NotModified),
        ("If-None-Match: \"a\"\r\nIf-None-Match: \"c\"\r\n", Evaluation::Proceed),
        (date, Evaluation::NotModified),
        (&date.repeat(2), Evaluation::Proceed),
        (&format!("{}If-None-Match: \"b\"\r\n", date.repeat(2)), Evaluation::NotModified),
    ] {
        let head = get(fields);
        assert_eq!(accept(&head).conditions.evaluate(&validators), expected, "{fields:?}");
    }
}
