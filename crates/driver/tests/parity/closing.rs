//! Connections end, in good order and otherwise; so does the driver.

use std::ffi::CString;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::channel;

use rim_driver::{
    Body, Driver, Epoll, Job, Listener, Op, OpenHow, Outcome, Outgoing, Owner, Settings, Socket,
    Time, Token, Uring,
};

use super::environment::Made;
use super::reader::{Reader, Received, pattern};
use super::run::{Run, WATCHDOG, name, told};
use super::script::{Script, check};

/// More than sockets take.
const LARGE: usize = 4 << 20;

#[test]
fn sockets_are_used_again() {
    check(Script {
        set: |settings| settings.sockets_max = 8,
        play: |run| {
            for round in 0..100 {
                let (client, server) = run.pair();
                let (mut at_client, mut at_server) = (Reader::new(client), Reader::new(server));
                at_server.arm(run);
                run.send(client, &pattern(round, 10));
                assert_eq!(at_server.read(run, 10), pattern(round, 10));
                run.send(server, &pattern(round, 20));
                assert_eq!(at_client.read(run, 20), pattern(round, 20));
                let (first, mut second) =
                    if round % 2 == 0 { (at_client, at_server) } else { (at_server, at_client) };
                close(run, first);
                assert_eq!(second.read_to_end(run), "end of stream");
                run.close(second.socket);
            }
            run.note("100 connections");
        },
        expected: &["100 connections"],
    });
}

/// Ends the receive and closes.
fn close(run: &mut Run, mut reader: Reader) {
    let _ = reader.cancel(run);
    run.close(reader.socket);
}

#[test]
fn many_sockets_close_at_once() {
    check(Script {
        set: |_| {},
        play: |run| {
            let pairs: Vec<_> = (0..20).map(|_| run.pair()).collect();
            let shutdowns: Vec<_> =
                pairs.iter().map(|&(socket, _)| run.start(Op::Shutdown { socket })).collect();
            let all_done = shutdowns.into_iter().all(|op| told(&run.end(op)) == "done");
            run.note(format_args!("all shut down: {all_done}"));
            let closes: Vec<_> = pairs
                .iter()
                .flat_map(|&(client, server)| [client, server])
                .map(|socket| run.start(Op::Close { socket }))
                .collect();
            let all_done = closes.into_iter().all(|op| told(&run.end(op)) == "done");
            run.note(format_args!("all closed: {all_done}"));
        },
        expected: &["all shut down: true", "all closed: true"],
    });
}

/// Closing with unread bytes resets the connection.
#[test]
fn a_reset_ends_the_receive() {
    check(Script {
        set: |settings| settings.receive_buffers = 2,
        play: |run| {
            let (client, server) = run.pair();
            let (mut at_client, mut at_server) = (Reader::new(client), Reader::new(server));
            at_client.arm(run);
            // On its way as one piece, so that all of it has come when some of it has.
            run.send(client, &pattern(0, 16 << 10));
            let Received::Bytes(lease) = at_server.next(run) else { panic!("nothing arrives") };
            let _ = at_server.cancel(run);
            run.driver().release(lease);
            run.close(server);
            let end = at_client.read_to_end(run);
            run.note(end);
            let outgoing = Outgoing::new(b"x".to_vec());
            let result = run.perform(Op::Send { socket: client, outgoing });
            run.note(told(&result));
            run.close(client);
        },
        expected: &["ECONNRESET", "EPIPE"],
    });
}

/// Sends until that fails.
fn send_until_broken(run: &mut Run, socket: Socket) -> String {
    loop {
        let send = run.start(Op::Send { socket, outgoing: Outgoing::new(b"x".to_vec()) });
        if let Err(errno) = run.sent(send) {
            return name(errno);
        }
    }
}

#[test]
fn a_send_to_a_closed_peer_fails() {
    check(Script {
        set: |_| {},
        play: |run| {
            let (client, server) = run.pair();
            run.close(server);
            let mut reader = Reader::new(client);
            let end = reader.read_to_end(run);
            run.note(end);
            // The first one tells the peer that there is more, and its answer is a reset.
            let errno = send_until_broken(run, client);
            run.note(errno);
            let errno = send_until_broken(run, client);
            run.note(errno);
        },
        expected: &["end of stream", "EPIPE", "EPIPE"],
    });
}

#[test]
fn a_send_that_a_reset_breaks_tells_what_it_sent() {
    check(Script {
        set: |settings| settings.receive_buffers = 2,
        play: |run| {
            let (client, server) = run.pair();
            let shared = run.shared(pattern(0, LARGE));
            let body = Some(Body::Shared(shared, 0..LARGE));
            let outgoing = Outgoing { bytes: b"head".to_vec(), body, sent: 0 };
            let send = run.start(Op::Send { socket: client, outgoing });
            let mut reader = Reader::new(server);
            let Received::Bytes(lease) = reader.next(run) else { panic!("nothing arrives") };
            let received = lease.len as usize;
            let _ = reader.cancel(run);
            run.driver().release(lease);
            run.close(server);
            let outgoing = run.sent(send).expect("some of it had arrived");
            let is_cut = outgoing.sent >= received && outgoing.remaining() > 0;
            run.note(format_args!("cut: {is_cut}"));
            let result = run.perform(Op::Send { socket: client, outgoing });
            run.note(told(&result));
        },
        expected: &["cut: true", "EPIPE"],
    });
}

/// Starts one of everything that stays in flight, or is on its way when the driver goes.
fn start_everything(run: &mut Run) {
    let mut door = run.door();
    run.arm(&mut door);
    let shared = run.shared(pattern(0, LARGE));
    for round in 0..4 {
        let (client, server) = run.pair();
        Reader::new(client).arm(run);
        let bytes = pattern(0, round * LARGE / 8);
        let body = Some(Body::Shared(shared.clone(), 0..LARGE));
        run.start(Op::Send { socket: client, outgoing: Outgoing { bytes, body, sent: 0 } });
        if round % 2 == 0 {
            Reader::new(server).arm(run);
        }
    }
    if let Some(to) = run.environment.silent() {
        run.start(Op::Connect { to, from: None });
    }
    run.start(Op::Connect { to: door.address, from: None });
    run.environment.make("file", Made::File(&pattern(0, 1 << 20)));
    let root = CString::new(run.environment.root()).expect("a path");
    let Ok(Outcome::Opened(root)) = run.perform(Op::Open { path: root, how: OpenHow::Root }) else {
        panic!("no root");
    };
    let how = OpenHow::Beneath(root);
    let path = c"file".to_owned();
    let Ok(Outcome::Opened(file)) = run.perform(Op::Open { path: path.clone(), how }) else {
        panic!("no file");
    };
    for _ in 0..8 {
        run.start(Op::Read { file, offset: 0, buffer: Vec::new(), len: 1 << 20 });
        run.start(Op::Stat { file });
        run.start(Op::Open { path: path.clone(), how });
    }
    run.start(Op::CloseFile { file });
}

#[test]
fn a_driver_goes_with_everything_in_flight() {
    check(Script {
        set: |_| {},
        play: |run| {
            start_everything(run);
            run.note("all is queued");
        },
        expected: &["all is queued"],
    });
    check(Script {
        set: |_| {},
        play: |run| {
            start_everything(run);
            for _ in 0..5 {
                run.turn_at_once();
            }
            run.note("all is in flight");
        },
        expected: &["all is in flight"],
    });
}

/// Drops a driver with a job that does not end and a peer that waits.
fn leave<D: Driver>(mut driver: D, adopt: fn(&mut D, TcpListener) -> Listener) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("its address");
    let listener = adopt(&mut driver, listener);
    let token = Token::new(Owner::Control, 1, 0);
    driver.submit(token, Op::Accept { listener, once: false });
    let (release, blocked) = channel::<()>();
    driver.submit(token, Op::Offload(Job::new(move || blocked.recv())));
    let mut peer = TcpStream::connect(address).expect("a connection");
    let mut completions = Vec::new();
    while completions.is_empty() {
        driver.turn(None, &mut completions).expect("a turn does not fail");
    }
    let Ok(Outcome::Accepted(socket)) = completions[0].result else { panic!("{completions:?}") };
    driver.submit(token, Op::Receive { socket });
    driver.turn(Some(Time::ZERO), &mut completions).expect("a turn does not fail");
    let waker = driver.waker();
    drop(driver);
    waker.wake();
    peer.set_read_timeout(Some(WATCHDOG)).expect("a watchdog");
    assert_eq!(peer.read_to_end(&mut Vec::new()).expect("the connection is closed"), 0);
    TcpStream::connect(address).expect_err("the listener is closed");
    drop(release);
}

#[test]
fn a_driver_goes_and_closes_its_sockets() {
    leave(Epoll::new(&Settings::default()).expect("an epoll"), Epoll::listen);
    match Uring::new(&Settings::default()) {
        Ok(driver) => leave(driver, Uring::listen),
        Err(error) => println!("skipped: uring: {error}"),
    }
    let settings = Settings { direct_descriptors: false, ..Settings::default() };
    if let Ok(driver) = Uring::new(&settings) {
        leave(driver, Uring::listen);
    }
}
