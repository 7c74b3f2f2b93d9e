//! Targets: their forms, and the paths that they name.

use super::{answered, check, last};
use crate::client::get;

fn targets(all: &[&str]) -> Vec<String> {
    all.iter().map(|target| get(target)).collect()
}

#[test]
fn a_path_is_decoded_once_and_its_dot_segments_removed() {
    check(&answered(
        200,
        targets(&[
            "/",
            "/?",
            "/a.css?v=1?2&x=%zz",
            "/%61.css",
            "/a%2Ecss",
            "/a%20b.txt",
            "/dir/",
            "/dir//",
            "//dir/index.html",
            "/./a.css",
            "/dir/../a.css",
            "/dir/%2e%2E/a.css",
            "/../../a.css",
            "/dir/sub/../../a.css",
            "/dir/.",
            "/dir/sub/..",
            "//evil.example/..",
            "/.well-known/token",
        ]),
    ));
}

#[test]
fn a_directory_without_its_slash_is_a_redirect() {
    let all = ["/dir", "//dir", "/x/../dir", "/dir/sub", "/dir?x=1", "//dir//sub", "/.well-known"];
    check(&answered(301, targets(&all)));
}

#[test]
fn what_is_not_there_or_not_to_be_seen_is_404() {
    check(&answered(
        404,
        targets(&[
            "/none",
            "/none/",
            "/dir/sub/",
            "/a.css/",
            "/a.css/x",
            "/..%2foutside",
            "/%2F",
            "/dir%2findex.html",
            "/%252e%252e/outside",
            "/..;/outside",
            "/..%5coutside",
            "/....//outside",
            "/%c0%ae%c0%ae/outside",
            "/.hidden",
            "/%2ehidden",
            "/dir/.hidden/file",
            "/dir/.well-known/token",
            "/a.css.",
            "/a.css%20",
            "/A.CSS",
            "/a.css::$DATA",
            "/C:/a.css",
            &format!("/{}", "a".repeat(256)),
            &format!("/{}", "a/".repeat(3000)),
            &format!("/{}none", "../".repeat(2500)),
        ]),
    ));
}

#[test]
fn broken_escapes_and_control_bytes_are_refused() {
    let broken = ["/%", "/%1", "/%zz", "/%u002e", "/%%32%65", "/a%"];
    check(&answered(400, targets(&broken)));
    let control = ["/%00", "/a.css%00", "/a%00.css", "/%0d%0aX", "/%7f", "/%1b"];
    check(&answered(400, targets(&control)));
    check(&last(400, targets(&["/\u{e4}", "/\x7f", "/a\tb", "/\0"])));
}

#[test]
fn a_target_may_name_a_host() {
    check(&answered(
        200,
        targets(&["http://b/?x", "HTTP://b:80", "http://b?x", "http://[::1]/a.css"]),
    ));
    check(&answered(404, targets(&["http://b/none"])));
    check(&last(421, targets(&["https://a/", "ftp://a/a.css", "HTTPS://a"])));
}

#[test]
fn a_target_of_no_form_is_refused() {
    check(&last(
        400,
        targets(&[
            "*",
            "admin",
            "a:80",
            "@a/x",
            "?a",
            "/a.css#f",
            "http:///a.css",
            "http://",
            "http://u@a/",
            "http://a/#f",
            "http:/a.css",
            "://a/",
        ]),
    ));
    check(&last(
        400,
        [
            "OPTIONS */x HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
    ));
}
