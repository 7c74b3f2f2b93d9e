//! One request and its answer, at leisure: to see who answers, and to hold connections open.

use std::io::{self, Error, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::failure::{Break, Failure};
use crate::stop::{LOOK_EVERY, Stop};

/// The longest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 16 << 10;
const FIELDS_MAX: usize = 64;

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The `Server` field; empty if there is none.
    pub(crate) server: String,
    /// How long its body is, as its head says.
    pub(crate) body_bytes: u64,
    /// Its body; empty if it is not as long as it was to be.
    pub(crate) body: Vec<u8>,
}

/// What an answer's head says.
struct Head {
    answer: Answer,
    /// Where it ends.
    len: usize,
}

/// A connection on which an answer has to come before a moment.
struct Exchange<'a> {
    stream: TcpStream,
    give_up: Instant,
    stop: &'a Stop,
}

/// The bytes of a request that leaves the connection open.
pub(crate) fn request(to: SocketAddr, path: &str) -> Vec<u8> {
    let agent = concat!("rimbench/", env!("CARGO_PKG_VERSION"));
    format!("GET {path} HTTP/1.1\r\nHost: {to}\r\nUser-Agent: {agent}\r\n\r\n").into_bytes()
}

/// Connects to a server, sends a request and reads the whole answer; all that may take this long.
/// A body of another length than `body_bytes` is left unread, so that none takes all memory.
pub(crate) fn ask(
    to: SocketAddr,
    request: &[u8],
    body_bytes: u64,
    at_most: Duration,
    stop: &Stop,
) -> Result<(Answer, TcpStream), Break> {
    let give_up = Instant::now() + at_most;
    let stream = connect(to, at_most, request).map_err(Failure::NoAnswer)?;
    let mut exchange = Exchange { stream, give_up, stop };
    let mut bytes = Vec::with_capacity(4096);
    let head = loop {
        exchange.read_more(&mut bytes)?;
        if let Some(head) = parse(&bytes).map_err(Failure::NoAnswer)? {
            break head;
        }
        if bytes.len() > HEAD_BYTES_MAX {
            let endless = invalid("the head of its answer does not end");
            return Err(Failure::NoAnswer(endless).into());
        }
    };
    if head.answer.body_bytes != body_bytes {
        return Ok((head.answer, exchange.stream));
    }
    while ((bytes.len() - head.len) as u64) < body_bytes {
        exchange.read_more(&mut bytes)?;
    }
    let body = bytes.split_off(head.len);
    Ok((Answer { body, ..head.answer }, exchange.stream))
}

fn connect(to: SocketAddr, at_most: Duration, request: &[u8]) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&to, at_most)?;
    stream.set_nodelay(true)?;
    // The signal that stops everything need not reach the thread that reads.
    stream.set_read_timeout(Some(LOOK_EVERY))?;
    stream.write_all(request)?;
    Ok(stream)
}

impl Exchange<'_> {
    /// Waits for more bytes, as long as there is time and nobody wants everything stopped.
    fn read_more(&mut self, bytes: &mut Vec<u8>) -> Result<(), Break> {
        let mut buffer = [0; 64 << 10];
        loop {
            self.stop.check()?;
            if Instant::now() >= self.give_up {
                let late = Error::new(ErrorKind::TimedOut, "no whole answer comes in time");
                return Err(Failure::NoAnswer(late).into());
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    let end = Error::new(ErrorKind::UnexpectedEof, "it closes the connection");
                    return Err(Failure::NoAnswer(end).into());
                }
                Ok(count) => {
                    bytes.extend_from_slice(&buffer[..count]);
                    return Ok(());
                }
                // What the system calls "would block" is that nothing came for a while.
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(Failure::NoAnswer(error).into()),
            }
        }
    }
}

/// Reads a head, if it is complete.
fn parse(bytes: &[u8]) -> io::Result<Option<Head>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let parsed = response.parse(bytes).map_err(|error| invalid(&format!("no HTTP: {error}")))?;
    let httparse::Status::Complete(len) = parsed else { return Ok(None) };
    let value = |name: &str| {
        let mut fields = response.headers.iter();
        let field = fields.find(|field| field.name.eq_ignore_ascii_case(name));
        field.map(|field| String::from_utf8_lossy(field.value).into_owned())
    };
    let length = value("Content-Length").ok_or_else(|| invalid("its answer has no length"))?;
    let body_bytes = length.trim().parse().map_err(|_| invalid("its length is no number"))?;
    let status = response.code.unwrap_or_default();
    let server = value("Server").unwrap_or_default();
    Ok(Some(Head { answer: Answer { status, server, body_bytes, body: Vec::new() }, len }))
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// What comes of an answer that is sent in these parts, if five bytes are to be its body.
    fn answer(parts: &'static [&'static str]) -> Result<Answer, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let len = stream.read(&mut request).unwrap();
            assert!(request[..len].starts_with(b"GET /a HTTP/1.1\r\nHost: 127.0.0.1:"));
            for part in parts {
                stream.write_all(part.as_bytes()).unwrap();
                thread::sleep(Duration::from_millis(2));
            }
        });
        let answer = ask_for(address, Duration::from_secs(10), &Stop::default());
        server.join().unwrap();
        answer
    }

    fn ask_for(address: SocketAddr, at_most: Duration, stop: &Stop) -> Result<Answer, String> {
        match ask(address, &request(address, "/a"), 5, at_most, stop) {
            Ok((answer, _)) => Ok(answer),
            Err(Break::Target(failure)) => Err(failure.to_string()),
            Err(Break::Stopped) => Err("stopped".into()),
        }
    }

    #[test]
    fn an_answer_is_read_to_its_end() {
        let parts = &["HTTP/1.1 404 No\r\nserver: x/1\r\ncontent-", "length: 5\r\n\r\nhe", "llo"];
        let body = b"hello".to_vec();
        let expected = Answer { status: 404, server: "x/1".into(), body_bytes: 5, body };
        assert_eq!(answer(parts).unwrap(), expected);
    }

    #[test]
    fn a_body_of_another_length_is_not_read() {
        let found = answer(&["HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\nhello"]);
        let expected = Answer { status: 200, body_bytes: 99_999_999_999_999, ..Answer::default() };
        assert_eq!(found.unwrap(), expected);
    }

    #[test]
    fn what_is_no_answer_is_told() {
        for (parts, says) in [
            (&["SSH-2.0-x\r\n\r\n"][..], "no HTTP"),
            (&["HTTP/1.1 200 OK\r\n\r\n"], "no length"),
            (&["HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"], "no number"),
            (&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"], "closes"),
            (&[], "closes"),
        ] {
            let error = answer(parts).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn silence_ends_with_the_time_or_with_a_stop() {
        // Its queue takes the connection, and nobody ever answers.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let late = ask_for(address, Duration::from_millis(1), &Stop::default()).unwrap_err();
        assert!(late.contains("in time"), "{late}");
        let stopped = ask_for(address, Duration::from_secs(1000), &Stop::set());
        assert_eq!(stopped.unwrap_err(), "stopped");
    }
}
