//! The programs that a suite starts: built, or found.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rim_driver::CoreList;
use serde::{Deserialize, Serialize, Serializer};
use tempfile::NamedTempFile;

use crate::checkout;
use crate::failure::{CannotRun, Stopped};
use crate::group::Group;
use crate::stop::Stop;
use crate::target::{Artifact, Program, Target};

/// Where servers are that only root is expected to start, besides `PATH`.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
/// How long a program may take to tell its version.
const VERSION_AT_MOST: Duration = Duration::from_secs(5);
/// As long as makes no difference.
const FOREVER: Duration = Duration::from_secs(1 << 32);

/// A program that can be started.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Binary {
    #[serde(serialize_with = "as_shown")]
    pub(crate) path: PathBuf,
    pub(crate) blake3: String,
    /// What it says of its version.
    pub(crate) version: Option<String>,
}

/// Where the programs of this workspace are.
#[derive(Clone, Debug)]
pub(crate) enum Binaries {
    /// In a folder that was named.
    Given(PathBuf),
    /// Where cargo says that it has put them: its configuration may name any place.
    Built(BTreeMap<Artifact, PathBuf>),
}

/// What cargo says of something that it has built, as far as it is of interest.
#[derive(Debug, Deserialize)]
struct Message {
    target: MessageTarget,
    /// None unless it can be started.
    executable: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct MessageTarget {
    name: String,
    kind: Vec<String>,
}

/// The load generator, as cargo builds it.
pub(crate) fn rimload() -> Artifact {
    Artifact { package: "rimload".into(), name: "rimload".into(), is_example: false }
}

impl Binaries {
    /// Uses what there is in a folder.
    pub(crate) fn given(folder: &Path) -> Self {
        Self::Given(folder.into())
    }

    /// Builds what is needed, optimised. Cargo shows its progress itself.
    pub(crate) fn build(artifacts: &BTreeSet<Artifact>, stop: &Stop) -> Result<Self, CannotRun> {
        let root = checkout::root();
        if !root.join("Cargo.toml").is_file() {
            return Err(CannotRun::NoCheckout(root.into()));
        }
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(root).stdin(Stdio::null());
        command.args(["build", "--release", "--message-format=json-render-diagnostics"]);
        command.arg("--target-dir").arg(target_folder(root));
        for artifact in artifacts {
            let kind = if artifact.is_example { "--example" } else { "--bin" };
            command.args(["--package", &artifact.package, kind, &artifact.name]);
        }
        let messages = NamedTempFile::new().map_err(CannotRun::NoCargo)?;
        command.stdout(messages.reopen().map_err(CannotRun::NoCargo)?);
        let cargo = Group::start(&mut command, &CoreList::allowed()).map_err(CannotRun::NoCargo)?;
        let end = stop.wait(FOREVER, || cargo.end())?;
        if end.and_then(|end| end.code()) != Some(0) {
            return Err(CannotRun::NotBuilt);
        }
        let messages = fs::read_to_string(messages.path()).map_err(CannotRun::NoCargo)?;
        Ok(Self::Built(executables(&messages, artifacts)))
    }

    /// The program of a target; none if it is not installed.
    pub(crate) fn find(&self, target: &Target, stop: &Stop) -> Result<Option<Binary>, CannotRun> {
        let path = match &target.program {
            Program::Built(artifact) => self.path(artifact)?,
            Program::Path(path) => path.clone(),
            Program::Installed { name, .. } => match find_installed(name) {
                Some(path) => path,
                None => return Ok(None),
            },
        };
        inspect(&path, &target.version, stop).map(Some)
    }

    /// The load generator.
    pub(crate) fn find_rimload(&self, stop: &Stop) -> Result<Binary, CannotRun> {
        inspect(&self.path(&rimload())?, &["--version".into()], stop)
    }

    fn path(&self, artifact: &Artifact) -> Result<PathBuf, CannotRun> {
        match self {
            Self::Given(folder) => {
                let below = if artifact.is_example { "examples" } else { "" };
                Ok(folder.join(below).join(&artifact.name))
            }
            Self::Built(paths) => paths.get(artifact).cloned().ok_or(CannotRun::NotBuilt),
        }
    }
}

/// Where these are, by cargo's messages: a JSON object in each line, of several kinds.
fn executables(messages: &str, artifacts: &BTreeSet<Artifact>) -> BTreeMap<Artifact, PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    let found = messages.filter_map(|Message { target, executable }| {
        let is_kind = |kind: &str| target.kind.iter().any(|known| known == kind);
        let artifact = artifacts.iter().find(|artifact| {
            artifact.name == target.name
                && is_kind(if artifact.is_example { "example" } else { "bin" })
        })?;
        Some((artifact.clone(), executable?))
    });
    found.collect()
}

/// Where a program is that a package has installed.
pub(crate) fn find_installed(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(SYSTEM_FOLDERS.iter().map(PathBuf::from));
    let is_executable = |path: &PathBuf| {
        fs::metadata(path)
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    folders.map(|folder| folder.join(name)).find(is_executable)
}

/// The target folder that this program was built into; that of the checkout if it lies elsewhere.
fn target_folder(root: &Path) -> PathBuf {
    let program = env::current_exe().ok();
    let folder = program.as_deref().and_then(Path::parent).and_then(Path::parent);
    let is_cargos = |folder: &&Path| folder.join("CACHEDIR.TAG").is_file();
    folder.filter(is_cargos).map_or_else(|| root.join("target"), Path::to_path_buf)
}

fn as_shown<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    checkout::shown(path).serialize(serializer)
}

fn inspect(path: &Path, version: &[String], stop: &Stop) -> Result<Binary, CannotRun> {
    let blake3 = hash(path).map_err(|_| CannotRun::NoProgram(path.into()))?;
    let version = if version.is_empty() { None } else { tell(path, version, stop)? };
    Ok(Binary { path: path.into(), blake3, version })
}

fn hash(path: &Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(fs::File::open(path)?)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// What a program says, on whichever output; none if it cannot be started or does not end in time.
fn tell(path: &Path, arguments: &[String], stop: &Stop) -> Result<Option<String>, Stopped> {
    // Files never fill up, as pipes do that nobody reads meanwhile.
    let outputs = || Ok::<_, io::Error>([NamedTempFile::new()?, NamedTempFile::new()?]);
    let Ok(outputs) = outputs() else { return Ok(None) };
    let start = || {
        let mut command = Command::new(path);
        command.args(arguments).stdin(Stdio::null());
        command.stdout(outputs[0].reopen()?).stderr(outputs[1].reopen()?);
        Group::start(&mut command, &CoreList::allowed())
    };
    let Ok(program) = start() else { return Ok(None) };
    if stop.wait(VERSION_AT_MOST, || program.end())?.is_none() {
        return Ok(None);
    }
    let text = outputs.map(|output| fs::read(output.path()).unwrap_or_default()).concat();
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    Ok((!text.is_empty()).then_some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installed_programs_are_found() {
        let (shell, stop) = (find_installed("sh").unwrap(), Stop::default());
        assert!(shell.is_absolute());
        let say = ["-c".into(), "echo one; echo two >&2".into()];
        let binary = inspect(&shell, &say, &stop).unwrap();
        assert_eq!(binary.version.as_deref(), Some("one\ntwo"));
        assert_eq!(binary.blake3.len(), 64);
        assert_eq!(find_installed("no-such-program-anywhere"), None);
        assert!(matches!(inspect(Path::new("/nowhere"), &[], &stop), Err(CannotRun::NoProgram(_))));
    }

    #[test]
    fn a_program_that_does_not_tell_its_version_holds_up_nobody_who_stops() {
        let shell = find_installed("sh").unwrap();
        let forever = ["-c".into(), "sleep 1000".into()];
        assert!(matches!(inspect(&shell, &forever, &Stop::set()), Err(CannotRun::Stopped)));
        let binary = inspect(&shell, &forever, &Stop::default()).unwrap();
        assert_eq!(binary.version, None);
    }

    #[test]
    fn cargo_says_where_it_has_put_programs() {
        let null = Artifact { package: "rim-driver".into(), name: "null".into(), is_example: true };
        let wanted = BTreeSet::from([rimload(), null.clone()]);
        let messages = r#"
            {"reason":"compiler-artifact","target":{"kind":["lib"],"name":"rimload"},"executable":null}
            {"reason":"compiler-artifact","target":{"kind":["bin"],"name":"rimload"},"executable":"/t/x/rimload"}
            {"reason":"compiler-artifact","target":{"kind":["bin"],"name":"null"},"executable":"/t/x/null"}
            {"reason":"compiler-artifact","target":{"kind":["example"],"name":"null"},"executable":"/t/e/null"}
            {"reason":"build-finished","success":true}
        "#;
        let built = Binaries::Built(executables(messages, &wanted));
        assert_eq!(built.path(&rimload()).unwrap(), Path::new("/t/x/rimload"));
        assert_eq!(built.path(&null).unwrap(), Path::new("/t/e/null"));
        let other = Artifact { name: "other".into(), ..null.clone() };
        assert!(matches!(built.path(&other), Err(CannotRun::NotBuilt)));
        let given = Binaries::given(Path::new("/given"));
        assert_eq!(given.path(&null).unwrap(), Path::new("/given/examples/null"));
    }
}
