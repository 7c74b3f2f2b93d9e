//! The result for people.

use comfy_table::{CellAlignment, Table, presets};

use crate::latency::Summary;
use crate::report::Report;
use crate::verdict::Verdict;

/// The result as text of several lines.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (name, value) in rows(report) {
        table.add_row([name, &value]);
    }
    let text = format!("{}\n{table}\n\n{}", heading(report), latency(&report.latency_us));
    // The cells of a column are made equally long, which nobody needs behind the last.
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// The verdict comes first: nobody is to read a figure without it.
fn heading(report: &Report) -> String {
    let mut heading = match report.verdict {
        Verdict::Valid => "VALID".to_owned(),
        Verdict::ClientBound => "CLIENT-BOUND".to_owned(),
        Verdict::Invalid => "INVALID: do not use these figures".to_owned(),
    };
    for reason in &report.reasons {
        heading.push_str("\n  - ");
        heading.push_str(reason);
    }
    if report.interrupted {
        heading.push_str("\n  - the run was interrupted, and only the time until then counts");
    }
    heading
}

fn rows(report: &Report) -> Vec<(&'static str, String)> {
    let (connections, requests, client) = (&report.connections, &report.requests, &report.client);
    let errors = report.errors.iter().map(|(class, count)| format!("{class} {}", grouped(*count)));
    let errors: Vec<_> = errors.collect();
    let mark = match report.verdict {
        Verdict::Valid => "",
        Verdict::ClientBound => "   (client-bound)",
        Verdict::Invalid => "   (invalid)",
    };
    vec![
        ("requested", report.urls.join("  ")),
        ("load", load(report)),
        (
            "connections",
            counts(&[
                (connections.requested, "asked for"),
                (connections.opened, "opened"),
                (connections.served, "served"),
                (connections.starved, "starved"),
                (connections.silent, "silent at the end"),
                (connections.idle, "idle"),
                (connections.refused, "refused"),
                (connections.not_opened, "not opened"),
                (connections.reset, "reset"),
                (connections.reconnects, "reconnects"),
            ]),
        ),
        (
            "requests",
            counts(&[
                (requests.sent, "sent"),
                (requests.answered, "answered"),
                (requests.failed, "failed"),
                (requests.outstanding, "outstanding"),
                (requests.unsent, "unsent"),
            ]),
        ),
        ("errors", if errors.is_empty() { "none".to_owned() } else { errors.join(", ") }),
        (
            "rate",
            format!(
                "{} answers/s, {} MB/s{mark}",
                grouped(report.rps.round() as u64),
                grouped((report.bytes_per_s / 1e6).round() as u64)
            ),
        ),
        (
            "rimload",
            format!(
                "{:.0} % of its cores, {:.2} µs per answer, longest turn {}",
                client.cpu_percent,
                client.cpu_us_per_answer,
                time(client.longest_turn_us)
            ),
        ),
    ]
}

fn load(report: &Report) -> String {
    let client = &report.client;
    let threads = if client.threads == 1 { "thread" } else { "threads" };
    format!(
        "closed loop for {:.2} s, {} {threads} on core {} ({})",
        report.elapsed_s, client.threads, client.cores, client.driver
    )
}

/// The first count always, the others if there is something to them.
fn counts(counts: &[(u64, &str)]) -> String {
    let told = counts.iter().enumerate().filter(|(index, (count, _))| *index < 3 || *count > 0);
    let words: Vec<_> =
        told.map(|(_, (count, name))| format!("{} {name}", grouped(*count))).collect();
    words.join(", ")
}

/// The times; a lower bound is marked.
fn latency(times: &Summary) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let mut names = vec!["latency".to_owned(), "min".to_owned(), "mean".to_owned()];
    let mut values = vec![String::new(), time(times.min), time(times.mean)];
    for (name, quantile) in times.quantiles() {
        names.push(name.replace('_', "."));
        let mark = if quantile.is_lower_bound { "≥ " } else { "" };
        values.push(format!("{mark}{}", time(quantile.us)));
        if name == "max" && quantile.is_lower_bound {
            values[2].insert_str(0, "≥ ");
        }
    }
    table.add_row(names).add_row(values);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// A time of so many microseconds, in a unit that suits it.
fn time(us: f64) -> String {
    match us {
        ..1e3 => format!("{us:.0} µs"),
        1e3..1e6 => format!("{:.2} ms", us / 1e3),
        _ => format!("{:.2} s", us / 1e6),
    }
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rim_driver::Time;

    use super::*;
    use crate::report::Facts;
    use crate::tally::{CoreTime, Tally};

    fn facts() -> Facts {
        Facts {
            urls: vec!["http://localhost/".into()],
            wanted: None,
            start: Time::ZERO,
            interrupted: false,
            driver: "uring",
            cores: "1".into(),
        }
    }

    /// One connection answered 1,000 times in a second, and another never.
    fn starved() -> Tally {
        let mut tally = Tally::default();
        tally.connections.requested = 2;
        tally.connections.opened = 2;
        tally.connections.served = 1;
        tally.connections.starved = 1;
        tally.requests.sent = 1_001;
        tally.requests.answered = 1_000;
        tally.requests.outstanding = 1;
        for _ in 0..1_000 {
            tally.latency.answered(Duration::from_millis(1));
            tally.service.answered(Duration::from_millis(1));
        }
        tally.latency.unanswered(Duration::from_secs(1));
        tally.service.unanswered(Duration::from_secs(1));
        tally.ended = Time::from_nanos(1_000_000_000);
        tally.cpu = vec![CoreTime { ran: Duration::from_millis(100), ..CoreTime::default() }];
        tally
    }

    #[test]
    fn a_starved_run_says_so_wherever_a_figure_is() {
        let text = render(&Report::new(&starved(), facts()));
        assert!(text.starts_with("INVALID"), "{text}");
        assert!(text.contains("1 of 2 connections were starved"), "{text}");
        assert!(text.contains("1,000 answers/s, 0 MB/s   (invalid)"), "{text}");
        assert!(text.contains("≥ 1.00 s"), "{text}");
    }

    #[test]
    fn a_good_run_has_no_marks() {
        let mut tally = starved();
        tally.connections.served = 2;
        tally.connections.starved = 0;
        tally.requests.outstanding = 0;
        tally.requests.sent = 1_000;
        (tally.latency, tally.service) = Default::default();
        for _ in 0..1_000 {
            tally.latency.answered(Duration::from_micros(250));
            tally.service.answered(Duration::from_micros(250));
        }
        let text = render(&Report::new(&tally, facts()));
        assert!(text.starts_with("VALID\n"), "{text}");
        assert!(!text.contains('≥') && !text.contains("(invalid)"), "{text}");
        assert!(text.contains("2 asked for, 2 opened, 2 served"), "{text}");
    }

    #[test]
    fn numbers_suit_the_eye() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!([3.0, 1_500.0, 2e6].map(time), ["3 µs", "1.50 ms", "2.00 s"]);
    }
}
