//! Several workers: they answer alike, and share what they find out.

use std::mem::MaybeUninit;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use crate::client::{Client, get};
use crate::drivers::{on_each_driver, say};
use crate::server::Server;
use crate::site::{Site, noise};

/// Whether there are cores for two workers.
fn is_alone() -> bool {
    let is_alone = thread::available_parallelism().is_ok_and(|cores| cores.get() < 2);
    if is_alone {
        say("there is one core here: several workers are not tested");
    }
    is_alone
}

/// How often each worker's thread has begun to run.
fn runs(server: &Server) -> Vec<u64> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", server.process())).unwrap();
    let mut runs = Vec::new();
    for task in tasks {
        let task = task.unwrap().path();
        let name = std::fs::read_to_string(task.join("comm")).unwrap();
        if name.starts_with("rim-") {
            let times = std::fs::read_to_string(task.join("schedstat")).unwrap();
            runs.push(times.split_whitespace().nth(2).unwrap().parse().unwrap());
        }
    }
    runs
}

#[test]
fn all_workers_serve_and_answer_alike() {
    if is_alone() {
        return;
    }
    on_each_driver(|driver| {
        let site = Site::usual();
        site.write("long", noise(50, 1_000_000));
        let server = Server::start(&site, driver, "--cores 0-1");
        assert!(server.ready().ends_with("workers=2"));
        let before = runs(&server);
        assert_eq!(before.len(), 2);
        let mut answers = Vec::new();
        for _ in 0..200 {
            let mut client = Client::connect(server.address());
            let heads = ["/", "/long", "/dir", "/none"].map(|path| client.get(path).timeless());
            answers.push(heads);
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]));
        // Which of the two gets a connection is up to the kernel, for each of the 200.
        for (before, after) in before.iter().zip(runs(&server)) {
            assert!(after - before > 50, "a worker ran {} times", after - before);
        }
    });
}

/// What is watched: the end of each look is told as well, so that two in a row are told as two. Of
/// looks that overlap, the system may make one.
fn looks() -> WatchFlags {
    WatchFlags::OPEN | WatchFlags::CLOSE_NOWRITE
}

/// How often a file was opened since the watch began.
fn opened(watch: &rustix::fd::OwnedFd) -> u64 {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut events = Reader::new(watch, &mut buffer);
    let mut count = 0;
    loop {
        match events.next() {
            Ok(event) => count += u64::from(event.events().contains(ReadFlags::OPEN)),
            Err(Errno::AGAIN) => return count,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_path_that_many_ask_for_at_once_is_opened_once() {
    const CLIENTS: usize = 40;
    on_each_driver(|driver| {
        let site = Site::usual();
        site.write("file", noise(51, 100_000));
        // Younger, it would be looked at again: it might still be changing.
        thread::sleep(std::time::Duration::from_millis(100));
        let server = Server::start(&site, driver, "");
        let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&watch, site.path("file"), looks()).unwrap();
        let barrier = Barrier::new(CLIENTS);
        let start = Instant::now();
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                let mut client = Client::connect(server.address());
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    assert_eq!(client.get("/file").content.len(), 100_000);
                    assert_eq!(client.get("/file").content.len(), 100_000);
                });
            }
        });
        // What was found out is believed for a second.
        let allowed = 1 + start.elapsed().as_secs();
        let count = opened(&watch);
        assert!((1..=allowed).contains(&count), "opened {count} times");
    });
}

#[test]
fn what_one_has_found_out_the_others_serve() {
    if is_alone() {
        return;
    }
    on_each_driver(|driver| {
        let site = Site::new();
        let content = noise(52, 200_000);
        for number in 0..20 {
            site.write(number.to_string(), &content);
        }
        thread::sleep(std::time::Duration::from_millis(100));
        let server = Server::start(&site, driver, "--cores 0-1");
        let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&watch, site.root(), looks()).unwrap();
        let start = Instant::now();
        // With so many connections, some are of one worker and some of the other.
        let mut clients: Vec<_> = (0..16).map(|_| Client::connect(server.address())).collect();
        for number in 0..20 {
            for client in &mut clients {
                client.send(get(&format!("/{number}")));
                assert!(client.answer().content == content);
            }
        }
        let allowed = 20 * (1 + start.elapsed().as_secs());
        let count = opened(&watch);
        assert!((20..=allowed).contains(&count), "20 files were opened {count} times");
    });
}
