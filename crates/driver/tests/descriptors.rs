//! Drivers close what they open.
//!
//! In a process of its own, because it counts the descriptors of the process.

#[path = "parity/environment.rs"]
mod environment;

use std::ffi::CString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use environment::{Environment, Made, Real};
use rim_driver::{
    Driver, Epoll, Errno, File, Listener, Op, OpId, OpenHow, Outcome, Owner, Settings, Socket,
    Token, Uring, probe,
};

/// The longest that anything may take.
const WATCHDOG: Duration = Duration::from_secs(10);

fn count() -> usize {
    fs::read_dir("/proc/self/fd").expect("a list of descriptors").count()
}

/// Waits until as many are open as before: some are closed by other threads.
fn settle(before: usize, when: &str) {
    let give_up = Instant::now() + WATCHDOG;
    while count() != before {
        assert!(Instant::now() < give_up, "{when}: {} open, {before} before", count());
        thread::yield_now();
    }
}

/// Waits for one completion of an operation.
fn next(driver: &mut dyn Driver, token: Token) -> Result<Outcome, Errno> {
    let give_up = driver.now() + WATCHDOG;
    let mut completions = Vec::new();
    while driver.now() < give_up {
        driver.turn(Some(give_up), &mut completions).expect("a turn does not fail");
        for completion in completions.drain(..) {
            if completion.token == token {
                return completion.result;
            }
        }
    }
    panic!("{token:?} never completes");
}

/// Submits an operation, under a token that no other has had.
fn submit(driver: &mut dyn Driver, op: Op) -> (Token, OpId) {
    static SLOTS: AtomicU32 = AtomicU32::new(1);
    let token = Token::new(Owner::Connection, SLOTS.fetch_add(1, Ordering::Relaxed), 0);
    (token, driver.submit(token, op))
}

fn perform(driver: &mut dyn Driver, op: Op) -> Result<Outcome, Errno> {
    let (token, _) = submit(driver, op);
    next(driver, token)
}

fn open(driver: &mut dyn Driver, path: &str, how: OpenHow) -> Option<File> {
    let path = CString::new(path).expect("a path");
    match perform(driver, Op::Open { path, how }) {
        Ok(Outcome::Opened(file)) => Some(file),
        _ => None,
    }
}

/// Both ends of a connection.
fn pair(driver: &mut dyn Driver, listener: Listener, to: SocketAddr) -> [Socket; 2] {
    let Ok(Outcome::Connected(client)) = perform(driver, Op::Connect { to, from: None }) else {
        panic!("no connection");
    };
    let (accept, id) = submit(driver, Op::Accept { listener, once: false });
    let Ok(Outcome::Accepted(server)) = next(driver, accept) else { panic!("none accepted") };
    driver.cancel(id);
    [client, server]
}

/// Opens and closes everything there is, `rounds` times.
fn use_everything<D: Driver>(environment: &mut Real<D>, rounds: usize) {
    let (listener, address) = environment.listen(Ipv4Addr::LOCALHOST.into()).expect("a port");
    let (refusing, silent) = (environment.refusing(), environment.silent().expect("a port"));
    let root = environment.root();
    let driver = environment.driver();
    let level = count();
    for _ in 0..rounds {
        for socket in pair(driver, listener, address) {
            assert!(perform(driver, Op::Close { socket }).is_ok());
        }
        let refused = perform(driver, Op::Connect { to: refusing, from: None });
        assert!(matches!(refused, Err(Errno::CONNREFUSED)));
        let (connect, id) = submit(driver, Op::Connect { to: silent, from: None });
        driver.cancel(id);
        if let Ok(Outcome::Connected(socket)) = next(driver, connect) {
            assert!(perform(driver, Op::Close { socket }).is_ok());
        }
        let root = open(driver, &root, OpenHow::Root).expect("the root");
        for path in ["file", "directory", "link", "fifo", "missing"] {
            if let Some(file) = open(driver, path, OpenHow::Beneath(root)) {
                assert!(perform(driver, Op::CloseFile { file }).is_ok());
            }
        }
        assert!(perform(driver, Op::CloseFile { file: root }).is_ok());
    }
    settle(level, "all is closed");
    // These the driver has when it goes.
    pair(driver, listener, address);
    submit(driver, Op::Connect { to: silent, from: None });
    open(driver, &root, OpenHow::Root).expect("the root");
}

fn check<D: Driver>(adopt: fn(&mut D, TcpListener) -> Listener, make: impl Fn() -> D) {
    // Whatever a process opens once is open after this.
    drop(make());
    let before = count();
    let mut environment = Real::new(make(), adopt);
    environment.make("file", Made::File(b"content"));
    environment.make("directory", Made::Directory);
    environment.make("link", Made::Link("file"));
    environment.make("fifo", Made::Fifo);
    use_everything(&mut environment, 20);
    drop(environment);
    settle(before, "the driver is gone");
    // A thread may register 16 rings at a time.
    for _ in 0..40 {
        drop(make());
    }
    settle(before, "many drivers are gone");
}

#[test]
fn drivers_close_what_they_open() {
    let settings = Settings { sockets_max: 64, ..Settings::default() };
    check(Epoll::listen, || Epoll::new(&settings).expect("an epoll"));
    if let Err(error) = probe() {
        println!("skipped: uring: {error}");
        return;
    }
    check(Uring::listen, || Uring::new(&settings).expect("a ring"));
    let settings = Settings { direct_descriptors: false, ..settings };
    check(Uring::listen, || Uring::new(&settings).expect("a ring"));
}
