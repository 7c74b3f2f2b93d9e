//! Where records go.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use tempfile::NamedTempFile;

use crate::failure::CannotRun;

/// A folder with records, and those of one suite in it.
#[derive(Clone, Debug)]
pub(crate) struct Results {
    folder: PathBuf,
    /// What the names of all files of this suite begin with.
    stamp: String,
}

impl Results {
    /// Makes the folder, if need be, and checks that files can be written there.
    pub(crate) fn open(folder: PathBuf, started: SystemTime) -> Result<Self, CannotRun> {
        let unwritable = |error| CannotRun::Unwritable(folder.clone(), error);
        fs::create_dir_all(&folder).map_err(unwritable)?;
        let probe = NamedTempFile::new_in(&folder).map_err(unwritable)?;
        probe.close().map_err(unwritable)?;
        let time = humantime::format_rfc3339_seconds(started).to_string();
        let stamp = time.chars().filter(|c| !matches!(c, '-' | ':')).collect();
        Ok(Self { folder, stamp })
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes the record of a run, and the load generator's log of intervals beside it.
    pub(crate) fn write(
        &self,
        number: usize,
        name: &str,
        record: &impl Serialize,
        log: Option<&str>,
    ) -> Result<(), CannotRun> {
        let stem = format!("{}-{number:03}-{name}", self.stamp);
        let mut json = serde_json::to_vec_pretty(record).expect("a record has no odd keys");
        json.push(b'\n');
        // Whoever finds a record also finds its log.
        if let Some(log) = log {
            self.put(&format!("{stem}.hlog"), log.as_bytes())?;
        }
        self.put(&format!("{stem}.json"), &json)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), CannotRun> {
        let path = self.folder.join(name);
        write_whole(&self.folder, &path, bytes).map_err(|error| CannotRun::Unwritable(path, error))
    }
}

/// Writes a file that is there whole or not at all, and that replaces none.
fn write_whole(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    let all_may_read = fs::Permissions::from_mode(0o644);
    file.as_file().set_permissions(all_may_read)?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn files_are_whole_and_replace_none() {
        let folder = tempfile::tempdir().unwrap();
        let started = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let results = Results::open(folder.path().join("a/b"), started).unwrap();
        results.write(1, "rim-x", &serde_json::json!({"target": "rim"}), Some("log")).unwrap();
        let names = || {
            let files = fs::read_dir(results.folder()).unwrap();
            let mut names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let expected = ["20231114T221320Z-001-rim-x.hlog", "20231114T221320Z-001-rim-x.json"];
        assert_eq!(names(), expected);
        let again = results.write(1, "rim-x", &(), None).unwrap_err();
        assert!(again.to_string().contains("--out"), "{again}");
        assert_eq!(names(), expected);
        let text = fs::read_to_string(results.folder().join(expected[1])).unwrap();
        assert!(text.ends_with("}\n") && text.contains("rim"), "{text}");
    }

    #[test]
    fn a_place_that_cannot_be_written_to_is_told_beforehand() {
        let file = NamedTempFile::new().unwrap();
        let error = Results::open(file.path().join("below"), SystemTime::now()).unwrap_err();
        assert_eq!(error.exit_code(), 1);
        assert!(error.to_string().starts_with("cannot write to "), "{error}");
    }
}
