//! Bytes go from one end to the other.

use rim_driver::{Body, Op, Outgoing, Socket};

use super::reader::{Reader, pattern};
use super::run::{Run, told};
use super::script::{Script, check};

/// More than sockets take.
const LARGE: usize = 4 << 20;

#[test]
fn pieces_arrive_in_their_order() {
    check(Script {
        set: |_| {},
        play: |run| {
            let (client, server) = run.pair();
            let mut reader = Reader::new(server);
            reader.arm(run);
            for piece in ["one", "two", "three", "four"] {
                run.send(client, piece.as_bytes());
                let bytes = reader.read(run, piece.len());
                run.note(String::from_utf8_lossy(&bytes));
            }
            for piece in ["one ", "after ", "the ", "other"] {
                run.send(client, piece.as_bytes());
            }
            let bytes = reader.read(run, 19);
            run.note(String::from_utf8_lossy(&bytes));
        },
        expected: &["one", "two", "three", "four", "one after the other"],
    });
}

#[test]
fn what_came_before_the_receive_is_received() {
    check(Script {
        set: |_| {},
        play: |run| {
            let (client, server) = run.pair();
            run.send(client, b"early");
            run.turn_at_once();
            let mut reader = Reader::new(server);
            let bytes = reader.read(run, 5);
            run.note(String::from_utf8_lossy(&bytes));
            run.must(Op::Shutdown { socket: client });
            let end = reader.read_to_end(run);
            run.note(&end);
            let again = reader.read_to_end(run);
            run.note(&again);
        },
        expected: &["early", "end of stream", "end of stream"],
    });
}

#[test]
fn bytes_and_end_that_came_before_the_receive_are_received() {
    check(Script {
        set: |_| {},
        play: |run| {
            let (client, server) = run.pair();
            run.send(client, b"last words");
            run.must(Op::Shutdown { socket: client });
            run.turn_at_once();
            let mut reader = Reader::new(server);
            let end = reader.read_to_end(run);
            run.note(format_args!("{} and {end}", String::from_utf8_lossy(&reader.pending)));
        },
        expected: &["last words and end of stream"],
    });
}

#[test]
fn after_a_half_close_the_other_direction_still_works() {
    check(Script {
        set: |_| {},
        play: |run| {
            let (client, server) = run.pair();
            let (mut at_client, mut at_server) = (Reader::new(client), Reader::new(server));
            at_server.arm(run);
            run.send(client, b"request");
            run.must(Op::Shutdown { socket: client });
            let end = at_server.read_to_end(run);
            run.note(format_args!("{} and {end}", String::from_utf8_lossy(&at_server.pending)));
            run.send(server, b"answer");
            let bytes = at_client.read(run, 6);
            run.note(String::from_utf8_lossy(&bytes));
            let outgoing = Outgoing::new(b"more".to_vec());
            let result = run.perform(Op::Send { socket: client, outgoing });
            run.note(told(&result));
            run.must(Op::Shutdown { socket: server });
            let end = at_client.read_to_end(run);
            run.note(&end);
        },
        expected: &["request and end of stream", "answer", "EPIPE", "end of stream"],
    });
}

#[test]
fn a_large_send_to_a_slow_reader_completes_whole() {
    check(Script {
        set: |settings| settings.receive_buffers = 2,
        play: |run| {
            let (client, server) = run.pair();
            for (from, to) in [(client, server), (server, client)] {
                let outgoing = Outgoing::new(pattern(0, LARGE));
                let send = run.start(Op::Send { socket: from, outgoing });
                let bytes = Reader::new(to).read(run, LARGE);
                run.note(format_args!("as sent: {}", bytes == pattern(0, LARGE)));
                let outgoing = run.sent(send).expect("a whole send");
                let is_back = outgoing.bytes == pattern(0, LARGE);
                run.note(format_args!("{} unsent, back: {is_back}", outgoing.remaining()));
            }
        },
        expected: &[
            "as sent: true",
            "0 unsent, back: true",
            "as sent: true",
            "0 unsent, back: true",
        ],
    });
}

/// Sends a head and a body from `sent` on, and reads what comes of it.
fn exchange(run: &mut Run, (from, to): (Socket, Socket), outgoing: Outgoing) {
    let expected = [outgoing.unsent().0, outgoing.unsent().1].concat();
    let send = run.start(Op::Send { socket: from, outgoing });
    let mut reader = Reader::new(to);
    let bytes = reader.read(run, expected.len());
    let outgoing = run.sent(send).expect("a whole send");
    let _ = reader.cancel(run);
    assert!(reader.pending.is_empty(), "more arrived than was sent");
    run.note(format_args!(
        "{} bytes as sent: {}, unsent: {}",
        bytes.len(),
        bytes == expected,
        outgoing.remaining()
    ));
}

#[test]
fn a_send_has_a_head_and_a_body() {
    check(Script {
        set: |_| {},
        play: |run| {
            let ends = run.pair();
            let shared = run.shared(pattern(0, LARGE));
            for (head, body, sent) in [
                (&b"head"[..], Some(Body::Shared(shared.clone(), 10..20)), 0),
                (b"head", Some(Body::Owned(b"owned body".to_vec())), 0),
                (b"", Some(Body::Shared(shared.clone(), 0..100)), 0),
                (b"only a head", None, 0),
                (b"head", Some(Body::Owned(Vec::new())), 0),
                (b"head and", Some(Body::Owned(b" body".to_vec())), 3),
                (b"head and", Some(Body::Owned(b" body".to_vec())), 8),
                (b"head and", Some(Body::Owned(b" body".to_vec())), 10),
                (b"large", Some(Body::Shared(shared.clone(), 0..LARGE)), 0),
                (b"large, from the middle", Some(Body::Shared(shared, 7..LARGE)), 1 << 20),
            ] {
                exchange(run, ends, Outgoing { bytes: head.to_vec(), body, sent });
            }
        },
        expected: &[
            "14 bytes as sent: true, unsent: 0",
            "14 bytes as sent: true, unsent: 0",
            "100 bytes as sent: true, unsent: 0",
            "11 bytes as sent: true, unsent: 0",
            "4 bytes as sent: true, unsent: 0",
            "10 bytes as sent: true, unsent: 0",
            "5 bytes as sent: true, unsent: 0",
            "3 bytes as sent: true, unsent: 0",
            "4194309 bytes as sent: true, unsent: 0",
            "3145743 bytes as sent: true, unsent: 0",
        ],
    });
}

/// Both directions of several connections at once, sends of all sizes, and in between wakes and
/// connects that are refused: with tiny queues, completions overflow at every turn and must not
/// overtake each other.
#[test]
fn streams_do_not_disturb_each_other() {
    const STREAM: usize = 200_000;
    check(Script {
        set: |settings| settings.receive_buffers = 16,
        play: |run| {
            let (waker, nobody) = (run.driver().waker(), run.environment.refusing());
            let ends: Vec<Socket> =
                (0..6).map(|_| run.pair()).flat_map(|(one, other)| [one, other]).collect();
            let mut readers: Vec<Reader> = ends.iter().copied().map(Reader::new).collect();
            let mut sends: Vec<_> = ends.iter().map(|_| (None, 0)).collect();
            let mut connects = Vec::new();
            for round in 0.. {
                for (end, (send, at)) in sends.iter_mut().enumerate() {
                    if let Some(came) = send.and_then(|send| run.poll(send)) {
                        assert_eq!(told(&came.result), "sent");
                        *send = None;
                    }
                    if send.is_none() && *at < STREAM {
                        let count = (1 + (end + round) * 7919 % 30_000).min(STREAM - *at);
                        let outgoing = Outgoing::new(pattern(*at, count));
                        *send = Some(run.start(Op::Send { socket: ends[end], outgoing }));
                        *at += count;
                    }
                }
                for reader in &mut readers {
                    reader.take_what_came(run);
                }
                if sends.iter().all(|(send, at)| send.is_none() && *at == STREAM)
                    && readers.iter().all(|reader| reader.pending.len() == STREAM)
                {
                    break;
                }
                connects.extend((0..5).map(|_| run.start(Op::Connect { to: nobody, from: None })));
                waker.wake();
                run.turn(None);
            }
            let expected = pattern(0, STREAM);
            let is_whole = readers.iter().all(|reader| reader.pending == expected);
            run.note(format_args!("as sent: {is_whole}"));
            let all = connects.into_iter().all(|op| told(&run.end(op)) == "ECONNREFUSED");
            run.note(format_args!("all refused: {all}"));
        },
        expected: &["as sent: true", "all refused: true"],
    });
}
