//! Who runs where.

use std::io;

use rim_driver::CoreList;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::failure::CannotRun;

/// The cores of servers and of the load generator.
#[derive(Clone, Debug)]
pub(crate) struct Cores {
    pub(crate) server: CoreList,
    pub(crate) client: CoreList,
    /// Where this program itself is to run: where it is in nobody's way, if there is such a place.
    own: CoreList,
}

impl Cores {
    /// What was asked for, or else the first core for servers and the second for the load generator.
    pub(crate) fn choose(
        server: Option<&CoreList>,
        client: Option<&CoreList>,
    ) -> Result<Self, CannotRun> {
        Self::choose_from(&CoreList::allowed(), server, client)
    }

    fn choose_from(
        allowed: &CoreList,
        server: Option<&CoreList>,
        client: Option<&CoreList>,
    ) -> Result<Self, CannotRun> {
        let server = server.cloned().unwrap_or_else(|| allowed.first(1));
        check(&server, allowed)?;
        let others = without(allowed, &server).unwrap_or_else(|| server.clone());
        let client = client.cloned().unwrap_or_else(|| others.first(1));
        check(&client, allowed)?;
        let own = without(&others, &client).unwrap_or_else(|| client.clone());
        Ok(Self { server, client, own })
    }

    /// Whether servers and load generator take each other's time.
    pub(crate) fn are_shared(&self) -> bool {
        self.server.iter().any(|core| self.client.iter().any(|other| core == other))
    }

    /// Has this thread run where it is in nobody's way.
    pub(crate) fn step_aside(&self) -> io::Result<()> {
        Ok(sched_setaffinity(None, &set(&self.own))?)
    }
}

fn check(asked: &CoreList, allowed: &CoreList) -> Result<(), CannotRun> {
    let no_such_core = |_| CannotRun::NoSuchCore { asked: asked.clone(), allowed: allowed.clone() };
    asked.check(allowed).map_err(no_such_core)
}

/// The cores of a list that are not in another, if there are any.
fn without(list: &CoreList, other: &CoreList) -> Option<CoreList> {
    let rest = list.iter().filter(|core| other.iter().all(|taken| taken != *core));
    let rest: Vec<String> = rest.map(|core| core.to_string()).collect();
    rest.join(",").parse().ok()
}

fn set(cores: &CoreList) -> CpuSet {
    let mut set = CpuSet::new();
    for core in cores.iter() {
        set.set(core);
    }
    set
}

/// Does something on other cores than this thread's: a process that it starts then stays on them.
pub(crate) fn on_cores<T>(cores: &CoreList, action: impl FnOnce() -> T) -> io::Result<T> {
    let before = sched_getaffinity(None)?;
    sched_setaffinity(None, &set(cores))?;
    let result = action();
    sched_setaffinity(None, &before)?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cores(list: &str) -> CoreList {
        list.parse().unwrap()
    }

    #[test]
    fn servers_come_first_and_clients_next() {
        let choose = |allowed| {
            let chosen = Cores::choose_from(&cores(allowed), None, None).unwrap();
            assert_eq!(chosen.are_shared(), allowed == "4");
            [chosen.server, chosen.client, chosen.own].map(|cores| cores.to_string())
        };
        assert_eq!(choose("4"), ["4", "4", "4"]);
        assert_eq!(choose("0-1"), ["0", "1", "1"]);
        assert_eq!(choose("2-7"), ["2", "3", "4-7"]);
    }

    #[test]
    fn what_is_asked_for_is_checked() {
        let (allowed, far) = (cores("0-3"), cores("9"));
        let (server, client) = (cores("1-2"), cores("3"));
        let chosen = Cores::choose_from(&allowed, Some(&server), Some(&client)).unwrap();
        assert_eq!(chosen.own.to_string(), "0");
        let chosen = Cores::choose_from(&allowed, Some(&server), None).unwrap();
        assert_eq!(chosen.client.to_string(), "0");
        assert!(Cores::choose_from(&allowed, Some(&far), None).is_err());
        assert!(Cores::choose_from(&allowed, None, Some(&far)).is_err());
    }

    #[test]
    fn a_process_stays_where_it_was_started() {
        let (first, before) = (CoreList::allowed().first(1), sched_getaffinity(None).unwrap());
        assert_eq!(CoreList::allowed().len(), before.count() as usize);
        let output = on_cores(&first, || {
            std::process::Command::new("grep")
                .args(["Cpus_allowed_list", "/proc/self/status"])
                .output()
        });
        let output = String::from_utf8(output.unwrap().unwrap().stdout).unwrap();
        assert_eq!(output.split_whitespace().last().unwrap(), first.to_string());
        assert_eq!(sched_getaffinity(None).unwrap(), before);
    }
}
