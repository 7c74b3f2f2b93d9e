//! Reading responses.
//!
//! A load generator needs little of a response: its status, where it ends, and whether the
//! connection stays. It needs that from any server, honest or not, so the reader is strict: what is
//! not HTTP/1.x by RFC 9112 is a [`Fault`]. It shares no code with any server of this workspace, so
//! that one mistake cannot hide itself.
//!
//! Bytes are read as they come, each once, and none is kept but a line that is not complete yet.

mod chunked;
mod head;
mod lines;

use self::chunked::Chunked;
use self::head::{Framing, Head};
use self::lines::Lines;

/// What was asked, as far as it decides where the response ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// The response may have a body.
    #[default]
    Get,
    /// It never has one.
    Head,
}

/// What is wrong with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Something else stands where a status line should begin.
    NotHttp,
    /// It is not what RFC 9112 allows.
    Malformed,
    /// The connection ended before the head did.
    ClosedEarly,
    /// The connection ended in the body.
    ShortBody,
}

/// A response that has been read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Whether the connection can be used for another request.
    pub stays_open: bool,
}

/// How far a response has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All bytes were taken, and more are to come.
    Partial,
    /// It is whole.
    Complete {
        /// How many of the bytes belong to it.
        taken: usize,
        /// What it says.
        answer: Answer,
    },
}

/// Reads one response after another from one connection.
#[derive(Debug, Default)]
pub struct ResponseReader {
    method: Method,
    state: State,
    lines: Lines,
    head: Head,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Head,
    /// That many bytes of the body are still to come.
    Length(u64),
    Chunked(Chunked),
    /// Behind the last chunk.
    Trailers,
    UntilClose,
}

/// What one step through the bytes at hand did.
enum Step {
    /// Took all of them.
    All,
    /// Took some.
    Some(usize),
    /// Took some, and the response ends there.
    Last(usize),
}

impl ResponseReader {
    /// Makes ready for the response to a request of that method.
    #[inline]
    pub fn expect(&mut self, method: Method) {
        self.method = method;
        self.state = State::Head;
        self.lines.clear();
        self.head = Head::default();
    }

    /// Takes the next bytes from the connection.
    ///
    /// # Errors
    /// That they are not the response they should be.
    #[inline]
    pub fn read(&mut self, bytes: &[u8]) -> Result<Progress, Fault> {
        let mut taken = 0;
        while taken < bytes.len() {
            match self.step(&bytes[taken..])? {
                Step::All => return Ok(Progress::Partial),
                Step::Some(more) => taken += more,
                Step::Last(more) => {
                    taken += more;
                    let answer = self.answer();
                    return Ok(Progress::Complete { taken, answer });
                }
            }
        }
        Ok(Progress::Partial)
    }

    /// Takes the end of the connection.
    ///
    /// # Errors
    /// That the response is not whole.
    pub fn end(&mut self) -> Result<Answer, Fault> {
        match self.state {
            State::UntilClose => Ok(self.answer()),
            State::Head => Err(Fault::ClosedEarly),
            State::Length(_) | State::Chunked(_) | State::Trailers => Err(Fault::ShortBody),
        }
    }

    fn answer(&self) -> Answer {
        Answer {
            status: self.head.status(),
            stays_open: self.head.stays_open() && !matches!(self.state, State::UntilClose),
        }
    }

    fn step(&mut self, bytes: &[u8]) -> Result<Step, Fault> {
        match &mut self.state {
            State::Head => self.head_line(bytes),
            State::Length(left) => {
                let here = (*left).min(bytes.len() as u64);
                *left -= here;
                Ok(match *left {
                    0 => Step::Last(here as usize),
                    _ => Step::All,
                })
            }
            State::Chunked(chunked) => {
                let (taken, is_last) = chunked.read(bytes)?;
                if is_last {
                    self.state = State::Trailers;
                }
                Ok(Step::Some(taken))
            }
            State::Trailers => self.trailer_line(bytes),
            State::UntilClose => Ok(Step::All),
        }
    }

    fn head_line(&mut self, bytes: &[u8]) -> Result<Step, Fault> {
        if self.head.is_empty() {
            Head::check_beginning(self.lines.pending(), bytes)?;
        }
        let Some((line, taken)) = self.lines.next(bytes)? else {
            return Ok(Step::All);
        };
        if !line.is_empty() || self.head.is_empty() {
            self.head.take_line(line)?;
            return Ok(Step::Some(taken));
        }
        self.state = match self.head.framing(self.method)? {
            Framing::None | Framing::Length(0) => return Ok(Step::Last(taken)),
            Framing::Interim => {
                self.head.restart();
                State::Head
            }
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(Chunked::default()),
            Framing::UntilClose => State::UntilClose,
        };
        Ok(Step::Some(taken))
    }

    fn trailer_line(&mut self, bytes: &[u8]) -> Result<Step, Fault> {
        let Some((line, taken)) = self.lines.next(bytes)? else {
            return Ok(Step::All);
        };
        if line.is_empty() {
            return Ok(Step::Last(taken));
        }
        self.head.take_trailer(line)?;
        Ok(Step::Some(taken))
    }
}

#[cfg(test)]
mod tests;
