//! The architecture of Apache's worker: processes with threads, a thread for each client, up to a
//! limit.
//!
//! Protocol and files are those of `rim`, so that nothing but the architecture differs.

mod common;

use std::process::ExitCode;

use clap::Parser;

use common::{Common, Size};

/// Serves a directory with a thread for each client
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    /// How many processes
    #[arg(
        long,
        value_name = "N",
        default_value_t = 16,
        value_parser = clap::value_parser!(u32).range(1..=20_000)
    )]
    processes: u32,
    /// How many threads in each; together with the processes, how many clients at once
    #[arg(
        long,
        value_name = "N",
        default_value_t = 25,
        value_parser = clap::value_parser!(u32).range(1..=20_000)
    )]
    threads: u32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (processes, threads) = (arguments.processes as usize, arguments.threads as usize);
    common::run("worker", &arguments.common, &Size { processes, threads })
}
