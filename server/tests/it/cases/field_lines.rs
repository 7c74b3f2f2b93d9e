//! Field lines: their form, their number, and what those say that matter.

use super::{answered, check, last, last_as_asked};

/// A request with these field lines, without the last line end, beside the Host.
fn with(lines: &[u8]) -> Vec<u8> {
    [b"GET /a.css HTTP/1.1\r\nHost: a\r\n", lines, b"\r\n\r\n"].concat()
}

/// A request with this field value as its Host.
fn host(value: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost:{value}\r\n\r\n")
}

#[test]
fn fields_that_do_not_matter_do_no_harm() {
    let commas = [b"Connection: ".to_vec(), vec![b','; 10_000]].concat();
    check(&answered(
        200,
        [
            &b"X:"[..],
            b"X: \xff\xe4 \t",
            b"X:y",
            b"Upgrade: websocket\r\nConnection: upgrade",
            b"Connection: host, content-length",
            b"Range: bytes=0-0",
            b"Range: bytes=9-0",
            b"If-None-Match: \"a\"\r\nIf-None-Match: *",
            b"If-Modified-Since: yesterday",
            b"Accept-Encoding: gzip, br",
            b"Expect: 100-continue",
            b"Expect:",
            b"Expect: ,",
            &commas,
        ]
        .map(with),
    ));
}

#[test]
fn the_option_close_is_found_wherever_it_stands() {
    check(&last_as_asked(
        200,
        [
            &b"Connection: close"[..],
            b"Connection: CLOSE",
            b"Connection: ,x,, close",
            b"Connection: keep-alive\r\nConnection: close",
        ]
        .map(with),
    ));
    check(&answered(200, [&b"Connection: closed"[..], b"Connection: x-close"].map(with)));
}

#[test]
fn a_field_line_of_another_form_is_refused() {
    check(&last(
        400,
        [
            &b"X : v"[..],
            b"X\t: v",
            b": v",
            b"X",
            b"X: a\r\n folded",
            b"X: a\r\n\tfolded",
            b"X: a\0b",
            b"X: a\x01b",
            b"X: a\x7fb",
            b"X: a\rb",
            b"X\xe4: v",
            b"X(: v",
            b"\"X\": v",
            b"X Y: v",
            b"X@: v",
        ]
        .map(with),
    ));
    check(&last(400, ["GET / HTTP/1.1\r\n Host: a\r\n\r\n"]));
}

#[test]
fn there_is_one_host_and_it_is_one() {
    check(&answered(200, ["a", " a.b.:80\t", " [::1]:8080", " 127.0.0.1", " a_b:"].map(host)));
    check(&last(
        400,
        [
            "",
            " ",
            ":80",
            " a:0",
            " a:65536",
            " a:x",
            " a:1:2",
            " a, b",
            " a b",
            " ..",
            " a..b",
            " u@a",
            " [::1",
            " [::1].",
            " x[::1]",
            " [::1]/../..",
            " ../x",
            " a/b",
            " \u{e4}",
            " a\r\nHost: a",
            " a\r\nHost: b",
        ]
        .map(host),
    ));
    check(&last(
        400,
        [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nX: y\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n",
        ],
    ));
}

#[test]
fn expectations_of_something_else_fail() {
    check(&last(417, [&b"Expect: something else"[..], b"Expect: 100-continue, x"].map(with)));
    check(&answered(200, ["GET / HTTP/1.0\r\nConnection: keep-alive\r\nExpect: x\r\n\r\n"]));
}

/// A request with so many field lines, which are so long together, line ends included.
fn section(len: usize, lines: usize) -> String {
    let some = "X: y\r\n".repeat(lines - 2);
    let rest = len - "Host: a\r\n".len() - some.len() - "Z: \r\n".len();
    format!("GET / HTTP/1.1\r\nHost: a\r\n{some}Z: {}\r\n\r\n", "z".repeat(rest))
}

#[test]
fn fields_are_100_at_most_and_32_kib_together() {
    let most = 32 << 10;
    check(&answered(200, [section(most, 2), section(most, 100), section(4000, 100)]));
    check(&last(431, [section(most + 1, 2), section(most + 1, 100), section(60_000, 2)]));
    check(&last(431, [section(4000, 101), section(20_000, 1000)]));
}
