//! The command line.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Parser, ValueEnum};
use rim_driver::CoreList;

use crate::url::Url;

/// How long a run takes if nothing else is said.
const DURATION: Duration = Duration::from_secs(10);

/// Loads an HTTP server and says how it did, and when the figures are worth nothing.
///
/// All connections are opened first. Then every connection sends a request, and the next one as
/// soon as the answer is complete (a closed loop), until the time is up.
///
/// Exit codes: 0 the figures hold (or show the limit of rimload itself, marked client-bound), 1 it
/// could not run, 2 wrong usage, 3 it ran, but the figures do not hold.
#[derive(Clone, Debug, Parser)]
#[command(name = "rimload", version, max_term_width = 100)]
pub struct Args {
    /// What to request; with several, connections take them in turn
    #[arg(required = true, value_name = "URL")]
    pub urls: Vec<Url>,
    /// How many connections
    #[arg(
        short = 'c',
        long,
        value_name = "N",
        default_value_t = 64,
        value_parser = RangedU64ValueParser::<u32>::new().range(1..=MAX_CONNECTIONS)
    )]
    pub connections: u32,
    /// For how long, for example 30s or 2min [default: 10s]
    #[arg(short = 'd', long, value_name = "TIME", value_parser = positive_time)]
    pub duration: Option<Duration>,
    /// How many requests, instead of for how long
    #[arg(
        short = 'n',
        long,
        value_name = "N",
        conflicts_with = "duration",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub requests: Option<u64>,
    /// Which cores, one thread each, for example 0-3,8 [default: all that are allowed]
    #[arg(long, value_name = "LIST")]
    pub cores: Option<CoreList>,
    /// Which driver; auto is io_uring, or epoll where there is none
    #[arg(long, value_enum, value_name = "DRIVER", default_value_t)]
    pub driver: DriverChoice,
    /// Write the result to this file as JSON; - is standard output, and nothing else goes there
    #[arg(long, value_name = "FILE")]
    pub json: Option<Destination>,
    /// Write the times of each second to this file, for the tools of HdrHistogram
    #[arg(long, value_name = "FILE")]
    pub hdr: Option<PathBuf>,
    /// How long opening the connections may take, before the run
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = positive_time)]
    pub connect_timeout: Duration,
    /// End a run with -n when nothing has been answered for so long
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = positive_time)]
    pub give_up_after: Duration,
    /// Show no progress
    #[arg(long)]
    pub quiet: bool,
}

/// Longer than anybody waits, and short enough to reckon with.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// As many as tokens can tell apart.
const MAX_CONNECTIONS: u64 = rim_driver::Token::SLOTS_MAX as u64;

/// What ends a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The time is up.
    Duration(Duration),
    /// So many requests have been answered.
    Requests(u64),
}

/// Which driver the workers are to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DriverChoice {
    /// io_uring, or epoll where there is none.
    #[default]
    Auto,
    /// io_uring, or nothing.
    Uring,
    /// epoll.
    Epoll,
}

/// Where a result goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To standard output, which then is for nothing else.
    Standard,
    /// To a file.
    File(PathBuf),
}

impl FromStr for Destination {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "-" => Self::Standard,
            path => Self::File(path.into()),
        })
    }
}

impl Args {
    /// What ends the run.
    #[must_use]
    pub fn goal(&self) -> Goal {
        match self.requests {
            Some(requests) => Goal::Requests(requests),
            None => Goal::Duration(self.duration.unwrap_or(DURATION)),
        }
    }

    /// What is wrong with them together, if something is.
    #[must_use]
    pub fn contradiction(&self) -> Option<&'static str> {
        match (&self.json, &self.hdr) {
            (Some(Destination::File(json)), Some(hdr)) if json == hdr => {
                Some("--json and --hdr name the same file; name two")
            }
            _ => None,
        }
    }
}

fn positive_time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write for example 500ms, 30s or 2min"))?;
    if time.is_zero() {
        return Err("it has to be more than nothing".into());
    }
    if time > LONGEST {
        return Err("it can be 30 days at most".into());
    }
    Ok(time)
}

/// What is wrong with a command line, in one line.
#[must_use]
pub fn usage_error(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().take_while(|line| !line.trim().is_empty());
    let line = lines.map(str::trim).collect::<Vec<_>>().join(" ");
    let line = line.trim_start_matches("error: ");
    format!("{line}; see rimload --help")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        let words = std::iter::once("rimload").chain(line.split_whitespace());
        Args::try_parse_from(words).map_err(|error| {
            assert_eq!(error.exit_code(), 2);
            usage_error(&error)
        })
    }

    #[test]
    fn a_url_is_enough() {
        let args = parse("http://localhost:8080/").unwrap();
        assert_eq!(args.connections, 64);
        assert_eq!(args.goal(), Goal::Duration(Duration::from_secs(10)));
        assert_eq!(args.connect_timeout, Duration::from_secs(10));
        assert!(args.cores.is_none() && args.json.is_none() && args.hdr.is_none() && !args.quiet);
    }

    #[test]
    fn everything_can_be_said() {
        let args = parse(
            "http://a/ http://b/ -c 10000 -n 5 --cores 1 --json - --hdr x.hlog \
             --connect-timeout 1s500ms --give-up-after 2min --quiet --driver epoll",
        )
        .unwrap();
        assert_eq!(args.urls.len(), 2);
        assert_eq!(args.connections, 10_000);
        assert_eq!(args.goal(), Goal::Requests(5));
        assert_eq!(args.cores.unwrap().to_string(), "1");
        assert_eq!(args.json, Some(Destination::Standard));
        assert_eq!(args.hdr, Some("x.hlog".into()));
        assert_eq!(args.connect_timeout, Duration::from_millis(1_500));
        assert_eq!(args.give_up_after, Duration::from_secs(120));
        assert_eq!(args.driver, DriverChoice::Epoll);
        assert!(args.quiet);
    }

    #[test]
    fn mistakes_are_told_in_one_line() {
        for (line, says) in [
            ("", "<URL>"),
            ("https://localhost/", "https:// is not supported yet"),
            ("localhost", "begin with http://"),
            ("http://a/ -c 0", "0 is not in 1..="),
            ("http://a/ -c many", "invalid digit"),
            ("http://a/ -n 0", "0 is not in 1.."),
            ("http://a/ -d 0s", "more than nothing"),
            ("http://a/ -d 10", "for example 500ms"),
            ("http://a/ -d 1s -n 1", "cannot be used with"),
            ("http://a/ --cores 3-1", "no range of cores"),
            ("http://a/ --driver kqueue", "[possible values: auto, uring, epoll]"),
            ("http://a/ --unknown", "--unknown"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(says), "{line}: {error}");
            assert!(!error.contains('\n') && error.contains("--help"), "{error}");
        }
    }

    #[test]
    fn two_results_cannot_go_to_one_file() {
        let contradiction = |line| parse(line).unwrap().contradiction();
        let both = contradiction("http://localhost/ --json x --hdr x");
        assert!(both.is_some_and(|text| text.contains("name two")));
        assert_eq!(contradiction("http://localhost/ --json x --hdr y"), None);
        assert_eq!(contradiction("http://localhost/ --json - --hdr -"), None);
    }
}
