//! Making a ring.

use std::collections::HashSet;
use std::mem::ManuallyDrop;

use io_uring::{Builder, IoUring};
use rustix::process::{Resource, getrlimit};
use slab::Slab;

use super::in_flight::InFlight;
use super::receive::ReceiveBuffers;
use super::ring::Ring;
use super::{Feature, Features, SetupError, Uring, probe};
use crate::pool::Pool;
use crate::wake::Wake;
use crate::{Clock, Counters, Settings, Time};

/// The most entries that the kernel gives a completion queue.
const COMPLETION_ENTRIES_MAX: u32 = 65_536;
/// The most entries that the kernel gives a table of direct descriptors.
const TABLE_ENTRIES_MAX: u32 = 1 << 20;

impl Uring {
    /// Makes a ring for this thread.
    ///
    /// # Errors
    /// That there is no usable io_uring, or too little memory or too few open files for these
    /// settings.
    ///
    /// # Panics
    /// If a size in `settings` that must be a power of two is none.
    pub fn new(settings: &Settings) -> Result<Self, SetupError> {
        let features = probe()?.in_use(settings);
        let sockets_max = Self::sockets_max(settings);
        let ring = build(settings, features, sockets_max)
            .map_err(|error| SetupError::new("io_uring_setup", &error))?;
        let mut ring = Ring::new(ring);
        if features.has(Feature::RegisteredRing) {
            registered("ring", ring.submitter().register_ring_fd())?;
        }
        if features.has(Feature::DirectDescriptors) {
            registered("file table", ring.submitter().register_files_sparse(sockets_max))?;
        }
        let mut workers = [settings.io_workers_max; 2];
        registered("worker limit", ring.submitter().register_iowq_max_workers(&mut workers))?;
        let receive = registered(
            "receive buffers",
            ReceiveBuffers::new(ring.submitter(), settings, features, sockets_max),
        )?;
        let wake = Wake::new().map_err(|error| SetupError::new("eventfd", &error.into()))?;
        let mut driver = Self {
            ring: ManuallyDrop::new(ring),
            in_flight: ManuallyDrop::new(InFlight::default()),
            receive: ManuallyDrop::new(receive),
            requests: 0,
            features,
            completions_max: settings.completions_max.max(1),
            batch_bytes: settings.batch_bytes,
            wait_completions_max: settings.wait_completions_max as usize,
            wait_min_us: settings.wait_min_us,
            queued_bytes: 0,
            ready: Vec::new(),
            follow_ups: Vec::new(),
            last_batch: 0,
            listeners: Slab::new(),
            files: Slab::new(),
            real_sockets: HashSet::new(),
            pool: Pool::new(settings.offload_threads, wake.event().clone()),
            jobs: Slab::new(),
            wake,
            broken: None,
            clock: Clock,
            now: Time::ZERO,
            counters: Counters::default(),
        };
        driver.now = driver.clock.now();
        driver.arm_wake();
        Ok(driver)
    }

    /// How many connected sockets a ring with these settings can hold, as the limit on open files
    /// stands: its table of direct descriptors may be no longer than that. A connection for which
    /// there is no place is lost.
    #[must_use]
    pub fn sockets_max(settings: &Settings) -> u32 {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let limit = u32::try_from(limit).unwrap_or(u32::MAX).min(TABLE_ENTRIES_MAX);
        if settings.sockets_max == 0 { limit } else { settings.sockets_max.min(limit) }
    }
}

fn registered<T>(what: &'static str, result: std::io::Result<T>) -> Result<T, SetupError> {
    result.map_err(|error| SetupError::Failed { call: what, error: error.to_string() })
}

/// The ring itself: each flag with its reason in [`Settings`].
fn build(settings: &Settings, features: Features, sockets_max: u32) -> std::io::Result<IoUring> {
    let completion_entries = match settings.completion_entries {
        0 => sockets_max.saturating_mul(2).next_power_of_two(),
        entries => entries,
    };
    let mut builder = IoUring::builder();
    builder.dontfork().setup_clamp().setup_cqsize(
        completion_entries.max(settings.submission_entries).min(COMPLETION_ENTRIES_MAX),
    );
    for (feature, set) in [
        (Feature::SubmitAll, Builder::setup_submit_all as fn(&mut Builder) -> &mut Builder),
        (Feature::CoopTaskrun, Builder::setup_coop_taskrun),
        (Feature::SingleIssuer, Builder::setup_single_issuer),
        (Feature::DeferTaskrun, Builder::setup_defer_taskrun),
        (Feature::NoSqarray, Builder::setup_no_sqarray),
    ] {
        if features.has(feature) {
            set(&mut builder);
        }
    }
    if features.has(Feature::CoopTaskrun) || features.has(Feature::DeferTaskrun) {
        builder.setup_taskrun_flag();
    }
    builder.build(settings.submission_entries)
}
