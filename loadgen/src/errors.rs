//! What goes wrong, by class.

use std::collections::BTreeMap;

use rim_driver::Errno;

use crate::response::Fault;

/// One kind of failure. The names are part of the result's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ErrorClass {
    /// Nobody listened.
    Refused,
    /// Not connected in time.
    ConnectTimeout,
    /// No local port was free for another connection.
    NoFreePort,
    /// Neither process nor machine had room for another open file.
    NoDescriptor,
    /// Not connected for any other reason.
    ConnectFailed,
    /// The server, or something on the way, broke the connection.
    Reset,
    /// The kernel gave the connection up, because nothing came back.
    TimedOut,
    /// The connection was closed before the head of the answer was whole.
    ClosedEarly,
    /// The connection was closed before the body was whole.
    ShortBody,
    /// Bytes came that belong to no answer.
    ExtraBytes,
    /// The answer was not HTTP/1.x as RFC 9112 has it.
    MalformedResponse,
    /// The answer was whole, but its status was 400 or above.
    BadStatus,
    /// The kernel said something else.
    Other,
}

impl ErrorClass {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Refused,
        Self::ConnectTimeout,
        Self::NoFreePort,
        Self::NoDescriptor,
        Self::ConnectFailed,
        Self::Reset,
        Self::TimedOut,
        Self::ClosedEarly,
        Self::ShortBody,
        Self::ExtraBytes,
        Self::MalformedResponse,
        Self::BadStatus,
        Self::Other,
    ];

    /// Its name in the result.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::NoFreePort => "no_free_port",
            Self::NoDescriptor => "no_descriptor",
            Self::ConnectFailed => "connect_failed",
            Self::Reset => "reset",
            Self::TimedOut => "timed_out",
            Self::ClosedEarly => "closed_early",
            Self::ShortBody => "short_body",
            Self::ExtraBytes => "extra_bytes",
            Self::MalformedResponse => "malformed_response",
            Self::BadStatus => "bad_status",
            Self::Other => "other",
        }
    }

    /// The class of a connect that failed.
    #[must_use]
    pub fn of_connect(errno: Errno) -> Self {
        match errno {
            Errno::CONNREFUSED => Self::Refused,
            Errno::TIMEDOUT => Self::ConnectTimeout,
            Errno::ADDRNOTAVAIL => Self::NoFreePort,
            Errno::MFILE | Errno::NFILE => Self::NoDescriptor,
            Errno::CONNRESET => Self::Reset,
            _ => Self::ConnectFailed,
        }
    }

    /// The class of a connection that broke.
    #[must_use]
    pub fn of_connection(errno: Errno) -> Self {
        match errno {
            Errno::CONNRESET | Errno::PIPE | Errno::CONNABORTED => Self::Reset,
            Errno::TIMEDOUT => Self::TimedOut,
            _ => Self::Other,
        }
    }
}

impl From<Fault> for ErrorClass {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NotHttp | Fault::Malformed => Self::MalformedResponse,
            Fault::ClosedEarly => Self::ClosedEarly,
            Fault::ShortBody => Self::ShortBody,
        }
    }
}

/// How often each class occurred.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Errors([u64; ErrorClass::ALL.len()]);

impl Errors {
    /// Counts one.
    #[inline]
    pub fn count(&mut self, class: ErrorClass) {
        self.0[class as usize] += 1;
    }

    /// Counts several.
    pub fn count_many(&mut self, class: ErrorClass, times: u64) {
        self.0[class as usize] += times;
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        for (mine, others) in self.0.iter_mut().zip(other.0) {
            *mine += others;
        }
    }

    /// How often that class occurred.
    #[must_use]
    pub fn of(&self, class: ErrorClass) -> u64 {
        self.0[class as usize]
    }

    /// How many errors there were in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The classes that occurred, with their counts, for people.
    #[must_use]
    pub fn in_words(&self) -> String {
        let classes = self.by_name().into_iter();
        let words: Vec<_> = classes.map(|(name, count)| format!("{name} {count}")).collect();
        words.join(", ")
    }

    /// The classes that occurred, by name.
    #[must_use]
    pub fn by_name(&self) -> BTreeMap<&'static str, u64> {
        ErrorClass::ALL
            .into_iter()
            .filter(|class| self.of(*class) > 0)
            .map(|class| (class.name(), self.of(class)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_its_own_place_and_name() {
        let mut errors = Errors::default();
        for (index, class) in ErrorClass::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, index);
            errors.count_many(class, index as u64 + 1);
        }
        let mut twice = errors.clone();
        twice.add(&errors);
        let by_name = twice.by_name();
        assert_eq!(by_name.len(), ErrorClass::ALL.len());
        assert_eq!(by_name["refused"], 2);
        assert_eq!(by_name["other"], 26);
        assert_eq!(twice.total(), 2 * (1..=13).sum::<u64>());
    }
}
