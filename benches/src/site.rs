//! The files that targets serve.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::failure::CannotRun;
use crate::scenario::Scenario;

/// What the content of a file is made from, together with its size.
const SEED: &[u8] = b"rimbench: the same bytes everywhere, which no compression makes shorter";

/// A temporary folder with the files of all scenarios. It goes with this value.
pub(crate) struct Site {
    root: TempDir,
    /// By name.
    files: BTreeMap<String, File>,
}

/// A file that is served.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) content: Vec<u8>,
    /// The hash of the content.
    pub(crate) blake3: String,
}

impl Site {
    /// Makes the files that these scenarios ask for.
    pub(crate) fn new(scenarios: &[Scenario]) -> Result<Self, CannotRun> {
        let root = folder("site").map_err(|error| no_site(&std::env::temp_dir(), error))?;
        let mut files = BTreeMap::new();
        for scenario in scenarios {
            let content = content(scenario.file_bytes);
            let file = File { blake3: blake3::hash(&content).to_hex().to_string(), content };
            check(scenario, &file)?;
            let path = root.path().join(scenario.file_name());
            fs::write(&path, &file.content).map_err(|error| no_site(root.path(), error))?;
            files.insert(scenario.file_name(), file);
        }
        Ok(Self { root, files })
    }

    /// The directory to serve.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// The file that a scenario asks for.
    pub(crate) fn file(&self, scenario: &Scenario) -> &File {
        &self.files[&scenario.file_name()]
    }
}

/// A new temporary folder that others may look into: some servers read files as another user.
pub(crate) fn folder(name: &str) -> io::Result<TempDir> {
    let all_may_read = Permissions::from_mode(0o755);
    tempfile::Builder::new()
        .prefix(&format!("rimbench-{name}-"))
        .permissions(all_may_read)
        .tempdir()
}

fn content(bytes: u64) -> Vec<u8> {
    let mut content = vec![0; bytes as usize];
    let mut hasher = blake3::Hasher::new();
    hasher.update(SEED).update(&bytes.to_le_bytes()).finalize_xof().fill(&mut content);
    content
}

fn check(scenario: &Scenario, file: &File) -> Result<(), CannotRun> {
    match &scenario.body_blake3 {
        Some(expected) if *expected != file.blake3 => Err(CannotRun::OtherContent {
            scenario: scenario.name.clone(),
            expected: expected.clone(),
            found: file.blake3.clone(),
        }),
        _ => Ok(()),
    }
}

fn no_site(folder: &Path, error: io::Error) -> CannotRun {
    CannotRun::NoSite(PathBuf::from(folder), error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions;

    #[test]
    fn all_scenarios_have_the_content_that_they_state() {
        let names = definitions::scenario_names();
        let scenarios: Vec<_> = names.into_iter().filter_map(definitions::scenario).collect();
        let site = Site::new(&scenarios).unwrap();
        for scenario in &scenarios {
            let content = fs::read(site.root().join(scenario.file_name())).unwrap();
            assert_eq!(content.len() as u64, scenario.file_bytes);
            assert!(content == site.file(scenario).content);
            assert!(content.iter().any(|byte| *byte != 0));
        }
        let root = site.root().to_owned();
        assert_eq!(fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o755);
        drop(site);
        assert!(!root.exists());
    }

    #[test]
    fn other_content_is_noticed() {
        let mut scenario = definitions::scenario("small-64").unwrap();
        scenario.file_bytes += 1;
        let error = Site::new(&[scenario]).err().unwrap().to_string();
        assert!(error.contains("scenario small-64: the content"), "{error}");
    }
}
