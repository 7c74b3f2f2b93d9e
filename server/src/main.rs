//! The command `rim`.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use rim::args::{Arguments, Command, usage_error};
use rim::config::one_line;
use rim::{doctor, serve};

/// The command line makes no sense.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(help) if !help.use_stderr() => {
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            complain(&usage_error(&error));
            return ExitCode::from(USAGE);
        }
    };
    let result = match arguments.command {
        Command::Serve(arguments) => serve::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Doctor(arguments) => doctor::run(&arguments).map(ExitCode::from),
    };
    result.unwrap_or_else(|error| {
        complain(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

/// Whoever reads standard error may be gone, which changes nothing.
fn complain(message: &str) {
    let _ = writeln!(std::io::stderr(), "rim: {}", one_line(message));
}
