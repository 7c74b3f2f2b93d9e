use fastrand::Rng;
use rim_driver::sim::Faults;
use rim_driver::{Completion, Errno, OpKind, Outcome as Completed, Owner, Sim, Token};

use super::client::{Asked, Ended, Manner, Script, get};
use super::planted::Fault;
use super::site::Site;
use super::{Outcome, Scenario, check, settings};
use crate::close_reason::CloseReason;
use crate::mailbox::Mailbox;
use crate::worker::Worker;

/// Seeds that every planted bug has to be found in.
const SEEDS: u64 = 200;

/// Everything that is wrong with the run of a seed.
fn complaints(seed: u64, planted: Option<Fault>) -> Vec<String> {
    let scenario = Scenario { planted, ..Scenario::random(seed) };
    let is_strict = scenario.faults.error == 0.0;
    // Otherwise some may wait in the queue for longer than their patience lasts.
    let is_roomy = scenario.connections_max >= scenario.scripts.len();
    let outcome = scenario.run();
    let turned_away = outcome.counters.closed[CloseReason::Full as usize] > 0;
    let mut complaints = outcome.complaints();
    for (number, client) in outcome.clients.iter().enumerate() {
        let client = client.borrow();
        let stops = client.script.manner == Manner::StopsSending;
        if stops && is_roomy && client.ended == Some(Ended::ByClient) {
            complaints.push(format!("client {number} was never given up"));
        }
        if is_strict
            && !turned_away
            && let Err(what) = check::is_served(&client, &outcome.site.borrow())
        {
            complaints.push(format!("client {number}: {what}"));
        }
    }
    complaints
}

/// `RIM_SIM_SEEDS=FROM-TO` runs other seeds than the usual ones; one of a failure, or a million.
fn seeds() -> std::ops::Range<u64> {
    let option = std::env::var("RIM_SIM_SEEDS").ok();
    let range = option.as_deref().and_then(|range| range.split_once('-'));
    let number = |text: &str| text.parse().expect("RIM_SIM_SEEDS is two numbers, like 0-1000");
    range.map_or(0..2 * SEEDS, |(from, to)| number(from)..number(to))
}

#[test]
fn any_seed_ends_with_right_answers_and_everything_given_back() {
    for seed in seeds() {
        let complaints = complaints(seed, None);
        assert!(complaints.is_empty(), "seed {seed}:\n{}", complaints.join("\n"));
    }
}

#[test]
fn every_planted_bug_is_found() {
    for fault in Fault::ALL {
        let found = (0..SEEDS).find(|seed| !complaints(*seed, Some(fault)).is_empty());
        let seed = found.unwrap_or_else(|| panic!("{fault:?} was not found in {SEEDS} seeds"));
        println!("{fault:?} found with seed {seed}");
    }
}

#[test]
fn a_panic_ends_one_connection_and_no_other() {
    let mut site = Site::default();
    site.add("a.txt", 100);
    let asked = vec![get("a.txt", ""); 3];
    let script = |seed| Script::good(asked.clone(), usize::MAX, seed);
    let outcome = Scenario {
        seed: 1,
        faults: Faults::none(),
        cache_bytes: 1 << 20,
        site: site.clone(),
        changes: false,
        scripts: (0..8).map(script).collect(),
        connections_max: 10,
        planted: Some(Fault::HandlingPanics),
    }
    .run();
    assert_eq!(outcome.counters.panics, 1);
    assert_eq!(outcome.counters.closed[CloseReason::Panicked as usize], 1);
    let served = outcome.clients.iter().filter(|client| client.borrow().answered == asked.len());
    assert_eq!(served.count(), 7);
    // What the kernel had given for the piece of input stays where it is.
    let expected = ["not given back: file 0, lease of buffer", "1 panics"];
    for (complaint, expected) in outcome.complaints().iter().zip(expected) {
        assert!(complaint.starts_with(expected), "{complaint}");
    }
}

/// Runs one client without faults; what it received, with the dates taken out.
fn received(site: &Site, asked: &[Asked], piece_max: usize, seed: u64, faults: Faults) -> Vec<u8> {
    let scenario = Scenario {
        seed,
        faults,
        cache_bytes: 1 << 30,
        site: site.clone(),
        changes: false,
        scripts: vec![Script::good(asked.to_vec(), piece_max, seed)],
        connections_max: 10,
        planted: None,
    };
    let outcome: Outcome = scenario.run();
    assert_eq!(outcome.complaints(), [""; 0]);
    let bytes = outcome.clients[0].borrow().received.clone();
    without_dates(&bytes)
}

fn without_dates(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for start in 0..bytes.len() {
        if bytes[start..].starts_with(b"\r\nDate: ") {
            bytes[start + 8..start + 37].fill(b'-');
        }
    }
    bytes
}

#[test]
fn any_split_of_the_input_gives_the_same_output() {
    let mut site = Site::default();
    site.add("a.txt", 100);
    site.add("b.txt", 20_000);
    let mut with_content = get("a.txt", "Content-Length: 5\r\n");
    with_content.bytes.extend(b"GET /");
    let last = Asked { is_last: true, ..get("b.txt", "Connection: close\r\n") };
    let asked = [get("a.txt", ""), get("b.txt", ""), with_content, get("missing", ""), last];
    let whole = received(&site, &asked, usize::MAX, 1, Faults::none());
    assert!(whole.len() > 40_000);
    for seed in 0..SEEDS {
        let mut rng = Rng::with_seed(seed);
        let piece_max = rng.usize(1..400);
        let faults = Faults {
            error: 0.0,
            // A file that is slow would only change when, not what.
            ..Faults::random(&mut rng)
        };
        let split = received(&site, &asked, piece_max, seed, faults);
        assert!(split == whole, "seed {seed}, pieces of up to {piece_max}");
    }
}

#[test]
fn a_completion_for_a_connection_that_is_gone_reaches_nobody() {
    let mailbox = Mailbox::new();
    let mut worker = Worker::new(Sim::new(1), Vec::new(), settings(1, 0, 1, &mailbox));
    let token = Token::new(Owner::Connection, 0, 7);
    for (kind, result) in [
        (OpKind::Receive, Ok(Completed::EndOfStream)),
        (OpKind::Send, Err(Errno::CANCELED)),
        (OpKind::Close, Ok(Completed::Done)),
    ] {
        worker.complete(Completion { token, kind, more: false, result });
    }
    assert_eq!(worker.counters.stale, 3);
    assert_eq!(worker.counters.closed.iter().sum::<u64>(), 0);
}
