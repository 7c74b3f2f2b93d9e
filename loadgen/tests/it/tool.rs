//! Running the program.

use std::process::{Command, Output};

use serde_json::Value;

/// Both drivers have to tell the same of a server; `auto` is io_uring where there is one.
pub(crate) const DRIVERS: [&str; 2] = ["auto", "epoll"];

/// A run that has ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stderr: String,
    /// The result; null if there is none.
    pub(crate) json: Value,
}

/// The program, with the arguments of a line.
pub(crate) fn command(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rimload"));
    command.args(line.split_whitespace());
    command
}

/// Runs it with the arguments of a line and takes its result from standard output, where nothing
/// else may be.
pub(crate) fn rimload(line: &str) -> Ran {
    finish(command(&format!("{line} --json - --quiet")).output().expect("the program can be run"))
}

/// What a program that has ended left behind.
pub(crate) fn finish(output: Output) -> Ran {
    let stderr = String::from_utf8(output.stderr).expect("messages are text");
    let json = match output.stdout.as_slice() {
        [] => Value::Null,
        json => serde_json::from_slice(json).expect("standard output is JSON and nothing else"),
    };
    let code = output.status.code().expect("it was not killed");
    Ran { code, stderr, json }
}

impl Ran {
    /// A count of the result, named `/requests/sent` and the like.
    #[track_caller]
    pub(crate) fn count(&self, path: &str) -> u64 {
        match self.json.pointer(path).and_then(Value::as_u64) {
            Some(count) => count,
            None => panic!("no count {path} in {} {}", self.json, self.stderr),
        }
    }

    /// The classes of the errors that occurred.
    pub(crate) fn classes(&self) -> Vec<&str> {
        self.json["errors"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// The reasons of the verdict, in one string.
    pub(crate) fn reasons(&self) -> String {
        self.json["reasons"].to_string()
    }

    /// Checks what holds for every run that has a result.
    #[track_caller]
    pub(crate) fn assert_laws(&self) {
        let sum = |paths: [&str; 3]| paths.map(|path| self.count(path)).iter().sum::<u64>();
        let ends = ["/requests/answered", "/requests/failed", "/requests/outstanding"];
        assert_eq!(self.count("/requests/sent"), sum(ends), "{}", self.json);
        let (sent, unsent) = (self.count("/requests/sent"), self.count("/requests/unsent"));
        assert_eq!(self.count("/requests/scheduled"), sent + unsent);
        let fates = ["/connections/served", "/connections/starved", "/connections/idle"];
        assert_eq!(self.count("/connections/opened"), sum(fates), "{}", self.json);
        let opened = ["/connections/opened", "/connections/refused", "/connections/not_opened"];
        assert_eq!(self.count("/connections/requested"), sum(opened), "{}", self.json);
        assert_eq!(self.count("/latency_us/count"), self.count("/requests/answered"));
        let unanswered = self.count("/requests/outstanding") + self.count("/requests/failed");
        assert_eq!(self.count("/service_us/censored"), unanswered);
        assert_eq!(self.count("/latency_us/censored"), unanswered + unsent);
        assert_eq!(self.json["verdict"] == "invalid", self.code == 3, "{}", self.json);
    }
}
