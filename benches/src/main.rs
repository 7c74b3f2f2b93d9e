//! The command line program.

use std::process::ExitCode;

use clap::Parser;
use rimbench::args::{Arguments, Command, usage_error};

/// The command line makes no sense.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(help) if !help.use_stderr() => {
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => return fail(&usage_error(&error), USAGE),
    };
    let Command::Run(arguments) = arguments.command;
    match rimbench::run(&arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => fail(&error.to_string(), error.exit_code()),
    }
}

fn fail(message: &str, code: u8) -> ExitCode {
    eprintln!("rimbench: {message}");
    ExitCode::from(code)
}
