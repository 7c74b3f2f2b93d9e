//! What requests say about their content: where it ends, or nothing that can be trusted.

use super::{answered, check, last};

/// A request with these field lines.
fn with(lines: &str) -> String {
    format!("GET /a.css HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n")
}

#[test]
fn content_of_a_length_is_dropped() {
    check(&answered(200, [with("Content-Length: 0"), with("Content-Length: 005") + "hello"]));
}

#[test]
fn a_length_is_one_number() {
    check(&last(
        400,
        [
            "Content-Length:",
            "Content-Length: -1",
            "Content-Length: +5",
            "Content-Length: 0x5",
            "Content-Length: 1_0",
            "Content-Length: 5 5",
            "Content-Length: 5,",
            "Content-Length: 5, 5",
            "Content-Length: 5;",
            "Content-Length: 1Z",
            "Content-Length: 18446744073709551616",
            "Content-Length: 9999999999999999999999999999999999999999",
            "Content-Length: 5\r\nContent-Length: 5",
            "Content-Length: 5\r\nContent-Length: 6",
        ]
        .map(with),
    ));
}

#[test]
fn codings_end_with_chunked_and_have_no_length_beside_them() {
    check(&last(
        400,
        [
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
            "Transfer-Encoding: gzip",
            "Transfer-Encoding: identity",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: ,chunked",
            "Transfer-Encoding: chunked, gzip",
            "Transfer-Encoding: chunked, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\x0b",
            "Transfer-Encoding:",
        ]
        .map(with),
    ));
    check(&last(501, [with("Transfer-Encoding: gzip, chunked")]));
    check(&last(400, ["GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"]));
}

#[test]
fn content_that_is_not_dropped_ends_the_connection() {
    check(&last(
        200,
        ["Transfer-Encoding: chunked", "Expect: 100-continue\r\nContent-Length: 5"].map(with),
    ));
    check(&last(
        413,
        [
            "Content-Length: 18446744073709551615",
            "Content-Length: 10000000",
            "Content-Length: 65537",
            "Expect: 100-continue\r\nContent-Length: 65537",
        ]
        .map(with),
    ));
    // Whether there is such a file makes no difference.
    check(&last(413, ["GET /none HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n"]));
    check(&last(
        405,
        [
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhello",
        ],
    ));
}
