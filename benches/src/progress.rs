//! What is told while a suite runs, on standard error, and what came of it, on standard output.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use crate::cores::Cores;
use crate::failure::Failure;
use crate::machine::load_average;
use crate::plan::{Plan, Run};
use crate::record::Measured;
use crate::target::{Program, Target};
use crate::text::{about, grouped, time};

/// From this share of the cores on, others are busy enough to show in the figures.
const BUSY_SHARE: f32 = 0.25;

/// Says something. Progress that cannot be shown is no reason to stop.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Shows something on standard output. Who reads only its beginning, as `head` does, is content.
pub(crate) fn show(text: &str) {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            say(&format!("Cannot write to standard output: {error}."));
        }
        _ => {}
    }
}

/// What is about to happen, and how long it takes.
pub(crate) fn announce(plan: &Plan, runs: &[Run], cores: &Cores, results: &Path) {
    let (usual, most) = (about(plan.usual_time(runs)), about(plan.time_at_most(runs)));
    say(&format!(
        "Suite {}: {}.\n{} runs, in about {usual}, at most {most}. Ctrl-C stops everything.\n\
         Servers run on core {}, rimload on core {}. Records go to {}.",
        plan.suite,
        plan.about,
        runs.len(),
        cores.server,
        cores.client,
        results.display()
    ));
    if cores.are_shared() {
        say("Note: server and client share a core, so that each takes the other's time.");
    }
    let (load, count) = (load_average(), rim_driver::CoreList::allowed().len());
    if load > count as f32 * BUSY_SHARE {
        say(&format!("Note: this machine is busy (load {load:.1}): figures will be rough."));
    }
}

/// A target that takes no part.
pub(crate) fn skipped(target: &Target) -> String {
    let Program::Installed { package, .. } = &target.program else { return String::new() };
    let name = &target.name;
    format!("Skipped: {name} is not installed; scripts/install-peers {package} installs it.")
}

/// What came of a run.
pub(crate) fn ran(plan: &Plan, run: Run, of: usize, result: &Result<Measured, Failure>) {
    let told = match result {
        Ok(measured) => tell(measured),
        Err(failure) => format!("FAILED: it {failure}"),
    };
    let (target, scenario) = (&plan.targets[run.target], &plan.scenarios[run.scenario]);
    let (number, target, scenario) = (run.number, &target.name, &scenario.name);
    let widest = plan.targets.iter().map(|target| target.name.len()).max().unwrap_or(0);
    say(&format!("[{number:3}/{of}] {scenario:12} {target:widest$}  {told}"));
}

fn tell(measured: &Measured) -> String {
    let figures = &measured.loaded.figures;
    if figures.verdict == "invalid" {
        return format!("INVALID: {}", figures.reasons.join("; "));
    }
    let rps = grouped(figures.rps.round() as u64);
    let p99 = time(figures.latency_us.p99);
    format!("{rps} answers/s, p99 {p99}: {}", figures.verdict)
}
