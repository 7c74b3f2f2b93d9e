use std::collections::HashMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use rim_driver::BlockingFiles;
use tempfile::TempDir;

use super::finding::ASK_AGAIN_AFTER;
use super::*;

/// Several workers' files over one directory, and everything between them.
struct Office {
    directory: TempDir,
    workers: Vec<Files>,
    disks: Vec<BlockingFiles>,
    /// How often each path was opened below the root.
    opened: HashMap<Vec<u8>, usize>,
    now: Time,
    /// Messages to this worker are lost.
    deaf: Option<usize>,
}

impl Office {
    fn new(workers: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = CString::new(directory.path().as_os_str().as_bytes()).unwrap();
        let files = |worker| {
            let (root, index) = (root.clone(), "index.html".into());
            Files::new(FileSettings { root, index, bytes_max: 1 << 20, worker, workers, seed: 7 })
        };
        Self {
            workers: (0..workers).map(files).collect(),
            disks: (0..workers).map(|_| BlockingFiles::default()).collect(),
            directory,
            opened: HashMap::new(),
            now: Time::from_nanos(1_000_000_000_000),
            deaf: None,
        }
    }

    fn write(&self, path: &str, content: &str) {
        fs::write(self.directory.path().join(path), content).unwrap();
    }

    /// Asks a worker for a path; what is known, or nothing if the connection has to wait.
    fn ask(&mut self, worker: usize, path: &str, connection: u32) -> Option<Local> {
        let (bytes, is_directory) =
            path.strip_suffix('/').map_or((path.as_bytes(), false), |path| (path.as_bytes(), true));
        let path = Path { bytes, is_directory, is_hidden: false };
        let files = &mut self.workers[worker];
        files.set_time(self.now);
        match files.look_up(&path, Token::new(Owner::Connection, connection, 0)) {
            Lookup::Found(local) => Some(local.clone()),
            Lookup::Wait => None,
        }
    }

    /// Carries out everything that is wanted of disk and messengers.
    fn work(&mut self) {
        let mut has_worked = true;
        while has_worked {
            has_worked = false;
            for worker in 0..self.workers.len() {
                while let Some((token, op)) = self.workers[worker].ops.pop() {
                    has_worked = true;
                    self.carry_out(worker, token, op);
                }
                let messages: Vec<_> = self.workers[worker].messages.drain(..).collect();
                for (to, message) in messages {
                    has_worked = true;
                    if self.deaf != Some(to) {
                        self.workers[to].set_time(self.now);
                        self.workers[to].receive(message);
                    }
                }
            }
        }
    }

    fn carry_out(&mut self, worker: usize, token: Token, op: Op) {
        if let Op::Open { path, how: OpenHow::Beneath(_) } = &op {
            *self.opened.entry(path.as_bytes().to_vec()).or_default() += 1;
        }
        let result = self.disks[worker].run(op);
        let files = &mut self.workers[worker];
        match token.owner() {
            // Long after the files were made, so that they count as settled.
            Owner::Fill => files.complete_fill(token, result, Duration::MAX / 2),
            _ => files.complete_control(token, result),
        }
    }

    /// What a worker finds at a path, however long it takes.
    #[track_caller]
    fn find(&mut self, worker: usize, path: &str) -> Local {
        for _ in 0..3 {
            if let Some(local) = self.ask(worker, path, 0) {
                return local;
            }
            self.work();
        }
        panic!("{path} is not found out");
    }

    fn content(&mut self, worker: usize, path: &str) -> Vec<u8> {
        match self.find(worker, path) {
            Local::File(local) => local.content.as_ref().unwrap().as_slice().to_vec(),
            other => panic!("{other:?}"),
        }
    }

    /// The worker that finds out what is at a path.
    fn owner(&self, path: &str) -> usize {
        let key = Key { path: path.as_bytes(), is_directory: false };
        self.workers[0].owner(self.workers[0].index.hash(key))
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    fn ready(&mut self, worker: usize) -> Vec<u32> {
        let mut ready: Vec<u32> =
            self.workers[worker].ready.drain(..).map(|token| token.slot()).collect();
        ready.sort_unstable();
        ready
    }
}

#[test]
fn one_fill_serves_all_who_wait_on_all_workers() {
    let mut office = Office::new(3);
    office.write("a", "content");
    // The roots first, so that everybody waits for the file itself.
    for worker in 0..3 {
        office.find(worker, "warm");
        office.ready(worker);
    }
    for connection in 1..=10 {
        for worker in 0..3 {
            assert!(office.ask(worker, "a", connection).is_none());
        }
    }
    office.work();
    assert_eq!(office.opened[&b"a"[..]], 1);
    for worker in 0..3 {
        assert_eq!(office.ready(worker), (1..=10).collect::<Vec<u32>>());
        assert_eq!(office.content(worker, "a"), b"content");
    }
    assert_eq!(office.opened[&b"a"[..]], 1);
}

#[test]
fn content_is_shared_between_workers_and_not_copied() {
    let mut office = Office::new(2);
    office.write("a", "content");
    let mut address = |worker| match office.find(worker, "a") {
        Local::File(local) => Arc::as_ptr(&local.entry),
        other => panic!("{other:?}"),
    };
    assert_eq!(address(0), address(1));
}

#[test]
fn what_was_found_out_is_believed_for_a_second() {
    let mut office = Office::new(2);
    office.write("a", "old");
    assert_eq!(office.content(0, "a"), b"old");
    office.write("a", "new!");
    office.pass(Duration::from_millis(999));
    assert_eq!(office.content(0, "a"), b"old");
    office.pass(Duration::from_millis(2));
    assert_eq!(office.content(0, "a"), b"new!");
    assert_eq!(office.content(1, "a"), b"new!");
    assert_eq!(office.opened[&b"a"[..]], 2);
}

#[test]
fn an_owner_does_not_repeat_what_another_worker_doubts() {
    let mut office = Office::new(2);
    office.write("a", "old");
    for worker in 0..2 {
        assert_eq!(office.content(worker, "a"), b"old");
    }
    office.write("a", "new!");
    office.pass(Duration::from_millis(10));
    let other = 1 - office.owner("a");
    let Local::File(old) = office.find(other, "a") else { panic!("there is a file") };
    office.workers[other].set_time(office.now);
    office.workers[other].doubt(&old.entry);
    assert_eq!(office.content(other, "a"), b"new!");
    assert_eq!(office.opened[&b"a"[..]], 2);
}

#[test]
fn an_answer_from_before_a_doubt_does_not_settle_it() {
    let mut office = Office::new(2);
    office.write("a", "old");
    let other = 1 - office.owner("a");
    let Local::File(old) = office.find(other, "a") else { panic!("there is a file") };
    let path: Box<[u8]> = b"a"[..].into();
    let (is_directory, at) = (false, office.now);
    office.pass(Duration::from_millis(10));
    office.write("a", "new!");
    office.workers[other].set_time(office.now);
    office.workers[other].doubt(&old.entry);
    assert!(office.ask(other, "a", 1).is_none());
    let resolved = Resolved::File(old.entry.clone());
    office.workers[other].receive(FileMessage::Have { path, is_directory, resolved, at });
    assert_eq!(office.content(other, "a"), b"new!");
}

#[test]
fn a_file_that_has_not_changed_is_not_read_again() {
    let mut office = Office::new(1);
    office.write("a", "same");
    let entry = |office: &mut Office| match office.find(0, "a") {
        Local::File(local) => local,
        other => panic!("{other:?}"),
    };
    let before = entry(&mut office);
    office.pass(Duration::from_secs(5));
    let after = entry(&mut office);
    assert!(std::rc::Rc::ptr_eq(&before, &after));
    assert_eq!(office.opened[&b"a"[..]], 2);
}

#[test]
fn all_that_is_no_file_is_told_apart() {
    let mut office = Office::new(1);
    fs::create_dir(office.directory.path().join("d")).unwrap();
    office.write("d/index.html", "index");
    assert!(matches!(office.find(0, "d"), Local::Directory));
    assert_eq!(office.content(0, "d/"), b"index");
    assert!(matches!(office.find(0, "none"), Local::Absent));
    assert!(matches!(office.find(0, "d/none"), Local::Absent));
    assert!(matches!(office.find(0, "d/index.html/"), Local::Absent));
    assert!(matches!(office.find(0, "/"), Local::Absent), "there is no index");
}

#[test]
fn an_owner_that_does_not_answer_is_asked_again() {
    let mut office = Office::new(2);
    office.write("a", "content");
    office.find(0, "warm");
    office.find(1, "warm");
    let owner = office.owner("a");
    let other = 1 - owner;
    office.deaf = Some(owner);
    assert!(office.ask(other, "a", 1).is_none());
    office.work();
    office.deaf = None;
    assert!(office.ask(other, "a", 2).is_none());
    office.work();
    assert!(office.ready(other).is_empty(), "not yet asked again");
    office.pass(ASK_AGAIN_AFTER);
    // Brings the root up to date.
    office.find(other, "warm");
    office.ready(other);
    assert!(office.ask(other, "a", 3).is_none());
    office.work();
    assert_eq!(office.ready(other), [1, 2, 3]);
}

#[test]
fn a_root_that_leads_elsewhere_makes_everything_be_found_out_anew() {
    let outer = tempfile::tempdir().unwrap();
    for version in ["one", "two"] {
        fs::create_dir(outer.path().join(version)).unwrap();
        fs::write(outer.path().join(version).join("a"), version).unwrap();
    }
    let link = outer.path().join("current");
    std::os::unix::fs::symlink("one", &link).unwrap();
    let mut office = Office::new(1);
    let root = CString::new(link.as_os_str().as_bytes()).unwrap();
    office.workers[0].root = Root::new(root);
    assert_eq!(office.content(0, "a"), b"one");
    let next = outer.path().join("next");
    std::os::unix::fs::symlink("two", &next).unwrap();
    fs::rename(&next, &link).unwrap();
    office.pass(Duration::from_millis(600));
    // Found out only now, so it is believed for longer than the root.
    office.find(0, "b");
    office.pass(Duration::from_millis(600));
    assert_eq!(office.content(0, "a"), b"two");
}

#[test]
fn without_a_root_the_answer_is_that_it_cannot_be_found_out() {
    let mut office = Office::new(1);
    office.workers[0].root = Root::new(c"/nonexistent/root".into());
    assert!(matches!(office.find(0, "a"), Local::Failed(Status::ServiceUnavailable)));
}

#[test]
fn files_that_are_read_at_the_same_time_share_the_room_that_there_is() {
    let mut office = Office::new(1);
    // There is room for one of them.
    let long = "x".repeat((1 << 20) + 1000);
    office.find(0, "warm");
    for (number, path) in ["a", "b"].into_iter().enumerate() {
        office.write(path, &long);
        assert!(office.ask(0, path, number as u32).is_none());
    }
    while !office.workers[0].ops.is_empty() {
        let (token, op) = office.workers[0].ops.remove(0);
        office.carry_out(0, token, op);
    }
    let mut is_kept = |path| match office.ask(0, path, 9) {
        Some(Local::File(local)) => local.content.is_some(),
        other => panic!("{other:?}"),
    };
    assert_eq!([is_kept("a"), is_kept("b")], [true, false]);
    assert_eq!(office.workers[0].bytes_reserved, 0);
}
