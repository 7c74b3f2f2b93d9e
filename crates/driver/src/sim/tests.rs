use std::ffi::CString;

use super::Sim;
use crate::{Driver, Op, OpenHow, Outcome, Owner, Socket, Token};

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
