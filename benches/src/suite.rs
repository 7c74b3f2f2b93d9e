//! Suites: which targets go through which scenarios, and how often.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::definitions;
use crate::failure::CannotRun;
use crate::plan::Plan;
use crate::scenario::{Scenario, TIME_MAX};
use crate::target::Target;
use crate::text::humane_option;

/// The most rounds; the command line has the same bound.
const ROUNDS_MAX: u32 = 1_000;

/// A suite as it is defined.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Suite {
    /// How records call it.
    #[serde(skip_deserializing)]
    pub(crate) name: String,
    /// What it is for, in a sentence.
    pub(crate) about: String,
    /// Names of targets.
    pub(crate) targets: Vec<String>,
    /// Names of scenarios.
    pub(crate) scenarios: Vec<String>,
    /// The target that the others are compared with.
    pub(crate) baseline: Option<String>,
    /// How often each target is measured in each scenario.
    pub(crate) rounds: u32,
    /// Takes the place of the scenarios' own durations.
    #[serde(default, deserialize_with = "humane_option")]
    pub(crate) duration: Option<Duration>,
    /// Runs that cannot end in this time are left out.
    #[serde(default, deserialize_with = "humane_option")]
    pub(crate) time_limit: Option<Duration>,
    /// Targets of its own; they hide those of the same name.
    #[serde(default)]
    pub(crate) target: BTreeMap<String, Target>,
    /// Scenarios of its own; they hide those of the same name.
    #[serde(default)]
    pub(crate) scenario: BTreeMap<String, Scenario>,
}

impl Suite {
    /// The suite of that name, or in that file.
    pub(crate) fn load(name: &str) -> Result<Self, CannotRun> {
        if let Some(suite) = definitions::suite(name) {
            return Ok(suite);
        }
        let path = Path::new(name);
        if !path.exists() {
            let known = definitions::suite_names().join(", ");
            return Err(CannotRun::UnknownSuite { name: name.into(), known });
        }
        let unreadable = |error| CannotRun::Unreadable(path.into(), error);
        let text = fs::read_to_string(path).map_err(unreadable)?;
        let malformed = |error| CannotRun::Malformed(path.into(), error);
        let suite: Self = definitions::parse(&text).map_err(malformed)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let suite = Self { name, ..suite };
        suite.check().map_err(|fault| malformed(format!(": {fault}")))?;
        Ok(suite)
    }

    /// Whether it can be run at all.
    fn check(&self) -> Result<(), String> {
        if self.targets.is_empty() || self.scenarios.is_empty() || self.rounds == 0 {
            return Err("a suite needs targets, scenarios and at least one round".into());
        }
        if self.duration.is_some_and(|duration| duration.is_zero()) {
            return Err("duration: has to be more than nothing".into());
        }
        if self.rounds > ROUNDS_MAX {
            return Err(format!("rounds: {ROUNDS_MAX} are the most"));
        }
        if [self.duration, self.time_limit].iter().flatten().any(|time| *time > TIME_MAX) {
            return Err("duration and time-limit: a day is the most".into());
        }
        for name in &self.scenarios {
            let known = definitions::scenario_names().join(", ");
            let unknown = || format!("no scenario {name:?}; choose from {known}, or define it");
            let scenario = self.find_scenario(name).ok_or_else(unknown)?;
            if let Some(fault) = scenario.fault() {
                return Err(format!("scenario {name}: {fault}"));
            }
        }
        Ok(())
    }

    /// What there is to do, with other targets or rounds than its own if so wished.
    pub(crate) fn plan(&self, targets: &[String], rounds: Option<u32>) -> Result<Plan, CannotRun> {
        let names = if targets.is_empty() { &self.targets } else { targets };
        let mut targets: Vec<Target> = Vec::new();
        for name in names {
            if targets.iter().all(|target| target.name != *name) {
                targets.push(self.find_target(name)?);
            }
        }
        let scenarios = self.scenarios.iter().filter_map(|name| self.find_scenario(name));
        Ok(Plan {
            suite: self.name.clone(),
            about: self.about.clone(),
            targets,
            scenarios: scenarios.collect(),
            rounds: rounds.unwrap_or(self.rounds),
            baseline: self.baseline.clone(),
            time_limit: self.time_limit,
        })
    }

    fn find_target(&self, name: &str) -> Result<Target, CannotRun> {
        let own = self.target.get(name);
        let own = own.map(|target| Target { name: name.into(), ..target.clone() });
        own.or_else(|| definitions::target(name)).ok_or_else(|| {
            let known = definitions::target_names().into_iter();
            let own = self.target.keys().map(String::as_str);
            let known = known.chain(own).collect::<Vec<_>>().join(", ");
            CannotRun::UnknownTarget { name: name.into(), known }
        })
    }

    fn find_scenario(&self, name: &str) -> Option<Scenario> {
        let own = self.scenario.get(name);
        let own = own.map(|scenario| Scenario { name: name.into(), ..scenario.clone() });
        let mut scenario = own.or_else(|| definitions::scenario(name))?;
        scenario.duration = self.duration.unwrap_or(scenario.duration);
        Some(scenario)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Suite, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        fs::write(&path, text).unwrap();
        Suite::load(path.to_str().unwrap()).map_err(|error| {
            assert_eq!(error.exit_code(), 1);
            error.to_string()
        })
    }

    const MINE: &str = r#"
        about = "mine"
        targets = ["rim", "other"]
        scenarios = ["small-64", "tiny"]
        rounds = 2
        duration = "5s"
        [scenario.tiny]
        question = "Why?"
        connections = 1
        file-bytes = 10
        expected-status = 200
        warm-up = "10ms"
        duration = "1s"
        connect-timeout = "1s"
        [target.other]
        about = "another one"
        program.path = "/bin/false"
        arguments = []
        identity.server = "other"
    "#;

    #[test]
    fn a_file_can_define_what_it_needs() {
        let suite = load(MINE).unwrap();
        assert_eq!(suite.name, "mine");
        let plan = suite.plan(&[], None).unwrap();
        assert_eq!(plan.targets[1].name, "other");
        assert_eq!(plan.scenarios[1].name, "tiny");
        assert!(plan.scenarios.iter().all(|s| s.duration == Duration::from_secs(5)));
        let plan = suite.plan(&["null".into(), "null".into(), "rim".into()], Some(7)).unwrap();
        let names: Vec<_> = plan.targets.iter().map(|target| &*target.name).collect();
        assert_eq!((names, plan.rounds), (vec!["null", "rim"], 7));
    }

    #[test]
    fn mistakes_in_a_file_are_told_in_one_line() {
        for (from, to, says) in [
            ("rounds = 2", "rounds = 0", "at least one round"),
            ("rounds = 2", "rounds = 4294967295", "rounds: 1000 are the most"),
            ("\"5s\"", "\"25h\"", "duration and time-limit: a day is the most"),
            ("rounds = 2", "rounds = 2\ntime-limit = \"2days\"", "time-limit: a day is the most"),
            ("file-bytes = 10", "file-bytes = 100000000000000", "file-bytes: 1073741824 is the"),
            ("connect-timeout = \"1s\"", "connect-timeout = \"500000000000years\"", "a day is"),
            ("warm-up = \"10ms\"", "warm-up = \"2days\"", "scenario tiny: warm-up, duration and"),
            ("small-64", "small-65", "no scenario \"small-65\"; choose from small-64"),
            ("connections = 1", "connections = 0", "scenario tiny: connections: has to be"),
            ("rounds = 2", "rounds = 2\ntime = 1", ":6: unknown field `time`"),
            ("\"5s\"", "\"5\"", "write for example 300ms or 10s"),
        ] {
            let error = load(&MINE.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(says) && error.contains("mine.toml:"), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn what_is_not_known_is_answered_with_what_is() {
        let error = Suite::load("quik").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("no suite \"quik\"; choose from quick, standard, full"));
        let error = Suite::load("quick").unwrap().plan(&["rum".into()], None).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("no target \"rum\"; choose from rim, rim-epoll"));
    }
}
