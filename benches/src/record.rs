//! The record of a run: a JSON object with all that its figures depend on.
//!
//! Field names are a contract: adding one breaks nobody, renaming one does.

use std::time::SystemTime;

use serde::Serialize;
use serde_json::Value;

use crate::binaries::Binary;
use crate::checkout::Checkout;
use crate::failure::Failure;
use crate::idle::Idle;
use crate::load::Loaded;
use crate::machine::{Machine, Noise};
use crate::plan::{Plan, Run};
use crate::scenario::Scenario;
use crate::start::Ready;
use crate::target::{Program, Target};
use crate::usage::Memory;
use crate::window::Used;

/// Counts up when a field changes its meaning.
const SCHEMA: u32 = 1;
/// The verdict of a run that gave no figures.
const FAILED: &str = "failed";

/// What is known of all runs of a suite.
pub(crate) struct Setting<'a> {
    pub(crate) plan: &'a Plan,
    /// A hash of the scenarios: figures of different definitions never mix.
    pub(crate) suite_version: String,
    pub(crate) server_cores: String,
    pub(crate) client_cores: String,
    pub(crate) rimload: &'a Binary,
    /// Whether the programs of this workspace were built for this suite, or found in a folder that
    /// was named.
    pub(crate) are_built: bool,
    pub(crate) machine: &'a Machine,
    pub(crate) checkout: &'a Checkout,
}

/// What came of a run that gave figures.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) loaded: Loaded,
    pub(crate) idle: Idle,
    /// After the load, without connections.
    pub(crate) memory_after: Memory,
    pub(crate) ready: Option<Ready>,
    pub(crate) command_line: String,
    pub(crate) configuration: Vec<(String, String)>,
}

/// A run, as it is written.
#[derive(Debug, Serialize)]
pub(crate) struct Record<'a> {
    schema: u32,
    target: &'a str,
    scenario: &'a str,
    connections: u32,
    /// Answers per second; null if the run failed, as are the other figures.
    rps: Option<f64>,
    p99_us: Option<f64>,
    starved: Option<u64>,
    /// `valid`, `client-bound`, `invalid`, or `failed`.
    verdict: &'a str,
    reasons: Vec<String>,
    started_at: String,
    suite: SuiteFacts<'a>,
    definition: Definition<'a>,
    program: ProgramFacts<'a>,
    server: Option<ServerFacts<'a>>,
    rimload: ProgramFacts<'a>,
    /// The result of the load generator, whole.
    load: Option<&'a Value>,
    machine: &'a Machine,
    noise: Noise,
    checkout: &'a Checkout,
}

/// The place of a run in its suite.
#[derive(Debug, Serialize)]
struct SuiteFacts<'a> {
    name: &'a str,
    version: &'a str,
    rounds: u32,
    round: u32,
    /// In the order of time, from 1.
    number: usize,
}

#[derive(Debug, Serialize)]
struct Definition<'a> {
    target: &'a Target,
    scenario: &'a Scenario,
    body_blake3: &'a str,
}

#[derive(Debug, Serialize)]
struct ProgramFacts<'a> {
    #[serde(flatten)]
    binary: &'a Binary,
    is_built: bool,
    cores: &'a str,
}

#[derive(Debug, Serialize)]
struct ServerFacts<'a> {
    command_line: &'a str,
    configuration: &'a [(String, String)],
    driver: Option<&'a str>,
    workers: Option<usize>,
    used: Option<Used>,
    idle: Idle,
    memory_after: Memory,
}

/// What belongs to one run alone.
pub(crate) struct Circumstances<'a> {
    pub(crate) run: Run,
    pub(crate) binary: &'a Binary,
    pub(crate) body_blake3: &'a str,
    pub(crate) started: SystemTime,
    pub(crate) noise: Noise,
}

impl<'a> Record<'a> {
    /// Puts a record together.
    pub(crate) fn new(
        setting: &'a Setting<'a>,
        of: &'a Circumstances<'a>,
        result: &'a Result<Measured, Failure>,
    ) -> Self {
        let plan = setting.plan;
        let (target, scenario) = (&plan.targets[of.run.target], &plan.scenarios[of.run.scenario]);
        let measured = result.as_ref().ok();
        let figures = measured.map(|measured| &measured.loaded.figures);
        // Only what is of this workspace can have been built here.
        let is_built = setting.are_built && matches!(target.program, Program::Built(_));
        Record {
            schema: SCHEMA,
            target: &target.name,
            scenario: &scenario.name,
            connections: scenario.connections,
            rps: figures.map(|figures| figures.rps),
            p99_us: figures.map(|figures| figures.latency_us.p99),
            starved: figures.map(|figures| figures.connections.starved),
            verdict: figures.map_or(FAILED, |figures| &figures.verdict),
            reasons: reasons(result),
            started_at: humantime::format_rfc3339_millis(of.started).to_string(),
            suite: SuiteFacts {
                name: &plan.suite,
                version: &setting.suite_version,
                rounds: plan.rounds,
                round: of.run.round,
                number: of.run.number,
            },
            definition: Definition { target, scenario, body_blake3: of.body_blake3 },
            program: ProgramFacts { binary: of.binary, is_built, cores: &setting.server_cores },
            server: measured.map(server_facts),
            rimload: ProgramFacts {
                binary: setting.rimload,
                is_built: setting.are_built,
                cores: &setting.client_cores,
            },
            load: measured.map(|measured| &measured.loaded.report),
            machine: setting.machine,
            noise: of.noise,
            checkout: setting.checkout,
        }
    }
}

fn server_facts(measured: &Measured) -> ServerFacts<'_> {
    ServerFacts {
        command_line: &measured.command_line,
        configuration: &measured.configuration,
        driver: measured.ready.as_ref().map(|ready| &*ready.driver),
        workers: measured.ready.as_ref().and_then(|ready| ready.workers),
        used: measured.loaded.used,
        idle: measured.idle,
        memory_after: measured.memory_after,
    }
}

/// Why the verdict is what it is.
fn reasons(result: &Result<Measured, Failure>) -> Vec<String> {
    match result {
        Ok(measured) => measured.loaded.figures.reasons.clone(),
        Err(failure) => vec![failure.to_string()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;
    use crate::machine::Quiet;
    use crate::suite::Suite;

    /// Whether the record of a target says that its program was built, and that rimload was.
    fn is_built(target: &str, are_built: bool) -> (bool, bool) {
        let plan = Suite::load("quick").unwrap().plan(&[target.into()], None).unwrap();
        let binary = Binary { path: "/bin/sh".into(), blake3: String::new(), version: None };
        let setting = Setting {
            plan: &plan,
            suite_version: String::new(),
            server_cores: "0".into(),
            client_cores: "1".into(),
            rimload: &binary,
            are_built,
            machine: &Machine::look(),
            checkout: &Checkout { commit: None, is_dirty: false },
        };
        let circumstances = Circumstances {
            run: Run { number: 1, round: 1, scenario: 0, target: 0 },
            binary: &binary,
            body_blake3: "",
            started: SystemTime::UNIX_EPOCH,
            noise: Quiet::begin().end(),
        };
        let result = Err(Failure::NotStarted("no port".into()));
        let record = Record::new(&setting, &circumstances, &result);
        (record.program.is_built, record.rimload.is_built)
    }

    #[test]
    fn only_what_was_built_here_is_recorded_as_built() {
        assert_eq!(is_built("rim", true), (true, true));
        assert_eq!(is_built("nginx", true), (false, true));
        assert_eq!(is_built("rim", false), (false, false));
    }
}
