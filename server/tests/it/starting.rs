//! Starting: what the ready line says, and what a server can be told.

use std::net::TcpListener;
use std::process::Command;

use crate::client::Client;
use crate::drivers::{drivers, on_each_driver, say};
use crate::server::{Server, command, run, serving};
use crate::site::Site;

/// The `rim serve` of a line, on the root of a site.
fn serve(site: &Site, line: &str) -> Command {
    let mut command = command("serve");
    command.arg(site.root()).args(line.split_whitespace());
    command
}

#[test]
fn the_ready_line_says_where_how_and_with_how_many() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let server = Server::start(&site, driver, "--cores 0");
        let address = server.address();
        assert_ne!(address.port(), 0);
        let expected = format!("ready: http://{address} driver={driver} workers=1");
        assert_eq!(server.ready(), expected);
        assert_eq!(Client::connect(address).get("/").status, 200);
    });
}

#[test]
fn without_cores_there_is_a_worker_for_each_that_is_allowed() {
    let cores = std::thread::available_parallelism().unwrap();
    let site = Site::usual();
    let server = Server::start(&site, drivers()[0], "");
    assert!(server.ready().ends_with(&format!(" workers={cores}")), "{}", server.ready());
}

#[test]
fn all_addresses_are_listened_on_and_named_in_their_order() {
    let has_ipv6 = TcpListener::bind("[::1]:0").is_ok();
    if !has_ipv6 {
        say("there is no IPv6 here: several addresses are all of IPv4");
    }
    on_each_driver(|driver| {
        let site = Site::usual();
        let second = if has_ipv6 { "[::1]:0" } else { "127.0.0.2:0" };
        let flags = format!("--listen {second} --listen 127.0.0.3:0");
        let server = Server::start(&site, driver, &flags);
        let addresses = server.addresses();
        assert_eq!(addresses.len(), 3, "{}", server.ready());
        for (address, asked) in addresses.iter().zip(["127.0.0.1:0", second, "127.0.0.3:0"]) {
            let asked: std::net::SocketAddr = asked.parse().unwrap();
            assert_eq!(address.ip(), asked.ip());
            for _ in 0..10 {
                assert_eq!(Client::connect(*address).get("/").text(), "<p>the index</p>");
            }
        }
    });
}

#[test]
fn a_file_flags_and_keys_are_heeded_in_this_order() {
    let site = Site::with(&[("b.html", "b"), ("c.html", "c")]);
    let file = site.around().join("rim.toml");
    let root = site.root();
    let text = "index = \"a.html\"\nlisten = [\"127.0.0.1:1\"]\n[driver]\nkind = \"uring\"\n";
    std::fs::write(&file, format!("root = {root:?}\n{text}")).unwrap();
    let mut command = command("serve --driver epoll --cores 0 --listen 127.0.0.1:0");
    command.arg("--config").arg(&file).args(["--set", "index=b.html", "--set", "index=c.html"]);
    let server = Server::spawn(command);
    assert!(server.ready().ends_with("driver=epoll workers=1"), "{}", server.ready());
    assert_eq!(Client::connect(server.address()).get("/").text(), "c");
}

#[test]
fn a_relative_directory_is_that_of_the_start() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let mut command = command("serve root --listen 127.0.0.1:0 --driver");
        command.arg(driver).current_dir(site.around());
        let server = Server::spawn(command);
        assert_eq!(Client::connect(server.address()).get("/").text(), "<p>the index</p>");
    });
}

#[test]
fn every_feature_of_the_ring_can_be_done_without() {
    if !drivers().contains(&"uring") {
        return;
    }
    let site = Site::usual();
    for feature in [
        "single_issuer",
        "defer_taskrun",
        "coop_taskrun",
        "submit_all",
        "no_sqarray",
        "registered_ring",
        "direct_descriptors",
        "multishot_accept",
        "multishot_receive",
        "provided_buffers",
        "vectorized_send",
        "socket_commands",
    ] {
        let server = Server::start(&site, "uring", &format!("--set driver.{feature}=false"));
        for _ in 0..3 {
            let mut client = Client::connect(server.address());
            assert_eq!(client.get("/").text(), "<p>the index</p>", "without {feature}");
            assert_eq!(client.get("/a.css").status, 200);
        }
    }
}

#[test]
fn few_open_files_make_few_connections() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let usual = serving(&site, driver, "--cores 0");
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n 100 && exec \"$0\" \"$@\""]);
        command.arg(usual.get_program()).args(usual.get_args());
        let server = Server::spawn(command);
        let clients: Vec<_> = (0..200).map(|_| Client::connect(server.address())).collect();
        drop(clients);
        crate::wait::wait_until("it serves on", || {
            let mut client = Client::connect(server.address());
            client.try_send(crate::client::get("/")).is_ok_and(|()| client.try_head().is_ok())
        });
    });
}

#[test]
fn help_and_version_go_to_standard_output() {
    for line in ["--help", "-h", "help", "serve --help", "doctor --help", "--version", "-V"] {
        let ran = run(line);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{line}");
        assert!(!ran.stdout.is_empty(), "{line}");
    }
    assert_eq!(run("--version").stdout, format!("rim {}\n", env!("CARGO_PKG_VERSION")));
    for option in ["--listen", "--cores", "--driver", "--config", "--set"] {
        assert!(run("serve --help").stdout.contains(option), "{option}");
    }
}

#[test]
fn what_has_no_output_is_served_all_the_same() {
    on_each_driver(|driver| {
        // Nobody reads the ready line: the port has to be known.
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let site = Site::usual();
        let line = format!("--driver {driver} --listen {free}");
        let program = serve(&site, &line);
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec \"$0\" \"$@\" <&- >&- 2>&-"]);
        shell.arg(program.get_program()).args(program.get_args());
        let mut child = shell.spawn().unwrap();
        let client = crate::wait::wait_for("it serves", || Client::try_connect(free).ok());
        let mut client = client;
        assert_eq!(client.get("/").status, 200);
        child.kill().unwrap();
        child.wait().unwrap();
    });
}
