//! `rimbench run`: a suite from beginning to end.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use crate::args::RunArguments;
use crate::binaries::{self, Binaries, Binary};
use crate::checkout::{self, Checkout};
use crate::cores::Cores;
use crate::failure::{Break, CannotRun};
use crate::identify::identify;
use crate::idle;
use crate::load::Rimload;
use crate::machine::{Machine, Quiet, raise_open_files, short_hash};
use crate::outcome::{Outcome, Worth, summarise};
use crate::plan::{Plan, Run};
use crate::progress::{self, say};
use crate::record::{Circumstances, Measured, Record, Setting};
use crate::results::Results;
use crate::site::Site;
use crate::start::start;
use crate::stop::Stop;
use crate::suite::Suite;
use crate::table;
use crate::target::{Program, Target};
use crate::usage::Memory;

/// The exit code if a target gave no figures that should have.
const NO_FIGURES: u8 = 1;

/// All that runs have in common.
struct Bench<'a> {
    setting: Setting<'a>,
    cores: Cores,
    site: Site,
    rimload: Rimload,
    /// By target; none for those that are not installed.
    programs: Vec<Option<Binary>>,
    results: Results,
    descriptors: u64,
    stop: Stop,
}

/// Runs a suite; gives back the exit code.
///
/// # Errors
/// Why it could not be run, or not to its end.
pub fn run(arguments: &RunArguments) -> Result<u8, CannotRun> {
    let plan = Suite::load(&arguments.suite)?.plan(&arguments.targets, arguments.rounds)?;
    let cores = Cores::choose(arguments.server_cores.as_ref(), arguments.client_cores.as_ref())?;
    let stop = Stop::on_signals()?;
    let descriptors = raise_open_files();
    let (machine, checkout) = (Machine::look(), Checkout::look());
    let are_built = arguments.binaries.is_none();
    let usual_folder = || usual_folder(&machine, &checkout, &plan, are_built);
    let folder = arguments.out.clone().unwrap_or_else(usual_folder);
    let results = Results::open(folder, SystemTime::now())?;
    let binaries = match &arguments.binaries {
        Some(folder) => Binaries::given(folder),
        None => build(&plan, &stop)?,
    };
    let programs = plan.targets.iter().map(|target| binaries.find(target, &stop));
    let programs = programs.collect::<Result<Vec<_>, _>>()?;
    let rimload = binaries.find_rimload(&stop)?;
    let setting = Setting {
        plan: &plan,
        suite_version: suite_version(&plan),
        server_cores: cores.server.to_string(),
        client_cores: cores.client.to_string(),
        rimload: &rimload,
        are_built,
        machine: &machine,
        checkout: &checkout,
    };
    let rimload = Rimload { program: rimload.path.clone(), cores: cores.client.clone() };
    let site = Site::new(&plan.scenarios)?;
    let bench = Bench { setting, cores, site, rimload, programs, results, descriptors, stop };
    bench.run()
}

/// Where results go if nothing else is said. Programs that were not built here need not be those of
/// the commit that is checked out.
fn usual_folder(machine: &Machine, checkout: &Checkout, plan: &Plan, are_built: bool) -> PathBuf {
    let results = checkout::root().join("results").join(&machine.id);
    let programs = if are_built { checkout.folder() } else { "given".into() };
    results.join(programs).join(&plan.suite)
}

fn suite_version(plan: &Plan) -> String {
    let scenarios = serde_json::to_vec(&plan.scenarios).expect("definitions have no odd keys");
    short_hash(&scenarios)
}

/// Builds the programs of the targets that need it, and the load generator.
fn build(plan: &Plan, stop: &Stop) -> Result<Binaries, CannotRun> {
    let mut artifacts = BTreeSet::from([binaries::rimload()]);
    for target in &plan.targets {
        if let Program::Built(artifact) = &target.program {
            artifacts.insert(artifact.clone());
        }
    }
    Binaries::build(&artifacts, stop)
}

impl Bench<'_> {
    fn plan(&self) -> &Plan {
        self.setting.plan
    }

    /// Does all runs and shows what came of them, of those before a signal as well.
    fn run(&self) -> Result<u8, CannotRun> {
        let targets: Vec<usize> =
            (0..self.programs.len()).filter(|index| self.programs[*index].is_some()).collect();
        for target in self.skipped() {
            say(&progress::skipped(target));
        }
        if targets.is_empty() {
            return Err(CannotRun::NothingInstalled);
        }
        let runs = self.plan().runs(&targets);
        progress::announce(self.plan(), &runs, &self.cores, self.results.folder());
        // Where it cannot, it is in the way of what it measures, which the noise shows.
        let _ = self.cores.step_aside();
        let mut outcomes = Vec::new();
        let end = self.run_all(&runs, &mut outcomes);
        self.show(&outcomes, &targets);
        end?;
        let scenarios = 0..self.plan().scenarios.len();
        let mut cells = scenarios.flat_map(|scenario| targets.iter().map(move |t| (scenario, *t)));
        let is_missing = |(scenario, target)| {
            let worth = summarise(self.plan(), &outcomes, scenario, target).worth;
            worth == Worth::NotRun
        };
        let has_failed = outcomes.iter().any(|outcome| outcome.result.is_err());
        Ok(if has_failed || cells.any(is_missing) { NO_FIGURES } else { 0 })
    }

    fn skipped(&self) -> impl Iterator<Item = &Target> {
        let targets = self.plan().targets.iter().zip(&self.programs);
        targets.filter(|(_, program)| program.is_none()).map(|(target, _)| target)
    }

    fn run_all(&self, runs: &[Run], outcomes: &mut Vec<Outcome>) -> Result<(), CannotRun> {
        let began = Instant::now();
        for run in runs {
            if !self.plan().may_begin(*run, began.elapsed()) {
                let left = runs.len() - outcomes.len();
                say(&format!("The time is up: {left} of {} runs are left out.", runs.len()));
                break;
            }
            let outcome = self.run_one(*run)?;
            progress::ran(self.plan(), *run, runs.len(), &outcome.result);
            outcomes.push(outcome);
        }
        Ok(())
    }

    /// Does a run, and writes its record before anything else can happen.
    fn run_one(&self, run: Run) -> Result<Outcome, CannotRun> {
        let (target, scenario) =
            (&self.plan().targets[run.target], &self.plan().scenarios[run.scenario]);
        let binary = self.programs[run.target].as_ref().expect("only these have runs");
        let (quiet, started) = (Quiet::begin(), SystemTime::now());
        let result = match self.measure(run, binary) {
            Ok(measured) => Ok(measured),
            Err(Break::Target(failure)) => {
                // The signal may have reached the target as well.
                self.stop.check()?;
                Err(failure)
            }
            Err(Break::Stopped) => return Err(CannotRun::Stopped),
        };
        let circumstances = Circumstances {
            run,
            binary,
            body_blake3: &self.site.file(scenario).blake3,
            started,
            noise: quiet.end(),
        };
        let record = Record::new(&self.setting, &circumstances, &result);
        let log = result.as_ref().ok().map(|measured| &*measured.loaded.log);
        let name = format!("{}-{}", target.name, scenario.name);
        self.results.write(run.number, &name, &record, log)?;
        Ok(Outcome { run, result })
    }

    /// Starts a target, checks who it is, loads it, and stops it.
    fn measure(&self, run: Run, binary: &Binary) -> Result<Measured, Break> {
        let plan = self.plan();
        let (target, scenario) = (&plan.targets[run.target], &plan.scenarios[run.scenario]);
        let (site, stop) = (&self.site, &self.stop);
        let file = site.file(scenario);
        let (cores, root) = (&self.cores.server, site.root());
        let running = start(target, &binary.path, cores, root, scenario.file_bytes, stop)?;
        let driver = running.ready.as_ref().map(|ready| &*ready.driver);
        identify(&target.identity, driver, running.address, scenario, &file.content, stop)
            .map_err(|failure| alive_or(&running, failure))?;
        // The file is in the cache now, and there were no connections yet: what the warm-up's leave
        // behind would hide what idle ones take.
        let (group, address) = (&running.group, running.address);
        let idle = idle::measure(group, address, scenario, self.descriptors, stop)?;
        self.rimload.warm_up(&running, scenario, stop)?;
        let loaded = self.rimload.measure(&running, scenario, stop)?;
        let memory_after = Memory::of(&running.group);
        Ok(Measured {
            loaded,
            idle,
            memory_after,
            ready: running.ready.clone(),
            command_line: running.command_line.clone(),
            configuration: running.configuration.clone(),
        })
    }

    fn show(&self, outcomes: &[Outcome], targets: &[usize]) {
        for scenario in 0..self.plan().scenarios.len() {
            if outcomes.iter().any(|outcome| outcome.run.scenario == scenario) {
                let table = table::render(self.plan(), outcomes, scenario, targets);
                progress::show(&format!("\n{table}"));
            }
        }
        if !outcomes.is_empty() {
            progress::show(table::LEGEND);
        }
        for target in self.skipped() {
            progress::show(&progress::skipped(target));
        }
    }
}

/// That a target has died explains why it does not answer.
fn alive_or(running: &crate::start::Running, found: Break) -> Break {
    let Break::Target(failure) = found else { return found };
    running.check_alive("when it was asked who it is").err().unwrap_or(failure).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_were_given_are_not_filed_under_the_commit() {
        let (machine, plan) = (Machine::look(), Suite::load("quick").unwrap());
        let plan = plan.plan(&[], None).unwrap();
        let checkout = Checkout { commit: Some("0123456789abcdef".into()), is_dirty: false };
        let folder = |are_built| usual_folder(&machine, &checkout, &plan, are_built);
        assert!(folder(true).ends_with("0123456789ab/quick"));
        assert!(folder(false).ends_with("given/quick"));
    }
}
