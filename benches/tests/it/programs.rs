//! Running programs of this workspace.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The longest that anything may take that is to happen at all.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(20);

/// The folder with all programs, built as these tests are.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_rimbench")).parent().expect("it is in a folder");
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--workspace", "--bins", "--examples", "--target-dir"]);
        build.arg(folder.parent().expect("it is in the target folder"));
        if folder.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.stdin(Stdio::null()).status().expect("cargo can be run").success());
        folder.into()
    })
}

/// A run of the suite's program that has ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The suite's program with the arguments of a line.
pub(crate) fn rimbench(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rimbench"));
    command.args(line.split_whitespace()).stdin(Stdio::null());
    command
}

/// Runs a program to its end.
pub(crate) fn finish(mut command: Command) -> Ran {
    let output = command.output().expect("it can be run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    Ran { code: output.status.code(), stdout, stderr }
}

/// A suite in a file, and a folder for its records.
pub(crate) struct Bench {
    folder: TempDir,
}

impl Bench {
    /// With the text of a suite.
    pub(crate) fn new(suite: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("tiny.toml"), suite).expect("a file");
        Self { folder }
    }

    /// The program that runs this suite, with the programs of this workspace as they are.
    pub(crate) fn command(&self) -> Command {
        let mut command = rimbench("run --suite");
        command.arg(self.folder.path().join("tiny.toml"));
        command.arg("--binaries").arg(folder()).arg("--out").arg(self.out());
        command
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("records")
    }

    /// The records, in the order of time.
    pub(crate) fn records(&self) -> Vec<Value> {
        let files = fs::read_dir(self.out()).into_iter().flatten();
        let mut files: Vec<_> = files.map(|file| file.expect("an entry").path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        files.sort();
        let read = |path: &PathBuf| fs::read(path).expect("a record");
        files.iter().map(|path| serde_json::from_slice(&read(path)).expect("JSON")).collect()
    }
}

/// Waits until there is something.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + WATCHDOG;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < give_up, "not in time: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Processes whose command line has this text in it.
pub(crate) fn processes_with(text: &str) -> usize {
    let processes = fs::read_dir("/proc").expect("processes").flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(text)).count()
}
