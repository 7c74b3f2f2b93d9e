//! A directory to serve.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// What [`Site::usual`] has: paths and contents.
pub(crate) const USUAL: [(&str, &str); 8] = [
    ("index.html", "<p>the index</p>"),
    ("a.css", "p { color: red }"),
    ("a b.txt", "a name with a space"),
    ("dir/index.html", "<p>the index of dir</p>"),
    ("dir/sub/file", "deep"),
    (".hidden", "not to be seen"),
    (".well-known/token", "to be seen"),
    ("dir/.hidden/file", "not to be seen either"),
];

/// A directory, and one around it with what is not to be served. Removed when it is dropped.
pub(crate) struct Site {
    directory: TempDir,
}

impl Site {
    /// An empty one.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory for the test's files");
        // Others may look into it too, because some servers run as somebody else.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("it is ours");
        fs::create_dir(directory.path().join("root")).expect("a directory inside");
        fs::write(directory.path().join("outside"), "secret").expect("a file beside it");
        Self { directory }
    }

    /// One with a few files.
    pub(crate) fn usual() -> Self {
        Self::with(&USUAL)
    }

    /// One with these files.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let site = Self::new();
        for (path, content) in files {
            site.write(path, content);
        }
        site
    }

    /// The directory that is served.
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// The directory around it.
    pub(crate) fn around(&self) -> &Path {
        self.directory.path()
    }

    /// The path of something that is served.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root().join(path)
    }

    /// Writes a file, and makes the directories that it is in.
    pub(crate) fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("it is in the root")).expect("directories");
        fs::write(path, content).expect("a file");
    }

    /// Puts another file in the place of one.
    pub(crate) fn replace(&self, path: &str, content: impl AsRef<[u8]>) {
        let new = self.around().join("new");
        fs::write(&new, content).expect("a file");
        fs::rename(new, self.path(path)).expect("a new name for it");
    }

    /// Makes a symbolic link.
    pub(crate) fn link(&self, path: &str, target: impl AsRef<Path>) {
        symlink(target, self.path(path)).expect("a symbolic link");
    }

    /// Opens a file to be changed in its place.
    pub(crate) fn open(&self, path: &str) -> File {
        File::options().write(true).open(self.path(path)).expect("a file that is there")
    }
}

/// So many bytes that look like no others.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}
