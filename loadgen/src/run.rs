//! A run from beginning to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::SystemTime;

use rim_driver::{Clock, CoreList, Feature, Settings, Time, probe};

use crate::args::{Args, DriverChoice, Goal};
use crate::crew::{Crew, Orders, Stage};
use crate::errors::ErrorClass;
use crate::failure::CannotRun;
use crate::host::Limits;
use crate::intervals::LogEnd;
use crate::output::Outputs;
use crate::plan::Plan;
use crate::progress::{Phase, Progress};
use crate::report::{Facts, Report};
use crate::thread::DriverKind;
use crate::worker::Window;

/// A run that has come to its end.
#[derive(Debug)]
pub struct Finished {
    /// Its result.
    pub report: Report,
    /// Files that could not be written, or not to their end.
    pub unwritten: Vec<CannotRun>,
}

/// Runs what the command line says, and writes the result where it says. Ends early, with what has
/// been measured, when `interrupted` is set.
///
/// # Errors
/// Why there is no result.
pub fn run(args: &Args, interrupted: &AtomicBool) -> Result<Finished, CannotRun> {
    let mut outputs = Outputs::open(args)?;
    let limits = Limits::raise()?;
    let cores = choose_cores(args)?;
    let (driver, are_direct) = choose_driver(args.driver)?;
    let connects_at_once = limits.connects_at_once(args.connections, cores.len(), are_direct)?;
    let plan = Plan::new(&args.urls, args.connections, limits.ports, args.connect_timeout)?;
    let (to_log, intervals) = channel();
    let orders = Orders {
        plan: Arc::new(plan),
        cores: cores.clone(),
        driver,
        connects_at_once,
        connect_timeout: args.connect_timeout,
        to_log: outputs.has_log().then_some(to_log),
    };
    let mut crew = Crew::start(&orders, Progress::new(args.quiet))?;
    open(&mut crew, &orders.plan, interrupted)?;
    let start = Clock.now();
    let log = outputs.begin_log(cores.len(), SystemTime::now())?;
    let log = LogEnd::new(log, intervals);
    let mut unwritten = Vec::from_iter(measure(&mut crew, args, start, interrupted, log)?);
    let facts = Facts {
        urls: args.urls.iter().map(|url| url.text.clone()).collect(),
        wanted: args.requests,
        start,
        interrupted: interrupted.load(Ordering::Relaxed),
        driver: crew.driver(),
        cores: cores.to_string(),
    };
    let report = Report::new(&crew.take_tally(), facts);
    unwritten.extend(outputs.write_json(&report).err());
    Ok(Finished { report, unwritten })
}

/// The cores of the command line, or all; no more than there are connections.
fn choose_cores(args: &Args) -> Result<CoreList, CannotRun> {
    let allowed = CoreList::allowed();
    let cores = args.cores.as_ref().unwrap_or(&allowed);
    cores.check(&allowed)?;
    Ok(cores.first(args.connections as usize))
}

/// The driver to use, and whether its sockets are direct descriptors.
fn choose_driver(choice: DriverChoice) -> Result<(DriverKind, bool), CannotRun> {
    if choice == DriverChoice::Epoll {
        return Ok((DriverKind::Epoll, false));
    }
    match probe() {
        Ok(features) => {
            let used = features.in_use(&Settings::default());
            Ok((DriverKind::Uring, used.has(Feature::DirectDescriptors)))
        }
        Err(error) if choice == DriverChoice::Uring => Err(CannotRun::NoDriver(error.to_string())),
        Err(error) => {
            eprintln!("rimload: warning: {error}; going on with epoll, which can do less");
            Ok((DriverKind::Epoll, false))
        }
    }
}

/// Has all connections opened.
fn open(crew: &mut Crew, plan: &Plan, interrupted: &AtomicBool) -> Result<(), CannotRun> {
    let wanted = u64::from(plan.connections);
    crew.wait(Stage::Opened, Phase::Opening(wanted), interrupted, || ())?;
    if crew.opened() > 0 || interrupted.load(Ordering::Relaxed) {
        return Ok(());
    }
    let errors = crew.errors_in_opening();
    let to = plan.addresses();
    Err(if errors.of(ErrorClass::Refused) == wanted {
        CannotRun::NobodyListens(to, wanted)
    } else {
        let classes = errors.in_words();
        CannotRun::NothingOpened { connections: wanted, to, classes }
    })
}

/// Has requests sent until the goal is reached. Why the log is not all there, if it is not.
fn measure(
    crew: &mut Crew,
    args: &Args,
    start: Time,
    interrupted: &AtomicBool,
    mut log: LogEnd,
) -> Result<Option<CannotRun>, CannotRun> {
    let (time, requests) = match args.goal() {
        Goal::Duration(time) => (Some(time), None),
        Goal::Requests(requests) => (None, Some(requests)),
    };
    crew.go(requests.unwrap_or(u64::MAX), |requests| Window {
        start,
        end: time.map(|time| start + time),
        requests,
        give_up_after: args.give_up_after,
    });
    let phase = Phase::Window { time, requests };
    crew.wait(Stage::Finished, phase, interrupted, || log.write())?;
    Ok(log.end(crew.ended().since(start)))
}
