//! Names of files: whatever bytes they are made of.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::client::Client;
use crate::drivers::on_each_driver;
use crate::server::Server;
use crate::site::Site;

#[test]
fn names_are_bytes() {
    on_each_driver(|driver| {
        let site = Site::new();
        let names: [(&[u8], &str); 12] = [
            (b"a b.txt", "/a%20b.txt"),
            (b"100%.txt", "/100%25.txt"),
            (b"%41", "/%2541"),
            ("\u{e4}\u{20ac}.txt".as_bytes(), "/%C3%A4%e2%82%AC.txt"),
            (b"\xff\xfe.txt", "/%ff%FE.txt"),
            (b"a?b", "/a%3Fb"),
            (b"a#b", "/a%23b"),
            (b"a;b=c&d", "/a;b=c&d"),
            (b"a\\b", "/a%5Cb"),
            (b"a\"b<c>", "/a%22b%3Cc%3E"),
            (b"...", "/a/../%2e%2e%2e"),
            (b"trailing.", "/trailing."),
        ];
        let is_hidden = |name: &[u8]| name.starts_with(b".");
        for (name, _) in names {
            site.write(OsStr::from_bytes(name), name);
        }
        let server = Server::start(&site, driver, "");
        let mut client = Client::connect(server.address());
        for (name, path) in names {
            let answer = client.get(path);
            if is_hidden(name) {
                assert_eq!(answer.status, 404, "{path}");
            } else {
                assert_eq!((answer.status, &answer.content[..]), (200, name), "{path}");
            }
        }
        assert_eq!(client.get("/A").status, 404, "an escape is decoded once");
    });
}

#[test]
fn a_root_may_have_any_name() {
    on_each_driver(|driver| {
        for name in [&b"a b"[..], b"\xff\xfe", "\u{e4}".as_bytes(), b"-x", b"a\"b\\c\n[x] = 1"] {
            let site = Site::new();
            let root = OsStr::from_bytes(name);
            std::fs::create_dir(site.around().join(root)).unwrap();
            std::fs::write(site.around().join(root).join("file"), "content").unwrap();
            let mut command = crate::server::command("serve --listen 127.0.0.1:0");
            command.args(["--driver", driver, "--"]).arg(root).current_dir(site.around());
            let server = Server::spawn(command);
            assert_eq!(Client::connect(server.address()).get("/file").text(), "content");
        }
    });
}

#[test]
fn the_longest_names_are_served_and_longer_ones_are_not_there() {
    on_each_driver(|driver| {
        let site = Site::new();
        let (long, longer) = ("n".repeat(255), "n".repeat(256));
        site.write(&long, "long");
        // As deep as a path may be, and as one may not be.
        let deep = format!("{}/", "d".repeat(200)).repeat(15);
        site.write(format!("{deep}file"), "deep");
        let server = Server::start(&site, driver, "");
        let mut client = Client::connect(server.address());
        assert_eq!(client.get(&format!("/{long}")).text(), "long");
        assert_eq!(client.get(&format!("/{longer}")).status, 404);
        assert_eq!(client.get(&format!("/{deep}file")).text(), "deep");
        assert_eq!(client.get(&format!("/{deep}{deep}file")).status, 404);
        assert_eq!(client.get("/none").status, 404);
    });
}
