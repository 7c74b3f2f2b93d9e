//! What a script needs beside the driver itself.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rim_driver::{Driver, Listener};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use socket2::{Domain, SockAddr, Socket, Type};
use tempfile::TempDir;

/// A driver in a world with a network and a directory.
pub(crate) trait Environment {
    /// The driver.
    fn driver(&mut self) -> &mut dyn Driver;

    /// Listens on a free port of this address, if the world has that address.
    fn listen(&mut self, ip: IpAddr) -> Option<(Listener, SocketAddr)>;

    /// Where every connection is refused.
    fn refusing(&mut self) -> SocketAddr;

    /// Where a connection is neither accepted nor refused, if the world has such a place.
    fn silent(&mut self) -> Option<SocketAddr>;

    /// The absolute path of the directory. What lies beside it is outside.
    fn root(&self) -> String;

    /// Makes something, under a path relative to the directory; a file replaces what was there.
    fn make(&mut self, path: &str, what: Made<'_>);
}

/// What can be made in the directory.
#[derive(Clone, Copy)]
pub(crate) enum Made<'a> {
    File(&'a [u8]),
    Directory,
    Link(&'a str),
    Fifo,
}

/// Bytes that either end of a connection may have on its way: little, so that a send soon waits.
const SOCKET_BUFFER_BYTES: usize = 64 << 10;

/// The running kernel.
pub(crate) struct Real<D> {
    /// Dropped first: the others are what it works on.
    driver: D,
    adopt: fn(&mut D, TcpListener) -> Listener,
    directory: TempDir,
    kept: Vec<Socket>,
}

impl<D: Driver> Real<D> {
    pub(crate) fn new(driver: D, adopt: fn(&mut D, TcpListener) -> Listener) -> Self {
        let directory = tempfile::tempdir().expect("a directory for the test's files");
        fs::create_dir(directory.path().join("root")).expect("a directory inside");
        Self { driver, adopt, directory, kept: Vec::new() }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join("root").join(path)
    }
}

impl<D: Driver> Environment for Real<D> {
    fn driver(&mut self) -> &mut dyn Driver {
        &mut self.driver
    }

    fn listen(&mut self, ip: IpAddr) -> Option<(Listener, SocketAddr)> {
        let socket = bound(ip)?;
        // Accepted sockets inherit it.
        socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES).expect("a receive buffer");
        socket.set_send_buffer_size(SOCKET_BUFFER_BYTES).expect("a send buffer");
        socket.listen(128).expect("a listener");
        let address = address(&socket);
        Some(((self.adopt)(&mut self.driver, socket.into()), address))
    }

    /// A port that is bound, so that nobody else gets it, and not listened on.
    fn refusing(&mut self) -> SocketAddr {
        let socket = bound(Ipv4Addr::LOCALHOST.into()).expect("a port");
        let address = address(&socket);
        self.kept.push(socket);
        address
    }

    /// A listener whose queue is full: the kernel drops what asks for more.
    fn silent(&mut self) -> Option<SocketAddr> {
        let socket = bound(Ipv4Addr::LOCALHOST.into()).expect("a port");
        socket.listen(0).expect("a listener");
        let address = address(&socket);
        self.kept.push(TcpStream::connect(address).expect("room for one").into());
        for _ in 0..3 {
            let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            client.set_nonblocking(true).expect("a switch");
            // It is on its way; that it does not arrive is what it is for.
            let _ = client.connect(&SockAddr::from(address));
            self.kept.push(client);
        }
        self.kept.push(socket);
        Some(address)
    }

    fn root(&self) -> String {
        self.path("").to_str().expect("a path in UTF-8").to_owned()
    }

    fn make(&mut self, path: &str, what: Made<'_>) {
        let path = self.path(path);
        make(&path, what).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

fn make(path: &Path, what: Made<'_>) -> std::io::Result<()> {
    match what {
        Made::File(content) => {
            let temporary = path.with_extension("new");
            fs::write(&temporary, content)?;
            fs::rename(&temporary, path)
        }
        Made::Directory => fs::create_dir(path),
        Made::Link(target) => symlink(target, path),
        Made::Fifo => Ok(mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?),
    }
}

fn bound(ip: IpAddr) -> Option<Socket> {
    let address = SocketAddr::new(ip, 0);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).ok()?;
    socket.bind(&address.into()).ok()?;
    Some(socket)
}

fn address(socket: &Socket) -> SocketAddr {
    socket.local_addr().ok().and_then(|address| address.as_socket()).expect("a bound socket")
}
