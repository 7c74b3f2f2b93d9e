//! The reference models.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::programs::{WATCHDOG, finish, processes_with, wait_for};

const MODELS: [&str; 2] = ["prefork", "worker"];

fn program(model: &str) -> Command {
    let program = match model {
        "prefork" => env!("CARGO_BIN_EXE_prefork"),
        _ => env!("CARGO_BIN_EXE_worker"),
    };
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command
}

/// A model that serves a small site to two clients at once.
struct Running {
    child: Child,
    address: SocketAddr,
    site: TempDir,
}

impl Running {
    fn start(model: &str) -> Self {
        let site = tempfile::tempdir().unwrap();
        std::fs::write(site.path().join("a.txt"), "some text").unwrap();
        let mut command = program(model);
        command.args(["--listen", "127.0.0.1:0", "--root"]).arg(site.path());
        match model {
            "prefork" => command.args(["--processes", "2"]),
            _ => command.args(["--processes", "1", "--threads", "2"]),
        };
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let words: Vec<_> = line.split_whitespace().collect();
        let expected = [format!("driver={model}"), "workers=2".into()];
        assert_eq!(words[2..], expected, "{line}");
        let address = words[1].strip_prefix("http://").unwrap().parse().unwrap();
        Self { child, address, site }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(WATCHDOG)).unwrap();
        stream
    }

    fn root(&self) -> &Path {
        self.site.path()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended; its children end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(stream: &mut TcpStream, target: &str) -> (String, String) {
    write!(stream, "GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

#[test]
fn they_answer_as_rim_does() {
    for model in MODELS {
        let running = Running::start(model);
        let mut stream = running.connect();
        for _ in 0..3 {
            let (head, body) = get(&mut stream, "/a.txt");
            assert!(
                head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("Server: rim"),
                "{head}"
            );
            assert_eq!(body, "some text");
            assert!(get(&mut stream, "/none").0.starts_with("HTTP/1.1 404 "));
        }
    }
}

#[test]
fn a_client_more_than_there_are_threads_waits_until_another_goes() {
    for model in MODELS {
        let running = Running::start(model);
        let mut clients = [running.connect(), running.connect()];
        for client in &mut clients {
            get(client, "/a.txt");
        }
        let mut late = running.connect();
        late.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        write!(late, "GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert!(late.read(&mut [0]).is_err(), "both are busy");
        drop(clients);
        late.set_read_timeout(Some(WATCHDOG)).unwrap();
        assert_eq!(late.read(&mut [0]).unwrap(), 1);
    }
}

#[test]
fn children_end_with_their_parent_however_it_ends() {
    for model in MODELS {
        for signal in [Signal::KILL, Signal::TERM, Signal::INT] {
            let mut running = Running::start(model);
            let mut busy = running.connect();
            get(&mut busy, "/a.txt");
            let root = running.root().to_str().unwrap().to_owned();
            assert!(processes_with(&root) >= 2);
            kill_process(Pid::from_child(&running.child), signal).unwrap();
            let status = running.child.wait().unwrap();
            assert_eq!(status.success(), signal != Signal::KILL);
            wait_for("all children end", || (processes_with(&root) == 0).then_some(()));
        }
    }
}

#[test]
fn mistakes_are_told_in_one_line() {
    let site = tempfile::tempdir().unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let used = other.local_addr().unwrap().to_string();
    for model in MODELS {
        for (root, listen, says) in [
            (Path::new("/nowhere"), "127.0.0.1:0", "cannot serve /nowhere: name a directory"),
            (site.path(), &*used, "is in use"),
        ] {
            let mut command = program(model);
            command.args(["--listen", listen, "--root"]).arg(root);
            let ran = finish(command);
            assert_eq!(ran.code, Some(1));
            assert!(ran.stderr.starts_with(&format!("{model}: ")), "{}", ran.stderr);
            assert!(ran.stderr.contains(says) && ran.stderr.lines().count() == 1, "{}", ran.stderr);
        }
    }
}
