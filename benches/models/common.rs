//! What both models are made of: a parent with a listener, and children that wait for clients.
//!
//! A child is the same program again, with the listener as its standard input. Its standard output
//! is a pipe to the parent, and has two uses: one byte says that the child is ready, and when the
//! pipe breaks, the parent is gone, and the child ends.

use std::env;
use std::ffi::CString;
use std::io::{self, PipeReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{self, Child, Command, ExitCode};
use std::thread;

use anyhow::{Context, anyhow, bail};
use rim::reference::Reference;
use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Connections that wait to be accepted: as many as `rim` has by default.
const BACKLOG: i32 = 4096;

/// What every model is told.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Common {
    /// The address to listen on
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The directory to serve
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
    /// Memory for files, in bytes: of each process, or of each thread where it has several
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    cache_bytes: u64,
    /// Be one of the children
    #[arg(long, hide = true)]
    child: bool,
}

/// How many of what.
pub(crate) struct Size {
    pub(crate) processes: usize,
    pub(crate) threads: usize,
}

/// The life of a model; `name` is that of its architecture.
pub(crate) fn run(name: &str, common: &Common, size: &Size) -> ExitCode {
    let result = if common.child { serve(common, size.threads) } else { lead(name, common, size) };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The parent's life: it starts children, and ends them when a signal comes.
fn lead(name: &str, common: &Common, size: &Size) -> anyhow::Result<()> {
    if !common.root.is_dir() {
        bail!("cannot serve {}: name a directory with --root", common.root.display());
    }
    // Whatever comes during the start is not lost.
    let mut signals =
        Signals::new([SIGTERM, SIGINT, SIGCHLD]).context("cannot wait for signals")?;
    let listener = rim_driver::bind(common.listen, 1, BACKLOG)?.remove(0);
    let address = listener.local_addr()?;
    let (ready, to_parent) = io::pipe().context("cannot make a pipe")?;
    let mut children = Children(Vec::new());
    for _ in 0..size.processes {
        children.0.push(start(&listener, to_parent.try_clone()?.into())?);
    }
    drop((listener, to_parent));
    let processes = size.processes;
    let line =
        format!("ready: http://{address} driver={name} workers={}", processes * size.threads);
    thread::spawn(move || announce(ready, processes, &line));
    for signal in signals.forever() {
        if signal != SIGCHLD {
            return Ok(());
        }
        children.check()?;
    }
    Ok(())
}

/// The children of this process; they end with it.
struct Children(Vec<Child>);

impl Children {
    /// Checks that all are alive: with fewer, the model would be another one.
    fn check(&mut self) -> anyhow::Result<()> {
        for child in &mut self.0 {
            if let Some(status) = child.try_wait()? {
                return Err(anyhow!("a child has ended ({status}); its message stands above"));
            }
        }
        Ok(())
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have ended by itself.
            let _ = child.kill();
        }
        for child in &mut self.0 {
            let _ = child.wait();
        }
    }
}

fn start(listener: &TcpListener, to_parent: OwnedFd) -> anyhow::Result<Child> {
    let program = env::current_exe().context("cannot find this program")?;
    let mut command = Command::new(program);
    command.args(env::args_os().skip(1)).arg("--child");
    command.stdin(OwnedFd::from(listener.try_clone()?)).stdout(to_parent);
    command.spawn().context("cannot start a process; raise the limit on processes (ulimit -u)")
}

/// Says that the model is ready, once all children have said so, and keeps the pipe from breaking.
fn announce(mut ready: PipeReader, children: usize, line: &str) {
    let all = io::copy(&mut ready.by_ref().take(children as u64), &mut io::sink());
    if all.is_ok_and(|count| count == children as u64) {
        // Whoever started it may be gone, which is no reason to stop.
        let _ = writeln!(io::stdout(), "{line}");
    }
    // Children hold the other end: this ends when they have.
    let _ = io::copy(&mut ready, &mut io::sink());
}

/// A child's life: as many threads as there are to be, each with one client at a time.
fn serve(common: &Common, threads: usize) -> anyhow::Result<()> {
    let listener = TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    thread::spawn(end_with_parent);
    let root = CString::new(common.root.as_os_str().as_bytes())?;
    for _ in 1..threads {
        let (listener, root) = (listener.try_clone()?, root.clone());
        let cache_bytes = common.cache_bytes;
        let stand_in = move || {
            let _end = EndOfProcess;
            report(accept(&listener, root, cache_bytes));
        };
        thread::Builder::new().spawn(stand_in).context("cannot start a thread; raise ulimit -u")?;
    }
    io::stdout().write_all(b"+").and_then(|()| io::stdout().flush())?;
    accept(&listener, root, common.cache_bytes)
}

/// A thread that ends, for whatever reason, takes its process with it, and so the model: with one
/// thread fewer it would be another one.
struct EndOfProcess;

impl Drop for EndOfProcess {
    fn drop(&mut self) {
        process::exit(1);
    }
}

fn report(result: anyhow::Result<()>) {
    if let Err(error) = result {
        eprintln!("{error:#}");
    }
}

/// Accepts clients, and serves each until it goes.
fn accept(listener: &TcpListener, root: CString, cache_bytes: u64) -> anyhow::Result<()> {
    let mut reference = Reference::new(root, cache_bytes);
    loop {
        match listener.accept() {
            // What goes wrong with one client is that client's affair.
            Ok((client, _)) => drop(reference.serve(client)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error).context("cannot accept connections"),
        }
    }
}

/// Ends the process when the parent is gone.
fn end_with_parent() {
    let stdout = io::stdout();
    // No event is asked for: a broken pipe is told unasked.
    let mut pipe = [PollFd::new(&stdout, PollFlags::empty())];
    while poll(&mut pipe, None).is_err() {}
    process::exit(0);
}
