//! The machine: what figures depend on besides the programs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use procfs::Current;
use procfs::{CpuInfo, CurrentSI, KernelStats, LoadAverage, Meminfo};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::system::uname;
use serde::Serialize;

/// How many hexadecimal digits of a hash are enough to tell machines apart.
const ID_DIGITS: usize = 12;

/// What does not change from run to run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// A hash of processor, cores, kernel and the system's own id: figures of different machines do
    /// not mix, where each has such an id. The id itself is nobody's business (machine-id(5)).
    pub(crate) id: String,
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) memory_bytes: u64,
    pub(crate) is_virtual: bool,
    pub(crate) clock_source: Option<String>,
    pub(crate) governor: Option<String>,
    pub(crate) transparent_hugepages: Option<String>,
    pub(crate) lo_mtu: Option<String>,
    pub(crate) port_range: Option<String>,
    pub(crate) listen_backlog_max: Option<String>,
    pub(crate) io_uring_disabled: Option<String>,
    pub(crate) open_files: Option<u64>,
    pub(crate) locked_memory_bytes: Option<u64>,
    /// Known weaknesses of the processor, with what the kernel does about them.
    pub(crate) mitigations: BTreeMap<String, String>,
}

impl Machine {
    /// Finds out what this machine is.
    pub(crate) fn look() -> Self {
        let processor = CpuInfo::current().ok();
        let cpu = processor.as_ref().and_then(|cpu| cpu.model_name(0)).unwrap_or("unknown");
        let cores = processor.as_ref().map_or(0, CpuInfo::num_cores);
        let flags = processor.as_ref().and_then(|cpu| cpu.flags(0)).unwrap_or_default();
        let kernel = uname().release().to_string_lossy().into_owned();
        let system = line("/etc/machine-id").filter(|id| !id.is_empty());
        Self {
            id: id(cpu, cores, &kernel, system.as_deref()),
            cpu: cpu.into(),
            cores,
            kernel,
            memory_bytes: Meminfo::current().map_or(0, |memory| memory.mem_total),
            is_virtual: flags.contains(&"hypervisor"),
            clock_source: line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            governor: line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            transparent_hugepages: line("/sys/kernel/mm/transparent_hugepage/enabled"),
            lo_mtu: line("/sys/class/net/lo/mtu"),
            port_range: line("/proc/sys/net/ipv4/ip_local_port_range"),
            listen_backlog_max: line("/proc/sys/net/core/somaxconn"),
            io_uring_disabled: line("/proc/sys/kernel/io_uring_disabled"),
            open_files: getrlimit(Resource::Nofile).current,
            locked_memory_bytes: getrlimit(Resource::Memlock).current,
            mitigations: mitigations(),
        }
    }
}

fn id(cpu: &str, cores: usize, kernel: &str, system: Option<&str>) -> String {
    let system = system.map(|id| format!("\n{id}")).unwrap_or_default();
    short_hash(format!("{cpu}\n{cores}\n{kernel}{system}").as_bytes())
}

/// Enough of a hash to tell a few things apart.
pub(crate) fn short_hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..ID_DIGITS].to_owned()
}

fn line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn mitigations() -> BTreeMap<String, String> {
    let folder = Path::new("/sys/devices/system/cpu/vulnerabilities");
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let told = files.filter_map(|file| {
        let text = fs::read_to_string(file.path()).ok()?;
        Some((file.file_name().to_string_lossy().into_owned(), text.trim().to_owned()))
    });
    told.collect()
}

/// Raises the limit on open files as far as it goes, for this program and all that it starts; where
/// it stands then.
pub(crate) fn raise_open_files() -> u64 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // If it cannot be raised, it stays as it is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// How much went on around a run.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Noise {
    /// Threads that ran or wanted to, over the minute before the run, whoever caused them: earlier
    /// runs of the suite as well.
    pub(crate) load_average: f32,
    /// The share of all cores that was in use, by whomever.
    pub(crate) busy_percent: f64,
    /// The share of all cores that other machines on the same hardware took.
    pub(crate) steal_percent: f64,
}

/// The beginning of a run, as far as noise is concerned.
pub(crate) struct Quiet {
    load_average: f32,
    before: Option<Ticks>,
}

/// Ticks of all cores together.
#[derive(Clone, Copy)]
struct Ticks {
    all: u64,
    idle: u64,
    steal: u64,
}

impl Quiet {
    /// Begins to listen.
    pub(crate) fn begin() -> Self {
        Self { load_average: load_average(), before: Ticks::now() }
    }

    /// What there was since.
    pub(crate) fn end(&self) -> Noise {
        let share = |of: fn(&Ticks) -> u64| {
            let (before, after) = (self.before?, Ticks::now()?);
            let part = of(&after).saturating_sub(of(&before)) as f64;
            Some(part / after.all.saturating_sub(before.all).max(1) as f64 * 100.0)
        };
        Noise {
            load_average: self.load_average,
            busy_percent: share(|ticks| ticks.all - ticks.idle).unwrap_or(0.0),
            steal_percent: share(|ticks| ticks.steal).unwrap_or(0.0),
        }
    }
}

impl Ticks {
    fn now() -> Option<Self> {
        let time = KernelStats::current().ok()?.total;
        let idle = time.idle + time.iowait.unwrap_or(0);
        let steal = time.steal.unwrap_or(0);
        let interrupts = time.irq.unwrap_or(0) + time.softirq.unwrap_or(0);
        let busy = time.user + time.nice + time.system + interrupts;
        Some(Self { all: busy + idle + steal, idle, steal })
    }
}

/// Threads that ran or wanted to, over the last minute.
pub(crate) fn load_average() -> f32 {
    LoadAverage::current().map_or(0.0, |load| load.one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_keeps_its_id() {
        let here = id("AMD EPYC", 2, "6.18.0", Some("0123"));
        assert_eq!(here, "49cc14d8b76b");
        for (cores, kernel, system) in
            [(2, "6.18.1", Some("0123")), (4, "6.18.0", Some("0123")), (2, "6.18.0", Some("4567"))]
        {
            assert_ne!(id("AMD EPYC", cores, kernel, system), here);
        }
        // Some have none, as containers.
        assert_eq!(id("AMD EPYC", 2, "6.18.0", None), "92d2fc86430f");
        assert_eq!(Machine::look().id, Machine::look().id);
    }

    #[test]
    fn this_machine_can_be_described() {
        let machine = Machine::look();
        assert!(machine.cores > 0 && machine.memory_bytes > 0);
        assert!(!machine.kernel.is_empty() && machine.lo_mtu.is_some());
        let noise = Quiet::begin().end();
        assert!((0.0..=100.0).contains(&noise.busy_percent), "{noise:?}");
    }
}
