//! Deadlines: for requests to arrive, for the next one, and for answers to be taken.

use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, get};
use crate::drivers::on_each_driver;
use crate::server::Server;
use crate::site::{Site, noise};
use crate::wait::{WATCHDOG, wait_until};

/// A deadline that is never met in these tests.
const FAR: &str = "60000";

/// Starts a server with deadlines in milliseconds: for heads, for the next request, for sending.
fn start(site: &Site, driver: &str, head: &str, idle: &str, send: &str) -> Server {
    let flags = format!(
        "--set limits.head_timeout_ms={head} --set limits.idle_timeout_ms={idle} \
         --set limits.send_timeout_ms={send}"
    );
    Server::start(site, driver, &flags)
}

#[test]
fn a_connection_that_asks_for_nothing_more_is_closed() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let server = start(&site, driver, FAR, "200", FAR);
        let mut client = Client::connect(server.address());
        for _ in 0..3 {
            assert_eq!(client.get("/").status, 200);
        }
        assert!(client.ends_within(WATCHDOG));
    });
}

#[test]
fn a_connection_that_never_asks_is_closed_without_a_word() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let server = start(&site, driver, "200", FAR, FAR);
        let mut client = Client::connect(server.address());
        assert!(client.ends_within(WATCHDOG));
    });
}

#[test]
fn a_request_that_does_not_become_whole_is_answered_with_408() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let server = start(&site, driver, "200", FAR, FAR);
        for part in ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r", "\r\nG"] {
            let mut client = Client::connect(server.address());
            client.send(part);
            let answer = client.answer();
            assert_eq!(answer.status, 408, "{part:?}");
            assert!(answer.is_last());
            client.assert_ended();
        }
        // The same for a later request of a connection.
        let mut client = Client::connect(server.address());
        assert_eq!(client.get("/").status, 200);
        assert_eq!(client.ask("GET / HT").status, 408);
    });
}

#[test]
fn empty_lines_are_no_request_and_are_closed_without_a_word() {
    on_each_driver(|driver| {
        let site = Site::usual();
        for (head, idle) in [("200", FAR), (FAR, "200")] {
            let server = start(&site, driver, head, idle, FAR);
            let mut client = Client::connect(server.address());
            if head == FAR {
                assert_eq!(client.ask([get("/").as_bytes(), b"\r\n"].concat()).status, 200);
            }
            for noise in ["\r\n", "\r"] {
                client.send(noise);
                thread::sleep(Duration::from_millis(20));
            }
            assert!(client.ends_within(WATCHDOG), "head {head}, idle {idle}");
        }
    });
}

#[test]
fn a_byte_now_and_then_does_not_move_the_deadline() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let server = start(&site, driver, "300", FAR, FAR);
        let mut client = Client::connect(server.address());
        let sender = client.stream().try_clone().expect("another descriptor");
        thread::scope(|scope| {
            scope.spawn(move || {
                use std::io::Write;
                let start = Instant::now();
                // Until the server has had enough.
                while (&sender).write_all(b"G").is_ok() && start.elapsed() < WATCHDOG {
                    thread::sleep(Duration::from_millis(50));
                }
            });
            assert_eq!(client.answer().status, 408);
            drop(client);
        });
    });
}

#[test]
fn content_that_does_not_come_ends_the_connection_without_another_answer() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let server = start(&site, driver, "200", FAR, FAR);
        let mut client = Client::connect(server.address());
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello";
        assert_eq!(client.ask(head).status, 405);
        assert!(client.ends_within(WATCHDOG));
    });
}

/// Whether the server still holds its end of a connection, as /proc/net/tcp tells.
fn is_established(server: SocketAddr, client: SocketAddr) -> bool {
    let hex = |address: SocketAddr| format!("0100007F:{:04X}", address.port());
    let ends = format!(" {} {} ", hex(server), hex(client));
    let table = fs::read_to_string("/proc/net/tcp").expect("a table of connections");
    table.lines().any(|line| line.contains(&ends) && line.contains(&format!("{ends}01 ")))
}

#[test]
fn a_client_that_takes_nothing_is_cut_and_others_are_served_meanwhile() {
    on_each_driver(|driver| {
        let site = Site::usual();
        site.write("long", noise(30, 30_000_000));
        for cache in ["0", "100000000"] {
            let flags = "--cores 0 --set limits.send_timeout_ms=300 --set cache.bytes_max=";
            let server = Server::start(&site, driver, &format!("{flags}{cache}"));
            let mut client = Client::connect_narrow(server.address());
            client.send(get("/long"));
            let head = client.try_head().expect("a whole head");
            let mut other = Client::connect(server.address());
            wait_until("the server gives it up", || {
                assert_eq!(other.get("/").status, 200);
                !is_established(server.address(), client.address())
            });
            assert!(client.try_content(head, false).is_err());
        }
    });
}

#[test]
fn a_client_that_is_slow_but_steady_gets_everything() {
    on_each_driver(|driver| {
        let site = Site::new();
        let long = noise(31, 7_000_000);
        site.write("long", &long);
        for cache in ["0", "100000000"] {
            let flags = "--set limits.send_timeout_ms=300 --set cache.bytes_max=";
            let server = Server::start(&site, driver, &format!("{flags}{cache}"));
            let mut client = Client::connect_narrow(server.address());
            client.send(get("/long"));
            client.try_head().expect("a whole head");
            for piece in long.chunks(100_000) {
                assert!(client.try_bytes(piece.len()).expect("it is not cut") == piece);
                // So slow that the deadline of a send passes again and again.
                thread::sleep(Duration::from_millis(40));
            }
            assert_eq!(client.get("/none").status, 404);
        }
    });
}

#[test]
fn a_client_slower_than_the_least_rate_is_cut() {
    on_each_driver(|driver| {
        let site = Site::new();
        site.write("long", noise(32, 30_000_000));
        let flags = "--set limits.send_timeout_ms=200 --set limits.send_rate_min=100000000";
        let server = Server::start(&site, driver, flags);
        let mut client = Client::connect_narrow(server.address());
        client.send(get("/long"));
        client.try_head().expect("a whole head");
        let start = Instant::now();
        while client.try_bytes(10_000).is_ok() {
            thread::sleep(Duration::from_millis(2));
            assert!(start.elapsed() < WATCHDOG, "it is never cut");
        }
    });
}
