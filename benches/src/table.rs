//! The tables that a suite ends with, as text that is also Markdown.

use comfy_table::{CellAlignment, Table, presets};

use crate::outcome::{Bounded, Medians, Outcome, Summary, Worth, summarise};
use crate::plan::Plan;
use crate::text::{bytes, grouped, time};

/// What stands where there is no figure.
const NOTHING: &str = "–";

/// The table of a scenario, with what there is to say about the targets in it.
pub(crate) fn render(
    plan: &Plan,
    outcomes: &[Outcome],
    scenario: usize,
    targets: &[usize],
) -> String {
    let definition = &plan.scenarios[scenario];
    let summaries = targets.iter().map(|target| summarise(plan, outcomes, scenario, *target));
    let summaries: Vec<Summary> = summaries.collect();
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header(plan));
    for summary in &summaries {
        table.add_row(row(summary, definition.connections));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = format!(
        "{}: {}\n{}.\n\n{table}\n",
        definition.name,
        definition.question,
        definition.describe()
    );
    let notes: Vec<String> = summaries.iter().flat_map(notes).collect();
    if !notes.is_empty() {
        text.push_str(&format!("\n{}\n", notes.join("\n")));
    }
    text
}

fn header(plan: &Plan) -> Vec<String> {
    let baseline = plan.baseline.as_deref().unwrap_or("the baseline");
    let mut header = vec!["target".to_owned(), "answers/s".into(), format!("to {baseline}")];
    let rest = ["p50", "p99", "served", "opened", "starved", "CPU/answer", "memory", "per client"];
    header.extend(rest.map(str::to_owned));
    header.push("verdict".into());
    header
}

/// Figures of runs that do not hold stand in parentheses.
fn row(summary: &Summary, connections: u32) -> Vec<String> {
    let mut row = vec![summary.target.clone()];
    match &summary.figures {
        Some(figures) => row.extend(cells(figures, summary, connections)),
        None => row.extend(std::iter::repeat_n(NOTHING.to_owned(), 10)),
    }
    row.push(verdict(summary));
    row
}

fn cells(figures: &Medians, summary: &Summary, connections: u32) -> Vec<String> {
    let is_invalid = summary.worth == Worth::Invalid;
    let marked = |text: String| if is_invalid { format!("({text})") } else { text };
    let or_nothing = |text: Option<String>| text.map_or(NOTHING.to_owned(), marked);
    let at_least = if summary.worth == Worth::ClientBound { "≥ " } else { "" };
    let held = match figures.held {
        all if all == u64::from(connections) => String::new(),
        fewer => format!(" × {}", grouped(fewer)),
    };
    let per_client = figures.bytes_per_connection;
    let per_client = per_client.map(|each| format!("{}{held}", bytes(each.round() as u64)));
    vec![
        marked(format!("{at_least}{}", grouped(figures.rps.round() as u64))),
        or_nothing(summary.to_baseline.map(|ratio| format!("{ratio:.2}"))),
        marked(bounded(figures.p50_us)),
        marked(bounded(figures.p99_us)),
        grouped(figures.served),
        grouped(figures.opened),
        grouped(figures.starved),
        or_nothing(figures.cpu_us_per_answer.map(time)),
        bytes(figures.pss_bytes),
        per_client.unwrap_or(NOTHING.to_owned()),
    ]
}

fn bounded(figure: Bounded) -> String {
    let mark = if figure.is_lower_bound { "≥ " } else { "" };
    format!("{mark}{}", time(figure.value))
}

fn verdict(summary: &Summary) -> String {
    let verdict = match summary.worth {
        Worth::Valid => "valid",
        Worth::ClientBound => "client-bound",
        Worth::Invalid => "INVALID",
        Worth::Failed => "FAILED",
        Worth::NotRun => "NOT RUN",
    };
    match summary.left_out {
        0 => verdict.to_owned(),
        runs => format!("{verdict}, without {runs} of its runs"),
    }
}

/// What was wrong with a target.
fn notes(summary: &Summary) -> Vec<String> {
    let reasons = summary.reasons.iter();
    reasons.map(|reason| format!("- {}: {reason}", summary.target)).collect()
}

/// What the columns mean.
pub(crate) const LEGEND: &str = "\
Medians over the rounds. Figures in parentheses are of runs that left clients unserved, and are no
measure of speed. To: the rate to the baseline's in the same round. Served, opened, starved: of the
connections; a starved one asked and got no whole answer. CPU: of the server, on its core. Memory:
of all its processes (PSS) with all connections open and idle, or as many as it could hold; per
client: what one such connection adds. What the kernel needs for sockets is in neither.";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::failure::Failure;
    use crate::idle::Idle;
    use crate::load::{Figures, Loaded};
    use crate::plan::Run;
    use crate::record::Measured;
    use crate::suite::Suite;
    use crate::usage::Memory;
    use crate::window::Used;
    use serde::Deserialize;

    fn plan() -> Plan {
        Suite::load("quick").unwrap().plan(&[], Some(2)).unwrap()
    }

    fn measured(verdict: &str, rps: f64, starved: u64) -> Measured {
        let report = json!({
            "verdict": verdict,
            "reasons": if starved > 0 { vec![format!("{starved} were starved")] } else { vec![] },
            "connections": {"opened": 64, "served": 64 - starved, "starved": starved},
            "requests": {"answered": 1000},
            "rps": rps,
            "bytes": 1_100_000,
            "elapsed_s": 1.0,
            "latency_us": {
                "p50": 400.0,
                "p99": 1e6,
                "lower_bounds": if starved > 0 { vec!["p99"] } else { vec![] },
            },
        });
        let memory = Memory { pss_bytes: 5 << 20, ..Memory::default() };
        Measured {
            loaded: Loaded {
                figures: Figures::deserialize(&report).unwrap(),
                report,
                log: String::new(),
                used: Some(Used {
                    cpu_percent: 99.0,
                    cpu_us_per_answer: Some(6.54),
                    switches_per_answer: Some(0.1),
                }),
            },
            idle: Idle {
                before: Memory::default(),
                with: memory,
                connections: 64,
                bytes_per_connection: Some(1_536),
            },
            memory_after: memory,
            ready: None,
            command_line: String::new(),
            configuration: Vec::new(),
        }
    }

    fn outcome(round: u32, target: usize, result: Result<Measured, Failure>) -> Outcome {
        Outcome { run: Run { number: 1, round, scenario: 0, target }, result }
    }

    /// The row of a target, by its name.
    fn find<'a>(text: &'a str, target: &str) -> &'a str {
        text.lines().find(|line| line.starts_with(&format!("| {target} "))).unwrap()
    }

    #[test]
    fn figures_are_medians_and_ratios_are_of_the_same_round() {
        let outcomes = [
            outcome(1, 0, Ok(measured("valid", 100_000.0, 0))),
            outcome(1, 1, Ok(measured("valid", 50_000.0, 0))),
            outcome(2, 1, Ok(measured("valid", 100_000.0, 0))),
            outcome(2, 0, Ok(measured("valid", 125_000.0, 0))),
        ];
        let text = render(&plan(), &outcomes, 0, &[0, 1]);
        assert!(text.starts_with("small-64: How many"), "{text}");
        assert!(text.contains("64 connections kept alive, a file of 1 KiB, 2s per run"), "{text}");
        let rim = find(&text, "rim");
        for cell in ["112,500", "400 µs", "1.00 s", "6.5 µs", "5 MiB", "1.5 KiB", "valid"] {
            assert!(rim.contains(&format!(" {cell} ")), "{rim}");
        }
        let epoll = find(&text, "rim-epoll");
        assert!(epoll.contains(" 75,000 ") && epoll.contains(" 0.65 "), "{epoll}");
        assert!(!text.contains("\n- ") && !text.contains('('), "{text}");
    }

    #[test]
    fn what_is_not_valid_never_looks_fine() {
        let outcomes = [
            outcome(1, 0, Ok(measured("valid", 100_000.0, 0))),
            outcome(1, 2, Ok(measured("invalid", 90_000.0, 3))),
            outcome(1, 3, Err(Failure::NotStarted("no port".into()))),
            outcome(1, 4, Ok(measured("client-bound", 190_000.0, 0))),
        ];
        let text = render(&plan(), &outcomes, 0, &[0, 1, 2, 3, 4]);
        let prefork = find(&text, "prefork");
        assert!(prefork.contains(" INVALID ") && prefork.contains(" (90,000) "), "{prefork}");
        assert!(prefork.contains(" (≥ 1.00 s) ") && prefork.contains(" 61 "), "{prefork}");
        assert!(text.contains("\n- prefork: 3 were starved\n"), "{text}");
        let worker = find(&text, "worker");
        assert!(worker.contains(" FAILED ") && !worker.contains(char::is_numeric), "{worker}");
        assert!(text.contains("\n- worker: did not start: no port\n"), "{text}");
        assert!(find(&text, "null").contains(" ≥ 190,000 "), "{text}");
        assert!(find(&text, "rim-epoll").contains(" NOT RUN "), "{text}");
    }

    #[test]
    fn invalid_runs_are_never_averaged_in() {
        let outcomes = [
            outcome(1, 0, Ok(measured("valid", 100_000.0, 0))),
            outcome(2, 0, Ok(measured("invalid", 900_000.0, 1))),
            outcome(3, 0, Err(Failure::NotLoaded("x".into()))),
        ];
        let text = render(&plan(), &outcomes, 0, &[0]);
        let rim = find(&text, "rim");
        assert!(rim.contains(" 100,000 ") && rim.contains("valid, without 2 of its runs"), "{rim}");
        assert_eq!(text.lines().filter(|line| line.starts_with("- rim: ")).count(), 2);
    }

    #[test]
    fn every_row_has_all_columns() {
        let outcomes = [outcome(1, 0, Ok(measured("valid", 1.0, 0)))];
        let text = render(&plan(), &outcomes, 0, &[0, 1]);
        let rows = text.lines().filter(|line| line.starts_with('|'));
        let columns: Vec<_> = rows.map(|row| row.matches('|').count()).collect();
        assert_eq!(columns, [13; 4]);
    }
}
