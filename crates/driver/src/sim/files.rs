//! The model of a file system: a tree of names, and files that change.

use std::collections::{BTreeMap, HashMap};

use crate::{Errno, FileKind, FileStat};

/// Times of files advance in steps of the timer interrupt, as on kernels before Linux 6.13.
const TIME_STEP_NS: i128 = 4_000_000;
/// Symbolic links followed at most, as in the kernel.
const LINKS_MAX: usize = 40;
const ROOT: u64 = 1;

#[derive(Debug)]
struct Inode {
    node: Node,
    modified_ns: i128,
    changed_ns: i128,
}

#[derive(Debug)]
enum Node {
    File(Vec<u8>),
    Directory(BTreeMap<Vec<u8>, u64>),
    Link(Vec<u8>),
    Fifo,
}

/// All files. Paths are bytes with slashes between names; the root is the empty path or a slash.
#[derive(Debug)]
pub struct Files {
    inodes: HashMap<u64, Inode>,
    next_inode: u64,
    now_ns: i128,
}

impl Files {
    pub(super) fn new() -> Self {
        let mut files = Self { inodes: HashMap::new(), next_inode: ROOT, now_ns: 0 };
        files.add(Node::Directory(BTreeMap::new()));
        files
    }

    pub(super) fn set_time(&mut self, now_ns: i128) {
        self.now_ns = now_ns - now_ns % TIME_STEP_NS;
    }

    /// Makes a file with this content under `path`, with the directories above it, in place of what
    /// was there. It has a new identity, as after a rename over the old one.
    pub fn replace(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        let inode = self.add(Node::File(content.into()));
        self.link(path, inode);
    }

    /// Changes the content of an existing file in place: same identity, new times.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn overwrite(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        let inode = self.find(path).expect("a file to overwrite");
        let now_ns = self.now_ns;
        let inode = self.inodes.get_mut(&inode).expect("found");
        inode.node = Node::File(content.into());
        inode.modified_ns = now_ns;
        inode.changed_ns = now_ns;
    }

    /// Makes a directory.
    pub fn make_directory(&mut self, path: &str) {
        let inode = self.add(Node::Directory(BTreeMap::new()));
        self.link(path, inode);
    }

    /// Makes a symbolic link.
    pub fn make_link(&mut self, path: &str, target: &str) {
        let inode = self.add(Node::Link(target.as_bytes().to_vec()));
        self.link(path, inode);
    }

    /// Makes a FIFO.
    pub fn make_fifo(&mut self, path: &str) {
        let inode = self.add(Node::Fifo);
        self.link(path, inode);
    }

    /// Removes a name. Open files go on as they were.
    pub fn remove(&mut self, path: &str) {
        let (parent, name) = split(path);
        if let Some(parent) = self.find(parent) {
            self.names(parent).remove(name);
        }
    }

    fn add(&mut self, node: Node) -> u64 {
        let number = self.next_inode;
        self.next_inode += 1;
        let (modified_ns, changed_ns) = (self.now_ns, self.now_ns);
        self.inodes.insert(number, Inode { node, modified_ns, changed_ns });
        number
    }

    fn link(&mut self, path: &str, inode: u64) {
        let (parent, name) = split(path);
        if !parent.is_empty() && self.find(parent).is_none() {
            self.make_directory(parent);
        }
        let parent = self.find(parent).expect("just made");
        self.names(parent).insert(name.to_vec(), inode);
    }

    fn names(&mut self, inode: u64) -> &mut BTreeMap<Vec<u8>, u64> {
        match self.inodes.get_mut(&inode).map(|inode| &mut inode.node) {
            Some(Node::Directory(names)) => names,
            _ => panic!("inode {inode} is no directory"),
        }
    }

    fn find(&self, path: &str) -> Option<u64> {
        self.resolve(ROOT, path.trim_matches('/').as_bytes(), false).ok()
    }

    /// Opens a directory by its absolute path.
    pub(super) fn open_root(&self, path: &[u8]) -> Result<u64, Errno> {
        let start = path.iter().position(|&byte| byte != b'/').unwrap_or(path.len());
        let inode = self.resolve(ROOT, &path[start..], false)?;
        match self.inodes[&inode].node {
            Node::Directory(_) => Ok(inode),
            _ => Err(Errno::NOTDIR),
        }
    }

    /// Opens what `path` names below the directory `root`.
    pub(super) fn open_beneath(&self, root: u64, path: &[u8]) -> Result<u64, Errno> {
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        self.resolve(root, path, true)
    }

    /// Walks `path` from `root` as openat2(2) does with or without `RESOLVE_BENEATH`.
    fn resolve(&self, root: u64, path: &[u8], beneath: bool) -> Result<u64, Errno> {
        let names = |path: &[u8]| path.split(|&b| b == b'/').rev().map(<[u8]>::to_vec).collect();
        let mut rest: Vec<Vec<u8>> = names(path);
        let mut above = vec![root];
        let mut links = 0;
        if beneath && path.starts_with(b"/") {
            return Err(Errno::XDEV);
        }
        while let Some(name) = rest.pop() {
            let here = *above.last().expect("the root stays");
            let Node::Directory(entries) = &self.inodes[&here].node else {
                return Err(Errno::NOTDIR);
            };
            match name.as_slice() {
                b"" | b"." => continue,
                b".." if above.len() > 1 => drop(above.pop()),
                b".." if beneath => return Err(Errno::XDEV),
                b".." => {}
                _ if name.len() > 255 => return Err(Errno::NAMETOOLONG),
                _ => {
                    let inode = *entries.get(&name).ok_or(Errno::NOENT)?;
                    let Node::Link(target) = &self.inodes[&inode].node else {
                        above.push(inode);
                        continue;
                    };
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(Errno::LOOP);
                    }
                    if target.starts_with(b"/") {
                        if beneath {
                            return Err(Errno::XDEV);
                        }
                        above.truncate(1);
                    }
                    let mut target: Vec<Vec<u8>> = names(target);
                    rest.append(&mut target);
                }
            }
        }
        Ok(*above.last().expect("the root stays"))
    }

    pub(super) fn stat(&self, inode: u64) -> FileStat {
        let Inode { node, modified_ns, changed_ns } = &self.inodes[&inode];
        let (kind, size) = match node {
            Node::File(content) => (FileKind::Regular, content.len() as u64),
            Node::Directory(_) => (FileKind::Directory, 4096),
            Node::Link(_) | Node::Fifo => (FileKind::Other, 0),
        };
        let (modified_ns, changed_ns) = (*modified_ns, *changed_ns);
        FileStat { kind, size, device: 1, inode, modified_ns, changed_ns }
    }

    pub(super) fn read(&self, inode: u64, offset: u64, len: usize) -> Result<&[u8], Errno> {
        match &self.inodes[&inode].node {
            Node::File(content) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
                Ok(&content[start..content.len().min(start.saturating_add(len))])
            }
            Node::Directory(_) => Err(Errno::ISDIR),
            Node::Link(_) | Node::Fifo => Err(Errno::AGAIN),
        }
    }
}

/// The directory part and the last name of a path.
fn split(path: &str) -> (&str, &[u8]) {
    let path = path.trim_matches('/');
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    (parent, name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> (Files, u64) {
        let mut files = Files::new();
        files.replace("srv/www/a.txt", "a");
        files.replace("srv/secret", "s");
        files.make_link("srv/www/inside", "./a.txt");
        files.make_link("srv/www/outside", "../secret");
        files.make_link("srv/www/absolute", "/srv/www/a.txt");
        files.make_link("srv/www/loop", "loop");
        let root = files.open_root(b"/srv/www").unwrap();
        (files, root)
    }

    #[test]
    fn nothing_outside_the_root_is_reached() {
        let (files, root) = tree();
        assert!(files.open_beneath(root, b"a.txt").is_ok());
        assert_eq!(files.open_beneath(root, b"inside"), files.open_beneath(root, b"a.txt"));
        for (path, errno) in [
            ("../secret", Errno::XDEV),
            ("outside", Errno::XDEV),
            ("absolute", Errno::XDEV),
            ("/srv/www/a.txt", Errno::XDEV),
            ("loop", Errno::LOOP),
            ("none", Errno::NOENT),
            ("a.txt/", Errno::NOTDIR),
            ("a.txt/b", Errno::NOTDIR),
        ] {
            assert_eq!(files.open_beneath(root, path.as_bytes()), Err(errno), "{path}");
        }
    }

    #[test]
    fn a_replaced_file_lives_on_for_who_has_it_open() {
        let (mut files, root) = tree();
        let old = files.open_beneath(root, b"a.txt").unwrap();
        files.replace("srv/www/a.txt", "new");
        assert_eq!(files.read(old, 0, 9), Ok(&b"a"[..]));
        let new = files.open_beneath(root, b"a.txt").unwrap();
        assert_eq!(files.read(new, 1, 9), Ok(&b"ew"[..]));
        assert_ne!(files.stat(old).inode, files.stat(new).inode);
    }

    #[test]
    fn times_are_coarse() {
        let (mut files, root) = tree();
        files.set_time(10_000_000_000_001);
        files.overwrite("srv/www/a.txt", "b");
        let inode = files.open_beneath(root, b"a.txt").unwrap();
        let before = files.stat(inode);
        files.set_time(10_000_000_000_002);
        files.overwrite("srv/www/a.txt", "c");
        assert_eq!(files.stat(inode), before, "a change within one step does not show");
    }
}
