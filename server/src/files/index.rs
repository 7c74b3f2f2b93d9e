//! What one worker knows about paths.

use std::hash::BuildHasher;
use std::rc::Rc;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use rim_driver::Time;
use rim_http1::Status;
use slab::Slab;

use super::entry::{Entry, LocalEntry};
use crate::limits::RECORDS_MAX;

/// A path, as the index knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key<'a> {
    /// Without dot segments, relative to the root.
    pub(crate) path: &'a [u8],
    /// The directory of that path is meant.
    pub(crate) is_directory: bool,
}

/// What there is at a path, as workers tell each other.
#[derive(Clone, Debug)]
pub(crate) enum Resolved {
    /// A file.
    File(Arc<Entry>),
    /// A directory, asked for without the slash.
    Directory,
    /// Nothing that is served.
    Absent,
    /// It could not be found out.
    Failed(Status),
}

/// What there is at a path, in one worker.
#[derive(Clone, Debug)]
pub(crate) enum Local {
    File(Rc<LocalEntry>),
    Directory,
    Absent,
    Failed(Status),
}

/// What is known about one path.
#[derive(Debug)]
pub(crate) struct Record {
    path: Box<[u8]>,
    is_directory: bool,
    /// What there is, and when that was found out.
    known: Option<(Local, Time)>,
    /// It is to be found out anew if it is from before that time, whatever its age.
    expired_at: Option<Time>,
    /// Somebody is finding it out: a number that means something to the caller.
    pub(super) pending: Option<usize>,
    /// It was asked for since the eviction hand last came by.
    is_used: bool,
    /// Counts against this worker's share of the memory.
    is_owned: bool,
}

/// The records of one worker.
///
/// Found by hash, with a seed that is not known outside, so that nobody can choose paths that
/// collide.
#[derive(Debug)]
pub(crate) struct Index {
    hasher: FixedState,
    table: HashTable<usize>,
    records: Slab<Record>,
    bytes: u64,
    bytes_max: u64,
    hand: usize,
}

impl Index {
    pub(crate) fn new(seed: u64, bytes_max: u64) -> Self {
        Self {
            hasher: FixedState::with_seed(seed),
            table: HashTable::new(),
            records: Slab::new(),
            bytes: 0,
            bytes_max,
            hand: 0,
        }
    }

    /// The same for all workers of a process: it also decides which of them owns a path.
    #[inline]
    pub(crate) fn hash(&self, key: Key<'_>) -> u64 {
        self.hasher.hash_one((key.path, key.is_directory))
    }

    /// Bytes of memory that are free for files of this worker.
    pub(crate) fn bytes_free(&self) -> u64 {
        self.bytes_max.saturating_sub(self.bytes)
    }

    /// Finds the record of a path.
    #[inline]
    pub(crate) fn find(&self, hash: u64, key: Key<'_>) -> Option<usize> {
        let is_it = |&id: &usize| self.records[id].key() == key;
        self.table.find(hash, is_it).copied()
    }

    /// Finds the record of a path, or begins one.
    pub(crate) fn find_or_insert(&mut self, hash: u64, key: Key<'_>, is_owned: bool) -> usize {
        if let Some(id) = self.find(hash, key) {
            return id;
        }
        let (path, is_directory) = (key.path.into(), key.is_directory);
        let record = Record {
            path,
            is_directory,
            known: None,
            expired_at: None,
            pending: None,
            is_used: true,
            is_owned,
        };
        self.bytes += record.weight();
        let id = self.records.insert(record);
        let (hasher, records) = (&self.hasher, &self.records);
        let rehash = |&id: &usize| {
            let key = records[id].key();
            hasher.hash_one((key.path, key.is_directory))
        };
        self.table.insert_unique(hash, id, rehash);
        id
    }

    #[inline]
    pub(crate) fn record(&self, id: usize) -> &Record {
        &self.records[id]
    }

    pub(crate) fn record_mut(&mut self, id: usize) -> &mut Record {
        &mut self.records[id]
    }

    /// Whether something is known about a path that was found out since `since`.
    #[inline]
    pub(crate) fn is_known_since(&self, id: usize, since: Time) -> bool {
        let record = &self.records[id];
        record.expired_at.is_none() && record.known.as_ref().is_some_and(|(_, at)| *at >= since)
    }

    /// Uses what is known about a path, as [`Index::is_known_since`] has said it is.
    #[inline]
    pub(crate) fn use_known(&mut self, id: usize) -> &Local {
        let record = &mut self.records[id];
        record.is_used = true;
        let (local, _) = record.known.as_ref().expect("the caller has asked whether it is known");
        local
    }

    /// Sees to it that the paths at which `entry` was found are found out anew, at `now` or later.
    pub(crate) fn expire_entry(&mut self, entry: &Arc<Entry>, now: Time) {
        for (_, record) in &mut self.records {
            if record.entry().is_some_and(|found| Arc::ptr_eq(found, entry)) {
                record.expired_at = Some(now);
            }
        }
    }

    /// Notes what there is at a path, as found out at `at`.
    pub(crate) fn set(&mut self, id: usize, resolved: &Resolved, at: Time) {
        let record = &mut self.records[id];
        self.bytes -= record.weight();
        let local = match (resolved, record.known.take()) {
            // Unchanged: the handle that sends already count on goes on.
            (Resolved::File(entry), Some((Local::File(local), _)))
                if Arc::ptr_eq(entry, &local.entry) =>
            {
                Local::File(local)
            }
            (Resolved::File(entry), _) => Local::File(LocalEntry::new(entry.clone())),
            (Resolved::Directory, _) => Local::Directory,
            (Resolved::Absent, _) => Local::Absent,
            (Resolved::Failed(status), _) => Local::Failed(*status),
        };
        record.known = Some((local, at));
        // What was found out before it was doubted settles no doubt.
        record.expired_at = record.expired_at.filter(|expired| at < *expired);
        self.bytes += record.weight();
    }

    /// Sees to it that everything is found out anew, at `now` or later.
    pub(crate) fn expire_all(&mut self, now: Time) {
        for (_, record) in &mut self.records {
            record.expired_at = Some(now);
        }
    }

    /// Drops records until the rest fits into memory: round and round, sparing those that have been
    /// used since the last time around and those that are pending.
    pub(crate) fn evict(&mut self) {
        let mut steps_left = 2 * self.records.capacity();
        while (self.bytes > self.bytes_max || self.records.len() > RECORDS_MAX) && steps_left > 0 {
            steps_left -= 1;
            self.hand = if self.hand + 1 < self.records.capacity() { self.hand + 1 } else { 0 };
            let Some(record) = self.records.get_mut(self.hand) else { continue };
            if record.pending.is_none() && !std::mem::take(&mut record.is_used) {
                self.remove(self.hand);
            }
        }
    }

    /// Drops records of other workers' paths that have not been found out since `since`: they only
    /// keep their owners from freeing memory.
    pub(crate) fn drop_borrowed(&mut self, since: Time) {
        let is_old = |record: &Record| {
            !record.is_owned
                && record.pending.is_none()
                && record.known.as_ref().is_none_or(|(_, at)| *at < since)
        };
        let old: Vec<usize> =
            self.records.iter().filter(|(_, record)| is_old(record)).map(|(id, _)| id).collect();
        for id in old {
            self.remove(id);
        }
    }

    fn remove(&mut self, id: usize) {
        let hash = self.hash(self.records[id].key());
        if let Ok(found) = self.table.find_entry(hash, |&other| other == id) {
            found.remove();
        }
        let record = self.records.remove(id);
        self.bytes -= record.weight();
    }
}

impl Record {
    #[inline]
    pub(crate) fn key(&self) -> Key<'_> {
        Key { path: &self.path, is_directory: self.is_directory }
    }

    /// When what is known was last doubted, if that is not settled.
    pub(crate) fn expired_at(&self) -> Option<Time> {
        self.expired_at
    }

    /// The entry that was last found there.
    pub(crate) fn entry(&self) -> Option<&Arc<Entry>> {
        match &self.known {
            Some((Local::File(local), _)) => Some(&local.entry),
            _ => None,
        }
    }

    /// What was last found there, and when.
    pub(crate) fn resolved(&self) -> Option<(Resolved, Time)> {
        let (local, at) = self.known.as_ref()?;
        let resolved = match local {
            Local::File(local) => Resolved::File(local.entry.clone()),
            Local::Directory => Resolved::Directory,
            Local::Absent => Resolved::Absent,
            Local::Failed(status) => Resolved::Failed(*status),
        };
        Some((resolved, *at))
    }

    /// Bytes of memory that it takes up, about; content only where it is owned.
    fn weight(&self) -> u64 {
        let own = (size_of::<Self>() + self.path.len()) as u64;
        own + self.entry().filter(|_| self.is_owned).map_or(0, |entry| entry.weight())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_nanos(1_000);

    fn key(path: &[u8]) -> Key<'_> {
        Key { path, is_directory: false }
    }

    fn insert(index: &mut Index, path: &str) -> usize {
        let key = key(path.as_bytes());
        let id = index.find_or_insert(index.hash(key), key, true);
        index.set(id, &Resolved::Absent, NOW);
        id
    }

    fn has(index: &Index, path: &str) -> bool {
        let key = key(path.as_bytes());
        index.find(index.hash(key), key).is_some()
    }

    #[test]
    fn a_path_and_its_directory_are_different() {
        let mut index = Index::new(1, u64::MAX);
        let file = insert(&mut index, "a");
        let directory = Key { path: b"a", is_directory: true };
        assert_eq!(index.find(index.hash(directory), directory), None);
        assert_eq!(index.find(index.hash(key(b"a")), key(b"a")), Some(file));
    }

    #[test]
    fn knowledge_has_an_age() {
        let mut index = Index::new(1, u64::MAX);
        let id = insert(&mut index, "a");
        assert!(index.is_known_since(id, NOW));
        assert!(!index.is_known_since(id, Time::from_nanos(1_001)));
        index.expire_all(NOW);
        assert!(!index.is_known_since(id, NOW));
        index.set(id, &Resolved::Absent, NOW);
        assert!(index.is_known_since(id, NOW));
    }

    #[test]
    fn eviction_spares_what_is_used_and_what_is_pending() {
        let mut index = Index::new(1, 0);
        let pending = insert(&mut index, "pending");
        index.record_mut(pending).pending = Some(0);
        insert(&mut index, "unused");
        index.evict();
        assert!(has(&index, "pending"));
        assert!(!has(&index, "unused"));

        let mut index = Index::new(1, u64::MAX);
        for number in 0..100 {
            insert(&mut index, &number.to_string());
        }
        // Once around marks all as unused; then one is used.
        index.bytes_max = 0;
        let enough = index.bytes - 1;
        index.bytes_max = u64::MAX;
        for (_, record) in &mut index.records {
            record.is_used = false;
        }
        index.use_known(1);
        index.bytes_max = enough;
        index.evict();
        assert!(has(&index, "1"));
        assert_eq!(index.records.len(), 99);
    }

    #[test]
    fn memory_is_counted_exactly() {
        let mut index = Index::new(1, u64::MAX);
        for number in 0..1000 {
            insert(&mut index, &number.to_string());
        }
        index.bytes_max = 0;
        index.evict();
        assert_eq!((index.records.len(), index.bytes), (0, 0));
    }

    #[test]
    fn borrowed_records_go_when_they_are_old() {
        let mut index = Index::new(1, u64::MAX);
        let borrowed = index.find_or_insert(index.hash(key(b"b")), key(b"b"), false);
        index.set(borrowed, &Resolved::Absent, NOW);
        insert(&mut index, "own");
        index.drop_borrowed(NOW);
        assert!(has(&index, "b"));
        index.drop_borrowed(Time::from_nanos(2_000));
        assert!(!has(&index, "b") && has(&index, "own"));
    }
}
