//! The checkout that this program was built from.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::Serialize;

/// How many hexadecimal digits name a commit in a path.
const COMMIT_DIGITS: usize = 12;

/// Which state of the project was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Checkout {
    /// None without git.
    pub(crate) commit: Option<String>,
    /// Whether something had been changed since that commit. Results are no change.
    pub(crate) is_dirty: bool,
}

impl Checkout {
    /// Asks git.
    pub(crate) fn look() -> Self {
        let commit = git(&["rev-parse", "HEAD"]).filter(|commit| !commit.is_empty());
        let changes = git(&["status", "--porcelain", "--", ".", ":(exclude)results"]);
        Self { commit, is_dirty: changes.is_none_or(|changes| !changes.is_empty()) }
    }

    /// The name of the folder that its results go to.
    pub(crate) fn folder(&self) -> String {
        let Some(commit) = &self.commit else { return "unknown".into() };
        let commit = &commit[..commit.len().min(COMMIT_DIGITS)];
        if self.is_dirty { format!("{commit}-dirty") } else { commit.into() }
    }
}

/// The top folder of the checkout.
pub(crate) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("this package lies in the checkout")
}

/// A path as a record shows it: within the checkout if it lies there, wherever that is.
pub(crate) fn shown(path: &Path) -> &Path {
    path.strip_prefix(root()).unwrap_or(path)
}

fn git(arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(root()).args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_name_the_commit_and_whether_it_was_changed() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let folder = |commit: Option<&str>, is_dirty| {
            Checkout { commit: commit.map(str::to_owned), is_dirty }.folder()
        };
        assert_eq!(folder(Some(commit), false), "0123456789ab");
        assert_eq!(folder(Some(commit), true), "0123456789ab-dirty");
        assert_eq!(folder(None, true), "unknown");
    }

    #[test]
    fn records_do_not_tell_where_the_checkout_lies() {
        assert!(root().join("Cargo.toml").is_file());
        assert_eq!(shown(&root().join("target/release/rim")), Path::new("target/release/rim"));
        assert_eq!(shown(Path::new("/usr/sbin/nginx")), Path::new("/usr/sbin/nginx"));
    }
}
