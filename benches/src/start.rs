//! Starting a target, until it is ready.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use rim_driver::CoreList;
use tempfile::TempDir;

use crate::checkout;
use crate::failure::{Break, Failure};
use crate::group::Group;
use crate::site;
use crate::stop::Stop;
use crate::target::{Place, Target};

/// How long a target may take until it is ready.
pub(crate) const START_AT_MOST: Duration = Duration::from_secs(5);
/// Where what a target says on standard error goes, in its folder.
const STDERR: &str = "stderr.log";
/// Where some put it themselves, by their configuration.
const ERROR_LOG: &str = "error.log";

/// A target that is ready. It ends with this value.
pub(crate) struct Running {
    pub(crate) group: Group,
    pub(crate) address: SocketAddr,
    /// What it has said when it was ready, if it says something.
    pub(crate) ready: Option<Ready>,
    /// The program and its arguments, in one line.
    pub(crate) command_line: String,
    /// Its configuration files, as they were filled in.
    pub(crate) configuration: Vec<(String, String)>,
    folder: TempDir,
}

/// The line that a target says when it is ready: `ready: http://127.0.0.1:8080 driver=uring
/// workers=2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) driver: String,
    pub(crate) workers: Option<usize>,
}

impl Ready {
    fn parse(line: &str) -> Option<Self> {
        let words = line.strip_prefix("ready: ")?.split_whitespace();
        let value = |name| words.clone().find_map(|word| word.strip_prefix(name));
        let workers = value("workers=").and_then(|workers| workers.parse().ok());
        Some(Self { driver: value("driver=").unwrap_or_default().into(), workers })
    }
}

impl Running {
    /// Fails if the target has ended.
    pub(crate) fn check_alive(&self, when: &'static str) -> Result<(), Failure> {
        match self.group.end() {
            None => Ok(()),
            Some(end) => {
                let how = explained(&end.describe(), self.folder.path());
                Err(Failure::Died { when, how })
            }
        }
    }
}

/// Starts a target on these cores, where `root` is served and a file of so many bytes will be asked
/// for.
pub(crate) fn start(
    target: &Target,
    program: &Path,
    cores: &CoreList,
    root: &Path,
    file_bytes: u64,
    stop: &Stop,
) -> Result<Running, Break> {
    let failed = |error: io::Error| Failure::NotStarted(error.to_string());
    let folder = site::folder(&target.name).map_err(failed)?;
    let address = free_address().map_err(failed)?;
    let workers = cores.len();
    let place = Place { address, root, folder: folder.path(), file_bytes, workers };
    let configuration = write_files(target, &place).map_err(failed)?;
    let arguments: Vec<_> = target.arguments.iter().map(|text| place.fill(text)).collect();
    let mut command = Command::new(program);
    command.args(&arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(File::create(folder.path().join(STDERR)).map_err(failed)?);
    let group = Group::start(&mut command, cores).map_err(failed)?;
    let command_line = format!("{} {}", checkout::shown(program).display(), arguments.join(" "));
    let mut running = Running { group, address, ready: None, command_line, configuration, folder };
    let lines = running.group.take_stdout().map(ready_lines);
    let lines = lines.filter(|_| target.identity.driver.is_some());
    running.ready = wait_until_ready(&running, lines.as_ref(), stop)?;
    Ok(running)
}

/// An address that nobody listens on.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn write_files(target: &Target, place: &Place<'_>) -> io::Result<Vec<(String, String)>> {
    let mut written = Vec::new();
    for (name, template) in &target.files {
        let text = place.fill(template);
        fs::write(place.folder.join(name), &text)?;
        written.push((name.clone(), text));
    }
    Ok(written)
}

/// Reads a program's output to its end, so that it is never held up, and gives on who it says it is.
fn ready_lines(stdout: ChildStdout) -> Receiver<Ready> {
    let (found, lines) = channel();
    thread::spawn(move || read_lines(stdout, &found));
    lines
}

fn read_lines(stdout: ChildStdout, found: &Sender<Ready>) {
    for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
        if let Some(ready) = Ready::parse(&String::from_utf8_lossy(&line)) {
            // One is enough; whoever waited for it may have gone on.
            let _ = found.send(ready);
        }
    }
}

/// Waits for a target to say that it is ready, or, if it says nothing, to listen.
fn wait_until_ready(
    running: &Running,
    lines: Option<&Receiver<Ready>>,
    stop: &Stop,
) -> Result<Option<Ready>, Break> {
    let is_listening = || TcpStream::connect(running.address).is_ok();
    let found = stop.wait(START_AT_MOST, || {
        match lines {
            Some(lines) => lines.try_recv().ok().map(|ready| Ok(Some(ready))),
            None => is_listening().then_some(Ok(None)),
        }
        .or_else(|| running.check_alive("while it started").err().map(Err))
    })?;
    match found {
        Some(ready) => Ok(ready?),
        None => {
            let late = format!("not ready after {} s", START_AT_MOST.as_secs());
            Err(Failure::NotStarted(explained(&late, running.folder.path())).into())
        }
    }
}

/// What happened, with the last thing that the program said about it.
fn explained(what: &str, folder: &Path) -> String {
    let said = [STDERR, ERROR_LOG].iter().find_map(|name| last_line(&folder.join(name)));
    said.map_or(what.to_owned(), |line| format!("{what}: {line}"))
}

fn last_line(file: &Path) -> Option<String> {
    let text = fs::read(file).ok()?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().rfind(|line| !line.trim().is_empty())?;
    Some(line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_lines_name_driver_and_workers() {
        let ready = Ready::parse("ready: http://127.0.0.1:1 http://[::1]:1 driver=uring workers=2");
        assert_eq!(ready, Some(Ready { driver: "uring".into(), workers: Some(2) }));
        let ready = Ready::parse("ready: http://127.0.0.1:1");
        assert_eq!(ready, Some(Ready { driver: String::new(), workers: None }));
        assert_eq!(Ready::parse("almost ready: driver=uring"), None);
    }
}
