//! What is answered to GET and HEAD.

use std::time::{Duration, SystemTime};

use httpdate::parse_http_date;

use crate::client::{Client, get};
use crate::drivers::on_each_driver;
use crate::server::Server;
use crate::site::Site;
use crate::wait::{WATCHDOG, wait_until};

#[test]
fn head_gets_the_head_of_get_and_no_content() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let long = "long ".repeat(100_000);
        site.write("long", &long);
        let server = Server::start(&site, driver, "");
        let mut client = Client::connect(server.address());
        for (path, status) in [
            ("/", 200),
            ("/a.css", 200),
            ("/long", 200),
            ("/dir/", 200),
            ("/dir", 301),
            ("/none", 404),
            ("/%00", 400),
        ] {
            let from_get = client.get(path);
            let from_head = client.ask(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
            assert_eq!(from_get.status, status, "{path}");
            assert_eq!(from_head.timeless(), from_get.timeless(), "{path}");
            assert!(from_head.content.is_empty());
            assert_eq!(from_get.the("Content-Length"), from_get.content.len().to_string());
        }
    });
}

#[test]
fn a_refused_head_request_gets_no_content_either() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let server = Server::start(&site, driver, "");
        for (request, status) in [
            ("HEAD / HTTP/1.1\r\n\r\n".into(), 400),
            ("\r\nHEAD / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n".into(), 400),
            ("HEAD / HTTP/2.0\r\n\r\n".into(), 505),
            (format!("HEAD /{} HTTP/1.1\r\n", "a".repeat(9000)), 414),
            (format!("HEAD / HTTP/1.1\r\nHost: a\r\nX: {}\r\n", "a".repeat(40_000)), 431),
        ] {
            let mut client = Client::connect(server.address());
            client.send(&request);
            let answer = client.try_head().expect("a whole head");
            assert_eq!(answer.status, status, "{request}");
            assert!(answer.is_last());
            client.assert_ended();
        }
    });
}

#[test]
fn a_directory_is_its_index_or_a_redirect_to_the_path_with_a_slash() {
    on_each_driver(|driver| {
        let site = Site::usual();
        site.write("\u{e4} &/50%/index.html", "strange");
        std::fs::create_dir(site.path("empty")).unwrap();
        let server = Server::start(&site, driver, "");
        let mut client = Client::connect(server.address());
        assert_eq!(client.get("/").text(), "<p>the index</p>");
        assert_eq!(client.get("/dir/").text(), "<p>the index of dir</p>");
        assert_eq!(client.get("/empty/").status, 404);
        for (path, location) in [
            ("/dir", "/dir/"),
            ("/dir/sub", "/dir/sub/"),
            ("//dir", "/dir/"),
            ("///dir", "/dir/"),
            ("//evil.example/../dir", "/dir/"),
            ("/%64ir", "/dir/"),
            ("/dir//sub", "/dir/sub/"),
            ("/dir?x=1&y=%C3%A4/?", "/dir/?x=1&y=%C3%A4/?"),
            ("//dir?//evil.example", "/dir/?//evil.example"),
            ("/dir?x=\"y\"", "/dir/"),
            ("/%C3%A4%20&", "/%C3%A4%20&/"),
            ("/%C3%A4%20%26/50%25", "/%C3%A4%20&/50%25/"),
        ] {
            let answer = client.get(path);
            assert_eq!((answer.status, answer.the("Location")), (301, location), "{path}");
            assert!(answer.content.is_empty());
        }
        let strange = client.get("/%C3%A4%20&/50%25/");
        assert_eq!((strange.status, strange.text()), (200, "strange"));
    });
}

#[test]
fn another_index_can_be_named() {
    on_each_driver(|driver| {
        let site = Site::with(&[("index.html", "index"), ("home.txt", "home")]);
        let server = Server::start(&site, driver, "--set index=home.txt");
        let answer = Client::connect(server.address()).get("/");
        assert_eq!(answer.text(), "home");
        assert_eq!(answer.the("Content-Type"), "text/plain; charset=utf-8");
    });
}

#[test]
fn types_follow_the_name() {
    on_each_driver(|driver| {
        let site = Site::new();
        let types = [
            ("a.html", "text/html; charset=utf-8"),
            ("a.CSS", "text/css; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.json", "application/json; charset=utf-8"),
            ("a.svg", "image/svg+xml; charset=utf-8"),
            ("a.png", "image/png"),
            ("a.jpg", "image/jpeg"),
            ("a.webp", "image/webp"),
            ("a.wasm", "application/wasm"),
            ("a.woff2", "font/woff2"),
            ("a.pdf", "application/pdf"),
            ("a.b.unheardof", "application/octet-stream"),
            ("README", "application/octet-stream"),
        ];
        for (name, _) in types {
            site.write(name, "x");
        }
        let server = Server::start(&site, driver, "");
        let mut client = Client::connect(server.address());
        for (name, expected) in types {
            assert_eq!(client.get(&format!("/{name}")).the("Content-Type"), expected, "{name}");
        }
    });
}

#[test]
fn every_answer_tells_date_and_server_and_how_long_it_is() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let server = Server::start(&site, driver, "");
        let before = SystemTime::now() - Duration::from_secs(1);
        for (request, status) in [
            (get("/"), 200),
            (get("/dir"), 301),
            (get("/none"), 404),
            (get("*"), 400),
            ("POST / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 405),
            ("FOO / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 501),
            ("GET / HTTP/2.0\r\n\r\n".into(), 505),
            ("GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n".into(), 304),
        ] {
            let answer = Client::connect(server.address()).ask(request);
            assert_eq!(answer.status, status);
            assert_eq!(answer.the("Server"), "rim");
            let date = parse_http_date(answer.the("Date")).unwrap();
            assert!(date >= before && date <= SystemTime::now(), "{}", answer.the("Date"));
            // The form that is to be sent has a fixed length, and ends so.
            assert!(answer.the("Date").len() == 29 && answer.the("Date").ends_with(" GMT"));
            assert_eq!(answer.field("Content-Length").is_some(), status != 304);
        }
    });
}

#[test]
fn errors_say_what_they_are_in_a_line_of_text() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let server = Server::start(&site, driver, "");
        for (request, text, allow) in [
            (get("/none"), "404 Not Found\n", None),
            (get("/%"), "400 Bad Request\n", None),
            (get("https://a/"), "421 Misdirected Request\n", None),
            (
                "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n".into(),
                "405 Method Not Allowed\n",
                Some("GET, HEAD"),
            ),
            ("FOO / HTTP/1.1\r\nHost: a\r\n\r\n".into(), "501 Not Implemented\n", None),
        ] {
            let answer = Client::connect(server.address()).ask(request);
            assert_eq!(answer.text(), text);
            assert_eq!(answer.the("Content-Type"), "text/plain; charset=utf-8");
            assert_eq!(answer.field("Allow"), allow);
            assert_eq!(answer.field("ETag"), None);
        }
    });
}

#[test]
fn the_date_goes_on() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let server = Server::start(&site, driver, "");
        let mut client = Client::connect(server.address());
        let first = client.get("/").the("Date").to_owned();
        wait_until("another date", || client.get("/").the("Date") != first);
    });
}

#[test]
fn keep_alive_in_http_1_0_is_said_aloud() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let server = Server::start(&site, driver, "");
        let mut client = Client::connect(server.address());
        for _ in 0..3 {
            let answer = client.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
            assert_eq!(answer.field("Connection"), Some("keep-alive"));
        }
        assert_eq!(client.get("/").field("Connection"), None);
        assert!(client.ask("GET / HTTP/1.0\r\n\r\n").is_last());
        assert!(client.ends_within(WATCHDOG));
    });
}
