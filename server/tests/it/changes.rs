//! Files that change: while they are being sent, and between two requests.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use crate::client::{Answer, Client, get};
use crate::drivers::on_each_driver;
use crate::server::Server;
use crate::site::{Site, noise};
use crate::wait::{VISIBLE_WITHIN, WATCHDOG, wait_for, wait_until};

/// More than all buffers on the way hold.
const LONG: usize = 24 << 20;

/// A way of changing a file that is being sent.
type Change = fn(&Site);

const CHANGES: [(&str, Change); 7] = [
    ("replaced", |site| site.replace("long", noise(21, LONG))),
    ("truncated", |site| site.open("long").set_len(LONG as u64 / 2).unwrap()),
    ("emptied", |site| site.write("long", "")),
    ("overwritten", |site| site.write("long", noise(22, LONG))),
    ("changed in one byte", |site| {
        let last = LONG as u64 - 1;
        site.open("long").write_all_at(b"x", last).unwrap();
    }),
    ("appended to", |site| {
        fs::File::options().append(true).open(site.path("long")).unwrap().write_all(b"x").unwrap();
    }),
    ("deleted", |site| fs::remove_file(site.path("long")).unwrap()),
];

/// Begins to read the file, changes it while most of it has not been sent, and reads on.
fn read_while(site: &Site, server: &Server, change: Change) -> (io::Result<Answer>, Client) {
    let mut client = Client::connect_narrow(server.address());
    client.send(get("/long"));
    client.send(get("/short"));
    let head = client.try_head().expect("a whole head");
    let begin = client.try_bytes(100_000).expect("the beginning");
    change(site);
    let rest = client.try_bytes(LONG - begin.len());
    let answer = rest.map(|rest| Answer { content: [begin, rest].concat(), ..head });
    (answer, client)
}

#[test]
fn a_file_that_changes_while_it_is_sent_arrives_as_it_was_or_is_cut() {
    on_each_driver(|driver| {
        for (what, change) in CHANGES {
            let site = Site::with(&[("short", "short")]);
            let long = noise(20, LONG);
            site.write("long", &long);
            let server = Server::start(&site, driver, "--set cache.bytes_max=0");
            let (answer, mut client) = read_while(&site, &server, change);
            // These leave the old content where it was.
            let may_be_whole = matches!(what, "replaced" | "deleted");
            match answer {
                Ok(answer) => {
                    assert!(may_be_whole && answer.content == long, "{what}: mixed or padded");
                    assert_eq!(client.answer().text(), "short", "{what}");
                }
                // Nothing may follow what is owed.
                Err(_) => assert!(client.ends_within(WATCHDOG), "{what}"),
            }
        }
    });
}

#[test]
fn a_large_file_that_has_been_removed_is_not_there_and_the_connection_goes_on() {
    on_each_driver(|driver| {
        let site = Site::with(&[("short", "short")]);
        site.write("long", noise(23, 3_000_000));
        let server = Server::start(&site, driver, "--set cache.bytes_max=0");
        let mut client = Client::connect(server.address());
        assert_eq!(client.get("/long").status, 200);
        fs::remove_file(site.path("long")).unwrap();
        assert_eq!(client.get("/long").status, 404);
        assert_eq!(client.get("/short").text(), "short");
    });
}

#[test]
fn a_file_in_memory_arrives_as_it_was() {
    on_each_driver(|driver| {
        for (what, change) in CHANGES {
            let site = Site::with(&[("short", "short")]);
            let long = noise(20, LONG);
            site.write("long", &long);
            let server = Server::start(&site, driver, "--set cache.bytes_max=100000000");
            let (answer, mut client) = read_while(&site, &server, change);
            assert!(answer.expect("the whole content").content == long, "{what}");
            assert_eq!(client.answer().text(), "short", "{what}");
        }
    });
}

/// Asks for a path again and again, until the answer is as wanted; every answer before has to be one
/// of those that are allowed.
#[track_caller]
fn becomes(client: &mut Client, path: &str, wanted: &str, allowed: &[&str]) {
    let start = Instant::now();
    let mut tags: HashMap<String, String> = HashMap::new();
    wait_for(&format!("{path} is {wanted:?}"), || {
        let answer = client.get(path);
        let text = if answer.status == 200 { answer.text() } else { "none" };
        if let Some(tag) = answer.field("ETag") {
            let tagged = tags.entry(tag.into()).or_insert_with(|| text.to_owned());
            assert_eq!(tagged, text, "two contents with one tag");
        }
        assert!(text == wanted || allowed.contains(&text), "{path} is {text:?}");
        (text == wanted).then_some(())
    });
    let taken = start.elapsed();
    assert!(taken < VISIBLE_WITHIN, "{path}: {taken:?} until {wanted:?} was seen");
}

#[test]
fn every_change_is_seen_soon() {
    on_each_driver(|driver| {
        let site = Site::with(&[("file", "first"), ("gone", "here"), ("dir/x", "x")]);
        let server = Server::start(&site, driver, "");
        let mut client = Client::connect(server.address());
        for (path, status) in [("/file", 200), ("/gone", 200), ("/new", 404), ("/dir/", 404)] {
            assert_eq!(client.get(path).status, status);
        }
        assert_eq!(client.get("/dir").status, 301);
        site.replace("file", "second");
        fs::remove_file(site.path("gone")).unwrap();
        site.write("new", "there");
        site.write("dir/index.html", "index");
        becomes(&mut client, "/file", "second", &["first"]);
        becomes(&mut client, "/gone", "none", &["here"]);
        becomes(&mut client, "/new", "there", &["none"]);
        becomes(&mut client, "/dir/", "index", &["none"]);
        // Of the same length, in its place.
        site.open("file").write_all_at(b"SECOND", 0).unwrap();
        becomes(&mut client, "/file", "SECOND", &["second"]);
        fs::remove_dir_all(site.path("dir")).unwrap();
        site.write("dir", "a file now");
        becomes(&mut client, "/dir", "a file now", &["none"]);
        becomes(&mut client, "/dir/", "none", &["index"]);
    });
}

#[test]
fn what_is_read_for_each_answer_changes_as_soon() {
    on_each_driver(|driver| {
        let site = Site::new();
        let (old, new) = ("old ".repeat(500_000), "new ".repeat(600_000));
        site.write("file", &old);
        let server = Server::start(&site, driver, "--set cache.bytes_max=0");
        let mut client = Client::connect(server.address());
        assert_eq!(client.get("/file").text(), old);
        site.replace("file", &new);
        // What was found out about the old one is noticed to be wrong before anything is sent.
        assert_eq!(client.get("/file").text(), new);
    });
}

#[test]
fn a_changed_file_is_not_answered_with_304() {
    on_each_driver(|driver| {
        let site = Site::with(&[("file", "first")]);
        let server = Server::start(&site, driver, "");
        let mut client = Client::connect(server.address());
        let tag = client.get("/file").the("ETag").to_owned();
        let request = format!("GET /file HTTP/1.1\r\nHost: a\r\nIf-None-Match: {tag}\r\n\r\n");
        assert_eq!(client.ask(&request).status, 304);
        let modified = fs::metadata(site.path("file")).unwrap().modified().unwrap();
        site.write("file", "other");
        // As a tool does that keeps the times.
        site.open("file").set_modified(modified).unwrap();
        let answer = wait_for("it has changed", || {
            let answer = client.ask(&request);
            (answer.status != 304).then_some(answer)
        });
        assert_eq!((answer.status, answer.text()), (200, "other"));
    });
}

#[test]
fn a_file_that_never_rests_is_served_or_said_to_be_busy() {
    on_each_driver(|driver| {
        let site = Site::with(&[("busy", "00000000"), ("calm", "calm")]);
        let server = Server::start(&site, driver, "");
        let mut client = Client::connect(server.address());
        let (is_over, written) = (AtomicBool::new(false), AtomicU64::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                let file = site.open("busy");
                while !is_over.load(Ordering::Relaxed) {
                    let number = written.fetch_add(1, Ordering::SeqCst) + 1;
                    file.write_all_at(format!("{number:08}").as_bytes(), 0).unwrap();
                }
            });
            for _ in 0..20 {
                let answer = client.get("/busy");
                match answer.status {
                    200 => {
                        let seen = answer.text().parse::<u64>().expect("a whole number");
                        assert!(seen <= written.load(Ordering::SeqCst));
                    }
                    503 => assert_eq!(answer.the("Retry-After"), "1"),
                    status => panic!("{status}"),
                }
                assert_eq!(client.get("/calm").text(), "calm");
            }
            is_over.store(true, Ordering::Relaxed);
        });
        let last = format!("{:08}", written.load(Ordering::SeqCst));
        wait_until("the last version is seen", || client.get("/busy").text() == last);
    });
}
