//! Loading a target with rimload.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rim_driver::CoreList;
use serde::Deserialize;
use serde_json::Value;

use crate::failure::{Break, Failure};
use crate::group::{End, Group};
use crate::scenario::Scenario;
use crate::site;
use crate::start::Running;
use crate::stop::Stop;
use crate::window::{Readings, Used, Window};

/// How long the load generator may take besides opening connections and the window.
pub(crate) const LOAD_SPARE: Duration = Duration::from_secs(5);
/// How many connections are enough to warm a server up.
const WARM_UP_CONNECTIONS: u32 = 64;
/// Its exit code for a run whose figures do not hold; the result is complete all the same.
const INVALID: i32 = 3;

/// The load generator.
#[derive(Clone, Debug)]
pub(crate) struct Rimload {
    pub(crate) program: PathBuf,
    pub(crate) cores: CoreList,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// The result as the load generator wrote it.
    pub(crate) report: Value,
    /// What is needed of it here.
    pub(crate) figures: Figures,
    /// Its log of intervals.
    pub(crate) log: String,
    /// What the target used in the window.
    pub(crate) used: Option<Used>,
}

/// The figures of a run, out of the load generator's result.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Figures {
    pub(crate) verdict: String,
    pub(crate) reasons: Vec<String>,
    pub(crate) connections: Connections,
    pub(crate) requests: Requests,
    pub(crate) rps: f64,
    /// Received in the window.
    pub(crate) bytes: u64,
    pub(crate) elapsed_s: f64,
    pub(crate) latency_us: Latency,
}

/// What came of the connections.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Connections {
    pub(crate) opened: u64,
    pub(crate) served: u64,
    pub(crate) starved: u64,
}

/// What came of the requests.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Requests {
    pub(crate) answered: u64,
}

/// Times in microseconds.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Which of them are lower bounds, because unanswered requests hide them.
    #[serde(default)]
    pub(crate) lower_bounds: Vec<String>,
}

impl Figures {
    /// Fails if what was received cannot hold the file as often as it was answered: a target that
    /// answers the load generator with less than it owes is fast for no merit.
    fn check(&self, file_bytes: u64) -> Result<(), Failure> {
        let (answered, received) = (self.requests.answered, self.bytes);
        if u128::from(received) >= u128::from(answered) * u128::from(file_bytes) {
            return Ok(());
        }
        Err(Failure::TooLittle { answered, received, file_bytes })
    }
}

impl Rimload {
    /// Loads a target for a moment, which no figure shows.
    pub(crate) fn warm_up(
        &self,
        target: &Running,
        scenario: &Scenario,
        stop: &Stop,
    ) -> Result<(), Break> {
        let mut scenario = scenario.clone();
        scenario.connections = scenario.connections.min(WARM_UP_CONNECTIONS);
        scenario.duration = scenario.warm_up;
        // A target that does not stand it shows that when it is measured.
        self.run(target, &scenario, stop, || ()).map(|_| ())
    }

    /// Loads a target, and reads what it uses meanwhile.
    pub(crate) fn measure(
        &self,
        target: &Running,
        scenario: &Scenario,
        stop: &Stop,
    ) -> Result<Loaded, Break> {
        let mut readings = Readings::begin(&target.group);
        let (report, log) =
            self.run(target, scenario, stop, || readings.take_if_due(&target.group))?;
        readings.take(&target.group);
        let unreadable = |error| Failure::NotLoaded(format!("its result makes no sense: {error}"));
        let report: Value = serde_json::from_str(&report).map_err(unreadable)?;
        let figures = Figures::deserialize(&report).map_err(unreadable)?;
        figures.check(scenario.file_bytes)?;
        let window = Window::find(&log, figures.elapsed_s);
        let used = window.map(|window| readings.used(window, figures.requests.answered));
        Ok(Loaded { report, figures, log, used })
    }

    /// Runs the load generator to its end; gives back its result and its log.
    fn run(
        &self,
        target: &Running,
        scenario: &Scenario,
        stop: &Stop,
        mut meanwhile: impl FnMut(),
    ) -> Result<(String, String), Break> {
        let failed = |error: std::io::Error| Failure::NotLoaded(error.to_string());
        let folder = site::folder("load").map_err(failed)?;
        let [result, log, complaints] =
            ["result.json", "times.hlog", "stderr.log"].map(|name| folder.path().join(name));
        let mut command = self.command(target, scenario, &log);
        command.stdin(Stdio::null()).stdout(File::create(&result).map_err(failed)?);
        command.stderr(File::create(&complaints).map_err(failed)?);
        let group = Group::start(&mut command, &self.cores).map_err(failed)?;
        let at_most = scenario.connect_timeout + scenario.duration + LOAD_SPARE;
        let began = Instant::now();
        let ended = stop.wait(at_most, || {
            meanwhile();
            let target_ended = || target.check_alive("while it was loaded").err();
            group.end().map(Ok).or_else(|| target_ended().map(Err))
        })?;
        // What was measured of a target that has died is not what was to be measured, and that it
        // has died explains why nothing was.
        target.check_alive("while it was loaded")?;
        let late = || Failure::NotLoaded(format!("no result after {:?}", began.elapsed()));
        check(ended.ok_or_else(late)??, &complaints)?;
        let read = |path: &Path| fs::read_to_string(path).map_err(failed);
        Ok((read(&result)?, read(&log)?))
    }

    fn command(&self, target: &Running, scenario: &Scenario, log: &Path) -> Command {
        let time = |time: Duration| humantime::format_duration(time).to_string();
        let mut command = Command::new(&self.program);
        command
            .arg(format!("http://{}{}", target.address, scenario.path()))
            .args(["-c", &scenario.connections.to_string()])
            .args(["-d", &time(scenario.duration)])
            .args(["--connect-timeout", &time(scenario.connect_timeout)])
            .args(["--cores", &self.cores.to_string()])
            .args(["--json", "-", "--quiet", "--hdr"])
            .arg(log);
        command
    }
}

/// Whether there is a result.
fn check(end: End, complaints: &Path) -> Result<(), Failure> {
    if matches!(end.code(), Some(0 | INVALID)) {
        return Ok(());
    }
    let text = fs::read_to_string(complaints).unwrap_or_default();
    let said = text.lines().rfind(|line| !line.trim().is_empty());
    Err(Failure::NotLoaded(said.map_or_else(|| end.describe(), str::to_owned)))
}
