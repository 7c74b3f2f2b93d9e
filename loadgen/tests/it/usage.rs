//! Mistakes are told in one line, with the exit code of their kind.

use std::process::Command;

use crate::server::{OK, Server};
use crate::tool::{Ran, finish, rimload};

/// Checks that a run failed with one line that says this, and without a result.
#[track_caller]
fn assert_fails(ran: &Ran, code: i32, says: &str) {
    assert_eq!(ran.code, code, "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.starts_with("rimload: ") && ran.stderr.contains(says), "{}", ran.stderr);
    assert!(ran.json.is_null());
}

#[test]
fn a_command_line_that_makes_no_sense_is_code_2() {
    for (line, says) in [
        ("", "required"),
        ("localhost:8080", "http://"),
        ("https://localhost/", "https:// is not supported yet"),
        ("http://localhost/ -c 0", "0 is not in 1.."),
        ("http://localhost/ -d 1s -n 5", "cannot be used with"),
        ("http://localhost/ --cores x", "write for example 0 or 0-3,8"),
        ("http://localhost/ --frobnicate", "--frobnicate"),
        ("http://localhost/ -d 500000000000years", "at most"),
    ] {
        assert_fails(&rimload(line), 2, says);
    }
}

#[test]
fn what_this_machine_does_not_have_is_code_1() {
    for (line, says) in [
        ("http://name.invalid/", "cannot resolve name.invalid"),
        ("http://127.0.0.1:1/ --cores 1000", "no core 1000 here that may be used; choose from"),
        ("http://127.0.0.1:1/ --json /nowhere/result.json", "cannot write to /nowhere/result.json"),
        ("http://127.0.0.1:1/ --hdr /nowhere/times.hlog", "cannot write to /nowhere/times.hlog"),
        ("http://[::1]:1/ -c 70000 --cores 0", "70000 connections"),
    ] {
        // What goes to a file does not go to standard output, where there is nothing else.
        let ran = match line.contains("--json") {
            true => finish(crate::tool::command(line).output().expect("the program can be run")),
            false => rimload(line),
        };
        assert_fails(&ran, 1, says);
    }
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_the_run() {
    let server = Server::answering(OK);
    let line = format!("{} -d 1s --hdr /nowhere/x", server.url());
    assert_eq!(rimload(&line).code, 1);
    assert_eq!(server.requests(), 0);
}

#[test]
fn a_run_that_cannot_begin_leaves_an_earlier_result_alone() {
    let folder = tempfile::tempdir().unwrap();
    let [json, log] = ["result.json", "times.hlog"].map(|name| folder.path().join(name));
    for file in [&json, &log] {
        std::fs::write(file, "an earlier one").unwrap();
    }
    let mut command = crate::tool::command("http://127.0.0.1:1/ --quiet");
    command.arg("--json").arg(&json).arg("--hdr").arg(&log);
    assert_fails(&finish(command.output().expect("it can be run")), 1, "nobody listens");
    for file in [&json, &log] {
        assert_eq!(std::fs::read_to_string(file).unwrap(), "an earlier one");
    }
}

#[test]
fn a_full_disk_under_the_log_does_not_cost_the_result() {
    let server = Server::answering(OK);
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("result.json");
    std::fs::write(&json, "x".repeat(100_000)).unwrap();
    let mut command = crate::tool::command(&format!("{} -n 100 --quiet", server.url()));
    let output = command.arg("--json").arg(&json).args(["--hdr", "/dev/full"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("cannot write to /dev/full"), "{complaint}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("100 answered"));
    let text = std::fs::read_to_string(&json).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).expect("nothing is left of before");
    assert_eq!(json["requests"]["answered"], 100);
}

/// Runs it in a shell that has lowered the limit on open files.
fn with_open_files(limit: u32, line: &str) -> Ran {
    let program = env!("CARGO_BIN_EXE_rimload");
    let script = format!("ulimit -n {limit} && exec {program} {line} --json - --quiet");
    finish(Command::new("sh").arg("-c").arg(script).output().expect("there is a shell"))
}

#[test]
fn few_open_files_are_enough_or_the_message_says_how_many_would_be() {
    let server = Server::answering(OK);
    let url = server.url().replace('?', "\\?");
    // On a kernel without direct descriptors, fewer.
    let ran = with_open_files(64, &format!("{url} -c 30 -n 300 --cores 0"));
    assert_eq!(ran.code, 0, "{} {}", ran.json, ran.stderr);
    assert_eq!(ran.count("/connections/served"), 30);
    for driver in ["auto", "epoll"] {
        let ran = with_open_files(64, &format!("{url} -c 65 -d 1s --cores 0 --driver {driver}"));
        assert_fails(&ran, 1, "65 connections need an open-file limit of");
    }
}
