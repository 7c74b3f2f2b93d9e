//! Listening sockets.

use std::net::TcpListener;

use rustix::event::epoll::{self, EventFlags};
use rustix::net::{SocketFlags, accept_with};

use super::sockets::Armed;
use super::source::Source;
use super::{Epoll, id};
use crate::{Completion, Errno, Listener, OpId, OpKind, Outcome, Socket, Token, socket};

/// How many connections one listener may bring at once, before others have their turn.
const ACCEPTS_AT_ONCE: usize = 64;

/// A listening socket.
pub(super) struct Listening {
    socket: TcpListener,
    /// An accept may give a connection.
    readable: bool,
    accept: Option<Armed>,
    /// The accept that is armed ends with one connection.
    once: bool,
}

impl Epoll {
    /// Takes a listening socket, to be named in [`crate::Op::Accept`].
    pub fn listen(&mut self, listener: TcpListener) -> Listener {
        let index = id(self.listeners.vacant_key());
        let interest = EventFlags::IN | EventFlags::ET;
        let data = Source::Listener(index).data();
        let registered = socket::set_nonblocking(&listener)
            .and_then(|()| Ok(epoll::add(&self.epoll, &listener, data, interest)?));
        if let Err(error) = registered {
            self.broken = Some(error);
        }
        let socket = listener;
        self.listeners.insert(Listening { socket, readable: false, accept: None, once: false });
        Listener(index)
    }

    pub(super) fn accept(&mut self, token: Token, listener: Listener, once: bool) -> OpId {
        let source = Source::Listener(listener.0);
        let id = self.names.next(source);
        let listening = &mut self.listeners[listener.0 as usize];
        assert!(listening.accept.is_none(), "{listener:?}: a second accept");
        listening.accept = Some(Armed { token, id });
        listening.once = once;
        if listening.readable {
            self.left_over.push_back(source);
        }
        id
    }

    pub(super) fn cancel_accept(&mut self, index: u32, id: OpId) {
        let listening = &mut self.listeners[index as usize];
        if let Some(armed) = listening.accept.take_if(|armed| armed.id == id) {
            let completion = armed.complete(OpKind::Accept, false, Err(Errno::CANCELED));
            self.ready.push(completion);
        }
    }

    pub(super) fn listener_event(&mut self, index: u32, completions: &mut Vec<Completion>) {
        self.listeners[index as usize].readable = true;
        self.accept_some(index, completions);
    }

    /// Accepts what has come, if an accept is armed.
    pub(super) fn accept_some(&mut self, index: u32, completions: &mut Vec<Completion>) {
        for _ in 0..ACCEPTS_AT_ONCE {
            let listening = &mut self.listeners[index as usize];
            let (Some(armed), true) = (listening.accept, listening.readable) else {
                return;
            };
            let once = listening.once;
            self.counters.enters += 1;
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let accepted = match accept_with(&listening.socket, flags) {
                Err(Errno::AGAIN) => {
                    listening.readable = false;
                    return;
                }
                Err(errno) if is_of_one_connection(errno) => continue,
                accepted => accepted.and_then(|fd| self.adopt(fd)),
            };
            let more = accepted.is_ok() && !once;
            if !more {
                self.listeners[index as usize].accept = None;
            }
            let result = accepted.map(|number| Outcome::Accepted(Socket(number)));
            completions.push(armed.complete(OpKind::Accept, more, result));
        }
        self.left_over.push_back(Source::Listener(index));
    }
}

/// Whether an error of accept(2) is that of a connection that broke while it waited, and says
/// nothing about the next one.
fn is_of_one_connection(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::INTR
            | Errno::CONNABORTED
            | Errno::PROTO
            | Errno::NOPROTOOPT
            | Errno::OPNOTSUPP
            | Errno::PERM
            | Errno::NETDOWN
            | Errno::NETUNREACH
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH
            | Errno::NONET
    )
}
