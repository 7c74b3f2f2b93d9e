//! Small servers with a thread per connection, which do what a test tells them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use socket2::SockRef;

/// An answer with nothing wrong.
pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// A server that runs until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    requests: AtomicU64,
    is_over: AtomicBool,
}

/// One accepted connection.
pub(crate) struct Peer {
    stream: TcpStream,
    shared: Arc<Shared>,
    /// How many were accepted before it.
    pub(crate) number: u64,
}

impl Server {
    /// Starts one that does `serve` with each connection, and closes it afterwards.
    pub(crate) fn start(
        serve: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared::default());
        let (serve, of_thread) = (Arc::new(serve), shared.clone());
        let accept = move || {
            for (number, stream) in listener.incoming().enumerate() {
                if of_thread.is_over.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (serve, shared, number) = (serve.clone(), of_thread.clone(), number as u64);
                // It ends when the client closes the connection, if not before.
                thread::spawn(move || serve(&mut Peer { stream, shared, number }));
            }
        };
        Self { address, shared, thread: Some(thread::spawn(accept)) }
    }

    /// One that answers every request with the same bytes.
    pub(crate) fn answering(answer: &'static [u8]) -> Self {
        Self::start(move |peer| {
            while peer.take_request()? {
                peer.send(answer)?;
            }
            Ok(())
        })
    }

    /// One that answers the first request of each connection with these bytes and closes.
    pub(crate) fn answering_once(answer: &'static [u8]) -> Self {
        Self::start(move |peer| {
            if peer.take_request()? {
                peer.send(answer)?;
            }
            Ok(())
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/file?name", self.address)
    }

    /// How many requests it has seen.
    pub(crate) fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // Makes it look.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            thread.join().expect("accepting does not panic");
        }
    }
}

impl Peer {
    /// Reads a whole request; whether there was one.
    pub(crate) fn take_request(&mut self) -> io::Result<bool> {
        let mut request = Vec::new();
        let mut byte = [0; 256];
        while !request.ends_with(b"\r\n\r\n") {
            let count = self.stream.read(&mut byte)?;
            if count == 0 {
                return Ok(false);
            }
            request.extend_from_slice(&byte[..count]);
        }
        // Nobody here sends two at once.
        assert!(request.starts_with(b"GET /file?name HTTP/1.1\r\nHost: 127.0.0.1:"));
        self.shared.requests.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Has the connection broken and not closed, when it ends.
    pub(crate) fn reset(&mut self) -> io::Result<()> {
        SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO))
    }

    /// Waits until the client has closed the connection.
    pub(crate) fn wait_for_end(&mut self) -> io::Result<()> {
        io::copy(&mut self.stream, &mut io::sink()).map(drop)
    }
}
