//! Sockets before a driver has them: made, named, bound.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use rustix::net::getpeername;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use thiserror::Error;

use crate::Errno;

/// Why an address cannot be listened on.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Somebody else listens there: another server, or another process of this one.
    #[error("{0} is in use; stop the program that listens there or choose another with --listen")]
    InUse(SocketAddr),
    /// A port below `net.ipv4.ip_unprivileged_port_start`.
    #[error(
        "no permission to listen on {0}; choose a port from 1024 on, or grant CAP_NET_BIND_SERVICE"
    )]
    Forbidden(SocketAddr),
    /// No interface has this address.
    #[error("{0} is no address of this machine; choose one that `ip address` lists")]
    NotLocal(SocketAddr),
    /// Any other error.
    #[error("cannot listen on {0}: {1}")]
    Failed(SocketAddr, io::Error),
}

/// Makes `count` listening sockets on one address, each with a queue of its own, between which the
/// kernel spreads new connections (`SO_REUSEPORT`: socket(7)).
///
/// With that option, two servers of one user would share a port without noticing. So the first
/// socket listens without it, which succeeds only if nobody else does, and gets it afterwards.
///
/// # Errors
/// Why the address cannot be had.
pub fn bind(
    address: SocketAddr,
    count: usize,
    backlog: i32,
) -> Result<Vec<TcpListener>, ListenError> {
    let fail = |error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse(address),
        io::ErrorKind::PermissionDenied => ListenError::Forbidden(address),
        io::ErrorKind::AddrNotAvailable => ListenError::NotLocal(address),
        _ => ListenError::Failed(address, error),
    };
    let mut listeners = Vec::new();
    let mut listen = |address, shared| {
        let socket = listener(address, shared)?;
        socket.listen(backlog)?;
        socket.set_reuse_port(count > 1)?;
        // Port 0 is whatever the kernel gave the first.
        let address = local_address(&socket)?;
        listeners.push(TcpListener::from(socket));
        Ok(address)
    };
    let address = listen(address, false).map_err(fail)?;
    for _ in 1..count {
        listen(address, true).map_err(fail)?;
    }
    Ok(listeners)
}

fn listener(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = stream(address)?;
    // A restart is not held up by connections of the last run that are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Accepted sockets inherit it.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn stream(address: SocketAddr) -> io::Result<Socket> {
    Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// A socket that is to be connected to `to`, bound to the address `from` if one is given.
pub(crate) fn client(to: SocketAddr, from: Option<IpAddr>) -> io::Result<Socket> {
    let socket = stream(to)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(from) = from {
        leave_port_to_connect(&socket)?;
        socket.bind(&SockAddr::from(SocketAddr::new(from, 0)))?;
    }
    Ok(socket)
}

/// `IP_BIND_ADDRESS_NO_PORT`: without it, bind(2) would take a port for all destinations.
fn leave_port_to_connect(socket: &Socket) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open, and the value is an int that outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            std::ptr::from_ref(&on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The peer's address, by a plain system call.
pub(crate) fn peer_name(socket: RawFd) -> Result<SocketAddr, Errno> {
    // SAFETY: the callers pass descriptors that are open and theirs.
    let socket = unsafe { BorrowedFd::borrow_raw(socket) };
    let address = getpeername(socket)?.ok_or(Errno::NOTCONN)?;
    SocketAddr::try_from(address).map_err(|_| Errno::AFNOSUPPORT)
}

/// Makes a descriptor's reads and writes return instead of waiting.
pub(crate) fn set_nonblocking(socket: &impl std::os::fd::AsFd) -> io::Result<()> {
    SockRef::from(socket).set_nonblocking(true)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn of_those_who_want_an_address_at_once_one_gets_it() {
        for _ in 0..100 {
            let address = bind(ANY, 1, 8).unwrap()[0].local_addr().unwrap();
            let barrier = Barrier::new(3);
            let try_it = || {
                barrier.wait();
                let bound = bind(address, 2, 8);
                // Whoever has it keeps it until all have tried.
                barrier.wait();
                bound.is_ok()
            };
            let got = thread::scope(|scope| {
                let threads: Vec<_> = (0..3).map(|_| scope.spawn(try_it)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).filter(|got| *got).count()
            });
            assert_eq!(got, 1);
        }
    }

    #[test]
    fn connections_are_spread_over_all_listeners() {
        let listeners = bind(ANY, 3, 128).unwrap();
        let address = listeners[0].local_addr().unwrap();
        let clients: Vec<_> = (0..64).map(|_| TcpStream::connect(address).unwrap()).collect();
        let mut accepted = 0;
        for listener in &listeners {
            listener.set_nonblocking(true).unwrap();
            let queue = std::iter::from_fn(|| listener.accept().ok()).count();
            assert!(queue > 0, "the kernel chooses by a hash of both addresses");
            accepted += queue;
        }
        assert_eq!(accepted, clients.len());
    }

    #[test]
    fn every_address_that_overlaps_is_in_use() {
        let listeners = bind(ANY, 2, 8).unwrap();
        let port = listeners[0].local_addr().unwrap().port();
        for address in ["127.0.0.1", "0.0.0.0"] {
            let address = SocketAddr::new(address.parse().unwrap(), port);
            assert!(matches!(bind(address, 2, 8), Err(ListenError::InUse(_))));
        }
    }
}
