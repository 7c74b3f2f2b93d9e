//! The command line program.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;
use rimload::args::{Args, Destination, usage_error};
use rimload::{Finished, table};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// It could not run.
const FAILED: u8 = 1;
/// The command line makes no sense.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(help) if !help.use_stderr() => {
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => return fail(&usage_error(&error), USAGE),
    };
    if let Some(contradiction) = args.contradiction() {
        return fail(contradiction, USAGE);
    }
    let interrupted = Arc::new(AtomicBool::new(false));
    if let Err(error) = catch_signals(&interrupted) {
        return fail(&format!("cannot catch signals: {error}"), FAILED);
    }
    match rimload::run(&args, &interrupted) {
        Ok(Finished { report, unwritten }) => {
            show(&table::render(&report), &args);
            match unwritten.first() {
                None => ExitCode::from(report.verdict.exit_code()),
                Some(error) => fail(&error.to_string(), FAILED),
            }
        }
        Err(error) => fail(&error.to_string(), FAILED),
    }
}

/// The first signal ends the run; a second one ends the program as if none were caught.
fn catch_signals(interrupted: &Arc<AtomicBool>) -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_default(signal, interrupted.clone())?;
        flag::register(signal, interrupted.clone())?;
    }
    Ok(())
}

/// Prints the table, on standard error if standard output is for the JSON. Whoever reads it may be
/// gone, and that is no failure of the run.
fn show(table: &str, args: &Args) {
    let _ = match args.json {
        Some(Destination::Standard) if args.quiet => Ok(()),
        Some(Destination::Standard) => writeln!(io::stderr(), "{table}"),
        _ => writeln!(io::stdout(), "{table}"),
    };
}

fn fail(message: &str, code: u8) -> ExitCode {
    eprintln!("rimload: {message}");
    ExitCode::from(code)
}
