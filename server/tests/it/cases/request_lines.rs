//! Request lines: methods, versions, and what is no request at all.

use super::{answered, check, last, last_as_asked};

fn version(version: &str) -> String {
    format!("GET / {version}\r\nHost: a\r\n\r\n")
}

fn method(method: &str) -> String {
    format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn a_request_line_is_three_words_with_one_space_between_them() {
    check(&answered(
        200,
        [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            // A few empty lines before it are ignored.
            "\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
    ));
    check(&last(
        400,
        [
            "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /\tHTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
            " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /HTTP/1.1\r\nHost: a\r\n\r\n",
            "/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /\r\n",
            "GET\r\n",
        ],
    ));
}

#[test]
fn a_line_ends_with_cr_and_lf_and_neither_stands_alone() {
    check(&last(
        400,
        [
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
            "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\rHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
            "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
    ));
}

#[test]
fn a_later_minor_version_is_as_good_as_1_1() {
    check(&answered(200, ["HTTP/1.1", "HTTP/1.2", "HTTP/1.9"].map(version)));
}

#[test]
fn http_1_0_goes_on_only_when_asked_to() {
    check(&answered(
        200,
        [
            "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            "GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\nHost: a\r\n\r\n",
        ],
    ));
    check(&last_as_asked(
        200,
        [
            "GET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
        ],
    ));
    check(&last_as_asked(404, ["GET /none HTTP/1.0\r\n\r\n"]));
}

#[test]
fn other_versions_are_not_supported_and_what_is_no_version_is_refused() {
    check(&last(505, ["HTTP/2.0", "HTTP/0.9", "HTTP/3.0", "HTTP/9.9"].map(version)));
    check(&last(505, ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]));
    let none = [
        "HTTP/01.1",
        "HTTP/1.11",
        "HTTP/1",
        "HTTP/1.",
        "HTTP/",
        "HTT/1.1",
        "http/1.1",
        "ICE/1.0",
        "HTTP/4294967295.255",
        "HTTP/1,1",
    ];
    check(&last(400, none.map(version)));
}

#[test]
fn methods_that_files_do_not_have_are_not_allowed_and_others_not_known() {
    let known = ["POST", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS"];
    check(&answered(405, known.map(method)));
    let unknown = ["FOO", "get", "GETS", "M-SEARCH", "!", &"X".repeat(4000)];
    check(&answered(501, unknown.map(method)));
    check(&answered(
        405,
        [
            "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        ],
    ));
    let no_tokens = ["G ET", "G\0ET", "G/T", "GET:", "\"GET\"", "G\u{e4}T"];
    check(&last(400, no_tokens.map(method)));
}

#[test]
fn what_is_no_http_is_refused() {
    check(&last(
        400,
        [
            // The beginning of a TLS handshake.
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
            b"SSH-2.0-OpenSSH_9.2p1\r\n",
            b"EHLO a.example\r\n",
            b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n",
            b"\r\n\r\n\x00\r\nQUIT\n",
            b"\xff\xfb\x01",
            b"{\"a\": 1}\r\n",
            b"\0",
        ],
    ));
}

#[test]
fn a_request_line_has_up_to_8192_bytes() {
    let line = |len: usize| {
        let query = "q".repeat(len - "GET /a.css? HTTP/1.1".len());
        format!("GET /a.css?{query} HTTP/1.1\r\nHost: a\r\n\r\n")
    };
    check(&answered(200, [line(8000), line(8192)]));
    check(&last(414, [line(8193), line(20_000)]));
    let endless = ["GET /", "G"].map(|begin| format!("{begin}{}", "A".repeat(9000)));
    check(&last(414, endless));
}
