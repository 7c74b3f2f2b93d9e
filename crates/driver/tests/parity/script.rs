//! What a script is, and how it is run on every driver there is.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rim_driver::sim::Faults;
use rim_driver::{Driver, Epoll, Feature, Settings, Sim, Uring, probe};

use super::environment::{Environment, Real};
use super::run::{Log, Run, SKIPPED, WATCHDOG};
use super::simulated::Simulated;

/// A series of operations and what is to be noted of them.
#[derive(Clone, Copy)]
pub(crate) struct Script {
    /// What it needs to be set.
    pub(crate) set: fn(&mut Settings),
    /// What it does.
    pub(crate) play: fn(&mut Run),
    /// What it notes.
    pub(crate) expected: &'static [&'static str],
}

/// Runs a script on every driver.
pub(crate) fn check(script: Script) {
    let settings = sized(script);
    play(script, "epoll", move || {
        let driver = Epoll::new(&settings).expect("an epoll");
        assert_eq!(driver.name(), "epoll");
        Box::new(Real::new(driver, Epoll::listen))
    });
    let settings = sized(script);
    play(script, "sim", move || {
        let faults = Faults {
            receive_buffers: settings.receive_buffers.into(),
            receive_buffer_bytes: settings.receive_buffer_bytes as usize,
            ..Faults::none()
        };
        Box::new(Simulated::new(Sim::with_faults(1, faults)))
    });
    for (name, settings) in rings(sized(script)) {
        play(script, name, move || {
            let driver = Uring::new(&settings).expect("a ring");
            assert_eq!(driver.name(), "uring");
            Box::new(Real::new(driver, Uring::listen))
        });
    }
}

/// Small, so that hundreds of drivers can be made, and then what the script wants.
fn sized(script: Script) -> Settings {
    let mut settings = Settings {
        submission_entries: 64,
        sockets_max: 64,
        receive_buffers: 64,
        receive_buffer_bytes: 4096,
        ..Settings::default()
    };
    (script.set)(&mut settings);
    settings
}

/// The settings of all rings to be tested: as given, with tiny queues, and with each feature that
/// this kernel has switched off.
fn rings(base: Settings) -> Vec<(&'static str, Settings)> {
    let features = match probe() {
        Ok(features) => features,
        Err(error) => {
            println!("skipped: uring: {error}");
            return Vec::new();
        }
    };
    let mut rings = vec![("uring", base.clone())];
    let mut add = |name, set: &dyn Fn(&mut Settings)| {
        let mut settings = base.clone();
        set(&mut settings);
        rings.push((name, settings));
    };
    add("tiny queues", &|settings| {
        settings.submission_entries = 2;
        settings.completion_entries = 4;
    });
    for (feature, switch) in SWITCHES {
        let (name, since) = feature.describe();
        if features.has(feature) {
            add(name, &|settings| *switch(settings) = false);
        } else {
            println!("skipped: without {name}: this kernel has none, it came with Linux {since}");
        }
    }
    if features.has(Feature::MinimumWait) {
        add("with wait_min_us", &|settings| settings.wait_completions_max = 8);
        add("with a wait_min_us of 0", &|settings| {
            settings.wait_completions_max = 8;
            settings.wait_min_us = 0;
        });
    }
    add("with the least", &|settings| {
        for (_, switch) in SWITCHES {
            *switch(settings) = false;
        }
    });
    rings
}

/// A feature's setting.
type Switch = fn(&mut Settings) -> &mut bool;

/// The features that have a setting of their own.
const SWITCHES: [(Feature, Switch); 12] = [
    (Feature::SingleIssuer, |settings| &mut settings.single_issuer),
    (Feature::DeferTaskrun, |settings| &mut settings.defer_taskrun),
    (Feature::CoopTaskrun, |settings| &mut settings.coop_taskrun),
    (Feature::SubmitAll, |settings| &mut settings.submit_all),
    (Feature::NoSqarray, |settings| &mut settings.no_sqarray),
    (Feature::RegisteredRing, |settings| &mut settings.registered_ring),
    (Feature::DirectDescriptors, |settings| &mut settings.direct_descriptors),
    (Feature::MultishotAccept, |settings| &mut settings.multishot_accept),
    (Feature::MultishotReceive, |settings| &mut settings.multishot_receive),
    (Feature::ProvidedBuffers, |settings| &mut settings.provided_buffers),
    (Feature::VectorizedSend, |settings| &mut settings.vectorized_send),
    (Feature::SocketCommands, |settings| &mut settings.socket_commands),
];

/// Runs a script on a thread of its own, which makes the driver and drops it, and compares the
/// notes. A script that hangs fails with what it has noted.
fn play(script: Script, name: &str, make: impl FnOnce() -> Box<dyn Environment> + Send + 'static) {
    let log = Log::new(Mutex::new(Vec::new()));
    let (ended, end) = channel::<()>();
    let thread = thread::spawn({
        let log = Arc::clone(&log);
        move || {
            let mut run = Run::new(make(), log);
            (script.play)(&mut run);
            run.finish();
            drop(ended);
        }
    });
    let hangs = end.recv_timeout(WATCHDOG) == Err(RecvTimeoutError::Timeout);
    let failed = !hangs && thread.join().is_err();
    let log = log.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(!hangs, "{name} hangs; noted so far: {log:#?}");
    assert!(!failed, "{name} failed; noted so far: {log:#?}");
    if let Some(skipped) = log.iter().find(|line| line.starts_with(SKIPPED)) {
        println!("{skipped} ({name})");
        return;
    }
    assert_eq!(*log, script.expected, "{name} (left) is not as expected (right)");
}
