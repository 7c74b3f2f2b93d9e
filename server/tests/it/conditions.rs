//! Validators and conditional requests.

use std::time::{Duration, SystemTime};

use httpdate::{fmt_http_date, parse_http_date};

use crate::client::{Answer, Client};
use crate::drivers::on_each_driver;
use crate::server::Server;
use crate::site::Site;

/// Sun, 06 Nov 1994 08:49:37 GMT
const MODIFIED: Duration = Duration::from_secs(784_111_777);

/// A file of that time.
fn site() -> Site {
    let site = Site::with(&[("file", "content"), ("other", "other content")]);
    site.open("file").set_modified(SystemTime::UNIX_EPOCH + MODIFIED).unwrap();
    site
}

/// The answer about the file, with these field lines.
fn ask(client: &mut Client, method: &str, lines: &str) -> Answer {
    client.ask(format!("{method} /file HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
}

#[track_caller]
fn check(client: &mut Client, status: u16, lines: &str) {
    for method in ["GET", "HEAD"] {
        let answer = ask(client, method, lines);
        assert_eq!(answer.status, status, "{method} {lines:?}");
        let has_content = status == 200 && method == "GET";
        assert_eq!(answer.content, if has_content { &b"content"[..] } else { b"" });
        assert!(answer.field("ETag").is_some() && answer.field("Last-Modified").is_some());
    }
}

#[test]
fn tags_are_strong_and_of_one_length_and_differ_from_file_to_file() {
    on_each_driver(|driver| {
        let site = site();
        site.write("empty", "");
        let server = Server::start(&site, driver, "");
        let mut client = Client::connect(server.address());
        let mut tag = |path| client.get(path).the("ETag").to_owned();
        let tags = ["/file", "/other", "/empty"].map(&mut tag);
        assert_eq!(tags, ["/file", "/other", "/empty"].map(&mut tag));
        for tag in &tags {
            assert_eq!((tag.len(), tag.matches('"').count()), (tags[0].len(), 2), "{tag}");
            assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
        }
        assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2]);
    });
}

#[test]
fn the_tag_of_the_file_is_answered_with_304() {
    on_each_driver(|driver| {
        let site = site();
        let server = Server::start(&site, driver, "");
        let mut client = Client::connect(server.address());
        let tag = client.get("/file").the("ETag").to_owned();
        let long = format!("\"{}\"", "x".repeat(8000));
        for (status, tags) in [
            (304, tag.clone()),
            (304, format!("W/{tag}")),
            (304, format!("\"x\", W/\"y\", {tag}")),
            (304, format!("{tag},\"x\"")),
            (304, "*".into()),
            (304, format!("{long}, {tag}")),
            (200, "\"x\"".into()),
            (200, "W/\"x\", \"y\"".into()),
            (200, tag.to_uppercase()),
            (200, tag.trim_matches('"').into()),
            (200, format!("\"x\" {tag}")),
            (200, String::new()),
            (200, long),
        ] {
            check(&mut client, status, &format!("If-None-Match: {tags}\r\n"));
        }
        for (status, lines) in [
            (304, format!("If-None-Match: \"x\"\r\nX: y\r\nIf-None-Match: {tag}\r\n")),
            (304, format!("If-None-Match: , {tag}\r\nIf-None-Match:\r\n")),
            (200, "If-None-Match: \"x\"\r\nIf-None-Match: \"y\"\r\n".into()),
            (200, format!("If-None-Match: {tag}\r\nIf-None-Match: *\r\n")),
        ] {
            check(&mut client, status, &lines);
        }
        let missing = "GET /none HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n";
        assert_eq!(client.ask(missing).status, 404);
    });
}

#[test]
fn a_date_that_is_not_earlier_is_answered_with_304() {
    on_each_driver(|driver| {
        let site = site();
        let server = Server::start(&site, driver, "");
        let mut client = Client::connect(server.address());
        let modified = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(client.get("/file").the("Last-Modified"), modified);
        for (status, date) in [
            (304, modified),
            (304, "Sunday, 06-Nov-94 08:49:37 GMT"),
            (304, "Sun Nov  6 08:49:37 1994"),
            (304, "Sun, 06 Nov 1994 08:49:38 GMT"),
            (304, "Fri, 01 Jan 2038 00:00:00 GMT"),
            (200, "Sun, 06 Nov 1994 08:49:36 GMT"),
            (200, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (200, "yesterday"),
            (200, "784111777"),
            (200, ""),
        ] {
            check(&mut client, status, &format!("If-Modified-Since: {date}\r\n"));
        }
    });
}

#[test]
fn tags_take_precedence_over_dates() {
    on_each_driver(|driver| {
        let site = site();
        let server = Server::start(&site, driver, "");
        let mut client = Client::connect(server.address());
        let tag = client.get("/file").the("ETag").to_owned();
        let (same, earlier) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:36 GMT");
        for (status, tag, date) in
            [(200, "\"x\"", same), (304, &tag, earlier), (304, &tag, same), (200, "x", same)]
        {
            let lines = format!("If-Modified-Since: {date}\r\nIf-None-Match: {tag}\r\n");
            check(&mut client, status, &lines);
        }
    });
}

#[test]
fn a_304_says_what_the_200_would_have_said_of_the_file() {
    on_each_driver(|driver| {
        let site = site();
        let server = Server::start(&site, driver, "");
        let mut client = Client::connect(server.address());
        let whole = client.get("/file");
        let lines = format!("If-None-Match: {}\r\n", whole.the("ETag"));
        let answer = ask(&mut client, "GET", &lines);
        assert_eq!(answer.status, 304);
        for field in ["ETag", "Last-Modified", "Server"] {
            assert_eq!(answer.the(field), whole.the(field));
        }
        assert!(answer.field("Date").is_some());
    });
}

#[test]
fn no_file_is_from_the_future_or_from_before_1970() {
    on_each_driver(|driver| {
        let site = site();
        let later = SystemTime::now() + Duration::from_secs(1_000_000);
        site.open("file").set_modified(later).unwrap();
        let earlier = SystemTime::UNIX_EPOCH - Duration::from_secs(5);
        site.open("other").set_modified(earlier).unwrap();
        let server = Server::start(&site, driver, "");
        let mut client = Client::connect(server.address());
        let answer = client.get("/file");
        let date = |name| parse_http_date(answer.the(name)).unwrap();
        assert!(date("Last-Modified") <= date("Date"));
        let epoch = fmt_http_date(SystemTime::UNIX_EPOCH);
        assert_eq!(client.get("/other").the("Last-Modified"), epoch);
    });
}
