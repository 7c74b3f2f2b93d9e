//! Running the program.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::site::Site;
use crate::wait::{WATCHDOG, wait_for};

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program with the arguments of a line.
pub(crate) fn command(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rim"));
    command.args(line.split_whitespace());
    command
}

/// The program serving a site on a free port, with the arguments of a line.
pub(crate) fn serving(site: &Site, driver: &str, flags: &str) -> Command {
    let mut command = command("serve");
    command.arg(site.root()).args(["--listen", "127.0.0.1:0", "--driver", driver]);
    command.args(flags.split_whitespace());
    command
}

/// Runs the program with the arguments of a line, to its end.
pub(crate) fn run(line: &str) -> Ran {
    finish(command(line))
}

/// Runs the program to its end, which has to come by itself.
pub(crate) fn finish(mut command: Command) -> Ran {
    let (stdout, stderr) = (temporary(), temporary());
    command.stdin(Stdio::null());
    command.stdout(duplicate(&stdout)).stderr(duplicate(&stderr));
    let mut child = Reaped(command.spawn().expect("the program can be run"));
    let code = child.wait();
    Ran { code, stdout: content(&stdout), stderr: content(&stderr) }
}

/// A running server. It is killed when it is dropped.
pub(crate) struct Server {
    child: Reaped,
    ready: String,
    stderr: File,
    /// Lines that it may print on standard error.
    complaints: usize,
}

impl Server {
    /// Starts one that serves a site on a free port, with the arguments of a line.
    #[track_caller]
    pub(crate) fn start(site: &Site, driver: &str, flags: &str) -> Self {
        Self::spawn(serving(site, driver, flags))
    }

    /// Starts one, and waits until it is ready.
    #[track_caller]
    pub(crate) fn spawn(mut command: Command) -> Self {
        let stderr = temporary();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(duplicate(&stderr));
        let mut child = Reaped(command.spawn().expect("the program can be run"));
        let mut stdout = BufReader::new(child.0.stdout.take().expect("it is piped"));
        let (told, line) = channel();
        thread::spawn(move || {
            let mut line = String::new();
            // Nobody listens any more after the watchdog.
            let _ = told.send(stdout.read_line(&mut line).map(|_| line));
        });
        let line = line.recv_timeout(WATCHDOG).expect("it is ready in time");
        let ready = line.expect("it says something");
        assert!(ready.starts_with("ready: ") && ready.ends_with('\n'), "{}", content(&stderr));
        Self { child, ready, stderr, complaints: 0 }
    }

    /// The line that it has printed.
    pub(crate) fn ready(&self) -> &str {
        self.ready.trim_end()
    }

    /// Where it listens: on all of its addresses.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let urls = self.ready.split_whitespace().filter_map(|word| word.strip_prefix("http://"));
        urls.map(|address| address.parse().expect("an address with a port")).collect()
    }

    /// Where it listens first.
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses()[0]
    }

    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.0.id()
    }

    /// What it has printed on standard error.
    pub(crate) fn said(&self) -> String {
        content(&self.stderr)
    }

    /// Lets it complain: without this, it has to have been silent in the end.
    pub(crate) fn may_complain(&mut self, lines: usize) {
        self.complaints = lines;
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child.0), signal).expect("it is running");
    }

    /// Whether it is still running.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.0.try_wait().expect("it is our child").is_none()
    }

    /// Waits for its end; the exit code.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> i32 {
        self.child.wait()
    }

    /// A line of a file in its directory of /proc.
    pub(crate) fn proc_line(&self, file: &str, start: &str) -> Option<String> {
        let text = std::fs::read_to_string(format!("/proc/{}/{file}", self.process())).ok()?;
        text.lines().find(|line| line.starts_with(start)).map(str::to_owned)
    }

    /// Memory that it has, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let line = self.proc_line("status", "VmRSS:").expect("a process has memory");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
    }
}

impl Drop for Server {
    /// Nothing that a client or a file does is a reason to complain, and a panic would be told.
    fn drop(&mut self) {
        let (said, lines) = (self.said(), self.said().lines().count());
        if !thread::panicking() {
            assert!(lines <= self.complaints, "on standard error:\n{said}");
        }
    }
}

/// A child that is killed and waited for when it is dropped.
struct Reaped(Child);

impl Reaped {
    #[track_caller]
    fn wait(&mut self) -> i32 {
        let ended = || self.0.try_wait().expect("it is our child");
        let status = wait_for("the program ends", ended);
        status.code().unwrap_or_else(|| panic!("it ended by {status}"))
    }
}

impl Drop for Reaped {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn temporary() -> File {
    tempfile::tempfile().expect("a file for what it prints")
}

fn duplicate(file: &File) -> Stdio {
    file.try_clone().expect("another descriptor").into()
}

/// What is in a file, without moving the place where others go on writing.
fn content(file: &File) -> String {
    let len = file.metadata().expect("it is open").len();
    let mut bytes = vec![0; usize::try_from(len).expect("little")];
    file.read_exact_at(&mut bytes, 0).expect("it does not shrink");
    String::from_utf8_lossy(&bytes).into_owned()
}
