//! The files of one worker: an index of paths, and how it is filled.
//!
//! A path is owned by one worker, which its hash decides. The owner looks into it, once however many
//! wait for it, and keeps the content; the other workers ask the owner by message and share what it
//! found. What was found out is believed for a second; then the next request waits until the owner
//! has looked again.
//!
//! Nothing here calls the kernel: operations are put out in `ops`, alarms in `alarms`, messages in
//! `messages`, and connections that need not wait any more in `ready`. The worker carries all of
//! them out after each event.

mod entry;
mod fill;
mod index;
mod mime;
mod root;
#[cfg(test)]
mod tests;

use std::ffi::CString;
use std::sync::Arc;
use std::time::Duration;

use rim_driver::{Errno, File, Op, OpenHow, Outcome, Owner, Time, Token};
use rim_http1::{Path, Status};
use slab::Slab;

pub(crate) use self::entry::{Entry, LocalEntry};
use self::fill::{Fill, Progress, Surroundings};
use self::index::{Index, Key};
pub(crate) use self::index::{Local, Resolved};
use self::root::Root;
pub(crate) use self::root::RootId;
use crate::limits::SMALL_FILE_BYTES_MAX;

/// How long what was found out is believed.
const FRESH: Duration = Duration::from_secs(1);
/// How long an answer of another worker may take until it is asked again: it may have been replaced.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long another worker's file is kept after it was last found out.
const BORROWED_AT_MOST: Duration = Duration::from_secs(3);

/// Memory for knowledge about paths, even where there is none for content.
const INDEX_BYTES_MIN: u64 = 64 << 10;

/// A message from one worker to another.
#[derive(Debug)]
pub(crate) enum FileMessage {
    /// Please find out what is there.
    Want { path: Box<[u8]>, is_directory: bool, from: usize },
    /// This is there, and was so at that time.
    Have { path: Box<[u8]>, is_directory: bool, resolved: Resolved, at: Time },
}

/// How a worker serves files.
#[derive(Clone, Debug)]
pub(crate) struct FileSettings {
    /// The root directory.
    pub(crate) root: CString,
    /// What is served for a directory.
    pub(crate) index: String,
    /// Memory for this worker's share of the cache, in bytes.
    pub(crate) bytes_max: u64,
    /// This worker's number, and how many there are.
    pub(crate) worker: usize,
    pub(crate) workers: usize,
    /// Decides the owners of paths; the same for all workers, and a secret.
    pub(crate) seed: u64,
}

/// What a request finds.
#[derive(Debug)]
pub(crate) enum Lookup<'a> {
    /// This is there.
    Found(&'a Local),
    /// It will be in `ready` when there is an answer; then look again.
    Wait,
}

/// Who waits for a path.
#[derive(Clone, Copy, Debug)]
enum Waiter {
    Connection(Token),
    Worker(usize),
}

/// A path that is being found out.
#[derive(Debug)]
struct Pending {
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

/// The files of one worker.
#[derive(Debug)]
pub(crate) struct Files {
    settings: FileSettings,
    root: Root,
    index: Index,
    pending: Slab<Pending>,
    generation: u32,
    /// The other workers are not to be asked any more.
    is_alone: bool,
    /// Fills that cannot begin before the root has been resolved.
    waiting_for_root: Vec<usize>,
    /// Connections that wait for the root alone.
    connections_waiting_for_root: Vec<Token>,
    /// The answer to everything as long as there is no root.
    missing: Local,
    now: Time,
    /// Operations to be submitted.
    pub(crate) ops: Vec<(Token, Op)>,
    /// Times at which `alarm` is to be called.
    pub(crate) alarms: Vec<(Token, Time)>,
    /// Messages to other workers.
    pub(crate) messages: Vec<(usize, FileMessage)>,
    /// Connections that are to look again.
    pub(crate) ready: Vec<Token>,
}

/// The token of the operations that resolve the root.
const ROOT: u32 = 1;
/// The token of closes that nobody waits for.
const CLOSE: u32 = 2;

impl Files {
    pub(crate) fn new(settings: FileSettings) -> Self {
        Self {
            root: Root::new(settings.root.clone()),
            index: Index::new(settings.seed, settings.bytes_max + INDEX_BYTES_MIN),
            settings,
            pending: Slab::new(),
            generation: 0,
            is_alone: false,
            waiting_for_root: Vec::new(),
            connections_waiting_for_root: Vec::new(),
            missing: Local::Failed(Status::ServiceUnavailable),
            now: Time::ZERO,
            ops: Vec::new(),
            alarms: Vec::new(),
            messages: Vec::new(),
            ready: Vec::new(),
        }
    }

    /// Says what time it is. To be called before anything else in a turn.
    #[inline]
    pub(crate) fn set_time(&mut self, now: Time) {
        self.now = now;
    }

    fn fresh_since(&self) -> Time {
        self.now - FRESH
    }

    /// What there is at `path`, if that is known; `connection` waits if it is not.
    #[inline]
    pub(crate) fn look_up(&mut self, path: &Path<'_>, connection: Token) -> Lookup<'_> {
        let since = self.now - FRESH;
        if !self.root.is_fresh(since) {
            self.connections_waiting_for_root.push(connection);
            self.resolve_root();
            return Lookup::Wait;
        }
        if self.root.is_missing() {
            return Lookup::Found(&self.missing);
        }
        let key = Key { path: path.bytes, is_directory: path.is_directory };
        let hash = self.index.hash(key);
        let known = self.index.find(hash, key).filter(|id| self.index.is_known_since(*id, since));
        if let Some(id) = known {
            return Lookup::Found(self.index.use_known(id));
        }
        self.find_out(hash, key, Waiter::Connection(connection));
        Lookup::Wait
    }

    fn owner(&self, hash: u64) -> usize {
        // The high bits, because the table uses the low ones.
        (hash >> 32) as usize % self.settings.workers
    }

    /// Joins those who wait for a path, and begins to find it out if nobody does.
    fn find_out(&mut self, hash: u64, key: Key<'_>, waiter: Waiter) {
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
        let key = self.index.record(self.pending[id].record).key();
        let (path, is_directory, from) = (key.path.into(), key.is_directory, self.settings.worker);
        self.messages.push((owner, FileMessage::Want { path, is_directory, from }));
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
    fn open(&mut self, id: usize) {
        if !self.root.is_fresh(self.fresh_since()) {
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

    fn resolve_root(&mut self) {
        if let Some(op) = self.root.begin() {
            self.ops.push((Token::new(Owner::Control, ROOT, 0), op));
        }
    }

    /// Whether `token` belongs to an operation that resolves the root or closes a file.
    pub(crate) fn is_mine(token: Token) -> bool {
        token.owner() == Owner::Control && matches!(token.slot(), ROOT | CLOSE)
    }

    /// An operation of the root, or a close, has ended.
    pub(crate) fn complete_control(&mut self, token: Token, result: Result<Outcome, Errno>) {
        if token.slot() == CLOSE {
            return;
        }
        match self.root.advance(result, self.now) {
            root::Progress::Submit(op) => self.ops.push((token, op)),
            root::Progress::Resolved { has_changed, close } => {
                self.close(close);
                if has_changed {
                    self.index.expire_all();
                }
                self.ready.append(&mut self.connections_waiting_for_root);
                for id in std::mem::take(&mut self.waiting_for_root) {
                    self.open(id);
                }
            }
        }
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
            let free = self.index.bytes_free();
            let bytes_max = self.settings.bytes_max;
            move |size: u64| size <= SMALL_FILE_BYTES_MAX.min(bytes_max) || size <= free
        };
        let surroundings = Surroundings { unix, keeps: &keeps };
        let Work::Fill(fill, root) = &mut self.pending[id].work else {
            unreachable!("only fills have operations")
        };
        let root = root.take_if(|_| fill.is_opening());
        let progress = fill.advance(result, &surroundings);
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
            FileMessage::Want { path, is_directory, from } => {
                let key = Key { path: &path, is_directory };
                let (hash, since) = (self.index.hash(key), self.fresh_since());
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

    /// To be called at the end of a turn: makes room.
    pub(crate) fn end_turn(&mut self) {
        self.index.evict();
    }

    /// To be called about once a second.
    pub(crate) fn every_second(&mut self) {
        if self.settings.workers > 1 {
            self.index.drop_borrowed(self.now - BORROWED_AT_MOST);
        }
    }

    /// The operation that opens a file again, for one answer. The root has to be released when it
    /// has ended.
    pub(crate) fn open_again(&mut self, entry: &Entry) -> Option<(RootId, Op)> {
        let (id, root) = self.root.acquire()?;
        Some((id, Op::Open { path: entry.path().clone(), how: OpenHow::Beneath(root) }))
    }

    /// Gives a root back.
    pub(crate) fn release_root(&mut self, root: RootId) {
        let unneeded = self.root.release(root);
        self.close(unneeded);
    }

    /// Sees to it that the paths are looked into anew at which `entry` was found.
    pub(crate) fn doubt(&mut self, entry: &Arc<Entry>) {
        self.index.expire_entry(entry);
    }

    /// Closes a file; nobody waits for it.
    pub(crate) fn close(&mut self, file: Option<File>) {
        let token = Token::new(Owner::Control, CLOSE, 0);
        self.ops.extend(file.map(|file| (token, Op::CloseFile { file })));
    }
}
