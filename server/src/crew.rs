//! The threads that workers run on.

use std::any::Any;
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use rim_driver::{Driver, Epoll, Kind, Listener, Settings, Uring};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::Shutdown;

use crate::files::FileSettings;
use crate::limits::QUEUE_EMPTIES_WITHIN;
use crate::mailbox::Mailbox;
use crate::snapshot::Snapshot;
use crate::worker::{Mailboxes, Message, Worker, WorkerSettings};

/// What a worker's thread says once it can serve, or cannot.
pub(crate) type Started = Result<(), String>;

/// What workers are started with, and started again.
pub(crate) struct CrewSettings {
    pub(crate) snapshot: Arc<Snapshot>,
    /// With the number of any worker.
    pub(crate) files: FileSettings,
    /// Connections per worker.
    pub(crate) connections_max: usize,
    pub(crate) driver: Settings,
    /// The driver that was chosen: not `Auto`.
    pub(crate) kind: Kind,
    /// By worker.
    pub(crate) cores: Vec<usize>,
    /// By worker. They are kept here as well, so that a queue of connections outlives a worker that
    /// fails.
    pub(crate) listeners: Vec<Vec<TcpListener>>,
}

/// The end of a worker's thread: its number, and why it ended if it was not told to.
pub(crate) type Ended = (usize, Result<(), String>);

/// All workers of this process.
pub(crate) struct Crew {
    settings: CrewSettings,
    mailboxes: Mailboxes,
    ended: Sender<Ended>,
}

impl Crew {
    /// A crew whose workers are still to be started. Their ends are told through `ended`.
    pub(crate) fn new(settings: CrewSettings, ended: Sender<Ended>) -> Self {
        let mailboxes = settings.cores.iter().map(|_| Mailbox::new()).collect();
        Self { settings, mailboxes, ended }
    }

    /// How many workers there are.
    pub(crate) fn len(&self) -> usize {
        self.mailboxes.len()
    }

    /// Starts a worker's thread, for the first time or again. The receiver gets to know whether it
    /// can serve.
    ///
    /// # Errors
    /// If there are too few descriptors or threads.
    pub(crate) fn start(&self, worker: usize) -> anyhow::Result<Receiver<Started>> {
        let listeners = self.settings.listeners[worker].iter().map(TcpListener::try_clone);
        let listeners = listeners.collect::<Result<Vec<_>, _>>().context(
            "too few open files for another worker; raise the limit or use fewer --cores",
        )?;
        let (told, started) = channel();
        let (core, kind) = (self.settings.cores[worker], self.settings.kind);
        let driver = self.settings.driver.clone();
        let settings = WorkerSettings {
            snapshot: self.settings.snapshot.clone(),
            files: FileSettings { worker, ..self.settings.files.clone() },
            connections_max: self.settings.connections_max,
            mailboxes: self.mailboxes.clone(),
        };
        let ended = self.ended.clone();
        let run = move || {
            let work = || work(core, kind, &driver, listeners, settings, &told);
            let result = catch_unwind(AssertUnwindSafe(work));
            let result = result.unwrap_or_else(|panic| Err(describe(&*panic)));
            // Nobody listens any more when the process is about to end.
            let _ = ended.send((worker, result));
        };
        let builder = thread::Builder::new().name(format!("rim-{worker}"));
        builder.spawn(run).context("cannot start a thread; raise the limit on processes")?;
        Ok(started)
    }

    /// Refuses new connections, once those in the queues have been accepted, and tells all workers to
    /// finish and end.
    pub(crate) fn drain(&self) {
        let give_up = Instant::now() + QUEUE_EMPTIES_WITHIN;
        for listener in self.settings.listeners.iter().flatten() {
            // Whoever waits to be accepted would be reset.
            while has_queue(listener) && Instant::now() < give_up {
                thread::sleep(Duration::from_millis(1));
            }
            // A listener that does not listen any more is what is wanted.
            let _ = rustix::net::shutdown(listener, Shutdown::Both);
        }
        for mailbox in &*self.mailboxes {
            mailbox.send(Message::Drain);
        }
    }

    /// Tells all workers to end.
    pub(crate) fn stop(&self) {
        for mailbox in &*self.mailboxes {
            mailbox.send(Message::Stop);
        }
    }
}

/// Whether connections wait to be accepted.
fn has_queue(listener: &TcpListener) -> bool {
    let mut polled = [PollFd::new(listener, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    // One that listens no more is readable as well, and hung up.
    poll(&mut polled, Some(&now)).is_ok_and(|_| polled[0].revents() == PollFlags::IN)
}

/// The life of a worker's thread.
fn work(
    core: usize,
    kind: Kind,
    driver: &Settings,
    listeners: Vec<TcpListener>,
    settings: WorkerSettings,
    told: &Sender<Started>,
) -> Result<(), String> {
    let tell = |error: Option<&String>| {
        // Nobody listens after a restart.
        let _ = told.send(error.map_or(Ok(()), |error| Err(error.clone())));
    };
    if !rim_driver::pin(core) {
        let error = format!("cannot run on core {core}; choose others with --cores");
        tell(Some(&error));
        return Err(error);
    }
    match kind {
        Kind::Auto | Kind::Uring => {
            let made = Uring::new(driver).map_err(|error| error.to_string());
            tell(made.as_ref().err());
            serve(made?, Uring::listen, listeners, settings)
        }
        Kind::Epoll => {
            let made = Epoll::new(driver).map_err(|error| error.to_string());
            tell(made.as_ref().err());
            serve(made?, Epoll::listen, listeners, settings)
        }
    }
}

fn serve<D: Driver>(
    mut driver: D,
    listen: impl Fn(&mut D, TcpListener) -> Listener,
    listeners: Vec<TcpListener>,
    settings: WorkerSettings,
) -> Result<(), String> {
    let listeners = listeners.into_iter().map(|listener| listen(&mut driver, listener)).collect();
    Worker::new(driver, listeners, settings).run().map_err(|error| error.to_string())
}

/// What a panic said.
fn describe(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("panic").to_owned()
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::time::Duration;

    use super::*;

    fn crew(root: &std::path::Path, kind: Kind) -> (Crew, Receiver<Ended>, SocketAddr) {
        let listeners = rim_driver::bind(([127, 0, 0, 1], 0).into(), 1, 16).unwrap();
        let address = listeners[0].local_addr().unwrap();
        let second = Duration::from_secs(1);
        let snapshot = Snapshot {
            head_timeout: 10 * second,
            idle_timeout: 10 * second,
            send_timeout: 10 * second,
            send_rate_min: 1,
            file_timeout: 10 * second,
        };
        let settings = CrewSettings {
            snapshot: Arc::new(snapshot),
            files: FileSettings {
                root: CString::new(root.to_str().unwrap()).unwrap(),
                index: "index.html".into(),
                bytes_max: 1 << 20,
                worker: 0,
                workers: 1,
                seed: 1,
            },
            connections_max: 100,
            driver: Settings { sockets_max: 128, ..Settings::default() },
            kind,
            cores: rim_driver::CoreList::allowed().iter().take(1).collect(),
            listeners: vec![listeners],
        };
        let (ended, ends) = channel();
        (Crew::new(settings, ended), ends, address)
    }

    fn get(address: SocketAddr) -> String {
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_worker_that_fails_is_replaced_and_its_queue_served() {
        let site = tempfile::tempdir().unwrap();
        std::fs::write(site.path().join("index.html"), "index").unwrap();
        let kinds = if rim_driver::probe().is_ok() {
            &[Kind::Epoll, Kind::Uring][..]
        } else {
            &[Kind::Epoll]
        };
        for kind in kinds {
            let (crew, ends, address) = crew(site.path(), *kind);
            crew.start(0).unwrap().recv().unwrap().unwrap();
            assert!(get(address).ends_with("index"));
            crew.mailboxes[0].send(Message::Panic);
            let (worker, end) = ends.recv_timeout(Duration::from_secs(10)).unwrap();
            assert_eq!((worker, end), (0, Err("as the test wants".into())));
            // Nobody accepts now, and the listener still queues.
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
            crew.start(0).unwrap().recv().unwrap().unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert!(answer.ends_with("index"));
            crew.drain();
            let end = ends.recv_timeout(Duration::from_secs(10)).unwrap();
            assert_eq!(end, (0, Ok(())));
        }
    }
}
