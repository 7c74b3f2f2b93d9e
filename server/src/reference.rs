//! The server's own protocol and files on a thread that waits.
//!
//! The benchmark suite compares architectures: a process per client, a thread per client. Its models
//! answer with this, so that they differ from the server in nothing but that.

use std::ffi::CString;
use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use rim_driver::{BlockingFiles, Clock, Op, Owner, Socket, Time, Token};

use crate::body::{FileProgress, Piece};
use crate::clock::DateLine;
use crate::connection::{Connection, Context, Life, Then, exchange_token};
use crate::files::{FileSettings, Files};
use crate::limits::SEND_BYTES_MAX;

/// How long a client may say nothing.
const IDLE_AT_MOST: Duration = Duration::from_secs(60);
/// One read from a client, in bytes.
const INPUT_BYTES: usize = 4096;

/// Serves files to one client at a time.
pub struct Reference {
    files: Files,
    disk: BlockingFiles,
    date: DateLine,
    clock: Clock,
    scratch: Vec<u8>,
    requests: u64,
}

impl Reference {
    /// Serves the files below `root`, and keeps up to `cache_bytes` of them in memory.
    #[must_use]
    pub fn new(root: CString, cache_bytes: u64) -> Self {
        let settings = FileSettings {
            root,
            index: "index.html".into(),
            bytes_max: cache_bytes,
            worker: 0,
            workers: 1,
            seed: 0,
        };
        Self {
            files: Files::new(settings),
            disk: BlockingFiles::default(),
            date: DateLine::new(),
            clock: Clock,
            scratch: Vec::new(),
            requests: 0,
        }
    }

    /// Serves one client until it goes, or says nothing for too long.
    ///
    /// # Errors
    /// What went wrong with the connection or with a file.
    pub fn serve(&mut self, mut client: TcpStream) -> io::Result<()> {
        client.set_read_timeout(Some(IDLE_AT_MOST))?;
        client.set_write_timeout(Some(IDLE_AT_MOST))?;
        let mut connection = Connection::new(Socket(0), Time::ZERO);
        let mut buffer = [0; INPUT_BYTES];
        loop {
            let len = client.read(&mut buffer)?;
            if len == 0 {
                return Ok(());
            }
            connection.protocol.input.extend_from_slice(&buffer[..len]);
            loop {
                let out = self.process(&mut connection)?;
                if connection.life != Life::Sending {
                    break;
                }
                client.write_all(&out)?;
                self.send_body(&mut connection, &mut client)?;
                if connection.exchange.then != Then::NextRequest {
                    return Ok(());
                }
                connection.life = Life::Idle;
            }
        }
    }

    /// Looks at the input until there is an answer or more input is needed.
    fn process(&mut self, connection: &mut Connection) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        loop {
            let now = self.clock.now();
            self.files.set_time(now);
            self.date.update(now, || self.clock.unix());
            let mut context = Context {
                files: &mut self.files,
                date: &self.date,
                out: &mut out,
                scratch: &mut self.scratch,
                requests: &mut self.requests,
                token: Token::new(Owner::Connection, 0, 0),
                is_draining: false,
            };
            let mut input = mem::take(&mut connection.protocol.input);
            let consumed = connection.process(&input, &mut context);
            input.drain(..consumed);
            connection.protocol.input = input;
            if connection.life != Life::Waiting {
                return Ok(out);
            }
            self.carry_out(connection)?;
        }
    }

    /// Carries out what files and body want done, until nothing more is wanted.
    fn carry_out(&mut self, connection: &mut Connection) -> io::Result<()> {
        loop {
            while let Some((token, op)) = self.files.ops.pop() {
                self.run(token, op, connection)?;
            }
            let Some((token, at)) = self.files.alarms.pop() else { break };
            thread::sleep(at.since(self.clock.now()));
            self.files.alarm(token);
        }
        self.files.ready.clear();
        self.files.end_turn();
        Ok(())
    }

    fn run(&mut self, token: Token, op: Op, connection: &mut Connection) -> io::Result<()> {
        let result = self.disk.run(op);
        match token.owner() {
            Owner::Fill => self.files.complete_fill(token, result, self.clock.unix()),
            Owner::Control | Owner::Connection => self.files.complete_control(token, result),
            Owner::Exchange => {
                if let Some(root) = connection.exchange.root.take() {
                    self.files.release_root(root);
                }
                let Some(body) = connection.exchange.body.as_file() else { return Ok(()) };
                match body.advance(result) {
                    FileProgress::Submit(op) => self.files.ops.push((token, op)),
                    FileProgress::Verified | FileProgress::Ready => {}
                    FileProgress::Changed | FileProgress::Failed => {
                        return Err(ErrorKind::InvalidData.into());
                    }
                }
            }
        }
        Ok(())
    }

    /// Sends what is left of an answer.
    fn send_body(&mut self, connection: &mut Connection, client: &mut TcpStream) -> io::Result<()> {
        let token = exchange_token(Token::new(Owner::Connection, 0, 0));
        loop {
            match connection.exchange.body.next(SEND_BYTES_MAX) {
                Piece::Shared(shared, range) => client.write_all(&shared.as_slice()[range])?,
                Piece::Owned(piece) => client.write_all(&piece)?,
                Piece::Pending => {
                    let body = connection.exchange.body.as_file();
                    let read = body.and_then(|body| body.read_ahead());
                    self.files.ops.extend(read.map(|op| (token, op)));
                    self.carry_out(connection)?;
                }
                Piece::End => break,
            }
        }
        connection.drop_body(&mut self.files);
        self.carry_out(connection)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn it_answers_like_the_server_from_memory_and_from_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..3_000_000u32).map(|number| number as u8).collect();
        std::fs::write(directory.path().join("long"), &content).unwrap();
        for cache_bytes in [0, 10 << 20] {
            let root = CString::new(directory.path().to_str().unwrap()).unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let server = thread::spawn(move || {
                Reference::new(root, cache_bytes).serve(listener.accept().unwrap().0)
            });
            let request = "GET /long HTTP/1.1\r\nHost: a\r\n\r\nGET /none HTTP/1.0\r\n\r\n";
            client.write_all(request.as_bytes()).unwrap();
            let mut answers = Vec::new();
            client.read_to_end(&mut answers).unwrap();
            server.join().unwrap().unwrap();
            let head_end = answers.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
            assert!(answers.starts_with(b"HTTP/1.1 200 OK\r\nServer: rim\r\n"));
            assert!(answers[head_end..][..content.len()] == content);
            let rest = &answers[head_end + content.len()..];
            assert!(rest.starts_with(b"HTTP/1.1 404 Not Found\r\n"));
        }
    }
}
