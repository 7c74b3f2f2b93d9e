//! Programs that this one starts, each with all that it starts in turn: a process group.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command};
use std::thread;
use std::time::{Duration, Instant};

use procfs::process::{Process, all_processes};
use rim_driver::CoreList;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, waitid,
};

use crate::cores::on_cores;
use crate::stop::LOOK_EVERY;

/// How long a program may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it may take when it is no longer asked.
const KILLED_AT_MOST: Duration = Duration::from_secs(1);
/// How long stopping takes at most.
pub(crate) const STOP_AT_MOST: Duration = Duration::from_secs(3);

/// A program and its descendants. They end with this value.
///
/// The program's id is that of the group. It is not given back to the system before the whole group
/// is gone, so that no signal can reach anybody else.
#[derive(Debug)]
pub(crate) struct Group {
    leader: Child,
    id: Pid,
    is_over: bool,
}

impl Group {
    /// Starts a program on these cores.
    pub(crate) fn start(command: &mut Command, cores: &CoreList) -> io::Result<Self> {
        command.process_group(0);
        let leader = on_cores(cores, || command.spawn())??;
        let id = Pid::from_child(&leader);
        Ok(Self { leader, id, is_over: false })
    }

    /// The standard output of the program, if it goes through a pipe and was not taken before.
    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.leader.stdout.take()
    }

    /// How the program ended, if it has.
    pub(crate) fn end(&self) -> Option<End> {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(self.id), look).ok().flatten().map(End)
    }

    /// The processes of the group that are alive.
    pub(crate) fn processes(&self) -> Vec<Process> {
        let all = all_processes().into_iter().flatten().flatten();
        let is_ours = |process: &Process| {
            let group = self.id.as_raw_nonzero().get();
            process.stat().is_ok_and(|stat| stat.pgrp == group && stat.state != 'Z')
        };
        all.filter(is_ours).collect()
    }

    /// Asks the group to end, and makes it end if it does not.
    pub(crate) fn stop(&mut self) {
        if self.is_over {
            return;
        }
        self.is_over = true;
        // It fails only if all are gone.
        let _ = kill_process_group(self.id, Signal::TERM);
        self.wait_until_gone(PATIENCE);
        let _ = kill_process_group(self.id, Signal::KILL);
        self.wait_until_gone(KILLED_AT_MOST);
        let _ = self.leader.wait();
    }

    fn wait_until_gone(&self, at_most: Duration) {
        let give_up = Instant::now() + at_most;
        while !self.processes().is_empty() && Instant::now() < give_up {
            thread::sleep(LOOK_EVERY / 4);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How a program ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End(WaitIdStatus);

impl End {
    /// Its exit code, unless a signal ended it.
    pub(crate) fn code(&self) -> Option<i32> {
        self.0.exit_status()
    }

    /// For people.
    pub(crate) fn describe(&self) -> String {
        match (self.0.exit_status(), self.0.terminating_signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (_, Some(signal)) => format!("signal {signal}"),
            _ => "it is not known how".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Group {
        let mut command = Command::new("sh");
        Group::start(command.args(["-c", script]), &CoreList::allowed()).unwrap()
    }

    fn wait_for(what: impl Fn() -> bool) {
        let give_up = Instant::now() + Duration::from_secs(20);
        while !what() {
            assert!(Instant::now() < give_up);
            thread::sleep(LOOK_EVERY);
        }
    }

    #[test]
    fn descendants_end_with_the_program_even_if_they_do_not_want_to() {
        let mut group = shell("trap '' TERM; sleep 1000 & sh -c 'sleep 1000; true' & wait");
        wait_for(|| group.processes().len() == 4);
        assert!(group.end().is_none());
        group.stop();
        assert!(group.processes().is_empty());
    }

    #[test]
    fn a_program_that_has_ended_still_has_descendants() {
        let group = shell("sleep 1000 & exit 7");
        wait_for(|| group.end().is_some());
        assert_eq!(group.end().unwrap().code(), Some(7));
        assert_eq!(group.end().unwrap().describe(), "exit code 7");
        wait_for(|| group.processes().len() == 1);
        let left = group.processes();
        drop(group);
        assert!(!left[0].is_alive() || left[0].stat().unwrap().state == 'Z');
        let killed = shell("kill -KILL $$");
        wait_for(|| killed.end().is_some());
        assert_eq!(killed.end().unwrap().describe(), "signal 9");
    }
}
