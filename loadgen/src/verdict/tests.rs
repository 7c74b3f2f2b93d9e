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
    let codes = [Verdict::Valid, Verdict::ClientBound, Verdict::Invalid].map(Verdict::exit_code);
    assert_eq!(codes, [0, 0, 3]);
}
