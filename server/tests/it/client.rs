//! A client that says what it is told to, and reads answers strictly.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::wait::WATCHDOG;

/// Bytes that a client with little patience has room for.
pub(crate) const SMALL_BUFFER_BYTES: usize = 64 << 10;

/// A request for a path that leaves the connection open.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The head, line ends included, without the empty line.
    pub(crate) head: String,
    pub(crate) content: Vec<u8>,
}

impl Answer {
    /// Reads a head, up to and including its empty line.
    fn parse(head: &[u8]) -> Self {
        let head = str::from_utf8(head).expect("this server's heads are text");
        let head = head.strip_suffix("\r\n").expect("an empty line at the end");
        let status = head.strip_prefix("HTTP/1.1 ").expect("a status line");
        assert!(status[3..].starts_with(' '), "{head}");
        let status = status[..3].parse().expect("a status code");
        for line in head.split_inclusive("\r\n").skip(1) {
            let (name, value) = line.split_once(": ").expect("a field line");
            let value = value.strip_suffix("\r\n").expect("a line end");
            assert!(!name.is_empty() && !value.contains(['\r', '\n']), "{head}");
        }
        Self { status, head: head.to_owned(), content: Vec::new() }
    }

    /// The value of a field, which may be there once at most.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let mut values = fields.filter(|(it, _)| it.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value);
        assert!(values.next().is_none(), "two of {name}:\n{}", self.head);
        value
    }

    /// The value of a field that has to be there.
    #[track_caller]
    pub(crate) fn the(&self, name: &str) -> &str {
        self.field(name).unwrap_or_else(|| panic!("no {name}:\n{}", self.head))
    }

    /// The content, which has to be text.
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.content).expect("text")
    }

    /// Whether it says that it is the last one.
    pub(crate) fn is_last(&self) -> bool {
        self.field("Connection") == Some("close")
    }

    /// The head without what depends on the time.
    pub(crate) fn timeless(&self) -> String {
        let lines = self.head.split_inclusive("\r\n");
        lines.filter(|line| !line.starts_with("Date: ")).collect()
    }

    /// How many bytes of content follow the head.
    fn content_len(&self, to_head: bool) -> usize {
        if to_head || self.status == 304 {
            return 0;
        }
        self.the("Content-Length").parse().expect("a number")
    }
}

/// A connection to a server.
pub(crate) struct Client {
    stream: TcpStream,
    /// What has come and not been read as an answer.
    received: Vec<u8>,
}

impl Client {
    #[track_caller]
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).expect("a connection")
    }

    pub(crate) fn try_connect(address: SocketAddr) -> io::Result<Self> {
        Self::adopt(TcpStream::connect_timeout(&address, WATCHDOG)?)
    }

    /// One that has so little room for what it receives and sends that a server soon waits for it.
    #[track_caller]
    pub(crate) fn connect_narrow(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None);
        let socket = socket.expect("a socket");
        socket.set_recv_buffer_size(SMALL_BUFFER_BYTES).expect("a small buffer");
        socket.set_send_buffer_size(SMALL_BUFFER_BYTES).expect("a small buffer");
        socket.connect(&address.into()).expect("a connection");
        Self::adopt(socket.into()).expect("a connection")
    }

    fn adopt(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(WATCHDOG))?;
        stream.set_write_timeout(Some(WATCHDOG))?;
        Ok(Self { stream, received: Vec::new() })
    }

    /// The socket.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Its own address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.stream.local_addr().expect("it is connected")
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server takes it");
    }

    /// Sends what a server may have had enough of already.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Says that nothing more will come.
    pub(crate) fn finish(&self) {
        // A server that has closed already has made the connection go.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Sends one request and reads the answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.send(&request);
        self.read(request.as_ref().starts_with(b"HEAD "))
    }

    /// Gets a path.
    #[track_caller]
    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.ask(get(path))
    }

    /// Reads the answer to a request that was no HEAD.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        self.read(false)
    }

    #[track_caller]
    fn read(&mut self, to_head: bool) -> Answer {
        let answer = self.try_head().expect("a whole head");
        self.try_content(answer, to_head).expect("the whole content")
    }

    /// Reads the head of an answer.
    pub(crate) fn try_head(&mut self) -> io::Result<Answer> {
        loop {
            let end = self.received.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                return Ok(Answer::parse(&self.received.drain(..end + 4).collect::<Vec<_>>()));
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                len => self.received.extend_from_slice(&buffer[..len]),
            }
        }
    }

    /// Reads the content that belongs to a head.
    pub(crate) fn try_content(&mut self, mut head: Answer, to_head: bool) -> io::Result<Answer> {
        let len = head.content_len(to_head);
        head.content = self.try_bytes(len)?;
        Ok(head)
    }

    /// Reads so many bytes.
    pub(crate) fn try_bytes(&mut self, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes: Vec<u8> = self.received.drain(..len.min(self.received.len())).collect();
        let before = bytes.len();
        bytes.resize(len, 0);
        self.stream.read_exact(&mut bytes[before..])?;
        Ok(bytes)
    }

    /// Reads on until the server closes the connection in order.
    pub(crate) fn try_rest(&mut self, rest: &mut Vec<u8>) -> io::Result<()> {
        rest.append(&mut self.received);
        self.stream.read_to_end(rest)?;
        Ok(())
    }

    /// Waits until the server closes the connection, in order and without another byte.
    #[track_caller]
    pub(crate) fn assert_ended(&mut self) {
        let mut rest = Vec::new();
        self.try_rest(&mut rest).expect("closed, not reset");
        assert!(rest.is_empty(), "after the last answer: {}", String::from_utf8_lossy(&rest));
    }

    /// Whether the server closes the connection within that time, having sent nothing more.
    pub(crate) fn ends_within(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).expect("a time");
        let mut rest = Vec::new();
        self.try_rest(&mut rest).is_ok() && rest.is_empty()
    }
}

/// All answers in `bytes`, none of which is one to HEAD.
pub(crate) fn parse_all(mut bytes: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head") + 4;
        let mut answer = Answer::parse(&bytes[..end]);
        let (content, rest) = bytes[end..].split_at(answer.content_len(false));
        answer.content = content.to_vec();
        answers.push(answer);
        bytes = rest;
    }
    answers
}
