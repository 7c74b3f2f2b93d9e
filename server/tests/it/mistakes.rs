//! Mistakes are told in one line, with the exit code of their kind.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use crate::server::{Ran, Server, command, finish, run};
use crate::site::Site;

/// Checks that a run failed with one line that says this.
#[track_caller]
fn assert_fails(ran: &Ran, code: i32, says: &[&str]) {
    assert_eq!(ran.code, code, "{ran:?}");
    assert!(ran.stdout.is_empty(), "{ran:?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    assert!(ran.stderr.starts_with("rim: ") && ran.stderr.ends_with('\n'), "{ran:?}");
    for part in says {
        assert!(ran.stderr.contains(part), "{part:?} is not in {ran:?}");
    }
}

/// Runs `rim serve` on the root of a site, with the arguments of a line.
fn serve(site: &Site, line: &str) -> Ran {
    let mut command = command("serve");
    command.arg(site.root()).args(line.split_whitespace());
    finish(command)
}

#[test]
fn a_command_line_that_makes_no_sense_is_code_2() {
    for (line, says) in [
        ("", "requires a subcommand"),
        ("sreve", "sreve"),
        ("serve --frobnicate", "--frobnicate"),
        ("serve a b", "'b'"),
        ("serve --listen here", "here"),
        ("serve --listen 127.0.0.1", "127.0.0.1"),
        ("serve --listen 127.0.0.1:65536", "65536"),
        ("serve --driver kqueue", "auto, uring, epoll"),
        ("serve --cores", "--cores"),
        ("serve --set", "--set"),
        ("doctor --frobnicate", "--frobnicate"),
        ("doctor x", "'x'"),
    ] {
        assert_fails(&run(line), 2, &[says, "--help"]);
    }
}

#[test]
fn a_directory_that_cannot_be_served_is_code_1() {
    let site = Site::with(&[("file", "x")]);
    let path = |path: &str| site.path(path).display().to_string();
    assert_fails(&run("serve"), 1, &["no directory to serve", "rim serve public"]);
    for (path, says) in [
        (path("none"), "No such file or directory"),
        (path("file"), "Not a directory"),
        (path("file/x"), "Not a directory"),
        ("n".repeat(300), "File name too long"),
    ] {
        let ran = run(&format!("serve {path}"));
        assert_fails(&ran, 1, &[&path, says, "name a directory that exists and can be read"]);
    }
    site.link("loop", "loop");
    let ran = run(&format!("serve {}", path("loop")));
    assert_fails(&ran, 1, &["symbolic links", "name a directory"]);
}

#[test]
fn a_directory_that_may_not_be_searched_is_code_1() {
    // A list of the names that may be read is no permission to open one of them.
    for mode in [0o000, 0o644, 0o666] {
        let site = Site::new();
        fs::set_permissions(site.root(), Permissions::from_mode(mode)).unwrap();
        let ran = finish(crate::files::unprivileged(&site, "auto"));
        let advice = "name a directory that exists and can be read";
        assert_fails(&ran, 1, &["Permission denied", advice]);
    }
}

#[test]
fn a_port_below_1024_is_code_1_for_others_than_root() {
    let first = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    if first.is_ok_and(|first| first.trim().parse().is_ok_and(|first: u16| first <= 1)) {
        return crate::drivers::say("every port may be had here: none was refused");
    }
    let site = Site::new();
    let mut command = crate::files::unprivileged(&site, "auto");
    command.args(["--listen", "127.0.0.1:1"]);
    let says = ["no permission to listen on 127.0.0.1:1", "choose a port", "CAP_NET_BIND_SERVICE"];
    assert_fails(&finish(command), 1, &says);
}

#[test]
fn an_address_that_cannot_be_had_is_code_1() {
    let site = Site::new();
    let says = ["192.0.2.1:8080 is no address of this machine", "ip address"];
    assert_fails(&serve(&site, "--listen 192.0.2.1:8080"), 1, &says);
    for address in ["127.0.0.1:0", "0.0.0.0:0"] {
        let other = TcpListener::bind(address).unwrap();
        let used = format!("127.0.0.1:{}", other.local_addr().unwrap().port());
        let ran = serve(&site, &format!("--listen 127.0.0.1:0 --listen {used}"));
        assert_fails(&ran, 1, &[&used, "is in use", "--listen"]);
    }
}

#[test]
fn two_servers_never_share_a_port() {
    let site = Site::usual();
    for driver in crate::drivers::drivers() {
        let server = Server::start(&site, driver, "");
        let address = server.address();
        for listen in [address.to_string(), format!("0.0.0.0:{}", address.port())] {
            let ran = serve(&site, &format!("--listen {listen} --driver {driver}"));
            assert_fails(&ran, 1, &[&listen, "is in use", "--listen"]);
        }
        let twice = serve(&site, "--listen 127.0.0.1:9 --listen 127.0.0.1:9");
        assert_eq!(twice.code, 1, "{}", twice.stderr);
    }
}

#[test]
fn cores_that_are_not_there_are_code_1() {
    let site = Site::new();
    for cores in ["1000", "0-1000", "1023"] {
        let ran = serve(&site, &format!("--cores {cores}"));
        assert_fails(&ran, 1, &["no core", "choose from 0", "--cores"]);
    }
    for cores in ["x", "0-", "-1", "1-0", "0,,0", "0,", "99999999999999999999", "0x1", "1024"] {
        let ran = serve(&site, &format!("--cores={cores}"));
        assert_fails(&ran, 1, &["cores: ", "write for example 0 or 0-3,8"]);
    }
}

#[test]
fn what_is_quoted_in_a_message_adds_no_lines_to_it() {
    for (arguments, says) in [
        (["/no\nwhere", "--cores=0"], "cannot serve /no where"),
        (["/", "--set=a\nb=c"], "unknown field"),
    ] {
        let mut serve = command("serve");
        serve.args(arguments);
        assert_fails(&finish(serve), 1, &[says]);
    }
}

#[test]
fn settings_that_do_not_exist_or_cannot_work_are_code_1() {
    let site = Site::new();
    for (set, says) in [
        ("index", "write KEY=VALUE"),
        ("=x", "unknown field"),
        ("indx=a", "unknown field `indx`, expected one of `root`, `listen`"),
        ("limits.idle=5", "limits.idle: unknown field `idle`"),
        ("limits.idle_timeout_ms=soon", "invalid type: string \"soon\", expected u64"),
        ("limits.idle_timeout_ms=-1", "invalid value"),
        ("limits.idle_timeout_ms=99", "has to be from 100 to 86400000"),
        ("limits.head_timeout_ms=86400001", "has to be from 100 to 86400000"),
        ("limits.backlog=0", "has to be at least 1"),
        ("limits=5", "invalid type"),
        ("index.x=5", "index.x"),
        ("index=a/b", "without a slash"),
        ("index=", "without a slash"),
        ("listen=[]", "name at least one address"),
        ("listen=8080", "invalid type"),
        ("cores=x", "write for example 0 or 0-3,8"),
        ("driver.kind=kqueue", "unknown variant `kqueue`"),
        ("driver.submission_entries=1000", "power of two"),
        ("driver.receive_buffers=0", "power of two"),
        ("driver.receive_buffer_bytes=1", "has to be from 512"),
        ("cache.bytes_max=-1", "invalid value"),
        ("cache.bytes_max=much", "invalid type"),
        ("limits.connections_max=100000000", "raise it (ulimit -n) or ask for fewer"),
    ] {
        assert_fails(&serve(&site, &format!("--set {set}")), 1, &[says]);
    }
}

#[test]
fn more_connections_than_a_ring_can_hold_are_code_1() {
    if !crate::drivers::drivers().contains(&"uring") {
        return;
    }
    let site = Site::new();
    for (line, says) in [
        ("--set limits.connections_max=5", "(4 per worker) allows 4 connections"),
        (
            "--set limits.connections_max=4 --listen 127.0.0.2:0",
            "(4 per worker) allows 3 connections",
        ),
    ] {
        let line = format!("--cores 0 --listen 127.0.0.1:0 --set driver.sockets_max=4 {line}");
        let advice = "raise it or ask for fewer";
        assert_fails(&serve(&site, &line), 1, &["driver.sockets_max", says, advice]);
    }
}

#[test]
fn a_configuration_file_is_told_with_the_line_that_is_wrong() {
    let site = Site::new();
    let file = site.around().join("rim.toml");
    let shown = file.display().to_string();
    for (text, line, says) in [
        ("index = \"a\"\n\n[limits]\nidel_timeout_ms = 1\n", 4, "unknown field `idel_timeout_ms`"),
        ("index = \n", 1, ""),
        ("index = \"a\"\nindex = \"b\"\n", 2, "duplicate key"),
        ("\n\n[limits\n", 3, ""),
        ("[driver]\nkind = 5\n", 2, ""),
        ("listen = [\"127.0.0.1\"]\n", 1, "invalid socket address"),
        ("index = \"unended\n", 1, ""),
        ("\u{feff}\nnonsense", 2, ""),
    ] {
        fs::write(&file, text).unwrap();
        let ran = serve(&site, &format!("--config {shown}"));
        assert_fails(&ran, 1, &[&format!("{shown}:{line}: "), says]);
    }
    fs::write(&file, "limits.idle_timeout_ms = 1\n").unwrap();
    let ran = serve(&site, &format!("--config {shown}"));
    assert_fails(&ran, 1, &["limits.idle_timeout_ms: has to be from 100"]);
}

#[test]
fn a_configuration_that_cannot_be_read_is_code_1() {
    let site = Site::new();
    let says = ["cannot read the configuration", "check path and permissions"];
    let root = site.root().display().to_string();
    for path in ["/nonexistent/rim.toml", &root] {
        assert_fails(&serve(&site, &format!("--config {path}")), 1, &[path, says[0], says[1]]);
    }
    fs::write(site.around().join("binary"), b"\xff\xfe\x00").unwrap();
    let path = site.around().join("binary").display().to_string();
    assert_fails(&serve(&site, &format!("--config {path}")), 1, &[&path, says[0]]);
    let closed = site.around().join("closed.toml");
    fs::write(&closed, "").unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o000)).unwrap();
    let mut command = crate::files::unprivileged(&site, "auto");
    command.arg("--config").arg(&closed);
    assert_fails(&finish(command), 1, &[&says[..], &["Permission denied"]].concat());
}
