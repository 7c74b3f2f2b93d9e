//! The result of a run: what is printed, and what `--json` writes.
//!
//! Field names are a contract: adding one breaks nobody, renaming one does.

use std::collections::BTreeMap;
use std::time::Duration;

use rim_driver::Time;
use serde::Serialize;

use crate::latency::Summary;
use crate::tally::Tally;
use crate::verdict::{Evidence, Verdict, judge};

/// How requests come to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Each connection sends the next request when the last one is answered.
    Closed,
}

/// What is known of a run besides its counts.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What was requested.
    pub urls: Vec<String>,
    /// How many requests were to be answered, if that was the goal.
    pub wanted: Option<u64>,
    /// When the window began.
    pub start: Time,
    /// Whether somebody ended it early.
    pub interrupted: bool,
    /// The name of the driver.
    pub driver: &'static str,
    /// The cores of the workers.
    pub cores: String,
}

/// The result of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What the figures are worth.
    pub verdict: Verdict,
    /// Why, in words.
    pub reasons: Vec<String>,
    /// How requests came to be sent.
    pub mode: Mode,
    /// The version of this program.
    pub version: &'static str,
    /// What was requested.
    pub urls: Vec<String>,
    /// How long the window was, in seconds.
    pub elapsed_s: f64,
    /// Whether somebody ended it early.
    pub interrupted: bool,
    /// What came of the connections.
    pub connections: ConnectionCounts,
    /// What came of the requests.
    pub requests: RequestCounts,
    /// Answers per second.
    pub rps: f64,
    /// Bytes received.
    pub bytes: u64,
    /// Bytes received per second.
    pub bytes_per_s: f64,
    /// Times from the moment when a request was to be sent: when the one before it ended, even if a
    /// new connection had to be opened first.
    pub latency_us: Summary,
    /// Times from the moment when a request was sent.
    pub service_us: Summary,
    /// Errors by class.
    pub errors: BTreeMap<&'static str, u64>,
    /// How the load generator itself did.
    pub client: Client,
}

/// What came of the connections: see [`crate::tally::Connections`].
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "named as the counts they come from, which are documented")]
pub struct ConnectionCounts {
    pub requested: u64,
    pub opened: u64,
    pub refused: u64,
    pub not_opened: u64,
    pub served: u64,
    pub idle: u64,
    pub starved: u64,
    pub silent: u64,
    pub reset: u64,
    pub reconnects: u64,
}

/// What came of the requests: see [`crate::tally::Requests`].
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "named as the counts they come from, which are documented")]
pub struct RequestCounts {
    /// Due: sent, or unsent.
    pub scheduled: u64,
    pub sent: u64,
    pub answered: u64,
    pub failed: u64,
    pub outstanding: u64,
    pub unsent: u64,
}

/// How the load generator itself did.
#[derive(Clone, Debug, Serialize)]
pub struct Client {
    /// The driver.
    pub driver: &'static str,
    /// How many worker threads there were.
    pub threads: usize,
    /// On which cores.
    pub cores: String,
    /// The share of the window that the worker threads were on their cores.
    pub cpu_percent: f64,
    /// The same of the busiest of them.
    pub busiest_percent: f64,
    /// The largest share of the window that one of them waited for its core, because others used it.
    pub waiting_percent: f64,
    /// Processor time for each answer.
    pub cpu_us_per_answer: f64,
    /// The longest time between two looks at the driver, waiting not counted.
    pub longest_turn_us: f64,
    /// System calls that entered the kernel to submit or to wait.
    pub enters: u64,
    /// Times a receive found no free buffer.
    pub out_of_buffers: u64,
    /// Turns that found the completion queue full.
    pub overflows: u64,
}

impl Report {
    /// Works the result out.
    #[must_use]
    pub fn new(tally: &Tally, facts: Facts) -> Self {
        let elapsed = tally.ended.since(facts.start);
        let per_second = |count: u64| ratio(count as f64, elapsed.as_secs_f64());
        let client = client(tally, &facts, elapsed);
        let (verdict, reasons) = judge(&Evidence {
            tally,
            wanted: facts.wanted,
            elapsed,
            busiest: client.busiest_percent / 100.0,
            waited: client.waiting_percent / 100.0,
        });
        Self {
            verdict,
            reasons,
            mode: Mode::Closed,
            version: env!("CARGO_PKG_VERSION"),
            urls: facts.urls,
            elapsed_s: elapsed.as_secs_f64(),
            interrupted: facts.interrupted,
            connections: connection_counts(tally),
            requests: request_counts(tally),
            rps: per_second(tally.requests.answered),
            bytes: tally.bytes,
            bytes_per_s: per_second(tally.bytes),
            latency_us: tally.latency.summary(),
            service_us: tally.service.summary(),
            errors: tally.errors.by_name(),
            client,
        }
    }
}

fn connection_counts(tally: &Tally) -> ConnectionCounts {
    let connections = &tally.connections;
    ConnectionCounts {
        requested: connections.requested,
        opened: connections.opened,
        refused: connections.refused,
        not_opened: connections.not_opened(),
        served: connections.served,
        idle: connections.idle,
        starved: connections.starved,
        silent: connections.silent,
        reset: connections.reset,
        reconnects: connections.reconnects,
    }
}

fn request_counts(tally: &Tally) -> RequestCounts {
    let requests = &tally.requests;
    RequestCounts {
        scheduled: requests.sent + requests.unsent,
        sent: requests.sent,
        answered: requests.answered,
        failed: requests.failed,
        outstanding: requests.outstanding,
        unsent: requests.unsent,
    }
}

fn client(tally: &Tally, facts: &Facts, elapsed: Duration) -> Client {
    let share = |time: Duration| ratio(time.as_secs_f64(), elapsed.as_secs_f64()).min(1.0) * 100.0;
    let shares = tally.cpu.iter().map(|cpu| share(cpu.ran));
    let waiting = tally.cpu.iter().map(|cpu| share(cpu.waited));
    let cpu: Duration = tally.cpu.iter().map(|cpu| cpu.ran).sum();
    Client {
        driver: facts.driver,
        threads: tally.cpu.len(),
        cores: facts.cores.clone(),
        cpu_percent: ratio(shares.clone().sum(), tally.cpu.len() as f64),
        busiest_percent: shares.fold(0.0, f64::max),
        waiting_percent: waiting.fold(0.0, f64::max),
        cpu_us_per_answer: ratio(cpu.as_secs_f64() * 1e6, tally.requests.answered as f64),
        longest_turn_us: tally.longest_turn.as_secs_f64() * 1e6,
        enters: tally.driver.enters,
        out_of_buffers: tally.driver.out_of_buffers,
        overflows: tally.driver.overflows,
    }
}

/// Nothing of nothing is nothing, and JSON has no other word for it.
fn ratio(of: f64, to: f64) -> f64 {
    if to > 0.0 { of / to } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::ErrorClass;
    use crate::tally::CoreTime;

    #[test]
    fn the_json_has_the_fields_of_the_contract() {
        let mut tally = Tally::default();
        tally.connections.requested = 3;
        tally.errors.count(ErrorClass::Refused);
        tally.ended = Time::from_nanos(2_000_000_000);
        tally.requests.answered = 10;
        let ran = |millis| CoreTime { ran: Duration::from_millis(millis), ..CoreTime::default() };
        tally.cpu = vec![ran(500), ran(1_500)];
        let facts = Facts {
            urls: vec!["http://localhost/".into()],
            wanted: None,
            start: Time::ZERO,
            interrupted: false,
            driver: "uring",
            cores: "0-1".into(),
        };
        let json = serde_json::to_value(Report::new(&tally, facts)).unwrap();
        for (path, expected) in [
            ("/verdict", serde_json::json!("invalid")),
            ("/mode", serde_json::json!("closed")),
            ("/connections/requested", serde_json::json!(3)),
            ("/connections/not_opened", serde_json::json!(3)),
            ("/requests/answered", serde_json::json!(10)),
            ("/rps", serde_json::json!(5.0)),
            ("/errors", serde_json::json!({"refused": 1})),
            ("/client/cpu_percent", serde_json::json!(50.0)),
            ("/client/busiest_percent", serde_json::json!(75.0)),
            ("/client/threads", serde_json::json!(2)),
        ] {
            assert_eq!(json.pointer(path), Some(&expected), "{path}");
        }
        for field in ["opened", "served", "idle", "starved", "silent", "refused", "reset"] {
            assert!(json["connections"][field].is_u64(), "{field}");
        }
        for field in ["scheduled", "sent", "failed", "outstanding", "unsent"] {
            assert!(json["requests"][field].is_u64(), "{field}");
        }
        for histogram in ["latency_us", "service_us"] {
            for field in ["min", "mean", "p50", "p90", "p99", "p99_9", "p99_99", "max"] {
                assert!(json[histogram][field].is_number(), "{histogram} {field}");
            }
        }
        assert!(json["reasons"].is_array() && json["bytes_per_s"].is_number());
        assert!(json["client"]["longest_turn_us"].is_number());
    }

    #[test]
    fn a_run_without_a_window_has_no_infinite_figures() {
        let facts = Facts {
            urls: Vec::new(),
            wanted: None,
            start: Time::from_nanos(5),
            interrupted: true,
            driver: "uring",
            cores: "0".into(),
        };
        let report = Report::new(&Tally::default(), facts);
        assert_eq!((report.rps, report.client.cpu_percent), (0.0, 0.0));
        assert_eq!(report.verdict, Verdict::Invalid);
    }
}
