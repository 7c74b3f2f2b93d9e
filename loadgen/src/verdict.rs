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
mod tests;
