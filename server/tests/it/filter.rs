//! Where io_uring is forbidden, as in most containers: a seccomp filter on the thread that starts the
//! program, which the program inherits.

use std::thread;

use libc::{ENOSYS, EPERM, SYS_io_uring_setup};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

use crate::client::Client;
use crate::server::finish;
use crate::server::{Ran, Server, run, serving};
use crate::site::Site;

/// What a filter makes of io_uring, and how that is told.
const CASES: [(i32, &str); 2] =
    [(EPERM, "io_uring unavailable: EPERM"), (ENOSYS, "io_uring unavailable: ENOSYS")];

/// Does something on a thread for which making a ring fails with `errno`, and so for the programs
/// that it starts.
fn without_uring<T: Send>(errno: i32, act: impl FnOnce() -> T + Send) -> T {
    let forbid = || {
        let errno = u32::try_from(errno).expect("numbers of errors are positive");
        let architecture = std::env::consts::ARCH.try_into().expect("an architecture with filters");
        let filter = SeccompFilter::new(
            [(SYS_io_uring_setup, Vec::new())].into(),
            SeccompAction::Allow,
            SeccompAction::Errno(errno),
            architecture,
        );
        let program: BpfProgram = filter.and_then(TryInto::try_into).expect("a small filter");
        apply_filter(&program).expect("a thread may restrict itself");
        act()
    };
    thread::scope(|scope| scope.spawn(forbid).join().expect("it does not panic"))
}

fn run_without_uring(errno: i32, line: &str) -> Ran {
    without_uring(errno, || run(line))
}

#[test]
fn auto_falls_back_to_epoll_with_one_warning() {
    for (errno, cause) in CASES {
        let site = Site::usual();
        let mut server = without_uring(errno, || Server::start(&site, "auto", ""));
        server.may_complain(1);
        assert!(server.ready().contains(" driver=epoll "), "{}", server.ready());
        assert_eq!(Client::connect(server.address()).get("/").status, 200);
        let said = server.said();
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.starts_with("rim: warning: ") && said.contains(cause), "{said}");
        assert!(said.contains("use the epoll driver; serving on epoll"), "{said}");
    }
}

#[test]
fn epoll_needs_no_uring_and_says_nothing() {
    let site = Site::usual();
    let server = without_uring(EPERM, || Server::start(&site, "epoll", ""));
    assert_eq!(Client::connect(server.address()).get("/").status, 200);
}

#[test]
fn uring_where_there_is_none_is_code_1() {
    for (errno, cause) in CASES {
        let site = Site::usual();
        let ran = without_uring(errno, || finish(serving(&site, "uring", "")));
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        assert!(ran.stderr.starts_with(&format!("rim: {cause}")), "{}", ran.stderr);
        assert!(ran.stderr.contains("use the epoll driver"), "{}", ran.stderr);
    }
}

#[test]
fn the_doctor_says_why_there_is_none() {
    for (errno, cause) in CASES {
        let text = run_without_uring(errno, "doctor");
        assert_eq!((text.code, text.stderr.as_str()), (3, ""));
        assert!(text.stdout.starts_with("driver  ") && text.stdout.contains(cause));
        let json = run_without_uring(errno, "doctor --json");
        assert_eq!((json.code, json.stderr.as_str()), (3, ""));
        let report: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
        assert_eq!(report["driver"], "epoll");
        assert!(report["reason"].as_str().is_some_and(|reason| reason.starts_with(cause)));
        assert_eq!(report["seccomp"], "2");
        let features = report["features"].as_array().expect("a list");
        assert!(features.iter().all(|feature| feature["used"] == false));
    }
}

#[test]
fn the_doctor_and_auto_agree() {
    let json = run("doctor --json");
    let report: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    let driver = report["driver"].as_str().expect("a name");
    assert_eq!(json.code, if driver == "uring" { 0 } else { 3 });
    assert_eq!(run("doctor").code, json.code);
    let site = Site::usual();
    let mut server = Server::start(&site, "auto", "");
    server.may_complain(usize::from(driver == "epoll"));
    assert!(server.ready().contains(&format!(" driver={driver} ")), "{}", server.ready());
}
