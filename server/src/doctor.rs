//! `rim doctor`: what this machine offers, and what of it is used.

use std::fs;
use std::io::{self, Write};

use rim_driver::{CoreList, Feature, Settings, probe};
use rustix::process::{Resource, getrlimit};
use rustix::system::uname;
use serde::Serialize;

use crate::args::DoctorArguments;

/// Exit code when only the fallback can be used.
const FALLBACK_ONLY: u8 = 3;

/// What is found out.
#[derive(Debug, Serialize)]
struct Report {
    kernel: String,
    cores: usize,
    /// `kernel.io_uring_disabled`; absent before Linux 6.6.
    io_uring_disabled: Option<String>,
    /// The seccomp mode of this process: 0 none, 1 strict, 2 filter.
    seccomp: Option<String>,
    open_files: Option<u64>,
    locked_memory_bytes: Option<u64>,
    listen_backlog_max: Option<String>,
    driver: &'static str,
    /// Why it is that driver.
    reason: String,
    features: Vec<FeatureReport>,
}

#[derive(Debug, Serialize)]
struct FeatureReport {
    name: &'static str,
    since_linux: &'static str,
    available: bool,
    /// With the settings as they are by default.
    used: bool,
}

impl Report {
    fn new() -> Self {
        let probed = probe();
        let (driver, reason) = match &probed {
            Ok(_) => ("uring", "io_uring is available".to_owned()),
            Err(error) => ("epoll", error.to_string()),
        };
        let available = probed.unwrap_or_default();
        let used = available.in_use(&Settings::default());
        let features = Feature::ALL.map(|feature| {
            let (name, since_linux) = feature.describe();
            let (available, used) = (available.has(feature), used.has(feature));
            FeatureReport { name, since_linux, available, used }
        });
        Self {
            kernel: uname().release().to_string_lossy().into_owned(),
            cores: CoreList::allowed().len(),
            io_uring_disabled: sysctl("kernel/io_uring_disabled"),
            seccomp: status_field("Seccomp"),
            open_files: getrlimit(Resource::Nofile).current,
            locked_memory_bytes: getrlimit(Resource::Memlock).current,
            listen_backlog_max: sysctl("net/core/somaxconn"),
            driver,
            reason,
            features: features.into(),
        }
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "not there".into());
        let limit =
            |value: Option<u64>| value.map_or("unlimited".into(), |value| value.to_string());
        let lines = [
            ("driver", format!("{} ({})", self.driver, self.reason)),
            ("kernel", self.kernel.clone()),
            ("cores", self.cores.to_string()),
            ("kernel.io_uring_disabled", text(&self.io_uring_disabled)),
            ("seccomp mode", text(&self.seccomp)),
            ("open files", limit(self.open_files)),
            ("locked memory, bytes", limit(self.locked_memory_bytes)),
            ("net.core.somaxconn", text(&self.listen_backlog_max)),
        ];
        for (name, value) in lines {
            writeln!(out, "{name:<26}{value}")?;
        }
        writeln!(out, "\n{:<26}{:<8}{:<11}used by default", "ring feature", "since", "available")?;
        let word = |yes| if yes { "yes" } else { "no" };
        for feature in &self.features {
            let FeatureReport { name, since_linux, available, used } = *feature;
            writeln!(out, "{name:<26}{since_linux:<8}{:<11}{}", word(available), word(used))?;
        }
        Ok(())
    }
}

/// Prints what there is. The exit code is 0 if io_uring can be used.
///
/// # Errors
/// If it cannot be printed.
pub fn run(arguments: &DoctorArguments) -> anyhow::Result<u8> {
    let report = Report::new();
    let mut out = io::stdout().lock();
    if arguments.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        report.print(&mut out)?;
    }
    Ok(if report.driver == "uring" { 0 } else { FALLBACK_ONLY })
}

fn sysctl(name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/sys/{name}")).ok()?;
    Some(text.trim().to_owned())
}

fn status_field(name: &str) -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.split(':').next() == Some(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
