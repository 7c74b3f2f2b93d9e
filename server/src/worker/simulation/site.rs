//! Files of a simulated server, and how they change.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use rim_driver::Time;
use rim_driver::sim::{Files, Net, Peer};

/// The root directory, as the simulated file system knows it.
const ROOT: &str = "srv/www";

/// All versions that a file has had; nothing for a time in which it was not there.
type History = Vec<Option<Vec<u8>>>;

/// The files of a server, by path below the root.
#[derive(Clone, Debug, Default)]
pub(super) struct Site {
    files: BTreeMap<String, History>,
}

/// Content in which every position and every version shows.
fn content(path: &str, version: usize, len: usize) -> Vec<u8> {
    let seed = path.bytes().fold(version as u64 + 1, |seed, byte| {
        seed.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte)
    });
    let mut rng = Rng::with_seed(seed);
    std::iter::repeat_with(|| rng.u8(..)).take(len).collect()
}

impl Site {
    /// A few files of all the sizes that make a difference.
    pub(super) fn random(rng: &mut Rng) -> Self {
        let mut site = Self::default();
        let sizes = [0, 1, 100, 1024, 16 << 10, (16 << 10) + 1, 40_000, 300_000, 600_000];
        for number in 0..rng.usize(2..7) {
            let len = sizes[rng.usize(..sizes.len())];
            let directory = if rng.bool() { "" } else { "dir/" };
            site.add(&format!("{directory}f{number}.txt"), len);
        }
        site.add("index.html", 50);
        site
    }

    /// Adds a file of `len` bytes.
    pub(super) fn add(&mut self, path: &str, len: usize) {
        self.files.insert(path.to_owned(), vec![Some(content(path, 0, len))]);
    }

    /// Paths of all files.
    pub(super) fn paths(&self) -> Vec<&str> {
        self.files.keys().map(String::as_str).collect()
    }

    /// Whether the file has always been as it is.
    pub(super) fn is_calm(&self, path: &str) -> bool {
        self.files.get(path).is_none_or(|history| history.len() == 1)
    }

    /// Whether `body` is the content of some version of the file.
    pub(super) fn has_been(&self, path: &str, body: &[u8]) -> bool {
        self.history(path).iter().flatten().any(|version| version == body)
    }

    /// Whether `body` is the beginning of some version of the file of `len` bytes.
    pub(super) fn has_begun(&self, path: &str, body: &[u8], len: usize) -> bool {
        let mut versions = self.history(path).iter().flatten();
        versions.any(|version| version.len() == len && version.starts_with(body))
    }

    /// Whether there was a time without the file.
    pub(super) fn has_been_absent(&self, path: &str) -> bool {
        self.history(path).iter().any(Option::is_none) || !self.files.contains_key(path)
    }

    fn history(&self, path: &str) -> &[Option<Vec<u8>>] {
        self.files.get(path).map_or(&[], Vec::as_slice)
    }

    /// Makes the files.
    pub(super) fn install(&self, files: &mut Files) {
        for (path, history) in &self.files {
            if let Some(content) = &history[0] {
                files.replace(&format!("{ROOT}/{path}"), content.clone());
            }
        }
    }

    /// Changes one file, somehow.
    fn change(&mut self, rng: &mut Rng, files: &mut Files) {
        let number = rng.usize(..self.files.len());
        let Some((path, history)) = self.files.iter_mut().nth(number) else { return };
        let full = format!("{ROOT}/{path}");
        let before = history.last().cloned().flatten();
        let len = match (&before, rng.u8(..4)) {
            (Some(before), 0) => before.len(),
            (Some(before), 1) => before.len() / 2,
            _ => rng.usize(..50_000),
        };
        let after = content(path, history.len(), len);
        match (before, rng.u8(..5)) {
            (Some(_), 0) => {
                files.remove(&full);
                history.push(None);
            }
            (Some(_), 1..3) => {
                files.overwrite(&full, after.clone());
                history.push(Some(after));
            }
            _ => {
                files.replace(&full, after.clone());
                history.push(Some(after));
            }
        }
    }
}

/// Somebody who changes files now and then.
pub(super) struct Changer {
    rng: Rng,
    site: Rc<RefCell<Site>>,
    next: Time,
}

impl Changer {
    pub(super) fn new(seed: u64, site: Rc<RefCell<Site>>) -> Self {
        Self { rng: Rng::with_seed(seed ^ 0xc4a), site, next: Time::ZERO }
    }
}

impl Peer for Changer {
    fn act(&mut self, now: Time, _: &mut Net, files: &mut Files) -> Option<Time> {
        // It stops at some time, so that a run can come to rest.
        if now > Time::ZERO + Duration::from_secs(60) {
            return None;
        }
        if now >= self.next {
            self.site.borrow_mut().change(&mut self.rng, files);
            self.next = now + Duration::from_micros(self.rng.u64(1..400_000));
        }
        Some(self.next)
    }
}
