//! Mistakes are told in one line, with the exit code of their kind.

use crate::programs::{Bench, Ran, finish, folder, rimbench};

#[track_caller]
fn assert_fails(ran: &Ran, code: i32, says: &str) {
    assert_eq!(ran.code, Some(code), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.starts_with("rimbench: ") && ran.stderr.contains(says), "{}", ran.stderr);
    assert!(ran.stdout.is_empty(), "{}", ran.stdout);
}

#[test]
fn a_command_line_that_makes_no_sense_is_code_2() {
    for (line, says) in [
        ("", "subcommand"),
        ("run --rounds 0", "0 is not in 1..=1000"),
        ("run --suite quik", "no suite \"quik\"; choose from quick, standard, full"),
        ("run --targets rum", "no target \"rum\"; choose from rim, "),
        ("run --server-cores x", "write for example 0 or 0-3,8"),
        ("run --frobnicate", "--frobnicate"),
    ] {
        assert_fails(&finish(rimbench(line)), 2, says);
    }
}

#[test]
fn what_cannot_be_done_here_is_code_1() {
    for (line, says) in [
        ("run --server-cores 1000", "cores 1000 may be used here; choose from"),
        ("run --client-cores 1000", "cores 1000 may be used here; choose from"),
        ("run --out /proc/nowhere", "cannot write to /proc/nowhere"),
        ("run --binaries /nowhere", "no program at /nowhere/rim"),
    ] {
        let mut command = rimbench(line);
        let elsewhere = tempfile::tempdir().unwrap();
        if !line.contains("--out") {
            command.arg("--out").arg(elsewhere.path());
        }
        assert_fails(&finish(command), 1, says);
    }
}

#[test]
fn a_suite_that_makes_no_sense_is_code_1_and_tells_the_line() {
    let bench = Bench::new("about = \"x\"\ntargets = 5\n");
    assert_fails(&finish(bench.command()), 1, "tiny.toml:2: ");
    let mut command = rimbench("run --suite /");
    command.arg("--binaries").arg(folder());
    assert_fails(&finish(command), 1, "cannot read /: ");
}

#[test]
fn help_and_version_are_on_standard_output() {
    for (line, says) in [("--help", "run"), ("run --help", "--suite"), ("--version", "rimbench 0")]
    {
        let ran = finish(rimbench(line));
        assert_eq!(ran.code, Some(0));
        assert!(ran.stdout.contains(says) && ran.stderr.is_empty(), "{}", ran.stdout);
    }
}
