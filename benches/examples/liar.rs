//! A server for tests that answers one client rightly and all others otherwise: `liar ADDRESS ROOT
//! HOW`, where HOW is a way of answering below.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Whom the suite asks as, so that lies are kept for others.
const SUITE: &str = "rimbench/";

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, root, how] = arguments.as_slice() else {
        return Err(io::Error::other("liar ADDRESS ROOT HOW"));
    };
    for stream in TcpListener::bind(address)?.incoming() {
        let (stream, root, how) = (stream?, PathBuf::from(root), how.clone());
        // A client that goes is no mistake.
        thread::spawn(move || serve(&stream, &root, &how).ok());
    }
    Ok(())
}

fn serve(stream: &TcpStream, root: &Path, how: &str) -> io::Result<()> {
    let (mut reader, mut to) = (BufReader::new(stream), stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        match how {
            "drips" => drip(to)?,
            "never-ends" => never_end(to)?,
            "empty-to-others" if !head.contains(SUITE) => {
                to.write_all(b"HTTP/1.1 204 No Content\r\nServer: liar\r\n\r\n")?;
            }
            _ => answer(to, root, &head)?,
        }
    }
}

/// The file, as it should be.
fn answer(mut to: &TcpStream, root: &Path, head: &str) -> io::Result<()> {
    let path = head.split(' ').nth(1).unwrap_or("/").trim_start_matches('/');
    let body = fs::read(root.join(path))?;
    let head = format!("HTTP/1.1 200 OK\r\nServer: liar\r\nContent-Length: {}\r\n\r\n", body.len());
    to.write_all(&[head.as_bytes(), &body].concat())
}

/// A byte now and then, so that there is always something to wait for.
fn drip(mut to: &TcpStream) -> io::Result<()> {
    to.write_all(b"HTTP/1.1 200 OK\r\nServer: liar\r\nContent-Length: 1000\r\n\r\n")?;
    loop {
        to.write_all(b"x")?;
        thread::sleep(Duration::from_millis(100));
    }
}

/// As much as the client takes.
fn never_end(mut to: &TcpStream) -> io::Result<()> {
    to.write_all(b"HTTP/1.1 200 OK\r\nServer: liar\r\nContent-Length: 99999999999999\r\n\r\n")?;
    loop {
        to.write_all(&[b'x'; 64 << 10])?;
    }
}
