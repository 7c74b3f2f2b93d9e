//! Every behaviour is that of both drivers.

use std::io::{self, Write};
use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::thread;

use crate::server::run;

/// Runs a test on each driver, on all of them at the same time: most of them mostly wait.
#[track_caller]
pub(crate) fn on_each_driver(test: impl Fn(&'static str) + Sync) {
    let test = &test;
    thread::scope(|scope| {
        let start = |driver: &'static str| {
            let builder = thread::Builder::new().name(driver.to_owned());
            builder.spawn_scoped(scope, move || test(driver)).expect("a thread can be started")
        };
        let running: Vec<_> = drivers().iter().map(|driver| start(driver)).collect();
        for thread in running {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    });
}

/// The drivers that this machine has, as `rim doctor` says: where it says that there is io_uring,
/// nothing is left out.
pub(crate) fn drivers() -> &'static [&'static str] {
    static DRIVERS: OnceLock<&[&str]> = OnceLock::new();
    DRIVERS.get_or_init(|| match run("doctor").code {
        0 => &["uring", "epoll"],
        3 => {
            say("there is no io_uring here (rim doctor): what is tested is the epoll driver");
            &["epoll"]
        }
        code => panic!("rim doctor: exit code {code}"),
    })
}

/// Prints a line, past the harness, which shows the output of tests that fail only.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "\n{text}");
}
