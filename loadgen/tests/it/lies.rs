//! Each way in which a server can be wrong is counted in its own class.

use std::io;

use crate::server::{OK, Peer, Server};
use crate::tool::{DRIVERS, Ran, rimload};

/// How many requests a server gets; the run takes as long as it needs for them.
const REQUESTS: u64 = 40;

/// Loads a server over four connections, on each driver.
fn load(server: &Server) -> [Ran; 2] {
    DRIVERS.map(|driver| {
        let ran = rimload(&format!("{} -c 4 -n {REQUESTS} --driver {driver}", server.url()));
        ran.assert_laws();
        assert_eq!(ran.count("/requests/sent"), REQUESTS, "{}", ran.json);
        assert_eq!(ran.count("/requests/outstanding"), 0, "{}", ran.json);
        ran
    })
}

/// Checks that each request of a run failed in the same way, and that the run is called invalid.
#[track_caller]
fn assert_all_fail(server: &Server, class: &str) -> [Ran; 2] {
    let runs = load(server);
    for ran in &runs {
        assert_eq!(ran.classes(), [class], "{}", ran.json);
        assert_eq!(ran.count(&format!("/errors/{class}")), REQUESTS);
        assert_eq!(ran.count("/requests/failed"), REQUESTS);
        assert_eq!(ran.code, 3);
    }
    runs
}

/// Checks in addition that each failure cost the connection, and that none ever got an answer.
#[track_caller]
fn assert_all_starve(server: &Server, class: &str) -> [Ran; 2] {
    let runs = assert_all_fail(server, class);
    for ran in &runs {
        assert_eq!(ran.count("/connections/starved"), 4);
        assert!(ran.reasons().contains("4 of 4 connections were starved"), "{}", ran.json);
        assert_reconnects(ran);
    }
    runs
}

/// Checks that a new connection was opened for each request but the first four; for the last four,
/// another one may have been on its way.
#[track_caller]
fn assert_reconnects(ran: &Ran) {
    let reconnects = ran.count("/connections/reconnects");
    assert!((REQUESTS - 4..=REQUESTS).contains(&reconnects), "{}", ran.json);
}

#[test]
fn an_honest_server_has_no_errors() {
    let server = Server::answering(OK);
    for ran in load(&server) {
        assert_eq!(ran.code, 0, "{}", ran.json);
        assert!(ran.classes().is_empty(), "{}", ran.json);
        assert_eq!(ran.count("/connections/served"), 4);
        assert_eq!(ran.count("/connections/reconnects"), 0);
        assert_eq!(ran.count("/bytes"), REQUESTS * OK.len() as u64);
    }
}

#[test]
fn a_body_that_ends_early_is_short() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";
    assert_all_starve(&Server::answering_once(answer), "short_body");
    let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    assert_all_starve(&Server::answering_once(chunks), "short_body");
}

#[test]
fn bytes_behind_the_body_are_extra() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhello";
    assert_all_starve(&Server::answering(answer), "extra_bytes");
}

#[test]
fn bytes_that_come_after_the_answer_are_extra_too() {
    let server = Server::start(|peer| {
        let mut is_first = true;
        while peer.take_request()? {
            peer.send(if is_first { OK } else { b"llo" })?;
            is_first = false;
        }
        Ok(())
    });
    for ran in load(&server) {
        assert_eq!(ran.classes(), ["extra_bytes"], "{}", ran.json);
        // The second request on each connection gets the rest of the first answer; the last on some
        // may be a first one.
        let failed = ran.count("/requests/failed");
        assert!((REQUESTS / 2 - 2..=REQUESTS / 2).contains(&failed), "{}", ran.json);
        assert_eq!(ran.count("/connections/starved"), 0);
        assert_eq!(ran.code, 3);
    }
}

#[test]
fn a_close_before_the_head_is_whole_is_early() {
    assert_all_starve(&Server::answering_once(b""), "closed_early");
    assert_all_starve(&Server::answering_once(b"HTTP/1.1 200 OK\r\nContent-Le"), "closed_early");
}

#[test]
fn a_reset_is_a_reset() {
    for beginning in [&b""[..], b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"] {
        let server = Server::start(move |peer| {
            peer.take_request()?;
            peer.send(beginning)?;
            peer.reset()
        });
        for ran in assert_all_starve(&server, "reset") {
            assert_eq!(ran.count("/connections/reset"), 4);
        }
    }
}

#[test]
fn what_is_not_http_is_malformed() {
    for answer in [
        &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
        b"x",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n",
    ] {
        assert_all_starve(&Server::answering(answer), "malformed_response");
    }
}

#[test]
fn an_error_status_is_a_whole_answer_but_a_failure() {
    let answer = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno";
    for ran in assert_all_fail(&Server::answering(answer), "bad_status") {
        assert_eq!(ran.count("/connections/served"), 4);
        assert_eq!(ran.count("/connections/reconnects"), 0);
    }
}

#[test]
fn answers_in_chunks_are_answers() {
    let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\nhel\r\n2;x\r\nlo\r\n0\r\nA: b\r\n\r\n";
    for ran in load(&Server::answering(answer)) {
        assert!(ran.classes().is_empty() && ran.code == 0, "{}", ran.json);
        assert_eq!(ran.count("/connections/served"), 4);
    }
}

#[test]
fn an_answer_in_pieces_is_one_answer() {
    let server = Server::start(|peer| {
        while peer.take_request()? {
            for byte in OK {
                peer.send(&[*byte])?;
            }
        }
        Ok(())
    });
    for ran in load(&server) {
        assert!(ran.classes().is_empty() && ran.code == 0, "{}", ran.json);
        assert_eq!(ran.count("/requests/answered"), REQUESTS);
    }
}

#[test]
fn a_connection_that_is_closed_after_its_answer_is_opened_again() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"[..],
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\n\r\nhello",
    ] {
        let server = Server::answering_once(answer);
        for ran in load(&server) {
            assert!(ran.classes().is_empty() && ran.code == 0, "{}", ran.json);
            assert_eq!(ran.count("/connections/served"), 4);
            assert_eq!(ran.count("/requests/answered"), REQUESTS);
            assert_reconnects(&ran);
        }
    }
}

fn never_answer(peer: &mut Peer) -> io::Result<()> {
    peer.take_request()?;
    peer.wait_for_end()
}

#[test]
fn a_server_that_never_answers_starves_everybody() {
    let server = Server::start(never_answer);
    for driver in DRIVERS {
        let ran = rimload(&format!("{} -c 4 -d 1s --driver {driver}", server.url()));
        ran.assert_laws();
        assert!(ran.classes().is_empty(), "{}", ran.json);
        assert_eq!(ran.count("/connections/starved"), 4);
        assert_eq!(ran.count("/requests/outstanding"), 4);
        assert_eq!(ran.code, 3);
        assert_eq!(ran.json["latency_us"]["is_lower_bound"], true);
        let p50 = ran.json["latency_us"]["p50"].as_f64().unwrap_or_default();
        assert!(p50 > 200_000.0, "they waited for most of the window: {p50}");
        assert!(ran.reasons().contains("nothing was answered"), "{}", ran.json);
    }
}

#[test]
fn exactly_the_starved_are_reported() {
    for driver in DRIVERS {
        let server = Server::start(|peer| {
            if peer.number >= 3 {
                return never_answer(peer);
            }
            while peer.take_request()? {
                peer.send(OK)?;
            }
            Ok(())
        });
        let line = format!("{} -c 8 -n 100 --give-up-after 1s --cores 0", server.url());
        let ran = rimload(&format!("{line} --driver {driver}"));
        ran.assert_laws();
        assert_eq!(ran.count("/connections/served"), 3);
        assert_eq!(ran.count("/connections/starved"), 5);
        assert_eq!(ran.count("/connections/idle"), 0);
        assert_eq!(ran.count("/requests/answered"), 95);
        assert_eq!(ran.count("/requests/outstanding"), 5);
        assert!(ran.reasons().contains("5 of 8 connections were starved"), "{}", ran.json);
        assert_eq!(ran.code, 3);
    }
}
