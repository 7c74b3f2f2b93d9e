//! One request and its answer, at leisure: to see who answers, and to hold connections open.

use std::io::{self, Error, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The longest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 16 << 10;
const FIELDS_MAX: usize = 64;

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The `Server` field; empty if there is none.
    pub(crate) server: String,
    pub(crate) body: Vec<u8>,
}

/// What an answer's head says.
struct Head {
    answer: Answer,
    /// Where it ends.
    len: usize,
    body_bytes: usize,
}

/// Connects to a server; neither that nor any answer may take longer than this.
pub(crate) fn connect(to: SocketAddr, at_most: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, at_most)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(at_most))?;
    stream.set_write_timeout(Some(at_most))?;
    Ok(stream)
}

/// The bytes of a request that leaves the connection open.
pub(crate) fn request(to: SocketAddr, path: &str) -> Vec<u8> {
    let agent = concat!("rimbench/", env!("CARGO_PKG_VERSION"));
    format!("GET {path} HTTP/1.1\r\nHost: {to}\r\nUser-Agent: {agent}\r\n\r\n").into_bytes()
}

/// Sends a request and reads the whole answer.
pub(crate) fn ask(stream: &mut TcpStream, request: &[u8]) -> io::Result<Answer> {
    stream.write_all(request)?;
    let mut bytes = Vec::with_capacity(4096);
    let head = loop {
        read_more(stream, &mut bytes)?;
        if let Some(head) = parse(&bytes)? {
            break head;
        }
        if bytes.len() > HEAD_BYTES_MAX {
            return Err(invalid("the head of its answer does not end"));
        }
    };
    while bytes.len() < head.len + head.body_bytes {
        read_more(stream, &mut bytes)?;
    }
    let body = bytes.split_off(head.len);
    Ok(Answer { body, ..head.answer })
}

fn read_more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 64 << 10];
    let count = match stream.read(&mut buffer) {
        Ok(0) => return Err(Error::new(ErrorKind::UnexpectedEof, "it closes the connection")),
        // What the system calls "would block" is that nothing came in time.
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            return Err(Error::new(ErrorKind::TimedOut, "nothing comes"));
        }
        result => result?,
    };
    bytes.extend_from_slice(&buffer[..count]);
    Ok(())
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
    Ok(Some(Head { answer: Answer { status, server, body: Vec::new() }, len, body_bytes }))
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// What comes of an answer that is sent in these parts.
    fn answer(parts: &'static [&'static str]) -> io::Result<Answer> {
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
        let mut stream = connect(address, Duration::from_secs(10)).unwrap();
        let answer = ask(&mut stream, &request(address, "/a"));
        server.join().unwrap();
        answer
    }

    #[test]
    fn an_answer_is_read_to_its_end() {
        let parts = &["HTTP/1.1 404 No\r\nserver: x/1\r\ncontent-", "length: 5\r\n\r\nhe", "llo"];
        let expected = Answer { status: 404, server: "x/1".into(), body: b"hello".to_vec() };
        assert_eq!(answer(parts).unwrap(), expected);
    }

    #[test]
    fn what_is_no_answer_is_told() {
        for (parts, says) in [
            (&["SSH-2.0-x\r\n\r\n"][..], "no HTTP"),
            (&["HTTP/1.1 200 OK\r\n\r\n"], "no length"),
            (&["HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"], "no number"),
            (&["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"], "closes"),
            (&[], "closes"),
        ] {
            let error = answer(parts).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
