//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use rim_driver::CoreList;

/// Compares HTTP servers on this machine, in turn, and keeps every record.
#[derive(Debug, Parser)]
#[command(name = "rimbench", version, max_term_width = 100, arg_required_else_help = false)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a suite: build what it needs, load each target in turn, print tables, write records.
    ///
    /// Exit codes: 0 every target gave its figures, or is not installed; an invalid verdict, of a
    /// target that leaves clients unserved, is a figure too. 1 a target did not, or the suite could
    /// not run. 2 wrong usage.
    Run(RunArguments),
}

/// Arguments of `rimbench run`.
#[derive(Clone, Debug, Args)]
pub struct RunArguments {
    /// quick, standard, full, or a file with a suite of your own
    #[arg(long, value_name = "NAME|FILE", default_value = "quick")]
    pub suite: String,
    /// Only these targets, in this order [default: those of the suite]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub targets: Vec<String>,
    /// How often each target is measured in each scenario [default: as the suite says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub rounds: Option<u32>,
    /// Where records go [default: results/MACHINE/COMMIT/SUITE of the checkout, with --binaries
    /// results/MACHINE/given/SUITE]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Use the programs in this folder and build none
    #[arg(long, value_name = "DIR")]
    pub binaries: Option<PathBuf>,
    /// Which cores the servers run on, for example 0-3,8 [default: the first that is allowed]
    #[arg(long, value_name = "LIST")]
    pub server_cores: Option<CoreList>,
    /// Which cores rimload runs on [default: the second that is allowed, or the only one]
    #[arg(long, value_name = "LIST")]
    pub client_cores: Option<CoreList>,
}

/// What is wrong with a command line, in one line.
#[must_use]
pub fn usage_error(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().take_while(|line| !line.trim().is_empty());
    let line = lines.map(str::trim).collect::<Vec<_>>().join(" ");
    let line = line.trim_start_matches("error: ");
    format!("{line}; see rimbench --help")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<RunArguments, String> {
        match Arguments::try_parse_from(line.split_whitespace()) {
            Ok(Arguments { command: Command::Run(run) }) => Ok(run),
            Err(error) => {
                assert_eq!(error.exit_code(), 2);
                Err(usage_error(&error))
            }
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn nothing_said_is_the_quick_suite() {
        let run = parse("rimbench run").unwrap();
        assert_eq!(run.suite, "quick");
        assert!(run.targets.is_empty() && run.rounds.is_none() && run.out.is_none());
    }

    #[test]
    fn everything_can_be_said() {
        let run = parse(
            "rimbench run --suite my.toml --targets rim,null --rounds 3 --out /tmp/x \
             --binaries /tmp/y --server-cores 0-1 --client-cores 2",
        )
        .unwrap();
        assert_eq!(run.suite, "my.toml");
        assert_eq!(run.targets, ["rim", "null"]);
        assert_eq!(run.rounds, Some(3));
        assert_eq!(run.server_cores.unwrap().to_string(), "0-1");
        assert_eq!(run.client_cores.unwrap().to_string(), "2");
    }

    #[test]
    fn mistakes_are_told_in_one_line() {
        for (line, says) in [
            ("rimbench run --rounds 0", "0 is not in 1..=1000"),
            ("rimbench run --server-cores x", "write for example 0 or 0-3,8"),
            ("rimbench run --unknown", "--unknown"),
            ("rimbench walk", "walk"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(says), "{line}: {error}");
            assert!(!error.contains('\n') && error.contains("--help"), "{error}");
        }
    }
}
