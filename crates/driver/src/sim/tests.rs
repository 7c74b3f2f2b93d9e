use std::ffi::CString;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{End, Faults, Received, Sim};
use crate::{Driver, Errno, Job, Op, OpKind, OpenHow, Outcome, Owner, Socket, Time, Token};

/// Runs an operation to its next completion.
fn perform(sim: &mut Sim, op: Op) -> Outcome {
    let mut completions = Vec::new();
    sim.submit(Token::new(Owner::Control, 1, 0), op);
    while completions.is_empty() {
        sim.turn(None, &mut completions).unwrap();
    }
    completions.remove(0).result.unwrap()
}

fn connect(sim: &mut Sim) -> Socket {
    let to = ([127, 0, 0, 1], 80).into();
    sim.listen(to);
    let Outcome::Connected(socket) = perform(sim, Op::Connect { to, from: None }) else {
        panic!("no connection")
    };
    socket
}

fn violations(sim: &Sim) -> usize {
    sim.world().borrow().violations().len()
}

#[test]
fn a_socket_is_closed_when_nothing_is_under_way_on_it() {
    let ops: [fn(Socket) -> Op; 3] = [
        |socket| Op::PeerName { socket },
        |socket| Op::Shutdown { socket },
        |socket| Op::Receive { socket },
    ];
    for op in ops {
        let mut sim = Sim::new(1);
        let socket = connect(&mut sim);
        sim.submit(Token::new(Owner::Control, 2, 0), op(socket));
        sim.submit(Token::new(Owner::Control, 3, 0), Op::Close { socket });
        assert_eq!(violations(&sim), 1);
    }
    let mut sim = Sim::new(1);
    let socket = connect(&mut sim);
    perform(&mut sim, Op::Shutdown { socket });
    perform(&mut sim, Op::Close { socket });
    assert_eq!(violations(&sim), 0);
}

#[test]
fn a_file_is_closed_when_nothing_is_under_way_on_it() {
    for operation in 0..3 {
        let mut sim = Sim::new(1);
        sim.world().borrow_mut().files.make_directory("srv");
        let open = Op::Open { path: CString::from(c"/srv"), how: OpenHow::Root };
        let Outcome::Opened(file) = perform(&mut sim, open) else { panic!("not open") };
        let op = match operation {
            0 => Op::Stat { file },
            1 => Op::Read { file, offset: 0, buffer: Vec::new(), len: 1 },
            _ => Op::Open { path: CString::from(c"x"), how: OpenHow::Beneath(file) },
        };
        sim.submit(Token::new(Owner::Control, 2, 0), op);
        sim.submit(Token::new(Owner::Control, 3, 0), Op::CloseFile { file });
        assert_eq!(violations(&sim), 1);
    }
}

/// Everything that comes within some turns.
fn results(sim: &mut Sim, turns: usize) -> Vec<(OpKind, Result<Outcome, Errno>)> {
    let mut completions = Vec::new();
    for _ in 0..turns {
        sim.turn(Some(Time::ZERO), &mut completions).unwrap();
    }
    completions.into_iter().map(|completion| (completion.kind, completion.result)).collect()
}

#[test]
fn a_connection_without_a_place_is_lost() {
    let mut sim = Sim::with_faults(1, Faults { sockets_max: 1, ..Faults::none() });
    let to = ([127, 0, 0, 1], 80).into();
    let listener = sim.listen(to);
    let ends: Vec<_> = (0..3)
        .map(|_| sim.world().borrow_mut().net.connect(([127, 0, 0, 1], 0).into(), to).unwrap())
        .collect();
    sim.submit(Token::new(Owner::Control, 1, 0), Op::Accept { listener, once: false });
    let accepted = results(&mut sim, 2);
    assert!(matches!(accepted[0].1, Ok(Outcome::Accepted(_))));
    assert!(matches!(accepted[1].1, Err(Errno::NFILE)));
    assert_eq!(accepted.len(), 2);
    let world = sim.world();
    let mut received =
        |end: &End| world.borrow_mut().net.receive(*end, 1, &mut Vec::new()).unwrap();
    let expected = [Received::Nothing, Received::EndOfStream, Received::Nothing];
    assert_eq!(ends.iter().map(&mut received).collect::<Vec<_>>(), expected);
}

#[test]
fn a_receive_may_fail_at_once_for_want_of_a_buffer() {
    let faults = Faults { no_buffer_at_once: 1.0, receive_buffers: 0, ..Faults::none() };
    let mut sim = Sim::with_faults(1, faults);
    let socket = connect(&mut sim);
    sim.submit(Token::new(Owner::Control, 2, 0), Op::Receive { socket });
    let results = results(&mut sim, 2);
    assert!(matches!(results[..], [(OpKind::Receive, Err(Errno::NOBUFS))]));
    assert_eq!(sim.counters().out_of_buffers, 1);
}

#[test]
fn completions_beyond_their_queue_come_in_later_turns() {
    let mut sim = Sim::with_faults(1, Faults { completion_entries: 2, ..Faults::none() });
    for slot in 0..5 {
        sim.submit(Token::new(Owner::Control, slot, 0), Op::Offload(Job::new(|| ())));
    }
    assert_eq!([2, 2, 1, 0], [(); 4].map(|()| results(&mut sim, 1).len()));
    assert_eq!(sim.counters().overflows, 2);
}

#[test]
fn a_full_queue_lets_what_is_in_it_begin() {
    let mut sim = Sim::with_faults(1, Faults { submission_entries: 2, ..Faults::none() });
    let begun = Arc::new(AtomicUsize::new(0));
    for slot in 0..5 {
        let begun = begun.clone();
        let job = Job::new(move || begun.fetch_add(1, Ordering::Relaxed));
        sim.submit(Token::new(Owner::Control, slot, 0), Op::Offload(job));
    }
    assert_eq!(begun.load(Ordering::Relaxed), 4);
    assert_eq!(results(&mut sim, 1).len(), 5);
}
