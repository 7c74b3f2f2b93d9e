//! Connections: how long they last, how many there can be, and how they come and go.

use std::collections::VecDeque;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::SockRef;

use crate::client::{Client, get};
use crate::drivers::{drivers, on_each_driver};
use crate::server::Server;
use crate::site::{Site, noise};
use crate::wait::wait_until;

/// Raises the limit on open files, for tests with many connections.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    setrlimit(Resource::Nofile, raised).expect("up to the hard limit it may be raised");
}

#[test]
fn a_connection_serves_a_thousand_requests() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let server = Server::start(&site, driver, "");
        let mut client = Client::connect(server.address());
        for number in 0..1000 {
            let (path, status) = [("/", 200), ("/dir", 301), ("/none", 404)][number % 3];
            assert_eq!(client.get(path).status, status);
        }
    });
}

#[test]
fn who_says_that_nothing_more_comes_still_gets_the_answer() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let long = noise(3, 5_000_000);
        site.write("long", &long);
        for cache in ["", "--set cache.bytes_max=0"] {
            let server = Server::start(&site, driver, cache);
            for (path, content) in [("/dir/sub/file", &b"deep"[..]), ("/long", &long)] {
                let mut client = Client::connect(server.address());
                client.send(get(path));
                client.finish();
                assert!(client.answer().content == content, "{path}");
                client.assert_ended();
            }
            let mut client = Client::connect(server.address());
            client.send(format!("{}{}", get("/long"), get("/a.css")));
            client.finish();
            assert!(client.answer().content == long);
            assert_eq!(client.answer().status, 200);
            client.assert_ended();
        }
    });
}

#[test]
fn who_says_nothing_gets_nothing() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let server = Server::start(&site, driver, "");
        for little in ["", "\r\n", "\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n"] {
            let mut client = Client::connect(server.address());
            client.send(little);
            client.finish();
            client.assert_ended();
        }
        let mut client = Client::connect(server.address());
        assert_eq!(client.get("/").status, 200);
        client.send("GET / HT");
        client.finish();
        client.assert_ended();
    });
}

#[test]
fn who_comes_and_goes_at_once_leaves_nothing_behind() {
    on_each_driver(|driver| {
        let site = Site::usual();
        site.write("long", noise(4, 3_000_000));
        // One worker, because each opens the root when it is first asked for something.
        let server = Server::start(&site, driver, "--cores 0 --set cache.bytes_max=0");
        let descriptors = || {
            let list = std::fs::read_dir(format!("/proc/{}/fd", server.process()));
            list.expect("a list of descriptors").count()
        };
        let mut probe = Client::connect(server.address());
        // Opens the root and nothing beneath it, which might be closed only after the answer.
        assert_eq!(probe.get("/none").status, 404);
        let before = descriptors();
        for number in 0..1000 {
            let Ok(mut client) = Client::try_connect(server.address()) else { continue };
            // A reset instead of an orderly end, half of the time.
            if number % 2 == 0 {
                SockRef::from(client.stream()).set_linger(Some(Duration::ZERO)).unwrap();
            }
            let _ = match number % 5 {
                0 => Ok(()),
                1 => client.try_send("GET / HT"),
                2 => client.try_send(get("/")),
                3 => client.try_send(get("/long")),
                _ => client.try_send(get("/none").repeat(10)),
            };
        }
        assert_eq!(probe.get("/").status, 200);
        wait_until("all descriptors are closed", || descriptors() == before);
        assert_eq!(probe.get("/").status, 200);
    });
}

#[test]
fn five_hundred_connections_are_served_at_once() {
    allow_many_files();
    on_each_driver(|driver| {
        let site = Site::usual();
        site.write("long", noise(5, 100_000));
        let server = Server::start(&site, driver, "");
        let mut clients: Vec<_> = (0..500).map(|_| Client::connect(server.address())).collect();
        for _ in 0..3 {
            for client in &mut clients {
                client.send(get("/long"));
            }
            for client in &mut clients {
                assert_eq!(client.answer().content.len(), 100_000);
            }
        }
    });
}

#[test]
fn more_connections_than_there_may_be_do_no_harm_to_the_others() {
    on_each_driver(|driver| {
        let flags = "--cores 0 --set limits.connections_max=10";
        let site = Site::usual();
        let server = Server::start(&site, driver, flags);
        let mut clients: Vec<_> = (0..10).map(|_| Client::connect(server.address())).collect();
        for client in &mut clients {
            assert_eq!(client.get("/").status, 200);
        }
        let others: Vec<_> = (0..20).map(|_| Client::connect(server.address())).collect();
        for client in &mut clients {
            assert_eq!(client.get("/").status, 200);
        }
        drop((clients, others));
        wait_until("there is room again", || {
            let mut client = Client::connect(server.address());
            // As long as there is none, the connection may be closed.
            client.try_send(get("/")).is_ok_and(|()| client.try_head().is_ok())
        });
    });
}

#[test]
fn who_waits_in_the_queue_is_served_when_another_goes() {
    on_each_driver(|driver| {
        let flags = "--cores 0 --set limits.connections_max=1";
        let site = Site::usual();
        let server = Server::start(&site, driver, flags);
        let mut first = Client::connect(server.address());
        assert_eq!(first.get("/").status, 200);
        let mut second = Client::connect(server.address());
        second.send(get("/"));
        assert_eq!(first.get("/").status, 200);
        drop(first);
        assert_eq!(second.answer().status, 200);
    });
}

#[test]
fn those_who_wait_in_the_queue_are_served_one_after_the_other() {
    on_each_driver(|driver| {
        let flags = "--cores 0 --set limits.connections_max=4";
        let site = Site::usual();
        serve_four_of_ten(&Server::start(&site, driver, flags));
    });
}

#[test]
fn what_sockets_a_ring_can_hold_bounds_the_connections() {
    if !drivers().contains(&"uring") {
        return;
    }
    // Without these, an idle connection holds a buffer, of which there are few more than sockets.
    let own_buffers = "--set driver.provided_buffers=false --set driver.receive_buffers=1";
    for more in ["", own_buffers, "--set driver.direct_descriptors=false"] {
        let flags = format!("--cores 0 --set driver.sockets_max=4 {more}");
        let site = Site::usual();
        serve_four_of_ten(&Server::start(&site, "uring", &flags));
    }
}

/// Ten clients of a server that has room for four. Nobody is turned away: the others wait.
fn serve_four_of_ten(server: &Server) {
    let mut clients: VecDeque<_> = (0..4).map(|_| Client::connect(server.address())).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    for _ in 0..6 {
        let mut client = Client::connect(server.address());
        client.send(get("/"));
        clients.push_back(client);
    }
    for waiting in (0..6).rev() {
        for client in clients.iter_mut().take(4) {
            assert_eq!(client.get("/").status, 200);
        }
        clients.pop_front();
        // The queue is served in its order.
        assert_eq!(clients[3].answer().status, 200, "{waiting} are waiting");
    }
}
