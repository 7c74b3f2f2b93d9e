//! Receives use the driver's buffers.

use rim_driver::{Errno, Op, Outgoing};

use super::reader::{Reader, Received, pattern};
use super::script::{Script, check};

#[test]
fn receives_run_out_of_buffers_and_lose_nothing() {
    const SENT: usize = 256 << 10;
    check(Script {
        set: |settings| {
            settings.receive_buffers = 2;
            // Without provided buffers, there is one more for each socket.
            settings.sockets_max = 8;
        },
        play: |run| {
            let (client, server) = run.pair();
            let outgoing = Outgoing::new(pattern(0, SENT));
            let send = run.start(Op::Send { socket: client, outgoing });
            let mut reader = Reader::new(server);
            let mut times = 0;
            while reader.pending.len() < SENT {
                let mut leases = Vec::new();
                let full = loop {
                    match reader.next(run) {
                        Received::Bytes(lease) => leases.push(lease),
                        Received::Failed(errno) => break errno,
                        Received::End => panic!("the stream ends"),
                    }
                    let on_loan: usize = leases.iter().map(|lease| lease.len as usize).sum();
                    if reader.pending.len() + on_loan == SENT {
                        break Errno::NOBUFS;
                    }
                };
                assert_eq!(full, Errno::NOBUFS);
                times += 1;
                for lease in leases {
                    reader.keep(run, lease);
                }
            }
            let counted = run.driver().counters().out_of_buffers;
            run.note(format_args!("ran out: {}, counted: {}", times > 1, counted > 0));
            run.note(format_args!("as sent: {}", reader.pending == pattern(0, SENT)));
            assert!(run.sent(send).is_ok());
        },
        expected: &["ran out: true, counted: true", "as sent: true"],
    });
}

#[test]
fn all_buffers_can_be_on_loan() {
    check(Script {
        set: |settings| {
            settings.receive_buffers = 256;
            settings.receive_buffer_bytes = 512;
        },
        play: |run| {
            let (client, server) = run.pair();
            let mut reader = Reader::new(server);
            let mut leases = Vec::new();
            for round in 0..200 {
                run.send(client, &pattern(round, 9));
                let lease = loop {
                    match reader.next(run) {
                        Received::Bytes(lease) => break lease,
                        // More of them come into circulation when they are needed.
                        Received::Failed(_) => {}
                        Received::End => panic!("the stream ends"),
                    }
                };
                leases.push(lease);
            }
            let is_intact = leases
                .iter()
                .enumerate()
                .all(|(round, lease)| run.driver().received(lease) == pattern(round, 9));
            run.note(format_args!("{} on loan, as sent: {is_intact}", leases.len()));
            for lease in leases {
                run.driver().release(lease);
            }
        },
        expected: &["200 on loan, as sent: true"],
    });
}

/// One event may stand for more than a driver reads at once.
#[test]
fn a_queue_of_many_buffers_is_received() {
    const SENT: usize = 40_000;
    check(Script {
        set: |settings| {
            settings.receive_buffers = 256;
            settings.receive_buffer_bytes = 256;
        },
        play: |run| {
            let (client, server) = run.pair();
            let outgoing = Outgoing::new(pattern(0, SENT));
            let send = run.start(Op::Send { socket: client, outgoing });
            for _ in 0..3 {
                run.turn_at_once();
            }
            let bytes = Reader::new(server).read(run, SENT);
            assert!(run.sent(send).is_ok());
            run.note(format_args!("as sent: {}", bytes == pattern(0, SENT)));
        },
        expected: &["as sent: true"],
    });
}

#[test]
fn buffers_given_back_are_used_again() {
    check(Script {
        set: |settings| settings.receive_buffers = 4,
        play: |run| {
            let (client, server) = run.pair();
            let mut reader = Reader::new(server);
            for round in 0..100 {
                run.send(client, &pattern(round, 100));
                assert_eq!(reader.read(run, 100), pattern(round, 100));
            }
            let times = run.driver().counters().out_of_buffers;
            run.note(format_args!("ran out {times} times"));
        },
        expected: &["ran out 0 times"],
    });
}
