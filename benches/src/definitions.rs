//! The definitions of targets, scenarios and suites. They are part of the program, so that it can
//! be run from anywhere.

use std::fmt::Write;

use serde::de::DeserializeOwned;

use crate::scenario::Scenario;
use crate::suite::Suite;
use crate::target::Target;

/// Definitions as text, by name.
type Embedded = &'static [(&'static str, &'static str)];

/// Puts the files of a folder into the program.
macro_rules! embedded {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../", $folder, "/", $name, ".toml")))),+]
    };
}

const TARGETS: Embedded = embedded!("targets":
    "rim",
    "rim-epoll",
    "prefork",
    "worker",
    "null",
    "nginx",
    "nginx-tuned",
    "apache-prefork",
    "apache-prefork-tuned",
    "apache-worker",
    "apache-worker-tuned",
    "apache-event",
    "apache-event-tuned",
);

const SCENARIOS: Embedded = embedded!("scenarios":
    "small-64",
    "small-1000",
    "small-10000",
    "body-10k-64",
    "body-100k-64",
    "body-1m-64",
);

const SUITES: Embedded = embedded!("suites": "quick", "standard", "full");

/// The target of that name.
pub(crate) fn target(name: &str) -> Option<Target> {
    find(TARGETS, name).map(|target| Target { name: name.into(), ..target })
}

/// The scenario of that name.
pub(crate) fn scenario(name: &str) -> Option<Scenario> {
    find(SCENARIOS, name).map(|scenario| Scenario { name: name.into(), ..scenario })
}

/// The suite of that name.
pub(crate) fn suite(name: &str) -> Option<Suite> {
    find(SUITES, name).map(|suite| Suite { name: name.into(), ..suite })
}

/// The names of all targets.
pub(crate) fn target_names() -> Vec<&'static str> {
    names(TARGETS)
}

/// The names of all scenarios.
pub(crate) fn scenario_names() -> Vec<&'static str> {
    names(SCENARIOS)
}

/// The names of all suites.
pub(crate) fn suite_names() -> Vec<&'static str> {
    names(SUITES)
}

fn names(embedded: Embedded) -> Vec<&'static str> {
    embedded.iter().map(|(name, _)| *name).collect()
}

fn find<T: DeserializeOwned>(embedded: Embedded, name: &str) -> Option<T> {
    let (_, text) = embedded.iter().find(|(known, _)| *known == name)?;
    // A test reads them all.
    Some(parse(text).unwrap_or_else(|error| panic!("{name}.toml{error}")))
}

/// Reads a definition. An error is told in one line that begins with the line's number, as in
/// `:7: message`, if there is one.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error| {
        let mut told = String::new();
        if let Some(span) = error.span() {
            let line = text[..span.start].matches('\n').count() + 1;
            let _ = write!(told, ":{line}");
        }
        let message = error.message().lines().collect::<Vec<_>>().join(" ");
        let _ = write!(told, ": {message}");
        told
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::target::{Body, Program};

    #[test]
    fn every_file_is_in_the_program() {
        for (folder, embedded) in
            [("targets", TARGETS), ("scenarios", SCENARIOS), ("suites", SUITES)]
        {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
            let files = files.map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned());
            let files: BTreeSet<String> = files.collect();
            let known: BTreeSet<String> = embedded.iter().map(|(name, _)| (*name).into()).collect();
            assert_eq!(files, known);
        }
    }

    #[test]
    fn targets_say_what_they_are_and_leave_nothing_open() {
        let place = crate::target::Place {
            address: "127.0.0.1:8080".parse().unwrap(),
            root: Path::new("/site"),
            folder: Path::new("/folder"),
            file_bytes: 1024,
            workers: 1,
        };
        for name in target_names() {
            let target = target(name).unwrap();
            assert_eq!(target.name, name);
            assert!(target.about.len() > 20 && !target.identity.server.is_empty(), "{name}");
            for argument in &target.arguments {
                assert!(!place.fill(argument).contains(['{', '}']), "{name}: {argument}");
            }
            for text in target.files.values() {
                let text = place.fill(text);
                for open in ["{address}", "{root}", "{folder}", "{workers}"] {
                    assert!(!text.contains(open), "{name}: {open}");
                }
                assert!(text.contains("127.0.0.1:8080") && text.contains("/site"), "{name}");
            }
            let knows_files = target.identity.body == Body::File;
            assert_eq!(knows_files, name != "null");
            let is_built = matches!(target.program, Program::Built(_));
            assert_eq!(is_built, target.identity.driver.is_some(), "{name}");
        }
    }

    #[test]
    fn scenarios_have_their_questions() {
        for name in scenario_names() {
            let scenario = scenario(name).unwrap();
            assert_eq!(scenario.name, name);
            assert!(scenario.question.ends_with('?'), "{name}");
            assert_eq!(scenario.fault(), None);
            assert!(scenario.body_blake3.is_some(), "{name}");
        }
    }

    #[test]
    fn suites_agree_with_targets_and_scenarios() {
        for name in suite_names() {
            let suite = suite(name).unwrap();
            assert_eq!(suite.name, name);
            assert!(!suite.about.is_empty() && suite.rounds > 0, "{name}");
            for name in &suite.targets {
                assert!(target(name).is_some(), "{name}");
            }
            for name in &suite.scenarios {
                assert!(scenario(name).is_some(), "{name}");
            }
            assert!(suite.targets.contains(&suite.baseline.unwrap()));
        }
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        let error = parse::<Scenario>("question = \"?\"\nconnection = 1\n").unwrap_err();
        assert!(error.starts_with(":2: unknown field `connection`"), "{error}");
        let error = parse::<Scenario>("a = = 1").unwrap_err();
        assert!(error.starts_with(":1: ") && error.lines().count() == 1, "{error}");
    }
}
