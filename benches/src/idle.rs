//! What idle connections cost a server: as many as the scenario has are opened, each asks once and
//! then says nothing more.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde::Serialize;
use socket2::SockRef;

use crate::exchange::{ask, request};
use crate::failure::{Break, Stopped};
use crate::group::Group;
use crate::scenario::Scenario;
use crate::stop::Stop;
use crate::usage::Memory;

/// How long one connection may take to open, and its answer to come.
const ONE_AT_MOST: Duration = Duration::from_secs(1);
/// Descriptors that are not for connections.
const DESCRIPTORS_RESERVED: u64 = 64;

/// The memory of a server without connections and with idle ones. What the kernel has for their
/// sockets is not in it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Idle {
    /// Before the first of them, when one request has been answered.
    pub(crate) before: Memory,
    /// With all of them.
    pub(crate) with: Memory,
    /// How many it held: those that got an answer, one after the other, in the time there was.
    pub(crate) connections: u32,
    /// What each of them costs in proportional memory; none if the server shrank meanwhile.
    pub(crate) bytes_per_connection: Option<u64>,
}

/// Opens the connections of a scenario, looks at the server's memory, and closes them.
pub(crate) fn measure(
    group: &Group,
    address: SocketAddr,
    scenario: &Scenario,
    descriptors: u64,
    stop: &Stop,
) -> Result<Idle, Stopped> {
    let before = Memory::of(group);
    let wanted =
        u64::from(scenario.connections).min(descriptors.saturating_sub(DESCRIPTORS_RESERVED));
    let held = hold(address, scenario, wanted, stop)?;
    let with = Memory::of(group);
    let connections = held.len() as u32;
    let grown = with.pss_bytes.checked_sub(before.pss_bytes);
    let bytes_per_connection = grown.and_then(|bytes| bytes.checked_div(connections.into()));
    held.into_iter().for_each(|stream| drop(abort(&stream)));
    Ok(Idle { before, with, connections, bytes_per_connection })
}

/// Opens so many connections; fewer, if the server does not answer on one, or if the time is up.
fn hold(
    address: SocketAddr,
    scenario: &Scenario,
    wanted: u64,
    stop: &Stop,
) -> Result<Vec<TcpStream>, Stopped> {
    let give_up = Instant::now() + scenario.connect_timeout;
    let request = request(address, &scenario.path());
    let mut held = Vec::new();
    while (held.len() as u64) < wanted {
        stop.check()?;
        let left = give_up.saturating_duration_since(Instant::now()).min(ONE_AT_MOST);
        if left.is_zero() {
            break;
        }
        match ask(address, &request, scenario.file_bytes, left, stop) {
            Ok((answer, stream)) if answer.body_bytes == scenario.file_bytes => held.push(stream),
            Ok(_) | Err(Break::Target(_)) => break,
            Err(Break::Stopped) => return Err(Stopped),
        }
    }
    Ok(held)
}

/// Has a connection broken when it is closed, so that no port of this machine stays in TIME_WAIT.
/// Nothing is under way on it that could be lost.
fn abort(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_linger(Some(Duration::ZERO))
}
