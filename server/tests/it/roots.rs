//! A root that is a symbolic link, and is switched to another directory.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Instant;

use crate::client::Client;
use crate::drivers::on_each_driver;
use crate::server::{Server, command};
use crate::site::{Site, noise};
use crate::wait::{VISIBLE_WITHIN, wait_until};

const LONG: usize = 3_000_000;

/// Two releases with the same paths; every content names its release or belongs to it.
fn releases() -> Site {
    let site = Site::new();
    for release in ["a", "b"] {
        site.write(format!("{release}/index.html"), format!("index of {release}"));
        site.write(format!("{release}/dir/page"), format!("page of {release}"));
        site.write(format!("{release}/long"), long(release));
    }
    site.write("a/only-in-a", "here");
    site.link("current", "a");
    site
}

fn long(release: &str) -> Vec<u8> {
    noise(release.as_bytes()[0].into(), LONG)
}

fn serve(site: &Site, driver: &str, flags: &str) -> Server {
    let mut command = command("serve --listen 127.0.0.1:0 --driver");
    command.arg(driver).arg(site.path("current")).args(flags.split_whitespace());
    Server::spawn(command)
}

/// What `ln -sfn` does, without a moment in which there is no link.
fn switch(site: &Site, release: &str) {
    let new = site.path("new-link");
    symlink(release, &new).unwrap();
    fs::rename(new, site.path("current")).unwrap();
}

/// Which release all paths are answered from; none if not all from one.
fn release(client: &mut Client) -> Option<char> {
    let index = client.get("/").text().strip_prefix("index of ")?.chars().next()?;
    let page = client.get("/dir/page").text().strip_prefix("page of ")?.chars().next()?;
    let content = client.get("/long").content;
    let is_of = |release: &str| content == long(release);
    let long = if is_of("a") { 'a' } else { 'b' };
    assert!(is_of("a") || is_of("b"), "mixed");
    let only = if client.get("/only-in-a").status == 200 { 'a' } else { 'b' };
    (index == page && page == long && long == only).then_some(index)
}

#[test]
fn a_switched_root_is_followed_and_each_answer_is_from_one_tree() {
    on_each_driver(|driver| {
        for flags in ["", "--set cache.bytes_max=0"] {
            let site = releases();
            let server = serve(&site, driver, flags);
            let mut clients: Vec<_> = (0..4).map(|_| Client::connect(server.address())).collect();
            for client in &mut clients {
                assert_eq!(release(client), Some('a'));
            }
            for next in ["b", "a"] {
                let start = Instant::now();
                switch(&site, next);
                for client in &mut clients {
                    wait_until("the switch is seen", || release(client) == next.chars().next());
                }
                assert!(start.elapsed() < VISIBLE_WITHIN, "{:?}", start.elapsed());
            }
        }
    });
}

#[test]
fn one_worker_does_not_go_back() {
    on_each_driver(|driver| {
        let site = releases();
        let server = serve(&site, driver, "--cores 0");
        let mut client = Client::connect(server.address());
        assert_eq!(release(&mut client), Some('a'));
        switch(&site, "b");
        wait_until("the switch is seen", || client.get("/").text() == "index of b");
        for _ in 0..20 {
            assert_eq!(release(&mut client), Some('b'));
        }
    });
}

#[test]
fn a_root_that_goes_away_stays_in_use_until_there_is_another() {
    on_each_driver(|driver| {
        let site = releases();
        let server = serve(&site, driver, "");
        let mut client = Client::connect(server.address());
        assert_eq!(client.get("/").text(), "index of a");
        fs::remove_file(site.path("current")).unwrap();
        // Longer than anything is believed.
        let until = Instant::now() + std::time::Duration::from_millis(1500);
        while Instant::now() < until {
            assert_eq!(client.get("/").text(), "index of a");
        }
        site.link("current", "b");
        wait_until("the new root is seen", || client.get("/").text() == "index of b");
    });
}
