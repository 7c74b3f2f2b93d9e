//! Whether the figures of a run mean anything.

use std::time::Duration;

use serde::Serialize;

use crate::tally::Tally;

/// From this share of its core on, a worker thread is the limit and not the server.
const BUSY_SHARE_MAX: f64 = 0.97;
/// From this share of the time on, somebody else took the core of a worker thread. Some of it is the
/// kernel's, which also does this program's own work there.
const WAITED_SHARE_MAX: f64 = 0.2;
/// More errors than this share of the requests, and the load was not the one that was asked for.
const ERROR_SHARE_MAX: f64 = 0.01;

/// What a run's figures are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// They are the server's.
    Valid,
    /// They show what the load generator could do.
    ClientBound,
    /// They are not to be used.
    Invalid,
}

impl Verdict {
    /// The exit code of a run with this verdict.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Valid | Self::ClientBound => 0,
            Self::Invalid => 3,
        }
    }
}

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The counts of all workers.
    pub tally: &'a Tally,
    /// How many requests were to be answered, if that was the goal.
    pub wanted: Option<u64>,
    /// How long the window was.
    pub elapsed: Duration,
    /// The share of the window that the busiest worker thread was on its core.
    pub busiest: f64,
    /// The largest share of the window that a worker thread waited for its core.
    pub waited: f64,
}

/// How long a connection may have waited for an answer at the end of a window, if the longest answer
/// took so long, before it counts as silent: longer is no matter of chance.
#[must_use]
pub fn patience(window: Duration, longest: Duration) -> Duration {
    (window / 10).max(longest * 2).max(Duration::from_millis(250))
}

/// How long nothing at all may be answered, if half of the answers took so long: a closed loop does
/// not ask while it waits, so that its figures hardly show an outage.
fn gap_max(window: Duration, median: Duration) -> Duration {
    (window / 5).max(median * 4).max(Duration::from_millis(500))
}

/// Judges a run; with the verdict come its reasons, in words.
#[must_use]
pub fn judge(evidence: &Evidence<'_>) -> (Verdict, Vec<String>) {
    let mut reasons = broken_laws(evidence.tally);
    reasons.extend(unserved(evidence.tally));
    reasons.extend(unasked(evidence));
    reasons.extend(unanswered(evidence));
    reasons.extend(silence(evidence));
    reasons.extend(too_many_errors(evidence.tally));
    let mut verdict = if reasons.is_empty() { Verdict::Valid } else { Verdict::Invalid };
    let bounds = client_bounds(evidence);
    if !bounds.is_empty() && verdict == Verdict::Valid {
        verdict = Verdict::ClientBound;
    }
    reasons.extend(bounds);
    (verdict, reasons)
}

/// Why the figures show what the load generator could do, and not the server.
fn client_bounds(evidence: &Evidence<'_>) -> Vec<String> {
    let mut reasons = Vec::new();
    if evidence.busiest >= BUSY_SHARE_MAX {
        reasons.push(format!(
            "the busiest thread of rimload used {:.0} % of its core: this is what rimload could \
             do, and the server may do more; give it more cores (--cores)",
            evidence.busiest * 100.0
        ));
    } else if evidence.waited >= WAITED_SHARE_MAX
        || evidence.busiest + evidence.waited >= BUSY_SHARE_MAX
    {
        reasons.push(format!(
            "a thread of rimload waited {:.0} % of the time for its core, which others used: the \
             times are partly its own; leave it cores of its own (--cores)",
            evidence.waited * 100.0
        ));
    }
    reasons
}

fn broken_laws(tally: &Tally) -> Vec<String> {
    let broken = tally.laws().into_iter().filter(|(_, holds)| !holds);
    broken
        .map(|(law, _)| format!("rimload lost count, please report it: not true that {law}"))
        .collect()
}

/// What is wrong with the connections.
fn unserved(tally: &Tally) -> Vec<String> {
    let connections = &tally.connections;
    let (requested, opened) = (connections.requested, connections.opened);
    let mut reasons = Vec::new();
    if opened < requested {
        reasons.push(format!(
            "{} of {requested} connections were not opened: {} refused, {} not in time or for \
             other reasons",
            requested.saturating_sub(opened),
            connections.refused,
            connections.not_opened()
        ));
    }
    if connections.starved > 0 {
        reasons.push(format!(
            "{} of {opened} connections were starved: they asked and got no complete answer",
            connections.starved
        ));
    }
    reasons
}

/// Where there are requests for all, a connection that was never asked was not there when it should
/// have been.
fn unasked(evidence: &Evidence<'_>) -> Option<String> {
    let connections = &evidence.tally.connections;
    let is_enough = evidence.wanted.is_none_or(|wanted| wanted >= connections.opened);
    (connections.idle > 0 && is_enough).then(|| {
        format!(
            "{} of {} connections were never asked: they were closed, or the run was ended, before \
             their turn",
            connections.idle, connections.opened
        )
    })
}

/// What is wrong with the number of answers.
fn unanswered(evidence: &Evidence<'_>) -> Option<String> {
    let answered = evidence.tally.requests.answered;
    match evidence.wanted {
        Some(wanted) if evidence.tally.gave_up => Some(format!(
            "only {answered} of {wanted} requests were answered, and then none for so long that \
             the run was ended (--give-up-after)"
        )),
        _ if answered == 0 => Some("nothing was answered".to_owned()),
        Some(wanted) if evidence.tally.requests.sent < wanted => Some(format!(
            "only {} of {wanted} requests were sent before the run was interrupted",
            evidence.tally.requests.sent
        )),
        _ => None,
    }
}

/// Answers that stopped coming, on some connections or on all.
fn silence(evidence: &Evidence<'_>) -> Vec<String> {
    let (tally, elapsed) = (evidence.tally, evidence.elapsed);
    let mut reasons = Vec::new();
    if tally.connections.silent > 0 {
        reasons.push(format!(
            "{} of {} connections had no answer any more at the end, for up to {:.1} s of {:.1} s",
            tally.connections.silent,
            tally.connections.opened,
            tally.longest_silence.as_secs_f64(),
            elapsed.as_secs_f64()
        ));
    }
    let is_answering = tally.requests.answered > 0 && !tally.gave_up;
    if is_answering && tally.longest_gap > gap_max(elapsed, tally.latency.median_answer()) {
        reasons.push(format!(
            "nothing was answered for {:.1} s of {:.1} s",
            tally.longest_gap.as_secs_f64(),
            elapsed.as_secs_f64()
        ));
    }
    reasons
}

fn too_many_errors(tally: &Tally) -> Option<String> {
    let (errors, sent) = (tally.errors.total(), tally.requests.sent);
    if errors as f64 <= sent as f64 * ERROR_SHARE_MAX {
        return None;
    }
    Some(format!(
        "{errors} errors with {sent} requests are more than {:.0} %: {}",
        ERROR_SHARE_MAX * 100.0,
        tally.errors.in_words()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::ErrorClass;
    use crate::tally::{Connections, Requests};

    /// A run with nothing wrong: 64 connections, 1,000 answers, 64 requests out at the end.
    fn good() -> Tally {
        let mut tally = Tally {
            connections: Connections {
                requested: 64,
                opened: 64,
                served: 64,
                ..Connections::default()
            },
            requests: Requests { sent: 1_000, answered: 1_000, ..Requests::default() },
            ..Tally::default()
        };
        for _ in 0..1_000 {
            tally.latency.answered(Duration::from_micros(100));
            tally.service.answered(Duration::from_micros(100));
        }
        for _ in 0..64 {
            outstanding(&mut tally);
        }
        tally
    }

    /// One more request that is out at the end.
    fn outstanding(tally: &mut Tally) {
        tally.requests.sent += 1;
        tally.requests.outstanding += 1;
        tally.latency.unanswered(Duration::from_micros(100));
        tally.service.unanswered(Duration::from_micros(100));
    }

    /// One more request that came to nothing.
    fn failed(tally: &mut Tally, class: ErrorClass) {
        outstanding(tally);
        tally.requests.outstanding -= 1;
        tally.requests.failed += 1;
        tally.errors.count(class);
    }

    /// A window of ten seconds, of which the client used a share.
    fn evidence(tally: &Tally, busiest: f64) -> Evidence<'_> {
        Evidence { tally, wanted: None, elapsed: Duration::from_secs(10), busiest, waited: 0.0 }
    }

    fn verdict(tally: &Tally, busiest: f64) -> (Verdict, String) {
        let (verdict, reasons) = judge(&evidence(tally, busiest));
        (verdict, reasons.join("\n"))
    }

    #[track_caller]
    fn assert_invalid(change: impl FnOnce(&mut Tally), because: &str) {
        let mut tally = good();
        change(&mut tally);
        let (verdict, reasons) = verdict(&tally, 0.5);
        assert_eq!(verdict, Verdict::Invalid);
        assert!(reasons.contains(because), "{reasons}");
        assert_eq!(reasons.lines().count(), 1, "{reasons}");
    }

    #[test]
    fn a_good_run_is_valid_without_reasons() {
        assert_eq!(verdict(&good(), 0.5), (Verdict::Valid, String::new()));
    }

    #[test]
    fn what_makes_a_run_invalid() {
        assert_invalid(
            |tally| {
                tally.connections.served = 61;
                tally.connections.starved = 3;
            },
            "3 of 64 connections were starved",
        );
        assert_invalid(
            |tally| {
                tally.connections.requested = 100;
                tally.connections.refused = 6;
            },
            "36 of 100 connections were not opened: 6 refused, 30 not in time",
        );
        assert_invalid(
            |tally| {
                tally.connections.served = 60;
                tally.connections.idle = 4;
            },
            "4 of 64 connections were never asked",
        );
        assert_invalid(|tally| tally.requests.sent += 1, "sent = answered + failed + outstanding");
        assert_invalid(
            |tally| {
                tally.requests = Requests::default();
                (tally.latency, tally.service) = Default::default();
            },
            "nothing was answered",
        );
        assert_invalid(
            |tally| (0..11).for_each(|_| failed(tally, ErrorClass::ShortBody)),
            "11 errors with 1075 requests are more than 1 %: short_body 11",
        );
    }

    #[test]
    fn with_fewer_requests_than_connections_some_are_idle() {
        let mut tally = good();
        tally.connections.served = 10;
        tally.connections.idle = 54;
        let judged = |wanted| judge(&Evidence { wanted: Some(wanted), ..evidence(&tally, 0.1) });
        assert_eq!(judged(10).0, Verdict::Valid);
        assert_eq!(judged(1_000).0, Verdict::Invalid);
    }

    #[test]
    fn a_few_errors_are_only_shown() {
        let mut tally = good();
        (0..10).for_each(|_| failed(&mut tally, ErrorClass::BadStatus));
        assert_eq!(verdict(&tally, 0.5).0, Verdict::Valid);
    }

    #[test]
    fn a_busy_client_is_marked_but_does_not_make_a_bad_run_better() {
        let (bound, reasons) = verdict(&good(), 0.98);
        assert_eq!(bound, Verdict::ClientBound);
        assert!(reasons.contains("98 %"), "{reasons}");
        let mut starved = good();
        starved.connections.served -= 1;
        starved.connections.starved += 1;
        let (invalid, reasons) = verdict(&starved, 1.0);
        assert_eq!(invalid, Verdict::Invalid);
        assert_eq!(reasons.lines().count(), 2, "{reasons}");
    }

    #[test]
    fn a_run_that_was_given_up_is_invalid() {
        let tally = Tally { gave_up: true, ..good() };
        let evidence = Evidence { wanted: Some(5_000), ..evidence(&tally, 0.1) };
        let (verdict, reasons) = judge(&evidence);
        assert_eq!(verdict, Verdict::Invalid);
        assert!(reasons[0].contains("only 1000 of 5000 requests"), "{reasons:?}");
    }

    #[test]
    fn a_run_that_was_interrupted_before_its_goal_is_invalid() {
        let tally = good();
        let judged = |wanted| judge(&Evidence { wanted: Some(wanted), ..evidence(&tally, 0.1) });
        assert_eq!(judged(1_064).0, Verdict::Valid);
        let (verdict, reasons) = judged(1_065);
        assert_eq!(verdict, Verdict::Invalid);
        assert!(reasons[0].contains("only 1064 of 1065 requests were sent"), "{reasons:?}");
    }

    #[test]
    fn an_outage_makes_a_run_invalid_and_a_slow_server_does_not() {
        let gap = |tally: &mut Tally, seconds| tally.longest_gap = Duration::from_secs(seconds);
        assert_invalid(|tally| gap(tally, 3), "nothing was answered for 3.0 s of 10.0 s");
        let mut slow = good();
        gap(&mut slow, 1);
        assert_eq!(verdict(&slow, 0.5).0, Verdict::Valid);
        // Every answer takes as long as that.
        gap(&mut slow, 3);
        (slow.latency, slow.service) = Default::default();
        (slow.requests.sent, slow.requests.outstanding) = (1_000, 0);
        for _ in 0..1_000 {
            slow.latency.answered(Duration::from_secs(1));
            slow.service.answered(Duration::from_secs(1));
        }
        assert_eq!(verdict(&slow, 0.5), (Verdict::Valid, String::new()));
    }

    #[test]
    fn connections_that_fell_silent_make_a_run_invalid() {
        let second = Duration::from_secs(1);
        assert_invalid(
            |tally| {
                tally.connections.silent = 5;
                tally.longest_silence = second * 4;
            },
            "5 of 64 connections had no answer any more at the end, for up to 4.0 s of 10.0 s",
        );
        assert_eq!(patience(second, Duration::ZERO), second / 4);
        assert_eq!(patience(10 * second, second / 10), second);
        assert_eq!(patience(10 * second, 3 * second), 6 * second);
    }

    #[test]
    fn a_client_that_is_kept_from_its_core_is_marked() {
        let tally = good();
        let judged = |waited| judge(&Evidence { waited, ..evidence(&tally, 0.5) });
        assert_eq!(judged(0.1).0, Verdict::Valid);
        let full = judge(&Evidence { waited: 0.1, ..evidence(&tally, 0.9) });
        assert_eq!(full.0, Verdict::ClientBound);
        let (verdict, reasons) = judged(0.3);
        assert_eq!(verdict, Verdict::ClientBound);
        assert!(reasons[0].contains("waited 30 % of the time"), "{reasons:?}");
    }

    #[test]
    fn only_an_invalid_run_has_an_exit_code_of_its_own() {
        let codes =
            [Verdict::Valid, Verdict::ClientBound, Verdict::Invalid].map(Verdict::exit_code);
        assert_eq!(codes, [0, 0, 3]);
    }
}
