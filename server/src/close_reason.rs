//! Why connections end.

/// Every connection ends for one of these reasons; each is also a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum CloseReason {
    /// The client closed between two requests.
    ClientDone,
    /// The client closed in the middle of a request.
    ClientGone,
    /// The answer was the last one: the client or its version of HTTP wanted it so.
    LastAnswer,
    /// What came was no request that could be answered and the connection kept.
    BadRequest,
    /// A request did not arrive in time once it had begun.
    RequestTimeout,
    /// No further request arrived in time.
    IdleTimeout,
    /// The client took the answer too slowly.
    SlowReceiver,
    /// A file was not at hand in time.
    FileTimeout,
    /// The file changed while it was being sent.
    FileChanged,
    /// The file could not be read to its end.
    FileFailed,
    /// Receiving failed.
    ReceiveFailed,
    /// Sending failed.
    SendFailed,
    /// There were as many connections as there may be.
    Full,
    /// The server is stopping.
    Drained,
    /// A bug: handling it panicked.
    Panicked,
}

impl CloseReason {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 15] = [
        Self::ClientDone,
        Self::ClientGone,
        Self::LastAnswer,
        Self::BadRequest,
        Self::RequestTimeout,
        Self::IdleTimeout,
        Self::SlowReceiver,
        Self::FileTimeout,
        Self::FileChanged,
        Self::FileFailed,
        Self::ReceiveFailed,
        Self::SendFailed,
        Self::Full,
        Self::Drained,
        Self::Panicked,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_listed_by_number() {
        for (number, reason) in CloseReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number);
        }
    }
}
