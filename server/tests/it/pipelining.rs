//! Requests that do not wait for the answers before them, and requests in pieces.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::client::{Client, get};
use crate::drivers::on_each_driver;
use crate::server::Server;
use crate::site::{Site, noise};
use crate::wait::WATCHDOG;

/// A site with so many small files, each with its number.
fn numbered(count: usize) -> Site {
    let site = Site::new();
    for number in 0..count {
        site.write(number.to_string(), format!("content {number}"));
    }
    site
}

#[test]
fn a_hundred_requests_at_once_are_answered_in_order() {
    on_each_driver(|driver| {
        let site = numbered(100);
        let server = Server::start(&site, driver, "");
        let requests: String = (0..100).map(|number| get(&format!("/{number}"))).collect();
        let mut client = Client::connect(server.address());
        // The first time, all of them have to be found out.
        for _ in 0..3 {
            client.send(&requests);
            for number in 0..100 {
                assert_eq!(client.answer().text(), format!("content {number}"));
            }
        }
    });
}

#[test]
fn what_comes_before_an_error_is_answered_and_what_comes_after_is_not() {
    on_each_driver(|driver| {
        let site = numbered(100);
        let server = Server::start(&site, driver, "");
        let bad = [("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/2.0\r\n\r\n", 505)];
        for (bad, status) in bad {
            for position in [0, 1, 50, 99] {
                let mut requests: Vec<_> =
                    (0..100).map(|number| get(&format!("/{number}"))).collect();
                requests[position] = bad.into();
                let mut client = Client::connect(server.address());
                client.send(requests.concat());
                for number in 0..position {
                    assert_eq!(client.answer().text(), format!("content {number}"));
                }
                let answer = client.answer();
                assert_eq!(answer.status, status);
                assert!(answer.is_last());
                client.assert_ended();
            }
        }
    });
}

#[test]
fn long_and_short_answers_keep_their_order() {
    on_each_driver(|driver| {
        let site = numbered(3);
        let lengths = [10_000, 20_000, 300_000, 2_000_000];
        for (number, length) in lengths.into_iter().enumerate() {
            site.write(format!("long{number}"), noise(number as u64, length));
        }
        let long = |number| noise(number as u64, lengths[number]);
        for cache in ["", "--set cache.bytes_max=0", "--set cache.bytes_max=500000"] {
            let server = Server::start(&site, driver, cache);
            let mut client = Client::connect(server.address());
            for _ in 0..3 {
                let mut requests = String::new();
                for number in 0..4 {
                    requests += &get(&format!("/long{number}"));
                    requests += &get("/0");
                    requests += "HEAD /long3 HTTP/1.1\r\nHost: a\r\n\r\n";
                    requests += &get("/none");
                    requests += &get(&format!("/long{number}"));
                }
                client.send(requests);
                for number in 0..4 {
                    assert!(client.answer().content == long(number));
                    assert_eq!(client.answer().text(), "content 0");
                    assert_eq!(client.try_head().unwrap().the("Content-Length"), "2000000");
                    assert_eq!(client.answer().status, 404);
                    assert!(client.answer().content == long(number));
                }
            }
        }
    });
}

#[test]
fn a_cut_at_any_byte_changes_nothing() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let server = Server::start(&site, driver, "");
        let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
        let bytes = format!("\r\n{}{post}{}", get("/a.css"), get("/none")).into_bytes();
        let mut client = Client::connect(server.address());
        for cut in 0..bytes.len() {
            for part in [&bytes[..cut], &bytes[cut..]] {
                client.send(part);
            }
            let answers = [client.answer(), client.answer(), client.answer()];
            assert_eq!(answers.map(|answer| answer.status), [200, 405, 404], "cut at {cut}");
        }
        for byte in &bytes {
            client.send([*byte]);
        }
        let answers = [client.answer(), client.answer(), client.answer()];
        assert_eq!(answers.map(|answer| answer.status), [200, 405, 404]);
    });
}

/// The client sends requests of about 1 KiB as long as the server takes them, and reads nothing. When
/// the server has taken no more for a while, it sends the rest and reads all answers.
#[test]
fn who_asks_and_asks_without_reading_is_held_back_and_gets_everything_later() {
    const REQUESTS: usize = 4000;
    const ANSWER_BYTES: usize = 16 << 10;
    on_each_driver(|driver| {
        let site = Site::new();
        let content = noise(10, ANSWER_BYTES);
        site.write("file", &content);
        let server = Server::start(&site, driver, "");
        let mut client = Client::connect_narrow(server.address());
        assert_eq!(client.get("/file").status, 200);
        let memory_before = server.resident_kib();
        let bytes = get(&format!("/file?{}", "q".repeat(1000))).repeat(REQUESTS).into_bytes();
        let sender = client.stream().try_clone().expect("another descriptor");
        let sent = send_until_held_back(&sender, &bytes);
        assert!(sent < bytes.len() / 2, "{sent} bytes were taken without an answer read");
        let memory = server.resident_kib() - memory_before;
        assert!(memory < 32 << 10, "{memory} KiB for a client that does not read");
        let mut other = Client::connect(server.address());
        assert_eq!(other.get("/file").status, 200);
        thread::scope(|scope| {
            scope.spawn(|| (&sender).write_all(&bytes[sent..]).expect("the rest is taken"));
            for _ in 0..REQUESTS {
                assert!(client.answer().content == content);
            }
        });
        assert_eq!(client.get("/none").status, 404);
    });
}

/// How many bytes were taken until nothing more was for a second.
fn send_until_held_back(mut sender: &TcpStream, bytes: &[u8]) -> usize {
    sender.set_write_timeout(Some(Duration::from_secs(1))).expect("a time");
    let mut sent = 0;
    while sent < bytes.len() {
        match sender.write(&bytes[sent..]) {
            Ok(len) => sent += len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    sender.set_write_timeout(Some(WATCHDOG)).expect("a time");
    sent
}
