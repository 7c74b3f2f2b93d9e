//! Content of requests: nothing here wants it, and none of it is taken for a request.

use crate::client::{Client, get};
use crate::drivers::on_each_driver;
use crate::server::Server;
use crate::site::{Site, noise};

/// What looks like a request, and is content.
const SMUGGLED: &str = "GET /a.css HTTP/1.1\r\nHost: a\r\n\r\n";

fn with_content(method: &str, content: &[u8]) -> Vec<u8> {
    let len = content.len();
    let head = format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n");
    [head.as_bytes(), content].concat()
}

#[test]
fn content_is_never_taken_for_a_request() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let server = Server::start(&site, driver, "");
        let mut client = Client::connect(server.address());
        for (method, status) in [("GET", 200), ("POST", 405), ("PUT", 405), ("FOO", 501)] {
            client.send(with_content(method, SMUGGLED.as_bytes()));
            assert_eq!(client.answer().status, status, "{method}");
            assert_eq!(client.get("/dir/sub/file").text(), "deep", "{method}");
        }
        let answer = client.ask(with_content("HEAD", SMUGGLED.as_bytes()));
        assert_eq!((answer.status, answer.content.len()), (200, 0));
        assert_eq!(client.get("/dir/sub/file").text(), "deep");
    });
}

#[test]
fn content_may_come_later_and_in_pieces() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let server = Server::start(&site, driver, "");
        let mut client = Client::connect(server.address());
        let request = with_content("POST", &noise(1, 65_536));
        let head = request.len() - 65_536;
        client.send(&request[..head + 1]);
        // The answer does not wait for it.
        assert_eq!(client.answer().status, 405);
        for piece in request[head + 1..].chunks(10_000) {
            client.send(piece);
        }
        assert_eq!(client.get("/dir/sub/file").text(), "deep");
    });
}

#[test]
fn chunks_end_the_connection_and_are_never_taken_for_a_request() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let server = Server::start(&site, driver, "");
        let chunk = format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n{SMUGGLED}", SMUGGLED.len());
        for (method, status) in [("GET", 200), ("POST", 405)] {
            let mut client = Client::connect(server.address());
            let head = format!("{method} / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked");
            client.send(format!("{head}\r\n\r\n{chunk}"));
            let answer = client.answer();
            assert_eq!(answer.status, status);
            assert!(answer.is_last());
            client.assert_ended();
        }
    });
}

#[test]
fn who_asks_whether_to_send_gets_the_answer_at_once() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let server = Server::start(&site, driver, "");
        for (method, status) in [("GET", 200), ("POST", 405)] {
            let head = format!("{method} / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n");
            let mut client = Client::connect(server.address());
            client.send(format!("{head}Content-Length: 33\r\n\r\n"));
            let answer = client.answer();
            assert_eq!(answer.status, status);
            // Whether the content comes now, nobody can know.
            assert!(answer.is_last());
            let _ = client.try_send(SMUGGLED);
            client.assert_ended();
        }
        // HTTP/1.0 does not know of it.
        let mut client = Client::connect(server.address());
        let lines = "Connection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 5";
        client.send(format!("GET / HTTP/1.0\r\n{lines}\r\n\r\nhello"));
        assert!(!client.answer().is_last());
        assert_eq!(client.ask(get("/dir/sub/file")).text(), "deep");
    });
}

#[test]
fn much_content_ends_the_connection_after_the_answer() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let server = Server::start(&site, driver, "");
        for (method, status) in [("POST", 405), ("GET", 413)] {
            let mut client = Client::connect(server.address());
            client.send(with_content(method, &noise(2, 200_000)));
            let answer = client.answer();
            assert_eq!(answer.status, status, "{method}");
            assert!(answer.is_last());
            client.assert_ended();
        }
    });
}
