//! Finding out what is at a path: here if this worker owns it, else by asking its owner.

use std::ffi::CString;
use std::time::Duration;

use rim_driver::{Errno, Outcome, Owner, Time, Token};
use rim_http1::Status;

use super::fill::{Fill, Progress, Surroundings};
use super::index::{Key, Resolved};
use super::{FileMessage, Files, RootId};
use crate::limits::SMALL_FILE_BYTES_MAX;

/// How long an answer of another worker may take until it is asked again: it may have been replaced.
pub(super) const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Who waits for a path.
#[derive(Clone, Copy, Debug)]
pub(super) enum Waiter {
    Connection(Token),
    Worker(usize),
}

/// A path that is being found out.
#[derive(Debug)]
pub(super) struct Pending {
    generation: u32,
    record: usize,
    waiters: Vec<Waiter>,
    work: Work,
}

#[derive(Debug)]
enum Work {
    /// Here; with the root that is in use while the file is opened.
    Fill(Box<Fill>, Option<RootId>),
    /// By its owner, who was asked at that time.
    Asked(Time),
}

impl Files {
    pub(super) fn owner(&self, hash: u64) -> usize {
        // The high bits, because the table uses the low ones.
        (hash >> 32) as usize % self.settings.workers
    }

    /// Joins those who wait for a path, and begins to find it out if nobody does.
    pub(super) fn find_out(&mut self, hash: u64, key: Key<'_>, waiter: Waiter) {
        let owner = self.owner(hash);
        let is_owned = owner == self.settings.worker || self.is_alone;
        let record = self.index.find_or_insert(hash, key, is_owned);
        if let Some(id) = self.index.record(record).pending {
            self.pending[id].waiters.push(waiter);
            if let Work::Asked(at) = self.pending[id].work
                && at + ASK_AGAIN_AFTER <= self.now
            {
                self.ask(id, owner);
            }
            return;
        }
        self.generation = self.generation.wrapping_add(1);
        let waiters = vec![waiter];
        let (generation, work) = (self.generation, Work::Asked(self.now));
        let id = self.pending.insert(Pending { generation, record, waiters, work });
        self.index.record_mut(record).pending = Some(id);
        if is_owned {
            self.begin_fill(id);
        } else {
            self.ask(id, owner);
        }
    }

    fn ask(&mut self, id: usize, owner: usize) {
        self.pending[id].work = Work::Asked(self.now);
        let record = self.index.record(self.pending[id].record);
        let key = record.key();
        let (path, is_directory, from) = (key.path.into(), key.is_directory, self.settings.worker);
        // The owner has not seen what led to a doubt: it would go on saying what it believes.
        let since = record.expired_at().unwrap_or(Time::ZERO).max(self.fresh_since());
        self.messages.push((owner, FileMessage::Want { path, is_directory, since, from }));
    }

    fn begin_fill(&mut self, id: usize) {
        let record = self.index.record(self.pending[id].record);
        let key = record.key();
        let Some(path) = self.path_to_open(key) else {
            // A name with a NUL cannot be that of a file.
            return self.finish(id, &Resolved::Absent, self.now);
        };
        let fill = Fill::new(path, key.is_directory, record.entry().cloned());
        self.pending[id].work = Work::Fill(Box::new(fill), None);
        self.open(id);
    }

    fn path_to_open(&self, key: Key<'_>) -> Option<CString> {
        let mut path = key.path.to_vec();
        if key.is_directory {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(self.settings.index.as_bytes());
        }
        CString::new(path).ok()
    }

    /// Opens the file of a fill, as soon as the root has been resolved.
    pub(super) fn open(&mut self, id: usize) {
        if !self.root.is_fresh(self.root_since()) {
            self.waiting_for_root.push(id);
            return self.resolve_root();
        }
        let token = self.token(id);
        let Work::Fill(fill, root) = &mut self.pending[id].work else {
            unreachable!("only fills open")
        };
        let Some((root_id, directory)) = self.root.acquire() else {
            let resolved = Resolved::Failed(Status::ServiceUnavailable);
            return self.finish(id, &resolved, self.now);
        };
        *root = Some(root_id);
        self.ops.push((token, fill.begin(directory)));
    }

    fn token(&self, id: usize) -> Token {
        let slot = u32::try_from(id).expect("fewer fills than slots");
        Token::new(Owner::Fill, slot, self.pending[id].generation)
    }

    /// Whether the fill of `token` is still there.
    fn fill_of(&self, token: Token) -> Option<usize> {
        let id = token.slot() as usize;
        let pending = self.pending.get(id)?;
        (pending.generation == token.generation()).then_some(id)
    }

    /// An operation of a fill has ended.
    /// `unix` is the time of day since 1970.
    pub(crate) fn complete_fill(
        &mut self,
        token: Token,
        result: Result<Outcome, Errno>,
        unix: Duration,
    ) {
        let Some(id) = self.fill_of(token) else {
            debug_assert!(false, "a fill is there as long as an operation of it is");
            return;
        };
        let keeps = {
            // What is being read will need its place.
            let free = self.index.bytes_free().saturating_sub(self.bytes_reserved);
            let bytes_max = self.settings.bytes_max;
            move |size: u64| size <= SMALL_FILE_BYTES_MAX.min(bytes_max) || size <= free
        };
        let surroundings = Surroundings { unix, keeps: &keeps };
        let Work::Fill(fill, root) = &mut self.pending[id].work else {
            unreachable!("only fills have operations")
        };
        let root = root.take_if(|_| fill.is_opening());
        self.bytes_reserved -= fill.bytes();
        let progress = fill.advance(result, &surroundings);
        self.bytes_reserved += fill.bytes();
        let unneeded = match &progress {
            Progress::Submit(_) => None,
            Progress::Retry(_) | Progress::Done(_) => fill.take_file(),
        };
        self.close(unneeded);
        if let Some(root) = root {
            self.release_root(root);
        }
        match progress {
            Progress::Submit(op) => self.ops.push((token, op)),
            Progress::Retry(after) => self.alarms.push((token, self.now + after)),
            Progress::Done(resolved) => self.finish(id, &resolved, self.now),
        }
    }

    /// The time that an alarm was set for has come.
    pub(crate) fn alarm(&mut self, token: Token) {
        if let Some(id) = self.fill_of(token) {
            self.open(id);
        }
    }

    /// Notes what was found and tells those who wait.
    fn finish(&mut self, id: usize, resolved: &Resolved, at: Time) {
        let pending = self.pending.remove(id);
        let record = self.index.record_mut(pending.record);
        record.pending = None;
        self.index.set(pending.record, resolved, at);
        for waiter in pending.waiters {
            match waiter {
                Waiter::Connection(token) => self.ready.push(token),
                Waiter::Worker(worker) => self.tell(worker, pending.record),
            }
        }
    }

    fn tell(&mut self, worker: usize, record: usize) {
        let record = self.index.record(record);
        let Some((resolved, at)) = record.resolved() else { return };
        let (path, is_directory) = (record.key().path.into(), record.key().is_directory);
        self.messages.push((worker, FileMessage::Have { path, is_directory, resolved, at }));
    }

    /// A message of another worker has come.
    pub(crate) fn receive(&mut self, message: FileMessage) {
        match message {
            FileMessage::Want { path, is_directory, since, from } => {
                let key = Key { path: &path, is_directory };
                let hash = self.index.hash(key);
                // What is found out through an older root is no answer.
                self.root_since = self.root_since.max(since);
                match self.index.find(hash, key) {
                    Some(id) if self.index.is_known_since(id, since) => self.tell(from, id),
                    _ => self.find_out(hash, key, Waiter::Worker(from)),
                }
            }
            FileMessage::Have { path, is_directory, resolved, at } => {
                let key = Key { path: &path, is_directory };
                let record = self.index.find(self.index.hash(key), key);
                let pending = record.and_then(|record| self.index.record(record).pending);
                // What is being filled here was asked for before everybody came to work alone.
                if let Some(id) = pending
                    && matches!(self.pending[id].work, Work::Asked(_))
                {
                    self.finish(id, &resolved, at);
                }
            }
        }
    }

    /// From now on finds everything out here, also what others have been asked for: workers that
    /// are to end do so one by one, and who has ended answers nobody.
    pub(crate) fn work_alone(&mut self) {
        self.is_alone = true;
        let is_asked = |pending: &Pending| matches!(pending.work, Work::Asked(_));
        let asked: Vec<usize> =
            self.pending.iter().filter(|(_, it)| is_asked(it)).map(|(id, _)| id).collect();
        for id in asked {
            self.begin_fill(id);
        }
    }
}
