//! Signals: drain or stop.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::client::{Client, get};
use crate::drivers::on_each_driver;
use crate::server::Server;
use crate::site::{Site, noise};
use crate::wait::{WATCHDOG, wait_until};

/// More than all buffers on the way hold.
const LONG: usize = 24 << 20;
/// Signals that mean: finish what is under way, and end.
const DRAINS: [Signal; 2] = [Signal::TERM, Signal::QUIT];
/// Less than any deadline that would end an idle connection otherwise.
const SOON: Duration = Duration::from_secs(15);

fn site() -> Site {
    let site = Site::usual();
    site.write("long", noise(40, LONG));
    site
}

#[test]
fn a_download_under_way_is_finished_and_nobody_new_is_accepted() {
    on_each_driver(|driver| {
        for (signal, cache) in DRAINS.into_iter().zip(["0", "100000000"]) {
            let site = site();
            let flags = format!("--set cache.bytes_max={cache}");
            let mut server = Server::start(&site, driver, &flags);
            let mut client = Client::connect_narrow(server.address());
            client.send(get("/long"));
            let head = client.try_head().expect("a whole head");
            server.signal(signal);
            wait_until("connections are refused", || {
                Client::try_connect(server.address()).is_err()
            });
            assert!(server.is_running());
            let answer = client.try_content(head, false).expect("the whole content");
            assert!(answer.content == noise(40, LONG));
            let finished = Instant::now();
            assert_eq!(server.wait(), 0);
            assert!(finished.elapsed() < SOON, "{:?}", finished.elapsed());
            client.assert_ended();
        }
    });
}

#[test]
fn idle_connections_end_with_the_server() {
    on_each_driver(|driver| {
        for signal in DRAINS {
            let site = site();
            let mut server = Server::start(&site, driver, "");
            let mut clients: Vec<_> = (0..20).map(|_| Client::connect(server.address())).collect();
            for client in clients.iter_mut().take(10) {
                assert_eq!(client.get("/").status, 200);
            }
            server.signal(signal);
            let start = Instant::now();
            assert_eq!(server.wait(), 0);
            assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
            for client in &mut clients {
                client.assert_ended();
            }
        }
    });
}

#[test]
fn a_request_that_has_begun_is_answered_with_the_last_answer() {
    on_each_driver(|driver| {
        let site = site();
        let mut server = Server::start(&site, driver, "");
        let mut begun = Client::connect(server.address());
        let mut idle = Client::connect(server.address());
        assert_eq!(idle.get("/").status, 200);
        begun.send("GET / HTTP/1.1\r\nHo");
        server.signal(Signal::TERM);
        wait_until("connections are refused", || Client::try_connect(server.address()).is_err());
        begun.send("st: a\r\n\r\n");
        let answer = begun.answer();
        assert_eq!(answer.status, 200);
        assert!(answer.is_last());
        begun.assert_ended();
        assert_eq!(server.wait(), 0);
    });
}

#[test]
fn requests_at_hand_are_all_answered_before_the_end() {
    on_each_driver(|driver| {
        let site = site();
        let mut server = Server::start(&site, driver, "--set cache.bytes_max=0");
        let mut client = Client::connect_narrow(server.address());
        client.send([get("/long"), get("/a.css"), get("/dir/")].concat());
        let head = client.try_head().expect("a whole head");
        server.signal(Signal::TERM);
        client.try_content(head, false).expect("the whole content");
        assert_eq!(client.answer().status, 200);
        assert_eq!(client.answer().text(), "<p>the index of dir</p>");
        assert!(client.ends_within(WATCHDOG));
        assert_eq!(server.wait(), 0);
    });
}

#[test]
fn answers_that_nobody_takes_do_not_keep_the_server() {
    on_each_driver(|driver| {
        let site = site();
        let mut server = Server::start(&site, driver, "--set limits.drain_timeout_ms=500");
        server.may_complain(1);
        let mut client = Client::connect_narrow(server.address());
        client.send(get("/long"));
        client.try_head().expect("a whole head");
        server.signal(Signal::TERM);
        assert_eq!(server.wait(), 0);
        assert!(server.said().contains("raise limits.drain_timeout_ms"), "{}", server.said());
    });
}

#[test]
fn sigint_ends_the_server_at_once() {
    on_each_driver(|driver| {
        for before in [None, Some(Signal::TERM)] {
            let site = site();
            let mut server = Server::start(&site, driver, "");
            let mut idle = Client::connect(server.address());
            assert_eq!(idle.get("/").status, 200);
            let mut busy = Client::connect_narrow(server.address());
            busy.send(get("/long"));
            let head = busy.try_head().expect("a whole head");
            for signal in before.into_iter().chain([Signal::INT]) {
                server.signal(signal);
            }
            let start = Instant::now();
            assert_eq!(server.wait(), 0);
            assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
            assert!(busy.try_content(head, false).is_err());
        }
    });
}

#[test]
fn a_signal_that_comes_twice_is_as_good_as_one() {
    on_each_driver(|driver| {
        let site = site();
        let mut server = Server::start(&site, driver, "");
        let mut client = Client::connect_narrow(server.address());
        client.send(get("/long"));
        let head = client.try_head().expect("a whole head");
        for signal in [Signal::TERM, Signal::QUIT, Signal::TERM] {
            server.signal(signal);
        }
        assert!(client.try_content(head, false).is_ok());
        assert_eq!(server.wait(), 0);
    });
}

#[test]
fn a_port_can_be_had_again_at_once_however_its_server_ended() {
    on_each_driver(|driver| {
        let site = site();
        let mut server = Server::start(&site, driver, "");
        let address = server.address();
        for signal in [Signal::KILL, Signal::INT, Signal::TERM, Signal::KILL] {
            // Connections of all kinds: in use, idle, and closed by the server.
            let mut busy = Client::connect_narrow(address);
            busy.send(get("/long"));
            busy.try_head().expect("a whole head");
            let mut idle = Client::connect(address);
            assert_eq!(idle.get("/").status, 200);
            assert!(Client::connect(address).ask("GET / HTTP/1.0\r\n\r\n").is_last());
            server.signal(signal);
            if signal == Signal::TERM {
                drop((busy, idle));
            }
            wait_until("it has ended", || !server.is_running());
            let mut command = crate::server::command("serve --driver");
            command.arg(driver).arg(site.root()).arg(format!("--listen={address}"));
            server = Server::spawn(command);
            assert_eq!(Client::connect(address).get("/").status, 200);
        }
    });
}
