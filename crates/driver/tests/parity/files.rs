//! Files beneath a root.

use std::ffi::CString;

use rim_driver::{Errno, File, FileStat, Op, OpenHow, Outcome};

use super::environment::Made;
use super::reader::pattern;
use super::run::{Run, name, told};
use super::script::{Script, check};

/// Opens a path; again if something was renamed meanwhile, as other tests do all the time.
fn open(run: &mut Run, path: &str, how: OpenHow) -> Result<File, Errno> {
    let path = CString::new(path).expect("no zero in a path");
    loop {
        match run.perform(Op::Open { path: path.clone(), how }) {
            Ok(Outcome::Opened(file)) => return Ok(file),
            Ok(other) => panic!("open: {other:?}"),
            Err(Errno::AGAIN) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn open_root(run: &mut Run) -> File {
    let root = run.environment.root();
    open(run, &root, OpenHow::Root).expect("the root")
}

fn stat(run: &mut Run, file: File) -> FileStat {
    match run.perform(Op::Stat { file }) {
        Ok(Outcome::Stat(stat)) => stat,
        other => panic!("stat: {other:?}"),
    }
}

/// Reads up to `len` bytes behind what is in `buffer`.
fn read(run: &mut Run, file: File, offset: u64, buffer: &[u8], len: usize) -> String {
    match run.perform(Op::Read { file, offset, buffer: buffer.to_vec(), len }) {
        Ok(Outcome::Read(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        other => told(&other),
    }
}

/// Notes what opening each path gives: the kind and size of a file, or an error.
fn note_opened(run: &mut Run, root: File, paths: &[&str]) {
    for path in paths {
        let line = match open(run, path, OpenHow::Beneath(root)) {
            Err(errno) => name(errno),
            Ok(file) => {
                let stat = stat(run, file);
                run.must(Op::CloseFile { file });
                match stat.kind {
                    rim_driver::FileKind::Regular => format!("a file of {} bytes", stat.size),
                    kind => format!("{kind:?}"),
                }
            }
        };
        let path = if path.len() > 50 { "(long)" } else { path };
        run.note(format_args!("{path}: {line}"));
    }
}

#[test]
fn files_are_opened_beneath_a_root() {
    check(Script {
        set: |_| {},
        play: |run| {
            run.environment.make("file", Made::File(b"12345"));
            run.environment.make("empty", Made::File(b""));
            run.environment.make("dir", Made::Directory);
            run.environment.make("dir/file", Made::File(b"in a directory"));
            run.environment.make("fifo", Made::Fifo);
            let root = open_root(run);
            let long = "x".repeat(300);
            let paths = [
                "file",
                "empty",
                "dir",
                "dir/",
                "dir/file",
                "dir/../file",
                ".",
                "fifo",
                "missing",
                "dir/missing",
                "missing/file",
                "file/",
                "file/file",
                "",
                &long,
            ];
            note_opened(run, root, &paths);
        },
        expected: &[
            "file: a file of 5 bytes",
            "empty: a file of 0 bytes",
            "dir: Directory",
            "dir/: Directory",
            "dir/file: a file of 14 bytes",
            "dir/../file: a file of 5 bytes",
            ".: Directory",
            "fifo: Other",
            "missing: ENOENT",
            "dir/missing: ENOENT",
            "missing/file: ENOENT",
            "file/: ENOTDIR",
            "file/file: ENOTDIR",
            ": ENOENT",
            "(long): ENAMETOOLONG",
        ],
    });
}

#[test]
fn nothing_outside_the_root_is_opened() {
    check(Script {
        set: |_| {},
        play: |run| {
            run.environment.make("file", Made::File(b"12345"));
            run.environment.make("../outside", Made::File(b"a secret"));
            run.environment.make("dir", Made::Directory);
            for (link, target) in [
                ("inside", "dir/../file"),
                ("dir/up", "../file"),
                ("to-dir", "dir"),
                ("out", "../outside"),
                ("absolute", "/"),
                ("dangling", "missing"),
                ("loop", "loop"),
            ] {
                run.environment.make(link, Made::Link(target));
            }
            let absolute = format!("{}/file", run.environment.root());
            run.environment.make("absolute-inside", Made::Link(&absolute));
            let root = open_root(run);
            let paths = [
                "inside",
                "dir/up",
                "to-dir/up",
                "to-dir",
                "../outside",
                "..",
                "dir/../../outside",
                "/",
                "out",
                "absolute",
                "absolute-inside",
                "dangling",
                "loop",
            ];
            note_opened(run, root, &paths);
        },
        expected: &[
            "inside: a file of 5 bytes",
            "dir/up: a file of 5 bytes",
            "to-dir/up: a file of 5 bytes",
            "to-dir: Directory",
            "../outside: EXDEV",
            "..: EXDEV",
            "dir/../../outside: EXDEV",
            "/: EXDEV",
            "out: EXDEV",
            "absolute: EXDEV",
            "absolute-inside: EXDEV",
            "dangling: ENOENT",
            "loop: ELOOP",
        ],
    });
}

#[test]
fn a_root_is_a_directory() {
    check(Script {
        set: |_| {},
        play: |run| {
            run.environment.make("file", Made::File(b"12345"));
            let path = run.environment.root();
            for below in ["", "/file", "/missing"] {
                let opened = open(run, &format!("{path}{below}"), OpenHow::Root);
                run.note(opened.map_or_else(name, |_| "opened".into()));
            }
            let root = open_root(run);
            let kind = stat(run, root).kind;
            run.note(format_args!("{kind:?}"));
            let line = read(run, root, 0, b"", 1);
            run.note(line);
        },
        expected: &["opened", "ENOTDIR", "ENOENT", "Directory", "EBADF"],
    });
}

#[test]
fn files_are_read_at_an_offset() {
    check(Script {
        set: |_| {},
        play: |run| {
            run.environment.make("file", Made::File(b"0123456789"));
            run.environment.make("dir", Made::Directory);
            let root = open_root(run);
            let file = open(run, "file", OpenHow::Beneath(root)).expect("the file");
            for (offset, buffer, len) in [
                (0, "", 10),
                (0, "", 4),
                (4, "", 4),
                (8, "", 4),
                (10, "", 4),
                (1 << 40, "", 4),
                (4, "head, ", 2),
                (4, "head", 0),
                (2, "", 100_000),
            ] {
                let line = read(run, file, offset, buffer.as_bytes(), len);
                run.note(line);
            }
            run.must(Op::CloseFile { file });
            let dir = open(run, "dir", OpenHow::Beneath(root)).expect("the directory");
            let line = read(run, dir, 0, b"", 1);
            run.note(line);
        },
        expected: &[
            "0123456789",
            "0123",
            "4567",
            "89",
            "",
            "",
            "head, 45",
            "head",
            "23456789",
            "EISDIR",
        ],
    });
}

#[test]
fn a_replaced_file_is_another_one() {
    check(Script {
        set: |_| {},
        play: |run| {
            run.environment.make("file", Made::File(b"old"));
            let root = open_root(run);
            let how = OpenHow::Beneath(root);
            let old = open(run, "file", how).expect("the old file");
            let before = stat(run, old);
            let same = stat(run, old);
            run.note(format_args!("unchanged: {}", before == same));
            run.environment.make("file", Made::File(b"newer"));
            let new = open(run, "file", how).expect("the new file");
            let after = stat(run, new);
            run.note(format_args!("same file: {}", before.inode == after.inode));
            run.note(format_args!("same device: {}", before.device == after.device));
            run.note(format_args!("{} bytes, {} bytes", before.size, after.size));
            let is_later = after.modified_ns >= before.modified_ns && before.modified_ns > 0;
            run.note(format_args!("later: {is_later}"));
            let lines = [read(run, old, 0, b"", 9), read(run, new, 0, b"", 9)];
            run.note(lines.join(", "));
        },
        expected: &[
            "unchanged: true",
            "same file: false",
            "same device: true",
            "3 bytes, 5 bytes",
            "later: true",
            "old, newer",
        ],
    });
}

#[test]
fn many_files_at_once() {
    const SIZE: usize = 100_000;
    const PART: usize = 10_000;
    check(Script {
        set: |_| {},
        play: |run| {
            run.environment.make("file", Made::File(&pattern(0, SIZE)));
            let root = open_root(run);
            let how = OpenHow::Beneath(root);
            let path = c"file".to_owned();
            let opens: Vec<_> =
                (0..20).map(|_| run.start(Op::Open { path: path.clone(), how })).collect();
            let mut reads = Vec::new();
            for open in opens {
                let Ok(Outcome::Opened(file)) = run.end(open) else { panic!("open") };
                for offset in (0..SIZE).step_by(PART) {
                    let (at, len) = (offset as u64, PART);
                    let read = run.start(Op::Read { file, offset: at, buffer: Vec::new(), len });
                    reads.push((file, offset, read));
                }
            }
            let expected = pattern(0, SIZE);
            let mut count = 0;
            for &(_, offset, read) in &reads {
                let Ok(Outcome::Read(bytes)) = run.end(read) else { panic!("read") };
                count += usize::from(bytes == expected[offset..offset + PART]);
            }
            run.note(format_args!("{count} parts as written"));
            let mut files: Vec<File> = reads.into_iter().map(|(file, ..)| file).collect();
            files.dedup();
            let closes: Vec<_> =
                files.into_iter().map(|file| run.start(Op::CloseFile { file })).collect();
            let closed = closes.into_iter().filter(|&close| told(&run.end(close)) == "done");
            let closed = closed.count();
            run.note(format_args!("{closed} closed"));
        },
        expected: &["200 parts as written", "20 closed"],
    });
}
