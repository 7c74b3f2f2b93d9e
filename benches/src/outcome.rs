//! What came of the runs, summed up for each target in each scenario.

use crate::failure::Failure;
use crate::load::Figures;
use crate::plan::{Plan, Run};
use crate::record::Measured;

/// A run that is over, and what came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) run: Run,
    pub(crate) result: Result<Measured, Failure>,
}

/// What the figures of a target in a scenario are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worth {
    /// They are the server's.
    Valid,
    /// They show what the load generator could do.
    ClientBound,
    /// They show that it did not serve all clients, and are no measure of speed.
    Invalid,
    /// There are none.
    Failed,
    /// It never had its turn.
    NotRun,
}

/// A figure that may be more than is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bounded {
    pub(crate) value: f64,
    pub(crate) is_lower_bound: bool,
}

/// All runs of a target in a scenario: medians, over the valid ones if there are any.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    pub(crate) target: String,
    pub(crate) worth: Worth,
    /// Runs that are not in the figures, though others are.
    pub(crate) left_out: usize,
    pub(crate) figures: Option<Medians>,
    /// Its rate to that of the baseline in the same round, the median of all rounds.
    pub(crate) to_baseline: Option<f64>,
    /// What was wrong, each thing once.
    pub(crate) reasons: Vec<String>,
}

/// The figures of a target in a scenario.
#[derive(Clone, Debug)]
pub(crate) struct Medians {
    pub(crate) rps: f64,
    pub(crate) p50_us: Bounded,
    pub(crate) p99_us: Bounded,
    pub(crate) served: u64,
    pub(crate) opened: u64,
    pub(crate) starved: u64,
    pub(crate) cpu_us_per_answer: Option<f64>,
    /// With idle connections.
    pub(crate) pss_bytes: u64,
    pub(crate) bytes_per_connection: Option<f64>,
    /// How many connections it could hold idle.
    pub(crate) held: u64,
}

/// Whether a verdict allows the figures to be used.
fn holds(figures: &Figures) -> bool {
    matches!(figures.verdict.as_str(), "valid" | "client-bound")
}

impl Outcome {
    fn figures(&self) -> Option<&Figures> {
        self.result.as_ref().ok().map(|measured| &measured.loaded.figures)
    }

    fn valid(&self) -> Option<&Figures> {
        self.figures().filter(|figures| holds(figures))
    }

    fn reasons(&self) -> Vec<String> {
        match &self.result {
            Ok(measured) => measured.loaded.figures.reasons.clone(),
            Err(failure) => vec![failure.to_string()],
        }
    }
}

/// Sums up what came of a target in a scenario, by their indices.
pub(crate) fn summarise(
    plan: &Plan,
    outcomes: &[Outcome],
    scenario: usize,
    target: usize,
) -> Summary {
    let in_scenario = || outcomes.iter().filter(|outcome| outcome.run.scenario == scenario);
    let own: Vec<&Outcome> = in_scenario().filter(|o| o.run.target == target).collect();
    let measured = |wanted: bool| {
        let runs = own.iter().filter_map(|outcome| outcome.result.as_ref().ok());
        runs.filter(|run| holds(&run.loaded.figures) == wanted).collect::<Vec<_>>()
    };
    let (valid, invalid) = (measured(true), measured(false));
    let has_failed = own.iter().any(|outcome| outcome.result.is_err());
    let used = if valid.is_empty() { &invalid } else { &valid };
    let is_bound = used.iter().any(|run| run.loaded.figures.verdict == "client-bound");
    let worth = match (valid.is_empty(), invalid.is_empty()) {
        (false, _) if is_bound => Worth::ClientBound,
        (false, _) => Worth::Valid,
        (true, false) => Worth::Invalid,
        (true, true) if has_failed => Worth::Failed,
        (true, true) => Worth::NotRun,
    };
    let left_out = if used.is_empty() { 0 } else { own.len() - used.len() };
    let figures = (!used.is_empty()).then(|| medians(used));
    let baseline = baseline(plan, in_scenario(), target);
    let to_baseline = own.iter().filter_map(|outcome| {
        let figures = outcome.valid()?;
        let (_, rps) = baseline.iter().find(|(round, _)| *round == outcome.run.round)?;
        Some(figures.rps / rps)
    });
    let to_baseline = median(to_baseline.collect());
    let mut reasons: Vec<String> = Vec::new();
    for reason in own.iter().flat_map(|outcome| outcome.reasons()) {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    let target = plan.targets[target].name.clone();
    Summary { target, worth, left_out, figures, to_baseline, reasons }
}

/// The rates of the baseline, by round.
fn baseline<'a>(
    plan: &Plan,
    in_scenario: impl Iterator<Item = &'a Outcome>,
    target: usize,
) -> Vec<(u32, f64)> {
    let baseline = plan.baseline_index().filter(|baseline| *baseline != target);
    let runs = in_scenario.filter(|outcome| Some(outcome.run.target) == baseline);
    runs.filter_map(|outcome| Some((outcome.run.round, outcome.valid()?.rps))).collect()
}

fn medians(runs: &[&Measured]) -> Medians {
    let of = |value: &dyn Fn(&Measured) -> Option<f64>| {
        median(runs.iter().filter_map(|run| value(run)).collect())
    };
    let figure = |value: &dyn Fn(&Figures) -> f64| {
        of(&|run| Some(value(&run.loaded.figures))).expect("there is a run")
    };
    let count = |value: &dyn Fn(&Figures) -> u64| figure(&|figures| value(figures) as f64) as u64;
    let bounded = |name: &str, value: &dyn Fn(&Figures) -> f64| {
        let is_bound = |run: &&Measured| {
            run.loaded.figures.latency_us.lower_bounds.iter().any(|bound| bound == name)
        };
        Bounded { value: figure(value), is_lower_bound: runs.iter().any(is_bound) }
    };
    Medians {
        rps: figure(&|figures| figures.rps),
        p50_us: bounded("p50", &|figures| figures.latency_us.p50),
        p99_us: bounded("p99", &|figures| figures.latency_us.p99),
        served: count(&|figures| figures.connections.served),
        opened: count(&|figures| figures.connections.opened),
        starved: count(&|figures| figures.connections.starved),
        cpu_us_per_answer: of(&|run| run.loaded.used?.cpu_us_per_answer),
        pss_bytes: of(&|run| Some(run.idle.with.pss_bytes as f64)).unwrap_or(0.0) as u64,
        bytes_per_connection: of(&|run| run.idle.bytes_per_connection.map(|bytes| bytes as f64)),
        held: of(&|run| Some(run.idle.connections.into())).unwrap_or(0.0) as u64,
    }
}

/// The value in the middle; between the two in the middle if there are two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let above = values.get(middle)?;
    let is_even = values.len().is_multiple_of(2);
    Some(if is_even { (values[middle - 1] + above) / 2.0 } else { *above })
}
