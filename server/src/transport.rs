//! How bytes get to the client and from it.

use rim_driver::{Driver, Op, OpId, OpKind, Outgoing, Socket, Token};

/// A connection's way to its client.
///
/// There is one kind so far. An encrypted one will turn received bytes into plain ones and plain
/// ones into bytes to be sent.
#[derive(Debug)]
pub(crate) enum Transport {
    /// TCP as it is.
    Plain(Plain),
}

/// A socket, and what the kernel holds of it.
#[derive(Debug)]
pub(crate) struct Plain {
    socket: Socket,
    /// Some exactly while a receive is submitted and has not given its last completion.
    receive: Option<OpId>,
    /// Some exactly while a send is submitted and has not completed.
    send: Option<OpId>,
    /// A half-close is submitted and has not completed.
    is_shutting_down: bool,
    /// A close is submitted.
    is_closing: bool,
    /// The client will send no more.
    has_ended: bool,
}

impl Transport {
    pub(crate) fn plain(socket: Socket) -> Self {
        Self::Plain(Plain {
            socket,
            receive: None,
            send: None,
            is_shutting_down: false,
            is_closing: false,
            has_ended: false,
        })
    }

    #[inline]
    fn inner(&self) -> &Plain {
        let Self::Plain(plain) = self;
        plain
    }

    #[inline]
    fn inner_mut(&mut self) -> &mut Plain {
        let Self::Plain(plain) = self;
        plain
    }

    /// Sees to it that a receive is submitted, unless the client will send no more.
    #[inline]
    pub(crate) fn receive<D: Driver>(&mut self, driver: &mut D, token: Token) {
        let plain = self.inner_mut();
        if plain.receive.is_none() && !plain.has_ended {
            let op = Op::Receive { socket: plain.socket };
            plain.receive = Some(driver.submit(token, op));
        }
    }

    /// Sends. There must be no send under way: two could interleave.
    #[inline]
    pub(crate) fn send<D: Driver>(&mut self, driver: &mut D, token: Token, outgoing: Outgoing) {
        let plain = self.inner_mut();
        assert!(plain.send.is_none(), "one send at a time");
        let op = Op::Send { socket: plain.socket, outgoing };
        plain.send = Some(driver.submit(token, op));
    }

    /// Half-closes: tells the client that nothing more will come.
    pub(crate) fn shut_down<D: Driver>(&mut self, driver: &mut D, token: Token) {
        let plain = self.inner_mut();
        plain.is_shutting_down = true;
        driver.submit(token, Op::Shutdown { socket: plain.socket });
    }

    /// Closes, once nothing else is under way.
    pub(crate) fn close<D: Driver>(&mut self, driver: &mut D, token: Token) {
        let plain = self.inner_mut();
        assert!(!plain.is_closing, "closed once");
        plain.is_closing = true;
        driver.submit(token, Op::Close { socket: plain.socket });
    }

    /// Asks for the receive to end.
    pub(crate) fn cancel_receive<D: Driver>(&self, driver: &mut D) {
        if let Some(id) = self.inner().receive {
            driver.cancel(id);
        }
    }

    /// Asks for the send to end.
    pub(crate) fn cancel_send<D: Driver>(&self, driver: &mut D) {
        if let Some(id) = self.inner().send {
            driver.cancel(id);
        }
    }

    /// An operation of `kind` has completed, and not to go on.
    #[inline]
    pub(crate) fn completed(&mut self, kind: OpKind) {
        let plain = self.inner_mut();
        match kind {
            OpKind::Receive => plain.receive = None,
            OpKind::Send => plain.send = None,
            OpKind::Shutdown => plain.is_shutting_down = false,
            _ => {}
        }
    }

    /// The client will send no more.
    pub(crate) fn set_ended(&mut self) {
        self.inner_mut().has_ended = true;
    }

    /// Whether the client will send no more.
    #[inline]
    pub(crate) fn has_ended(&self) -> bool {
        self.inner().has_ended
    }

    /// Whether a send is under way.
    #[inline]
    pub(crate) fn is_sending(&self) -> bool {
        self.inner().send.is_some()
    }

    /// Whether the kernel holds nothing of it.
    pub(crate) fn is_quiet(&self) -> bool {
        let plain = self.inner();
        plain.receive.is_none() && plain.send.is_none() && !plain.is_shutting_down
    }

    /// Whether a close is submitted.
    pub(crate) fn is_closing(&self) -> bool {
        self.inner().is_closing
    }
}
