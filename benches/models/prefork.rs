//! The architecture of Apache's prefork: a process for each client, up to a limit.
//!
//! Protocol and files are those of `rim`, so that nothing but the architecture differs.

mod common;

use std::process::ExitCode;

use clap::Parser;

use common::{Common, Size};

/// Serves a directory with a process for each client
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    /// How many processes, which is how many clients at once
    #[arg(
        long,
        value_name = "N",
        default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(1..=20_000)
    )]
    processes: u32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let size = Size { processes: arguments.processes as usize, threads: 1 };
    common::run("prefork", &arguments.common, &size)
}
