//! The receiving end of a connection.

use rim_driver::{Errno, Lease, Op, Outcome, Socket};

use super::run::{Run, Started, name};

/// A socket, the receive that is armed on it, and what has been received and not been read.
pub(crate) struct Reader {
    pub(crate) socket: Socket,
    receive: Option<Started>,
    pub(crate) pending: Vec<u8>,
}

/// What one completion of a receive brought.
pub(crate) enum Received {
    Bytes(Lease),
    End,
    Failed(Errno),
}

impl Reader {
    pub(crate) fn new(socket: Socket) -> Self {
        Self { socket, receive: None, pending: Vec::new() }
    }

    /// Arms the receive, if it is not.
    pub(crate) fn arm(&mut self, run: &mut Run) -> Started {
        let socket = self.socket;
        *self.receive.get_or_insert_with(|| run.start(Op::Receive { socket }))
    }

    /// Waits for the next that is received.
    pub(crate) fn next(&mut self, run: &mut Run) -> Received {
        let started = self.arm(run);
        let came = run.next(started);
        if !came.more {
            self.receive = None;
        }
        match came.result {
            Ok(Outcome::Received(lease)) => Received::Bytes(lease),
            Ok(Outcome::EndOfStream) => {
                assert!(!came.more, "a receive goes on after the end of the stream");
                Received::End
            }
            Err(errno) => {
                assert!(!came.more, "a receive goes on after {}", name(errno));
                Received::Failed(errno)
            }
            Ok(other) => panic!("receive: {other:?}"),
        }
    }

    /// Puts a lease's bytes to the others and gives it back.
    pub(crate) fn keep(&mut self, run: &mut Run, lease: Lease) {
        let bytes = run.driver().received(&lease);
        assert!(!bytes.is_empty(), "nothing was received");
        self.pending.extend_from_slice(bytes);
        run.driver().release(lease);
    }

    /// Receives until there are `count` bytes, and takes them.
    pub(crate) fn read(&mut self, run: &mut Run, count: usize) -> Vec<u8> {
        while self.pending.len() < count {
            match self.next(run) {
                Received::Bytes(lease) => self.keep(run, lease),
                // Receives on other sockets may hold all buffers for the moment.
                Received::Failed(Errno::NOBUFS) => {}
                Received::Failed(errno) => panic!("receive: {}", name(errno)),
                Received::End => panic!("the stream ends too early"),
            }
        }
        let rest = self.pending.split_off(count);
        std::mem::replace(&mut self.pending, rest)
    }

    /// Receives until the stream ends or fails, and says how.
    pub(crate) fn read_to_end(&mut self, run: &mut Run) -> String {
        loop {
            match self.next(run) {
                Received::Bytes(lease) => self.keep(run, lease),
                Received::Failed(Errno::NOBUFS) => {}
                Received::Failed(errno) => return name(errno),
                Received::End => return "end of stream".into(),
            }
        }
    }

    /// Keeps what has come already, without a turn, and arms the receive again if it has ended.
    pub(crate) fn take_what_came(&mut self, run: &mut Run) {
        let started = self.arm(run);
        while let Some(came) = run.poll(started) {
            if !came.more {
                self.receive = None;
            }
            match came.result {
                Ok(Outcome::Received(lease)) => self.keep(run, lease),
                Err(Errno::NOBUFS) => {}
                other => panic!("receive: {other:?}"),
            }
            if !came.more {
                self.arm(run);
                return;
            }
        }
    }

    /// Cancels the receive, keeps what it still brings, and says how it ended, if it was armed.
    pub(crate) fn cancel(&mut self, run: &mut Run) -> Option<Result<(), Errno>> {
        run.cancel(self.receive?);
        loop {
            let received = self.next(run);
            match (received, self.receive) {
                (Received::Bytes(lease), still) => {
                    self.keep(run, lease);
                    if still.is_none() {
                        return Some(Ok(()));
                    }
                }
                (Received::End, _) => return Some(Ok(())),
                (Received::Failed(errno), _) => return Some(Err(errno)),
            }
        }
    }
}

/// `count` bytes that tell from any of them where it stands, beginning at `from`.
pub(crate) fn pattern(from: usize, count: usize) -> Vec<u8> {
    // 251 is a prime, so that no size of a buffer is a multiple of the period.
    (from..from + count).map(|place| (place % 251) as u8 ^ (place / 251 % 256) as u8).collect()
}
