//! Last answers: they arrive, whatever the client is doing at the time.

use crate::client::{Client, get};
use crate::drivers::on_each_driver;
use crate::server::Server;
use crate::site::{Site, noise};
use crate::wait::WATCHDOG;

#[test]
fn a_refusal_arrives_although_the_client_still_sends() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let server = Server::start(&site, driver, "");
        for _ in 0..20 {
            let mut client = Client::connect(server.address());
            client.send("GET / HTTP/2.0\r\n\r\n");
            for piece in noise(6, 200_000).chunks(10_000) {
                client.send(piece);
            }
            assert_eq!(client.answer().status, 505);
            client.assert_ended();
        }
    });
}

#[test]
fn a_refusal_arrives_although_much_has_been_sent_before() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let server = Server::start(&site, driver, "");
        for _ in 0..20 {
            let mut client = Client::connect(server.address());
            client.send([b"GET /\t HTTP/1.1\r\n\r\n", &noise(7, 200_000)[..]].concat());
            assert_eq!(client.answer().status, 400);
            client.assert_ended();
        }
    });
}

#[test]
fn what_follows_a_last_request_is_dropped_and_does_not_destroy_the_answer() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let long = noise(8, 3_000_000);
        site.write("long", &long);
        let server = Server::start(&site, driver, "");
        let last = |path| format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        for rest in [get("/a.css").into_bytes(), noise(9, 100_000)] {
            for _ in 0..20 {
                let mut client = Client::connect(server.address());
                client.send([last("/").as_bytes(), &rest].concat());
                assert_eq!(client.answer().text(), "<p>the index</p>");
                client.assert_ended();
            }
            // Here it comes while the answer is on its way.
            let mut client = Client::connect(server.address());
            client.send(last("/long"));
            let head = client.try_head().expect("a whole head");
            client.send(&rest);
            let answer = client.try_content(head, false).expect("the whole content");
            assert!(answer.content == long);
            client.assert_ended();
        }
    });
}

#[test]
fn a_last_answer_is_followed_by_the_end_at_once() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let server = Server::start(&site, driver, "");
        for request in [
            "GET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "\x16\x03\x01",
        ] {
            let mut client = Client::connect(server.address());
            assert!(client.ask(request).is_last());
            // Long before any deadline.
            assert!(client.ends_within(WATCHDOG), "{request:?}");
        }
    });
}
