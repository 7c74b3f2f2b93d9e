//! Content of files: whole, however large, and from nowhere but below the root.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::process::geteuid;

use crate::client::{Client, get};
use crate::drivers::{on_each_driver, say};
use crate::server::{Server, serving};
use crate::site::{Site, noise};

/// The user that owns nothing.
const NOBODY: u32 = 65_534;
/// Bytes read and compared at a time.
const PIECE: usize = 1 << 20;

/// Gets a path and compares the content, without keeping it.
fn assert_gets(client: &mut Client, path: &str, expected: &[u8]) {
    client.send(get(path));
    let head = client.try_head().expect("a whole head");
    assert_eq!(head.the("Content-Length"), expected.len().to_string(), "{path}");
    for (number, piece) in expected.chunks(PIECE).enumerate() {
        let received = client.try_bytes(piece.len()).expect("the whole content");
        assert!(received == piece, "{path} differs in piece {number}");
    }
}

#[test]
fn a_large_file_arrives_byte_for_byte_with_much_memory_and_with_little() {
    let site = Site::new();
    let large = noise(11, 50_000_001);
    site.write("large", &large);
    on_each_driver(|driver| {
        for cache in ["cache.bytes_max=0", "cache.bytes_max=2000000", "cache.bytes_max=500000000"] {
            let server = Server::start(&site, driver, &format!("--set {cache}"));
            thread::scope(|scope| {
                for _ in 0..3 {
                    let mut client = Client::connect(server.address());
                    let large = &large;
                    scope.spawn(move || assert_gets(&mut client, "/large", large));
                }
            });
        }
    });
}

#[test]
fn a_large_file_never_sits_in_memory_whole_where_the_cache_has_no_room() {
    on_each_driver(|driver| {
        let site = Site::new();
        let large = noise(12, 64 << 20);
        site.write("large", &large);
        site.write("small", "small");
        let server = Server::start(&site, driver, "--set cache.bytes_max=1000000");
        let mut client = Client::connect(server.address());
        assert_eq!(client.get("/small").text(), "small");
        let before = server.resident_kib();
        assert_gets(&mut client, "/large", &large);
        let grown = server.resident_kib().saturating_sub(before);
        assert!(grown < 16 << 10, "{grown} KiB more after a file of 64 MiB");
    });
}

#[test]
fn sizes_around_the_steps_of_sending_and_reading_arrive_whole() {
    on_each_driver(|driver| {
        let site = Site::new();
        let sizes: Vec<usize> = [16 << 10, 64 << 10, 256 << 10, 512 << 10, 1 << 20]
            .into_iter()
            .flat_map(|size| [size - 1, size, size + 1])
            .chain([0, 1])
            .collect();
        for size in &sizes {
            site.write(size.to_string(), noise(*size as u64, *size));
        }
        for cache in ["cache.bytes_max=0", "cache.bytes_max=300000", "cache.bytes_max=100000000"] {
            let server = Server::start(&site, driver, &format!("--set {cache}"));
            let mut client = Client::connect(server.address());
            for size in sizes.iter().chain(&sizes) {
                assert_gets(&mut client, &format!("/{size}"), &noise(*size as u64, *size));
            }
        }
    });
}

#[test]
fn many_more_files_than_there_is_room_for_are_all_served() {
    on_each_driver(|driver| {
        let site = Site::new();
        for number in 0..300 {
            site.write(number.to_string(), noise(number, 3000));
        }
        let server = Server::start(&site, driver, "--set cache.bytes_max=100000");
        let mut client = Client::connect(server.address());
        for number in (0..300).chain((0..300).rev()) {
            assert_gets(&mut client, &format!("/{number}"), &noise(number, 3000));
        }
    });
}

#[test]
fn links_are_followed_while_they_stay_below_the_root() {
    on_each_driver(|driver| {
        let site = Site::usual();
        for (path, target) in [
            ("inside", "a.css"),
            ("dir/up", "../a.css"),
            ("to-dir", "dir"),
            ("twice", "inside"),
            ("outside", "../outside"),
            ("around", ".."),
            ("out-and-in", "../root/a.css"),
            ("dangling", "nowhere"),
            ("loop", "loop"),
            ("ping", "pong"),
            ("pong", "ping"),
            ("absolute-outside", "/etc/passwd"),
            ("magic", "/proc/self/root/etc/passwd"),
        ] {
            site.link(path, target);
        }
        site.link("absolute", site.path("a.css"));
        fs::hard_link(site.path("a.css"), site.path("hard.css")).unwrap();
        let server = Server::start(&site, driver, "");
        let mut client = Client::connect(server.address());
        let css = "p { color: red }";
        for path in ["/inside", "/dir/up", "/twice", "/to-dir/up", "/hard.css"] {
            assert_eq!(client.get(path).text(), css, "{path}");
        }
        assert_eq!(client.get("/to-dir").the("Location"), "/to-dir/");
        assert_eq!(client.get("/to-dir/").text(), "<p>the index of dir</p>");
        for path in [
            "/outside",
            "/around/outside",
            "/around/root/a.css",
            "/out-and-in",
            "/dangling",
            "/loop",
            "/ping",
            "/loop/",
            "/absolute",
            "/absolute-outside",
            "/magic",
        ] {
            assert_eq!(client.get(path).status, 404, "{path}");
        }
    });
}

#[test]
fn what_is_no_regular_file_is_not_there_and_hangs_nobody() {
    on_each_driver(|driver| {
        let site = Site::usual();
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, site.path("fifo"), FileType::Fifo, mode, 0).unwrap();
        let _socket = UnixListener::bind(site.path("socket")).unwrap();
        fs::create_dir(site.path("strange")).unwrap();
        mknodat(CWD, site.path("strange/index.html"), FileType::Fifo, mode, 0).unwrap();
        fs::create_dir_all(site.path("deep/index.html")).unwrap();
        let mut paths = vec!["/fifo", "/fifo/", "/socket", "/strange/", "/deep/"];
        let device = site.path("device");
        match mknodat(CWD, device, FileType::CharacterDevice, mode, makedev(1, 5)) {
            Ok(()) => paths.push("/device"),
            Err(_) => say("devices cannot be made here: none was asked for"),
        }
        // One of a kind that blocks when it is opened would hang the only worker.
        let server = Server::start(&site, driver, "--cores 0");
        let mut client = Client::connect(server.address());
        for path in paths.iter().chain(&paths) {
            assert_eq!(client.get(path).status, 404, "{path}");
            assert_eq!(client.get("/").status, 200);
        }
    });
}

/// A server that is not root, for which every file can be read.
pub(crate) fn unprivileged(site: &Site, driver: &str) -> Command {
    let usual = serving(site, driver, "");
    if !geteuid().is_root() {
        return usual;
    }
    // The program may lie where only root may look. Another process copies it: a descriptor for
    // writing here could be inherited by what another test starts, and keep it from being run.
    let program = site.around().join("rim");
    let mut copy = Command::new("install");
    copy.args(["-m", "755"]).arg(usual.get_program()).arg(&program);
    assert!(copy.status().unwrap().success());
    let mut command = Command::new(program);
    command.args(usual.get_args()).uid(NOBODY).gid(NOBODY);
    command
}

#[test]
fn what_may_not_be_read_is_not_there() {
    on_each_driver(|driver| {
        let site = Site::usual();
        site.write("closed/file", "x");
        for path in ["a.css", "closed"] {
            fs::set_permissions(site.path(path), Permissions::from_mode(0o000)).unwrap();
        }
        let server = Server::spawn(unprivileged(&site, driver));
        let mut client = Client::connect(server.address());
        for path in ["/a.css", "/closed/file", "/closed/"] {
            assert_eq!(client.get(path).status, 404, "{path}");
        }
        assert_eq!(client.get("/").status, 200);
        fs::set_permissions(site.path("closed"), Permissions::from_mode(0o755)).unwrap();
    });
}

#[test]
fn a_directory_whose_names_may_not_be_listed_is_served() {
    on_each_driver(|driver| {
        let site = Site::usual();
        fs::set_permissions(site.root(), Permissions::from_mode(0o711)).unwrap();
        let server = Server::spawn(unprivileged(&site, driver));
        let mut client = Client::connect(server.address());
        assert_eq!(client.get("/").text(), "<p>the index</p>");
        assert_eq!(client.get("/none").status, 404);
    });
}
