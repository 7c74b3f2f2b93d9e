//! Connections begin.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rim_driver::{Op, Outcome, Socket};

use super::reader::Reader;
use super::run::{Came, Run, told};
use super::script::{Script, check};

fn peer_name(run: &mut Run, socket: Socket) -> SocketAddr {
    match run.perform(Op::PeerName { socket }) {
        Ok(Outcome::PeerName(address)) => address,
        other => panic!("peer name: {other:?}"),
    }
}

#[test]
fn connections_come_from_the_address_that_was_asked_for() {
    check(Script {
        set: |settings| settings.peer_names = true,
        play: |run| {
            let mut door = run.door();
            for from in [None, Some(IpAddr::from([127, 0, 0, 9])), Some([127, 0, 0, 9].into())] {
                let client = run.connect(door.address, from);
                let server = run.accept(&mut door);
                let peer = peer_name(run, server).ip();
                run.note(format_args!("a peer at {peer}"));
                let is_door = peer_name(run, client) == door.address;
                run.note(format_args!("connected to the listener: {is_door}"));
            }
        },
        expected: &[
            "a peer at 127.0.0.1",
            "connected to the listener: true",
            "a peer at 127.0.0.9",
            "connected to the listener: true",
            "a peer at 127.0.0.9",
            "connected to the listener: true",
        ],
    });
}

#[test]
fn connections_and_names_over_ipv6() {
    check(Script {
        set: |settings| settings.peer_names = true,
        play: |run| {
            let ip = IpAddr::from(Ipv6Addr::LOCALHOST);
            let Some(mut door) = run.door_at(ip) else {
                return run.skip("no IPv6");
            };
            let client = run.connect(door.address, Some(ip));
            let server = run.accept(&mut door);
            assert_eq!(peer_name(run, client), door.address);
            assert_eq!(peer_name(run, server).ip(), ip);
            run.note("connected");
        },
        expected: &["connected"],
    });
}

#[test]
fn an_accept_of_one_takes_one_and_leaves_the_others_in_the_queue() {
    check(Script {
        set: |_| {},
        play: |run| {
            let door = run.door();
            let (listener, once) = (door.listener, true);
            let clients: Vec<_> = (0..3).map(|_| run.connect(door.address, None)).collect();
            for client in clients {
                let accept = run.start(Op::Accept { listener, once });
                let Came { more, result } = run.next(accept);
                run.note(format_args!("{}, more: {more}", told(&result)));
                run.close(client);
            }
            let accept = run.start(Op::Accept { listener, once });
            for _ in 0..5 {
                run.turn_at_once();
            }
            run.cancel(accept);
            let result = run.end(accept);
            run.note(told(&result));
        },
        expected: &[
            "accepted, more: false",
            "accepted, more: false",
            "accepted, more: false",
            "ECANCELED",
        ],
    });
}

#[test]
fn connections_wait_for_an_accept() {
    check(Script {
        set: |_| {},
        play: |run| {
            let mut door = run.door();
            let clients: Vec<_> = (0..5).map(|_| run.connect(door.address, None)).collect();
            run.note(format_args!("{} connected", clients.len()));
            let servers: Vec<_> = clients.iter().map(|_| run.accept(&mut door)).collect();
            run.note(format_args!("{} accepted", servers.len()));
            let more = run.start(Op::Connect { to: door.address, from: None });
            let server = run.accept(&mut door);
            let result = run.end(more);
            run.note(told(&result));
            run.close(server);
        },
        expected: &["5 connected", "5 accepted", "connected"],
    });
}

#[test]
fn two_listeners_are_told_apart() {
    check(Script {
        set: |_| {},
        play: |run| {
            let (mut one, mut two) = (run.door(), run.door());
            run.arm(&mut one);
            run.arm(&mut two);
            for word in ["second", "first", "second"] {
                let door = if word == "first" { &mut one } else { &mut two };
                let client = run.connect(door.address, None);
                let server = run.accept(door);
                run.send(client, word.as_bytes());
                let bytes = Reader::new(server).read(run, word.len());
                run.note(String::from_utf8_lossy(&bytes));
            }
        },
        expected: &["second", "first", "second"],
    });
}

#[test]
fn a_connection_is_refused() {
    check(Script {
        set: |_| {},
        play: |run| {
            let to = run.environment.refusing();
            for from in [None, Some(Ipv4Addr::LOCALHOST.into())] {
                let result = run.perform(Op::Connect { to, from });
                run.note(told(&result));
            }
        },
        expected: &["ECONNREFUSED", "ECONNREFUSED"],
    });
}

#[test]
fn places_of_refused_connections_are_used_again() {
    check(Script {
        set: |settings| settings.sockets_max = 8,
        play: |run| {
            let to = run.environment.refusing();
            let all_refused = (0..50).all(|_| {
                let result = run.perform(Op::Connect { to, from: None });
                told(&result) == "ECONNREFUSED"
            });
            run.note(format_args!("all refused: {all_refused}"));
            let (client, server) = run.pair();
            run.close(client);
            run.close(server);
        },
        expected: &["all refused: true"],
    });
}
