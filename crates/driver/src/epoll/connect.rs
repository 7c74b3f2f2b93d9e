//! Connecting.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::connect;
use rustix::net::sockopt::socket_error;

use super::sockets::Armed;
use super::source::{Names, Source};
use super::{Epoll, errno};
use crate::{Completion, Errno, OpId, OpKind, Outcome, Socket, Token, socket};

impl Epoll {
    pub(super) fn connect(&mut self, token: Token, to: SocketAddr, from: Option<IpAddr>) -> OpId {
        let started = start(to, from).and_then(|(fd, connected)| Ok((self.adopt(fd)?, connected)));
        let (number, connected) = match started {
            Ok(started) => started,
            Err(errno) => return self.fail(token, OpKind::Connect, errno),
        };
        if connected {
            let result = Ok(Outcome::Connected(Socket(number)));
            return self.finish(token, OpKind::Connect, result);
        }
        let id = self.names.next(Source::Socket(number));
        if let Some(state) = self.sockets.get(number) {
            state.writable = false;
            state.connect = Some(Armed { token, id });
        }
        id
    }

    /// The kernel has come to the end of connecting this socket.
    pub(super) fn finish_connect(&mut self, number: u32) -> Option<Completion> {
        let state = self.sockets.get(number)?;
        let armed = state.connect.take()?;
        self.counters.enters += 1;
        let result = match socket_error(&state.fd).and_then(|pending| pending) {
            Ok(()) => Ok(Outcome::Connected(Socket(number))),
            Err(errno) => {
                self.sockets.remove(number);
                Err(errno)
            }
        };
        Some(armed.complete(OpKind::Connect, false, result))
    }

    /// Completes in the next turn what is not armed anywhere.
    pub(super) fn finish(
        &mut self,
        token: Token,
        kind: OpKind,
        result: Result<Outcome, Errno>,
    ) -> OpId {
        let id = Names::NOT_ARMED;
        self.ready.push(Armed { token, id }.complete(kind, false, result));
        id
    }

    pub(super) fn fail(&mut self, token: Token, kind: OpKind, errno: Errno) -> OpId {
        self.finish(token, kind, Err(errno))
    }
}

/// A socket on its way to `to`, and whether it is there already.
fn start(to: SocketAddr, from: Option<IpAddr>) -> Result<(OwnedFd, bool), Errno> {
    let socket = socket::client(to, from).map_err(|error| errno(&error))?;
    socket.set_nonblocking(true).map_err(|error| errno(&error))?;
    match connect(&socket, &to) {
        Ok(()) => Ok((socket.into(), true)),
        Err(Errno::INPROGRESS | Errno::INTR) => Ok((socket.into(), false)),
        Err(errno) => Err(errno),
    }
}
