//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{Assignment, ConfigError};

/// A static edge server on io_uring.
#[derive(Debug, Parser)]
#[command(name = "rim", version, about, max_term_width = 100, arg_required_else_help = false)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve a directory.
    ///
    /// Prints one line when ready. SIGTERM and SIGQUIT stop it after the answers under way, SIGINT
    /// stops it at once. Exit code 0 after a clean stop, 1 if it cannot start, 2 for wrong usage.
    Serve(ServeArguments),
    /// Show what this machine offers: kernel, ring features, limits, and which driver is used.
    ///
    /// Exit code 0 if io_uring can be used, 3 if only epoll can.
    Doctor(DoctorArguments),
}

/// Arguments of `rim serve`.
#[derive(Debug, Args)]
pub struct ServeArguments {
    /// The directory to serve (key `root`).
    pub dir: Option<PathBuf>,
    /// An address to listen on; may be repeated (key `listen`) [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Vec<SocketAddr>,
    /// Cores to run on, one worker each, like `0-3,8` (key `cores`) [default: all allowed].
    #[arg(long, value_name = "LIST")]
    pub cores: Option<String>,
    /// How to talk to the kernel (key `driver.kind`) [default: auto].
    #[arg(long)]
    pub driver: Option<DriverKind>,
    /// A configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set one key of the configuration, like `driver.direct_descriptors=false`; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Arguments of `rim doctor`.
#[derive(Debug, Args)]
pub struct DoctorArguments {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// How to talk to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DriverKind {
    /// io_uring if it can be had, else epoll, with a warning.
    Auto,
    /// io_uring, or fail.
    Uring,
    /// epoll.
    Epoll,
}

impl ServeArguments {
    /// The arguments as assignments to keys: flags first, then `--set`.
    ///
    /// # Errors
    /// If a `--set` is no assignment.
    pub fn assignments(&self) -> Result<Vec<Assignment>, ConfigError> {
        let mut assignments = Vec::new();
        // A name that is not UTF-8 cannot stand in TOML; `serve` sets it afterwards.
        if let Some(dir) = self.dir.as_ref().and_then(|dir| dir.to_str()) {
            assignments.push(Assignment::new("root", dir));
        }
        if !self.listen.is_empty() {
            let addresses: Vec<_> = self.listen.iter().map(ToString::to_string).collect();
            assignments.push(Assignment::new("listen", addresses));
        }
        if let Some(cores) = &self.cores {
            assignments.push(Assignment::new("cores", cores.as_str()));
        }
        if let Some(driver) = self.driver {
            let name = driver.to_possible_value().expect("no variant is skipped");
            assignments.push(Assignment::new("driver.kind", name.get_name()));
        }
        for text in &self.set {
            assignments.push(Assignment::parse(text)?);
        }
        Ok(assignments)
    }
}

/// What is wrong with a command line, in one line.
#[must_use]
pub fn usage_error(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().take_while(|line| !line.trim().is_empty());
    let line = lines.map(str::trim).collect::<Vec<_>>().join(" ");
    let line = line.trim_start_matches("error: ");
    format!("{line}; see rim --help")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn flags_are_short_forms_of_keys_and_set_comes_last() {
        let line = "rim serve site --listen 127.0.0.1:1 --listen [::1]:2 --cores 0-1 \
                    --driver epoll --set index=a.html";
        let arguments = Arguments::parse_from(line.split_whitespace());
        let Command::Serve(serve) = arguments.command else { panic!("serve") };
        let addresses = vec!["127.0.0.1:1", "[::1]:2"];
        assert_eq!(
            serve.assignments().unwrap(),
            [
                Assignment::new("root", "site"),
                Assignment::new("listen", addresses),
                Assignment::new("cores", "0-1"),
                Assignment::new("driver.kind", "epoll"),
                Assignment::new("index", "a.html"),
            ]
        );
    }
}
