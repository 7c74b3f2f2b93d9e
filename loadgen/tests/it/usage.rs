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
