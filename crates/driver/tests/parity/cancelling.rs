//! Operations are cancelled: what they did before is told, and nothing is lost.

use rim_driver::{Body, Errno, Op, Outcome, Outgoing, Shared, Socket};

use super::reader::{Reader, Received, pattern};
use super::run::{Run, name, told};
use super::script::{Script, check};

/// More than sockets take.
const LARGE: usize = 4 << 20;

/// Submits a send of everything from `sent` on, cancels it, and says how many bytes of it went out.
fn send_and_cancel(
    run: &mut Run,
    socket: Socket,
    content: &Shared,
    sent: usize,
) -> Result<usize, Errno> {
    let body = Some(Body::Shared(content.clone(), 0..LARGE));
    let send = run.start(Op::Send { socket, outgoing: Outgoing { bytes: Vec::new(), body, sent } });
    run.turn_at_once();
    run.cancel(send);
    Ok(run.sent(send)?.sent - sent)
}

#[test]
fn a_cancelled_send_tells_what_it_sent_and_the_rest_can_follow() {
    check(Script {
        set: |settings| settings.receive_buffers = 4,
        play: |run| {
            let (client, server) = run.pair();
            let shared = run.shared(pattern(0, LARGE));
            let body = Some(Body::Shared(shared, 0..LARGE));
            let outgoing = Outgoing { bytes: b"head".to_vec(), body, sent: 0 };
            let send = run.start(Op::Send { socket: client, outgoing });
            let mut reader = Reader::new(server);
            let Received::Bytes(lease) = reader.next(run) else { panic!("nothing arrives") };
            run.cancel(send);
            let outgoing = run.sent(send).expect("some of it had arrived");
            let (sent, unsent) = (outgoing.sent, outgoing.remaining());
            run.note(format_args!("cut: {}", sent >= lease.len as usize && unsent > 0));
            reader.keep(run, lease);
            let send = run.start(Op::Send { socket: client, outgoing });
            let bytes = reader.read(run, 4 + LARGE);
            let is_whole = bytes[..4] == *b"head" && bytes[4..] == pattern(0, LARGE);
            run.note(format_args!("as sent: {is_whole}"));
            let outgoing = run.sent(send).expect("the rest");
            run.note(format_args!("{} unsent", outgoing.remaining()));
        },
        expected: &["cut: true", "as sent: true", "0 unsent"],
    });
}

#[test]
fn a_send_cancelled_before_anything_was_sent_says_so() {
    check(Script {
        set: |_| {},
        play: |run| {
            let (client, server) = run.pair();
            let shared = run.shared(pattern(0, LARGE));
            let mut sent = 0;
            // The sockets take some; when they are full, nothing goes any more.
            let errno = loop {
                match send_and_cancel(run, client, &shared, sent) {
                    Ok(more) => sent += more,
                    Err(errno) => break errno,
                }
            };
            run.note(name(errno));
            let mut reader = Reader::new(server);
            let bytes = reader.read(run, sent);
            run.note(format_args!("as sent: {}", bytes == pattern(0, sent)));
            run.must(Op::Shutdown { socket: client });
            let end = reader.read_to_end(run);
            run.note(format_args!("{end}, {} more bytes", reader.pending.len()));
        },
        expected: &["ECANCELED", "as sent: true", "end of stream, 0 more bytes"],
    });
}

#[test]
fn a_receive_is_cancelled_and_armed_again_without_loss() {
    const PIECE: usize = 1500;
    check(Script {
        set: |_| {},
        play: |run| {
            let (client, server) = run.pair();
            let mut reader = Reader::new(server);
            reader.arm(run);
            run.turn_at_once();
            let ended = reader.cancel(run);
            run.note(format_args!("idle: {}", ended == Some(Err(Errno::CANCELED))));
            for round in 0..60 {
                if round % 3 != 0 {
                    reader.arm(run);
                }
                if round % 2 == 0 {
                    run.turn_at_once();
                }
                let outgoing = Outgoing::new(pattern(round * PIECE, PIECE));
                let send = run.start(Op::Send { socket: client, outgoing });
                if let Some(Err(errno)) = reader.cancel(run) {
                    assert_eq!(errno, Errno::CANCELED);
                }
                assert!(run.sent(send).is_ok());
            }
            let bytes = reader.read(run, 60 * PIECE);
            run.note(format_args!("as sent: {}", bytes == pattern(0, 60 * PIECE)));
            run.must(Op::Shutdown { socket: client });
            let end = reader.read_to_end(run);
            run.note(format_args!("{end}, {} more bytes", reader.pending.len()));
        },
        expected: &["idle: true", "as sent: true", "end of stream, 0 more bytes"],
    });
}

#[test]
fn an_accept_is_cancelled_and_armed_again_without_loss() {
    check(Script {
        set: |_| {},
        play: |run| {
            let mut door = run.door();
            for turned in [false, true] {
                let accept = run.arm(&mut door);
                if turned {
                    run.turn_at_once();
                }
                run.cancel(accept);
                let result = run.end(accept);
                door.accept = None;
                run.note(told(&result));
            }
            let client = run.connect(door.address, None);
            run.note("connected");
            let server = run.accept(&mut door);
            run.note("accepted");
            run.send(server, b"hello");
            let bytes = Reader::new(client).read(run, 5);
            run.note(String::from_utf8_lossy(&bytes));
        },
        expected: &["ECANCELED", "ECANCELED", "connected", "accepted", "hello"],
    });
}

#[test]
fn a_connect_is_cancelled() {
    check(Script {
        set: |_| {},
        play: |run| {
            let Some(to) = run.environment.silent() else {
                return run.skip("no place that does not answer");
            };
            for turns in 0..4 {
                // The listener may have had room for one more.
                let result = loop {
                    let connect = run.start(Op::Connect { to, from: None });
                    for _ in 0..turns {
                        run.turn_at_once();
                    }
                    run.cancel(connect);
                    match run.end(connect) {
                        Ok(Outcome::Connected(socket)) => run.close(socket),
                        result => break result,
                    }
                };
                run.note(told(&result));
            }
        },
        expected: &["ECANCELED", "ECANCELED", "ECANCELED", "ECANCELED"],
    });
}

#[test]
fn cancelling_what_has_completed_does_nothing() {
    check(Script {
        set: |_| {},
        play: |run| {
            let (client, server) = run.pair();
            let mut reader = Reader::new(server);
            let receive = reader.arm(run);
            let outgoing = Outgoing::new(b"first".to_vec());
            let send = run.start(Op::Send { socket: client, outgoing });
            assert!(run.sent(send).is_ok());
            let bytes = reader.read(run, 5);
            run.note(String::from_utf8_lossy(&bytes));
            let _ = reader.cancel(run);
            // The same places are used again now.
            reader.arm(run);
            let outgoing = Outgoing::new(pattern(0, LARGE));
            let again = run.start(Op::Send { socket: client, outgoing });
            run.turn_at_once();
            run.cancel(send);
            run.cancel(receive);
            let bytes = reader.read(run, LARGE);
            run.note(format_args!("as sent: {}", bytes == pattern(0, LARGE)));
            let result = run.end(again);
            run.note(told(&result));
        },
        expected: &["first", "as sent: true", "sent"],
    });
}
