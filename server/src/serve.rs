//! `rim serve`: from a configuration to running workers, and to a clean end.

use std::ffi::CString;
use std::fs;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use rim_driver::{CoreList, Feature, Kind, ListenError, Uring, probe};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::args::ServeArguments;
use crate::config::Config;
use crate::crew::{Crew, CrewSettings, Ended, Started};
use crate::files::FileSettings;
use crate::snapshot::Snapshot;

/// The part of the memory that the cache may take: one in so many.
const CACHE_SHARE: u64 = 8;
/// How long a port that is in use is tried again, and how often.
const BIND_AT_MOST: Duration = Duration::from_secs(1);
const BIND_REST: Duration = Duration::from_millis(20);
/// As long as makes no difference.
const FOREVER: Duration = Duration::from_secs(1 << 32);
/// Descriptors that are not for connections, per worker: files being read, rings, listeners.
const DESCRIPTORS_RESERVED: usize = 64;

/// What the control thread waits for.
enum Event {
    /// A signal has come.
    Signal(i32),
    /// A worker's thread has ended.
    Ended(Ended),
}

/// Serves until a signal ends it.
///
/// # Errors
/// Why it cannot start: one line that says what is wrong and what to do.
pub fn run(arguments: &ServeArguments) -> anyhow::Result<()> {
    let mut config = Config::load(arguments.config.as_deref(), arguments.assignments()?)?;
    if let Some(dir) = arguments.dir.as_ref().filter(|dir| dir.to_str().is_none()) {
        config.root.clone_from(dir);
    }
    check_root(&config.root)?;
    let cores = choose_cores(&config.cores)?;
    let open_files = raise_open_files();
    let kind = choose_driver(config.driver.kind)?;
    // From here on a signal ends the server properly, even if it comes during the start.
    let signals = Signals::new([SIGTERM, SIGQUIT, SIGINT]).context("cannot wait for signals")?;
    let listeners = listen(&config, cores.len())?;
    let addresses = addresses(&listeners)?;
    let (ended, ends) = channel();
    let crew = Crew::new(crew_settings(&config, kind, &cores, open_files, listeners)?, ended);
    start(&crew)?;
    announce(&addresses, kind, crew.len())?;
    let drain_timeout = Duration::from_millis(config.limits.drain_timeout_ms);
    supervise(&crew, &events(signals, ends), drain_timeout)
}

fn check_root(root: &Path) -> anyhow::Result<()> {
    if root.as_os_str().is_empty() {
        bail!("no directory to serve; name one, like `rim serve public`");
    }
    let advice = "name a directory that exists and can be read";
    let shown = root.display();
    // What is needed is to find names in it (search permission). Its list of names is never read.
    let inside = fs::metadata(root.join("."));
    inside.map_err(|error| anyhow!("cannot serve {shown}: {error}; {advice}"))?;
    Ok(())
}

/// The cores of the list, or all.
fn choose_cores(list: &str) -> anyhow::Result<CoreList> {
    let allowed = CoreList::allowed();
    if list.is_empty() {
        return Ok(allowed);
    }
    let cores: CoreList = list.parse().context("cores")?;
    cores.check(&allowed)?;
    Ok(cores)
}

/// Raises the limit on open files as far as it goes; where it stands then.
fn raise_open_files() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Without the right to raise it, it stays as it is.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current };
    usize::try_from(limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX)
}

/// Which driver is used: never `Auto`.
fn choose_driver(kind: Kind) -> anyhow::Result<Kind> {
    match (kind, probe()) {
        (Kind::Epoll, _) => Ok(Kind::Epoll),
        (Kind::Auto | Kind::Uring, Ok(_)) => Ok(Kind::Uring),
        (Kind::Uring, Err(error)) => Err(error.into()),
        (Kind::Auto, Err(error)) => {
            warn(&format!("{error}; serving on epoll"));
            Ok(Kind::Epoll)
        }
    }
}

/// Listeners for each worker, one on each address. All are bound before any accepts: a connection
/// is given to one of those that there are when it comes.
fn listen(config: &Config, workers: usize) -> anyhow::Result<Vec<Vec<TcpListener>>> {
    let mut listeners: Vec<Vec<TcpListener>> = (0..workers).map(|_| Vec::new()).collect();
    for address in &config.listen {
        let bound = bind(*address, workers, config.limits.backlog)?;
        for (listeners, listener) in listeners.iter_mut().zip(bound) {
            listeners.push(listener);
        }
    }
    Ok(listeners)
}

/// A port may be in use for a moment longer than its last user has lived: the kernel takes down the
/// rings of a process that was killed after it is gone.
fn bind(
    address: SocketAddr,
    workers: usize,
    backlog: i32,
) -> Result<Vec<TcpListener>, ListenError> {
    let give_up = Instant::now() + BIND_AT_MOST;
    loop {
        match rim_driver::bind(address, workers, backlog) {
            Err(ListenError::InUse(_)) if Instant::now() < give_up => thread::sleep(BIND_REST),
            bound => return bound,
        }
    }
}

fn addresses(listeners: &[Vec<TcpListener>]) -> io::Result<Vec<SocketAddr>> {
    listeners.iter().take(1).flatten().map(TcpListener::local_addr).collect()
}

fn crew_settings(
    config: &Config,
    kind: Kind,
    cores: &CoreList,
    open_files: usize,
    listeners: Vec<Vec<TcpListener>>,
) -> anyhow::Result<CrewSettings> {
    let workers = cores.len();
    let bytes_max = config.cache.bytes_max.unwrap_or_else(|| memory_bytes() / CACHE_SHARE);
    let root = CString::new(config.root.as_os_str().as_bytes())
        .map_err(|_| anyhow!("root: has a zero byte; name a directory that exists"))?;
    Ok(CrewSettings {
        snapshot: Arc::new(snapshot(config)),
        files: FileSettings {
            root,
            index: config.index.clone(),
            bytes_max: bytes_max / workers as u64,
            worker: 0,
            workers,
            seed: secret(),
        },
        connections_max: connections_max(config, kind, open_files, workers)?,
        driver: config.driver.clone(),
        kind,
        cores: cores.iter().collect(),
        listeners,
    })
}

/// Starts all workers, and waits until all of them can serve.
fn start(crew: &Crew) -> anyhow::Result<()> {
    let started: Vec<Receiver<Started>> =
        (0..crew.len()).map(|worker| crew.start(worker)).collect::<anyhow::Result<_>>()?;
    for (worker, started) in started.into_iter().enumerate() {
        let told = started.recv().unwrap_or_else(|_| Err("its thread ended".into()));
        told.map_err(|error| anyhow!("worker {worker} cannot start: {error}"))?;
    }
    Ok(())
}

fn snapshot(config: &Config) -> Snapshot {
    let limits = &config.limits;
    Snapshot {
        head_timeout: Duration::from_millis(limits.head_timeout_ms),
        idle_timeout: Duration::from_millis(limits.idle_timeout_ms),
        send_timeout: Duration::from_millis(limits.send_timeout_ms),
        send_rate_min: limits.send_rate_min,
        file_timeout: Duration::from_millis(limits.file_timeout_ms),
    }
}

/// Connections per worker. Direct descriptors are limited per ring, others per process; and a ring
/// holds so many sockets and no more.
fn connections_max(
    config: &Config,
    kind: Kind,
    open_files: usize,
    workers: usize,
) -> anyhow::Result<usize> {
    let features = probe().unwrap_or_default().in_use(&config.driver);
    let is_direct = kind == Kind::Uring && features.has(Feature::DirectDescriptors);
    let share = if is_direct { open_files } else { open_files / workers };
    let possible = share.saturating_sub(DESCRIPTORS_RESERVED);
    let wanted = config.limits.connections_max.div_ceil(workers);
    if possible == 0 || wanted > possible {
        bail!(
            "limits.connections_max: an open-file limit of {open_files} allows {} connections; \
             raise it (ulimit -n) or ask for fewer",
            possible * workers
        );
    }
    let held = if kind == Kind::Uring { sockets_for_connections(config) } else { usize::MAX };
    if held == 0 || wanted > held {
        bail!(
            "limits.connections_max: driver.sockets_max ({} per worker) allows {} connections; \
             raise it or ask for fewer",
            Uring::sockets_max(&config.driver),
            held * workers
        );
    }
    let possible = possible.min(held);
    Ok(if wanted == 0 { possible } else { wanted })
}

/// What a ring can hold besides the connections that the accepts of the other listeners may bring
/// at the same time as the last one.
fn sockets_for_connections(config: &Config) -> usize {
    (Uring::sockets_max(&config.driver) as usize).saturating_sub(config.listen.len() - 1)
}

/// Memory that this process may use: of the machine, or of its control group if that is less.
fn memory_bytes() -> u64 {
    let total = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    });
    let total = total.map_or(u64::MAX, |kib| kib << 10);
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = control_group_limit(&groups, Path::new("/sys/fs/cgroup"));
    total.min(limit.unwrap_or(u64::MAX))
}

/// The least limit on memory of the control groups that `/proc/self/cgroup` names, and of those that
/// they are in, in bytes; both versions (cgroups(7)).
fn control_group_limit(groups: &str, mount: &Path) -> Option<u64> {
    // hierarchy-ID:controller-list:cgroup-path, of which version 2 has no controllers.
    let folders = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?.trim_start_matches('/'));
        let is_memory = controllers.split(',').any(|name| name == "memory");
        let (top, file) = match controllers {
            "" => (mount.to_owned(), "memory.max"),
            _ if is_memory => (mount.join("memory"), "memory.limit_in_bytes"),
            _ => return None,
        };
        Some((top.join(path), top, file))
    });
    let limits = folders.flat_map(|(folder, top, file)| {
        let with_parents: Vec<_> = folder.ancestors().map(Path::to_owned).collect();
        let inside = with_parents.into_iter().filter(move |folder| folder.starts_with(&top));
        inside.filter_map(move |folder| fs::read_to_string(folder.join(file)).ok())
    });
    limits.filter_map(|text| text.trim().parse().ok()).min()
}

/// A number that nobody outside knows.
fn secret() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// Signals and ends of workers in one queue.
fn events(mut signals: Signals, ends: Receiver<Ended>) -> Receiver<Event> {
    let (events, receiver) = channel();
    let ended = events.clone();
    thread::spawn(move || signals.forever().try_for_each(|s| events.send(Event::Signal(s))));
    thread::spawn(move || ends.into_iter().try_for_each(|end| ended.send(Event::Ended(end))));
    receiver
}

fn announce(addresses: &[SocketAddr], kind: Kind, workers: usize) -> io::Result<()> {
    let urls: Vec<String> = addresses.iter().map(|address| format!("http://{address}")).collect();
    let driver = if kind == Kind::Uring { "uring" } else { "epoll" };
    let mut out = io::stdout().lock();
    writeln!(out, "ready: {} driver={driver} workers={workers}", urls.join(" "))?;
    out.flush()
}

/// Waits for signals and ended workers until all have ended for good.
fn supervise(crew: &Crew, events: &Receiver<Event>, drain_timeout: Duration) -> anyhow::Result<()> {
    let mut running = crew.len();
    let mut give_up: Option<Instant> = None;
    while running > 0 {
        let wait = give_up.map_or(FOREVER, |at| at.saturating_duration_since(Instant::now()));
        let Ok(event) = events.recv_timeout(wait) else {
            warn("not all answers were finished in time; raise limits.drain_timeout_ms");
            break;
        };
        match event {
            Event::Signal(SIGINT) => {
                crew.stop();
                break;
            }
            Event::Signal(_) => {
                crew.drain();
                give_up.get_or_insert(Instant::now() + drain_timeout);
            }
            Event::Ended((_, Ok(()))) => running -= 1,
            Event::Ended((worker, Err(error))) => {
                warn(&format!("worker {worker} failed and is replaced: {error}"));
                // Whether it can serve shows in how it ends.
                crew.start(worker)?;
                if give_up.is_some() {
                    crew.drain();
                }
            }
        }
    }
    Ok(())
}

fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "rim: warning: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_of_all_control_groups_counts() {
        let mount = tempfile::tempdir().unwrap();
        let limit = |folder: &str, file: &str, text: &str| {
            let folder = mount.path().join(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(file), text).unwrap();
        };
        let least = |groups| control_group_limit(groups, mount.path());
        assert_eq!(least("0::/a/b\n"), None);
        limit("a/b", "memory.max", "max\n");
        assert_eq!(least("0::/a/b\n"), None);
        limit("a", "memory.max", "2000\n");
        limit("other", "memory.max", "1\n");
        assert_eq!(least("0::/a/b\n"), Some(2000));
        limit("a/b", "memory.max", "1000\n");
        assert_eq!(least("0::/a/b\n"), Some(1000));
        limit("memory/c", "memory.limit_in_bytes", "500\n");
        assert_eq!(least("4:cpu,memory:/c\n3:pids:/a\n"), Some(500));
        assert_eq!(least("4:cpu:/c\n0::/\n"), None);
    }
}
