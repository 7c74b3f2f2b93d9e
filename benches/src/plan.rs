//! What a suite does, in which order, and how long that takes.

use std::time::Duration;

use crate::group::STOP_AT_MOST;
use crate::load::LOAD_SPARE;
use crate::scenario::Scenario;
use crate::start::START_AT_MOST;
use crate::target::Target;

/// What starting and stopping a target usually takes, with the program that loads it.
const AROUND_A_RUN: Duration = Duration::from_millis(700);
/// What holding and opening a connection usually takes together.
const PER_CONNECTION: Duration = Duration::from_micros(250);

/// What there is to do.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The name of the suite.
    pub(crate) suite: String,
    /// What it is for.
    pub(crate) about: String,
    pub(crate) targets: Vec<Target>,
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) rounds: u32,
    /// The target that the others are compared with.
    pub(crate) baseline: Option<String>,
    /// Runs that cannot end in this time are left out.
    pub(crate) time_limit: Option<Duration>,
}

/// One run: a target in a scenario, by their indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Counted from 1, in the order of time.
    pub(crate) number: usize,
    /// Counted from 1.
    pub(crate) round: u32,
    pub(crate) scenario: usize,
    pub(crate) target: usize,
}

impl Plan {
    /// All runs of these targets in their order. Within a round the targets take turns in each
    /// scenario, in every second round the other way about: what changes slowly, like the heat or the
    /// neighbours of the machine, then is no target's advantage.
    pub(crate) fn runs(&self, targets: &[usize]) -> Vec<Run> {
        let mut runs = Vec::new();
        for round in 1..=self.rounds {
            for scenario in 0..self.scenarios.len() {
                let mut turns = targets.to_vec();
                if round % 2 == 0 {
                    turns.reverse();
                }
                for target in turns {
                    runs.push(Run { number: runs.len() + 1, round, scenario, target });
                }
            }
        }
        runs
    }

    /// The target that the others are compared with, if it takes part.
    pub(crate) fn baseline_index(&self) -> Option<usize> {
        let baseline = self.baseline.as_ref()?;
        self.targets.iter().position(|target| target.name == *baseline)
    }

    /// How long these runs usually take.
    pub(crate) fn usual_time(&self, runs: &[Run]) -> Duration {
        let usual = runs.iter().map(|run| usual(&self.scenarios[run.scenario])).sum();
        self.time_limit.map_or(usual, |limit| limit.min(usual))
    }

    /// How long these runs take if everything uses up its time.
    pub(crate) fn time_at_most(&self, runs: &[Run]) -> Duration {
        let most = runs.iter().map(|run| at_most(&self.scenarios[run.scenario])).sum();
        self.time_limit.map_or(most, |limit| limit.min(most))
    }

    /// Whether a run may begin when so much time has passed.
    pub(crate) fn may_begin(&self, run: Run, passed: Duration) -> bool {
        let most = at_most(&self.scenarios[run.scenario]);
        self.time_limit.is_none_or(|limit| passed + most <= limit)
    }
}

fn usual(scenario: &Scenario) -> Duration {
    let window = scenario.warm_up + scenario.duration;
    window + AROUND_A_RUN + PER_CONNECTION * scenario.connections
}

/// Starting; holding idle connections; the warm-up; opening connections; the window; stopping.
fn at_most(scenario: &Scenario) -> Duration {
    let connecting = scenario.connect_timeout * 3;
    let loading = scenario.warm_up + scenario.duration + 2 * LOAD_SPARE;
    START_AT_MOST + connecting + loading + STOP_AT_MOST
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::Suite;

    fn quick() -> Plan {
        Suite::load("quick").unwrap().plan(&[], Some(2)).unwrap()
    }

    #[test]
    fn targets_take_turns_in_both_directions() {
        let runs = quick().runs(&[0, 2, 4]);
        let turns = |round, scenario| {
            let runs = runs.iter().filter(move |r| r.round == round && r.scenario == scenario);
            runs.map(|run| run.target).collect::<Vec<_>>()
        };
        for scenario in 0..2 {
            assert_eq!(turns(1, scenario), [0, 2, 4]);
            assert_eq!(turns(2, scenario), [4, 2, 0]);
        }
        let numbers: Vec<_> = runs.iter().map(|run| run.number).collect();
        assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
    }

    #[test]
    fn the_quick_suite_ends_within_three_minutes() {
        let plan = quick();
        let runs = plan.runs(&[0, 1, 2, 3, 4]);
        assert!(plan.time_at_most(&runs) <= Duration::from_secs(180));
        assert!(plan.usual_time(&runs) <= Duration::from_secs(150));
        // One round fits in any case.
        let round = plan.usual_time(&runs[..10]);
        assert!(plan.may_begin(runs[9], round));
        assert!(!plan.may_begin(runs[9], Duration::from_secs(170)));
    }

    #[test]
    fn a_suite_without_a_limit_takes_what_it_takes() {
        let plan = Plan { time_limit: None, ..quick() };
        let runs = plan.runs(&[0, 1, 2, 3, 4]);
        assert!(plan.time_at_most(&runs) > 2 * plan.usual_time(&runs));
        assert!(plan.may_begin(runs[9], Duration::from_secs(1 << 20)));
    }
}
