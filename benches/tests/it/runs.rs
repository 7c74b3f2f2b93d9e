//! Suites from beginning to end.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::programs::{Bench, finish, folder, processes_with};

/// A scenario that is over soon.
const TINY: &str = r#"
    about = "as little as can be"
    rounds = 1
    baseline = "rim"
    scenarios = ["tiny"]
    [scenario.tiny]
    question = "Does it work?"
    connections = 8
    file-bytes = 1000
    expected-status = 200
    warm-up = "50ms"
    duration = "300ms"
    connect-timeout = "2s"
"#;

fn suite(targets: &str, more: &str) -> Bench {
    Bench::new(&format!("targets = [{targets}]\n{TINY}\n{more}"))
}

/// A target that is a program of this workspace, with another name and more arguments than usual.
fn target(name: &str, program: &str, arguments: &str, driver: &str, server: &str) -> String {
    let path = folder().join(program);
    format!(
        "[target.{name}]\nabout = \"another one\"\nprogram.path = {path:?}\n\
         arguments = [{arguments}]\nidentity = {{ driver = \"{driver}\", server = \"{server}\" }}\n"
    )
}

fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record[field].as_str().unwrap_or_else(|| panic!("{field} in {record:#}"))
}

#[test]
fn every_target_of_the_workspace_gives_figures() {
    // Hundreds of processes want their turn in the window, on a machine that may be busy.
    let targets = r#"targets = ["rim", "rim-epoll", "prefork", "worker", "null"]"#;
    let bench = Bench::new(&format!("{targets}\n{}", TINY.replace("300ms", "2s")));
    let ran = finish(bench.command());
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    let records = bench.records();
    let targets: Vec<_> = records.iter().map(|record| text(record, "target")).collect();
    assert_eq!(targets, ["rim", "rim-epoll", "prefork", "worker", "null"]);
    for record in &records {
        assert_eq!(text(record, "scenario"), "tiny");
        assert_eq!((&record["connections"], &record["starved"]), (&8.into(), &0.into()));
        // Servers and tests share the machine, so that a verdict may be `client-bound`.
        assert_ne!(text(record, "verdict"), "invalid", "{record:#}");
        assert!(record["rps"].as_f64().unwrap() > 0.0 && record["p99_us"].as_f64().unwrap() > 0.0);
        assert!(ran.stdout.contains(&format!("| {} ", text(record, "target"))), "{}", ran.stdout);
        let used = &record["server"]["used"];
        assert!(used["cpu_us_per_answer"].as_f64().unwrap() > 0.0, "{record:#}");
        let idle = &record["server"]["idle"];
        assert_eq!(idle["connections"], 8);
        assert!(idle["with"]["rss_bytes"].as_u64().unwrap() > 0);
    }
    let drivers = records.iter().map(|record| text(&record["server"], "driver"));
    assert_eq!(drivers.collect::<Vec<_>>(), ["uring", "epoll", "prefork", "worker", "null"]);
    let processes =
        records.iter().map(|record| record["server"]["idle"]["with"]["processes"].clone());
    assert_eq!(processes.collect::<Vec<_>>(), [1, 1, 257, 17, 1]);
    let hash = blake3::hash(&fs::read(folder().join("rim")).unwrap()).to_hex();
    assert_eq!(text(&records[0]["program"], "blake3"), hash.as_str());
    assert_eq!(text(&records[0]["rimload"], "blake3").len(), 64);
    for record in &records {
        let site = text(&record["server"], "command_line").split_whitespace();
        let site = site.clone().find(|word| word.contains("rimbench-site"));
        assert!(site.is_none_or(|site| processes_with(site) == 0), "something is still running");
    }
}

#[test]
fn a_model_that_leaves_clients_unserved_is_shown_with_what_it_took() {
    let arguments = r#""--listen", "{address}", "--root", "{root}", "--processes", "3""#;
    let small = target("small", "prefork", arguments, "prefork", "rim");
    let bench = suite(r#""rim", "small""#, &small);
    let ran = finish(bench.command());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let record = &bench.records()[1];
    assert_eq!(text(record, "verdict"), "invalid");
    assert_eq!(record["starved"], 5);
    assert_eq!(record["load"]["connections"]["served"], 3);
    assert_eq!(record["server"]["idle"]["connections"], 3);
    assert!(record["reasons"][0].as_str().unwrap().contains("starved"), "{record:#}");
    let row = ran.stdout.lines().find(|line| line.starts_with("| small")).unwrap();
    assert!(row.contains("INVALID") && row.contains('('), "{row}");
}

#[test]
fn another_program_is_not_measured() {
    let serve = r#""serve", "{root}", "--listen", "{address}""#;
    let cases = [
        ("impostor", target("impostor", "rim", serve, "uring", "nginx/"), "Server field is \"rim"),
        ("other", target("other", "rim", serve, "prefork", "rim"), "uses another driver: uring"),
        (
            "null",
            target("null", "examples/null", r#""{port}", "{bytes}""#, "null", "null"),
            "byte 0",
        ),
        ("short", target("short", "examples/null", r#""{port}", "9""#, "null", "null"), "9 bytes"),
        (
            "gone",
            target("gone", "rim", r#""serve", "/nowhere""#, "uring", "rim"),
            "while it started",
        ),
        ("silent", target("silent", "rim", r#""doctor""#, "uring", "rim"), "while it started"),
    ];
    for (name, definition, says) in cases {
        let bench = suite(&format!("{name:?}"), &definition);
        let ran = finish(bench.command());
        assert_eq!(ran.code, Some(1), "{name}: {}", ran.stderr);
        let records = bench.records();
        assert_eq!(text(&records[0], "verdict"), "failed", "{name}");
        assert!(records[0]["rps"].is_null() && records[0]["p99_us"].is_null());
        let reason = records[0]["reasons"][0].as_str().unwrap();
        assert!(reason.contains(says), "{name}: {reason}");
        assert!(ran.stderr.contains(reason) && ran.stdout.contains("FAILED"), "{}", ran.stdout);
    }
}

/// What is recorded of a server that lies in this way, after which the suite has to go on.
fn reason_of_liar(how: &str) -> String {
    let path = folder().join("examples/liar");
    let liar = format!(
        "[target.liar]\nabout = \"lies\"\nprogram.path = {path:?}\n\
         arguments = [\"{{address}}\", \"{{root}}\", {how:?}]\nidentity.server = \"liar\"\n"
    );
    let bench = suite(r#""liar""#, &liar);
    let ran = finish(bench.command());
    assert_eq!(ran.code, Some(1), "{how}: {}", ran.stderr);
    let record = &bench.records()[0];
    assert_eq!(text(record, "verdict"), "failed", "{how}");
    record["reasons"][0].as_str().unwrap().to_owned()
}

#[test]
fn a_target_that_sends_less_under_load_is_not_measured() {
    let reason = reason_of_liar("empty-to-others");
    assert!(reason.starts_with("answers wrongly under load: "), "{reason}");
    assert!(reason.ends_with("each owes a file of 1000 bytes"), "{reason}");
}

#[test]
fn a_target_whose_answer_does_not_end_holds_nothing_up() {
    let reason = reason_of_liar("drips");
    assert_eq!(reason, "does not answer: no whole answer comes in time");
    let reason = reason_of_liar("never-ends");
    assert_eq!(reason, "answers wrongly: a body of 99999999999999 bytes instead of 1000");
}

#[test]
fn a_target_that_dies_under_load_gives_no_figures() {
    // It dies when there is a load generator for the window; the brackets keep grep from finding
    // itself.
    let script = "me=$$; load=\"http:/[/]$4/1000.bin -c 8 -d 10s\"; \
        (until cat /proc/[0-9]*/cmdline 2>&1 | tr '\\0' ' ' | grep -aq \"$load\"; do sleep 0.1; done; \
        kill -KILL $me) & exec \"$0\" \"$@\"";
    let rim = folder().join("rim");
    let mortal = format!(
        "targets = [\"mortal\"]\n{TINY}\n\
         [target.mortal]\nabout = \"dies\"\nprogram.path = \"/bin/sh\"\n\
         arguments = [\"-c\", {script:?}, {rim:?}, \"serve\", \"{{root}}\", \"--listen\", \
         \"{{address}}\"]\nidentity = {{ driver = \"uring\", server = \"rim\" }}\n"
    );
    let bench = Bench::new(&mortal.replace("300ms", "10s"));
    let ran = finish(bench.command());
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let record = &bench.records()[0];
    assert_eq!(text(record, "verdict"), "failed");
    let reason = record["reasons"][0].as_str().unwrap();
    assert_eq!(reason, "died while it was loaded: signal 9");
}

#[test]
fn what_is_not_installed_is_skipped_with_the_command_that_installs_it() {
    let missing = "[target.missing]\nabout = \"not here\"\narguments = []\n\
        program.installed = { name = \"no-such-server\", package = \"no-such-package\" }\n\
        identity.server = \"x\"\n";
    let bench = suite(r#""missing", "null""#, missing);
    let ran = finish(bench.command());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("missing is not installed; scripts/install-peers no-such-package"));
    assert_eq!(bench.records().len(), 1);
    let alone = suite(r#""missing""#, missing);
    let ran = finish(alone.command());
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("none of the targets is installed"), "{}", ran.stderr);
}

#[test]
fn a_reader_of_tables_may_go() {
    let bench = suite(r#""null""#, "");
    let mut command = bench.command();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("panicked") && bench.records().len() == 1, "{stderr}");
}

#[test]
fn targets_take_turns_and_earlier_records_stay() {
    let bench = suite(r#""rim", "null""#, "");
    for _ in 0..2 {
        let mut command = bench.command();
        command.args(["--rounds", "2", "--targets", "null,rim"]);
        assert_eq!(finish(command).code, Some(0));
        // Names begin with the second in which a suite began.
        std::thread::sleep(std::time::Duration::from_millis(1100));
    }
    let records = bench.records();
    let turns: Vec<_> = records.iter().map(|record| text(record, "target")).collect();
    assert_eq!(turns, ["null", "rim", "rim", "null"].repeat(2));
    let rounds: Vec<_> = records.iter().map(|record| record["suite"]["round"].clone()).collect();
    assert_eq!(rounds, [1, 1, 2, 2].repeat(2));
}
