//! How runs begin and end.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use rustix::process::{Pid, Signal, kill_process};
use socket2::{Domain, Socket, Type};

use crate::server::{OK, Server};
use crate::tool::{DRIVERS, command, finish, rimload};

#[test]
fn a_run_for_a_number_of_requests_sends_just_as_many() {
    for driver in DRIVERS {
        let server = Server::answering(OK);
        let ran = rimload(&format!("{} -c 7 -n 1000 --driver {driver}", server.url()));
        ran.assert_laws();
        assert_eq!(ran.code, 0, "{}", ran.json);
        assert_eq!(ran.count("/requests/sent"), 1_000);
        assert_eq!(ran.count("/requests/answered"), 1_000);
        assert_eq!(server.requests(), 1_000);
    }
}

#[test]
fn connections_that_were_never_asked_are_idle_and_not_starved() {
    let server = Server::answering(OK);
    let ran = rimload(&format!("{} -c 5 -n 2 --cores 0", server.url()));
    ran.assert_laws();
    assert_eq!(ran.code, 0, "{}", ran.json);
    assert_eq!(ran.count("/connections/idle"), 3);
    assert_eq!(ran.count("/connections/starved"), 0);
}

#[test]
fn a_run_for_a_number_of_requests_ends_when_answers_stop() {
    let server = Server::start(|peer| {
        if peer.take_request()? && peer.number == 0 {
            peer.send(OK)?;
        }
        peer.wait_for_end()
    });
    let line = format!("{} -c 2 -n 1000 --give-up-after 200ms --cores 0", server.url());
    let ran = rimload(&line);
    ran.assert_laws();
    assert_eq!(ran.code, 3);
    assert_eq!(ran.count("/requests/answered"), 1);
    assert!(ran.reasons().contains("only 1 of 1000 requests were answered"), "{}", ran.json);
}

#[test]
fn nobody_listening_is_told_in_one_line() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    for driver in DRIVERS {
        let ran = rimload(&format!("http://{address}/ -c 4 -d 1s --driver {driver}"));
        assert_eq!(ran.code, 1);
        assert!(ran.json.is_null());
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        assert!(ran.stderr.contains(&format!("nobody listens on {address}")), "{}", ran.stderr);
    }
}

#[test]
fn a_server_that_is_missing_among_others_makes_the_run_invalid() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let nobody = listener.local_addr().expect("it is bound");
    drop(listener);
    let server = Server::answering(OK);
    for driver in DRIVERS {
        let line = format!("{} http://{nobody}/ -c 5 -n 50 --driver {driver}", server.url());
        let ran = rimload(&line);
        ran.assert_laws();
        assert_eq!(ran.code, 3);
        assert_eq!(ran.count("/connections/refused"), 2);
        assert_eq!(ran.count("/connections/served"), 3);
        assert_eq!(ran.count("/errors/refused"), 2);
        assert!(ran.reasons().contains("2 of 5 connections were not opened: 2 refused"));
    }
}

/// A listener that accepts nothing, whose queue holds so many connections and one more.
fn full_soon(backlog: i32) -> (Socket, std::net::SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any: std::net::SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.bind(&any.into()).expect("a port is free");
    socket.listen(backlog).expect("it can listen");
    let address = socket.local_addr().expect("it is bound").as_socket().expect("it is IPv4");
    (socket, address)
}

#[test]
fn connections_that_are_not_opened_in_time_are_counted() {
    for driver in DRIVERS {
        let (_listener, address) = full_soon(2);
        let line = format!("http://{address}/ -c 16 -d 200ms --connect-timeout 300ms");
        let ran = rimload(&format!("{line} --driver {driver}"));
        ran.assert_laws();
        assert_eq!(ran.code, 3);
        let (opened, late) =
            (ran.count("/connections/opened"), ran.count("/connections/not_opened"));
        assert!(opened >= 1 && late >= 1, "{}", ran.json);
        assert_eq!(ran.count("/errors/connect_timeout"), late);
        assert_eq!(ran.count("/connections/starved"), opened);
    }
}

#[test]
fn a_run_without_any_connection_is_no_run() {
    let (_listener, address) = full_soon(0);
    let timeout = Duration::from_millis(200);
    // Fill its queue.
    let connect = |_| std::net::TcpStream::connect_timeout(&address, timeout).ok();
    let _before: Vec<_> = (0..4).map_while(connect).collect();
    let ran = rimload(&format!("http://{address}/ -c 3 -d 1s --connect-timeout 200ms"));
    assert_eq!(ran.code, 1);
    assert!(ran.json.is_null());
    assert!(ran.stderr.contains("none of 3 connections"), "{}", ran.stderr);
    assert!(ran.stderr.contains("connect_timeout 3"), "{}", ran.stderr);
}

#[test]
fn an_interrupted_run_tells_what_it_has_measured() {
    for (driver, signal) in DRIVERS.into_iter().zip([Signal::INT, Signal::TERM]) {
        let (to_test, answered) = channel();
        let server = Server::start(move |peer| {
            while peer.take_request()? {
                peer.send(OK)?;
                let _ = to_test.send(());
            }
            Ok(())
        });
        let line = format!("{} -c 1 -d 60s --json - --driver {driver}", server.url());
        let child = command(&line)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be run");
        for _ in 0..10 {
            answered.recv_timeout(Duration::from_secs(10)).expect("it sends requests");
        }
        kill_process(Pid::from_child(&child), signal).expect("it runs");
        let ran = finish(child.wait_with_output().expect("it ends"));
        ran.assert_laws();
        assert_eq!(ran.code, 0, "{} {}", ran.json, ran.stderr);
        assert_eq!(ran.json["interrupted"], true);
        // It asks for the next only when it has the last.
        assert!(ran.count("/requests/answered") >= 9);
        assert!(ran.stderr.contains("the run was interrupted"), "{}", ran.stderr);
    }
}

#[test]
fn an_interrupted_opening_ends_the_run_at_once() {
    let (listener, address) = full_soon(0);
    let line = format!("http://{address}/ -c 8 -d 60s --connect-timeout 60s --json - --quiet");
    let child = command(&line)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be run");
    // The first connection shows that it has got so far.
    listener.accept().expect("it connects");
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    let ran = finish(child.wait_with_output().expect("it ends"));
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert_eq!(ran.count("/requests/sent"), 0);
    assert_eq!(ran.json["interrupted"], true);
}

#[test]
fn connections_that_are_closed_before_they_are_asked_are_not_forgotten() {
    for driver in DRIVERS {
        let server = Server::start(|peer| {
            while peer.number < 2 && peer.take_request()? {
                peer.send(OK)?;
            }
            Ok(())
        });
        // The window is longer than the pause before such a connection is opened again.
        let ran = rimload(&format!("{} -c 6 -d 2s --driver {driver}", server.url()));
        ran.assert_laws();
        assert_eq!(ran.code, 3, "{}", ran.json);
        assert_eq!(ran.count("/connections/opened"), 6);
        assert_eq!(ran.count("/connections/served"), 2);
        let lost = ran.count("/connections/starved") + ran.count("/connections/idle");
        assert_eq!(lost, 4);
    }
}

#[test]
fn the_interval_log_has_all_answers_in_it() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let (log, json) = (folder.path().join("times.hlog"), folder.path().join("result.json"));
    let server = Server::answering(OK);
    let line = format!("{} -c 4 -d 1200ms --quiet", server.url());
    let output = command(&line).arg("--hdr").arg(&log).arg("--json").arg(&json).output()?;
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(table.starts_with("VALID") || table.starts_with("CLIENT-BOUND"), "{table}");
    assert!(table.lines().all(|line| line.trim_end() == line), "{table:?}");
    let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(json)?)?;
    let log = fs::read(log)?;
    let (mut lengths, mut answers) = (Vec::new(), 0);
    for entry in IntervalLogIterator::new(&log) {
        if let LogEntry::Interval(interval) = entry.expect("HdrHistogram can read it") {
            lengths.push(interval.duration());
            let packed = interval.encoded_histogram();
            let packed = BASE64.decode(packed).expect("it is base64");
            let times: Histogram<u64> =
                Deserializer::new().deserialize(&mut packed.as_slice()).expect("it is a histogram");
            answers += times.len();
        }
    }
    let (rest, seconds) = lengths.split_last().expect("there are intervals");
    assert!(!seconds.is_empty(), "a second and a rest");
    assert!(seconds.iter().all(|length| *length == Duration::from_secs(1)), "{lengths:?}");
    assert!(*rest <= Duration::from_secs(1));
    assert!(json["elapsed_s"].as_f64() >= Some(1.2));
    assert_eq!(json["requests"]["answered"], answers);
    Ok(())
}
