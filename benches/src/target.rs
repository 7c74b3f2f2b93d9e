//! What is compared: how each server is started, and how it is told from others.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A server, with its configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Target {
    /// How definitions and records call it.
    #[serde(skip_deserializing)]
    pub(crate) name: String,
    /// What it is, in a sentence.
    pub(crate) about: String,
    /// Where its program comes from.
    pub(crate) program: Program,
    /// What the program is started with; see [`Place::fill`].
    pub(crate) arguments: Vec<String>,
    /// The arguments that make the program tell its version.
    #[serde(default)]
    pub(crate) version: Vec<String>,
    /// How it is told from others.
    pub(crate) identity: Identity,
    /// Configuration files by name, written into the folder of the run; see [`Place::fill`].
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
}

/// Where a program comes from.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Program {
    /// From this workspace.
    Built(Artifact),
    /// From a Debian package, if that is installed.
    Installed {
        /// The command.
        name: String,
        /// The package that has it.
        package: String,
    },
    /// From wherever a suite of one's own says.
    Path(PathBuf),
}

/// Something that cargo builds in this workspace.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Artifact {
    /// The package.
    pub(crate) package: String,
    /// The binary or the example in it.
    pub(crate) name: String,
    /// Which of the two.
    #[serde(default)]
    pub(crate) is_example: bool,
}

/// How a target is told from others.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Identity {
    /// What it says after `driver=` when it is ready; without it, it says nothing.
    pub(crate) driver: Option<String>,
    /// How the `Server` field of its answers begins.
    pub(crate) server: String,
    /// What its answers have to hold.
    #[serde(default)]
    pub(crate) body: Body,
}

/// What an answer has to hold.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Body {
    /// The file, byte for byte.
    #[default]
    File,
    /// As many zeros: of a responder that knows no files.
    Zeros,
}

/// Where a target runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The address that it is to listen on.
    pub(crate) address: SocketAddr,
    /// The directory that it is to serve.
    pub(crate) root: &'a Path,
    /// The folder for its configuration, its logs and whatever else it writes.
    pub(crate) folder: &'a Path,
    /// The size of the file that will be asked for.
    pub(crate) file_bytes: u64,
    /// How many cores it has.
    pub(crate) workers: usize,
}

impl Place<'_> {
    /// Fills in what a definition leaves open: `{address}`, `{port}`, `{root}`, `{folder}`,
    /// `{bytes}` and `{workers}`.
    pub(crate) fn fill(&self, template: &str) -> String {
        template
            .replace("{address}", &self.address.to_string())
            .replace("{port}", &self.address.port().to_string())
            .replace("{root}", &self.root.to_string_lossy())
            .replace("{folder}", &self.folder.to_string_lossy())
            .replace("{bytes}", &self.file_bytes.to_string())
            .replace("{workers}", &self.workers.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_in_and_other_braces_left_alone() {
        let place = Place {
            address: "127.0.0.1:8080".parse().unwrap(),
            root: Path::new("/site"),
            folder: Path::new("/folder"),
            file_bytes: 1024,
            workers: 2,
        };
        assert_eq!(
            place.fill("{address} {port} {root} {folder}/x {bytes} {workers} { } {other}"),
            "127.0.0.1:8080 8080 /site /folder/x 1024 2 { } {other}"
        );
    }
}
