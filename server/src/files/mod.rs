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
mod finding;
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
use self::finding::{Pending, Waiter};
use self::index::{Index, Key};
pub(crate) use self::index::{Local, Resolved};
use self::root::Root;
pub(crate) use self::root::RootId;

/// How long what was found out is believed.
const FRESH: Duration = Duration::from_secs(1);
/// How long another worker's file is kept after it was last found out.
const BORROWED_AT_MOST: Duration = Duration::from_secs(3);

/// Memory for knowledge about paths, even where there is none for content.
const INDEX_BYTES_MIN: u64 = 64 << 10;

/// A message from one worker to another.
#[derive(Debug)]
pub(crate) enum FileMessage {
    /// Please say what is there, as found out at `since` or later.
    Want { path: Box<[u8]>, is_directory: bool, since: Time, from: usize },
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

/// The files of one worker.
#[derive(Debug)]
pub(crate) struct Files {
    settings: FileSettings,
    root: Root,
    index: Index,
    pending: Slab<Pending>,
    generation: u32,
    /// What the fills under way need for content, in bytes.
    bytes_reserved: u64,
    /// The root has to have been resolved since then, however recently it was.
    root_since: Time,
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
            bytes_reserved: 0,
            root_since: Time::ZERO,
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

    /// Since when the root has to have been resolved.
    fn root_since(&self) -> Time {
        self.root_since.max(self.fresh_since())
    }

    fn fresh_since(&self) -> Time {
        self.now - FRESH
    }

    /// What there is at `path`, if that is known; `connection` waits if it is not.
    #[inline]
    pub(crate) fn look_up(&mut self, path: &Path<'_>, connection: Token) -> Lookup<'_> {
        let since = self.fresh_since();
        if !self.root.is_fresh(self.root_since()) {
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
                    self.index.expire_all(self.now);
                }
                self.ready.append(&mut self.connections_waiting_for_root);
                for id in std::mem::take(&mut self.waiting_for_root) {
                    self.open(id);
                }
            }
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
        self.index.expire_entry(entry, self.now);
        // Perhaps the root leads elsewhere, and the worker that has found the entry knows already,
        // or does not know yet.
        self.root_since = self.now;
    }

    /// Closes a file; nobody waits for it.
    pub(crate) fn close(&mut self, file: Option<File>) {
        let token = Token::new(Owner::Control, CLOSE, 0);
        self.ops.extend(file.map(|file| (token, Op::CloseFile { file })));
    }
}
