use std::ffi::CString;
use std::time::Duration;

use rim_driver::BlockingFiles;

use super::*;
use crate::files::FileSettings;

/// A connection whose files are found out.
struct Fixture {
    files: Files,
    disk: BlockingFiles,
    date: DateLine,
    connection: Connection,
    out: Vec<u8>,
    scratch: Vec<u8>,
    requests: u64,
}

impl Fixture {
    fn new(root: &std::path::Path) -> Self {
        let mut date = DateLine::new();
        date.update(Time::ZERO, || Duration::ZERO);
        let settings = FileSettings {
            root: CString::new(root.to_str().unwrap()).unwrap(),
            index: "index.html".into(),
            bytes_max: 10 << 20,
            worker: 0,
            workers: 1,
            seed: 1,
        };
        Self {
            files: Files::new(settings),
            disk: BlockingFiles::default(),
            date,
            connection: Connection::new(Socket(0), Time::ZERO),
            out: Vec::with_capacity(64 << 10),
            scratch: Vec::with_capacity(256),
            requests: 0,
        }
    }

    /// Answers a request in full, as far as it can be without waiting; what followed.
    fn answer(&mut self, request: &[u8]) -> Life {
        self.out.clear();
        let mut context = Context {
            files: &mut self.files,
            date: &self.date,
            out: &mut self.out,
            scratch: &mut self.scratch,
            requests: &mut self.requests,
            token: Token::new(Owner::Connection, 0, 0),
            is_draining: false,
        };
        self.connection.life = Life::Idle;
        self.connection.exchange.body = Body::Empty;
        self.connection.process(request, &mut context);
        self.connection.life
    }

    /// Finds out what is waited for.
    fn find_out(&mut self) {
        while let Some((token, op)) = self.files.ops.pop() {
            let result = self.disk.run(op);
            match token.owner() {
                // Long after the files were made, so that they count as settled.
                Owner::Fill => self.files.complete_fill(token, result, Duration::MAX / 2),
                _ => self.files.complete_control(token, result),
            }
        }
    }
}

#[test]
fn a_hit_allocates_nothing() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("short"), [b'a'; 1000]).unwrap();
    std::fs::write(directory.path().join("long"), [b'b'; 1 << 20]).unwrap();
    std::fs::create_dir(directory.path().join("a b")).unwrap();
    let mut fixture = Fixture::new(directory.path());
    for (request, begins) in [
        ("GET /short HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\n\r\n", "HTTP/1.1 200 OK"),
        ("GET /./%73hort?x HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK"),
        ("HEAD /long HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK"),
        ("GET /long HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK"),
        ("GET /short HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n", "HTTP/1.1 304 Not Modified"),
        ("GET /none HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 Not Found"),
        ("GET /a%20b?x=1 HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 301 Moved Permanently"),
    ] {
        while fixture.answer(request.as_bytes()) == Life::Waiting {
            fixture.find_out();
        }
        let mut life = Life::Idle;
        let counted = allocation_counter::measure(|| life = fixture.answer(request.as_bytes()));
        assert_eq!((life, counted.count_total), (Life::Sending, 0), "{request}");
        assert!(fixture.out.starts_with(begins.as_bytes()), "{request}");
    }
}

#[test]
fn an_idle_connection_is_small() {
    assert!(size_of::<Connection>() <= 224, "{} bytes", size_of::<Connection>());
    let connection = Connection::new(Socket(0), Time::ZERO);
    assert_eq!(connection.protocol.input.capacity(), 0);
}
