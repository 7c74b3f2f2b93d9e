//! Signals.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::programs::{Bench, WATCHDOG, processes_with, wait_for};

const LONG: &str = r#"
    about = "longer than anybody waits"
    targets = ["null", "prefork", "rim"]
    scenarios = ["small-64"]
    rounds = 100
    duration = "600s"
"#;

/// Gives on what a program says on standard error, line by line.
fn lines(child: &mut Child) -> Receiver<String> {
    let stderr = child.stderr.take().expect("it is piped");
    let (say, said) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            // A test that has failed listens no more.
            let _ = say.send(line);
        }
    });
    said
}

#[test]
fn a_signal_stops_everything_that_was_started() {
    for (signal, target) in
        [(Signal::INT, "rim"), (Signal::TERM, "prefork"), (Signal::QUIT, "null")]
    {
        let bench = Bench::new(LONG);
        let mut command = bench.command();
        command.args(["--targets", target]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it can be run");
        let said = lines(&mut child);
        // The load generator says where it sends requests to, and the server where it listens.
        let address = wait_for("a loaded target", || address_of_load(child.id()));
        assert!(processes_with(&address) >= 1);
        kill_process(Pid::from_child(&child), signal).expect("it is there");
        let status = wait_for("the end", || child.try_wait().expect("a child"));
        assert_eq!((status.code(), status.signal()), (Some(1), None), "{target}");
        wait_for("nothing that is left", || (processes_with(&address) == 0).then_some(()));
        let last = std::iter::from_fn(|| said.recv_timeout(WATCHDOG).ok()).last();
        let expected = "rimbench: stopped by a signal; what was measured until then is kept";
        assert_eq!(last.as_deref(), Some(expected));
        assert!(bench.records().is_empty());
    }
}

/// The address that the load generator of a suite is loading for a long time, if it is.
fn address_of_load(suite: u32) -> Option<String> {
    let children = std::fs::read_to_string(format!("/proc/{suite}/task/{suite}/children")).ok()?;
    children.split_whitespace().find_map(|child| {
        let line = std::fs::read(format!("/proc/{child}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let (_, rest) = line.split_once("http://").filter(|_| line.contains("10m"))?;
        Some(rest.split('/').next()?.rsplit(':').next()?.to_owned())
    })
}
