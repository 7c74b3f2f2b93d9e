//! Servers that answer for a while, and then do not: the figures never hide it.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::server::{OK, Peer, Server};
use crate::tool::{DRIVERS, Ran, rimload};

/// Loads a server over four connections for two seconds, on each driver.
fn load(server: impl Fn() -> Server) -> [Ran; 2] {
    DRIVERS.map(|driver| {
        let server = server();
        let ran = rimload(&format!("{} -c 4 -d 2s --driver {driver}", server.url()));
        ran.assert_laws();
        ran
    })
}

fn answer_until(peer: &mut Peer, is_over: impl Fn() -> bool) -> io::Result<()> {
    while peer.take_request()? {
        if is_over() {
            return peer.wait_for_end();
        }
        peer.send(OK)?;
    }
    Ok(())
}

/// Whether a run may be used.
fn is_invalid_because(ran: &Ran, because: &str) -> bool {
    ran.code == 3 && ran.reasons().contains(because)
}

#[test]
fn a_server_that_answers_once_and_then_never_is_no_server() {
    let runs = load(|| {
        Server::start(|peer| {
            peer.take_request()?;
            peer.send(OK)?;
            peer.wait_for_end()
        })
    });
    for ran in runs {
        assert_eq!(ran.count("/connections/served"), 4);
        assert_eq!(ran.count("/connections/silent"), 4);
        assert!(
            is_invalid_because(&ran, "4 of 4 connections had no answer any more"),
            "{}",
            ran.json
        );
        assert!(is_invalid_because(&ran, "nothing was answered for"), "{}", ran.json);
    }
}

#[test]
fn one_connection_that_hangs_among_others_is_noticed() {
    let runs = load(|| {
        let start = Instant::now();
        Server::start(move |peer| {
            let hangs = peer.number == 1;
            answer_until(peer, || hangs && start.elapsed() > Duration::from_millis(200))
        })
    });
    for ran in runs {
        assert_eq!(ran.count("/connections/silent"), 1);
        assert!(
            is_invalid_because(&ran, "1 of 4 connections had no answer any more"),
            "{}",
            ran.json
        );
    }
}

#[test]
fn connections_that_are_lost_for_good_are_noticed() {
    let runs = load(|| {
        let start = Instant::now();
        Server::start(move |peer| {
            while peer.take_request()? && start.elapsed() < Duration::from_millis(200) {
                peer.send(OK)?;
            }
            peer.reset()
        })
    });
    for ran in runs {
        assert_eq!(ran.count("/connections/served"), 4, "{}", ran.json);
        assert_eq!(ran.count("/connections/silent") + ran.count("/connections/idle"), 4);
        assert_eq!(ran.code, 3, "{}", ran.json);
    }
}

#[test]
fn a_pause_of_the_whole_server_is_noticed_though_it_comes_back() {
    let runs = load(|| {
        let start = Instant::now();
        Server::start(move |peer| {
            let pause = Duration::from_millis(300)..Duration::from_millis(1300);
            while peer.take_request()? {
                while pause.contains(&start.elapsed()) {
                    thread::sleep(Duration::from_millis(5));
                }
                peer.send(OK)?;
            }
            Ok(())
        })
    });
    for ran in runs {
        assert!(is_invalid_because(&ran, "nothing was answered for"), "{}", ran.json);
        let max = ran.json["latency_us"]["max"].as_f64().unwrap_or_default();
        assert!(max > 500_000.0, "{max}");
    }
}

#[test]
fn the_time_of_failed_requests_and_of_new_connections_is_in_the_latency() {
    const HELD: Duration = Duration::from_millis(400);
    let server = Server::start(move |peer| {
        for _ in 0..20 {
            peer.take_request()?;
            peer.send(OK)?;
        }
        // One request in 21 waits in vain, and its connection is lost.
        peer.take_request()?;
        thread::sleep(HELD);
        Ok(())
    });
    for driver in DRIVERS {
        let ran = rimload(&format!("{} -c 2 -n 400 --driver {driver}", server.url()));
        ran.assert_laws();
        let (failed, censored) = (ran.count("/requests/failed"), ran.count("/latency_us/censored"));
        assert!(failed > 10 && censored == failed, "{}", ran.json);
        let p99 = ran.json["latency_us"]["p99"].as_f64().unwrap_or_default();
        assert!(p99 >= HELD.as_micros() as f64, "{}", ran.json);
    }
}
