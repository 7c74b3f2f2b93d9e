//! The floor: the least that a responder on io_uring can do.
//!
//! Usage: `null PORT BYTES`. Whatever arrives, it sends the same response with a body of BYTES
//! zeros, one per receive. It parses nothing, looks nothing up, has no time-outs, and uses the
//! io-uring crate directly with plain settings: one ring, one multishot accept, one multishot
//! receive per connection, one send per answer. What a real server costs above it is the server's
//! own doing; what it costs itself is the kernel's.

use std::collections::HashMap;
use std::env;
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::{BufRingEntry, Fd, Fixed};
use io_uring::{IoUring, cqueue, opcode, squeue};

const ACCEPT: u64 = 1 << 32;
const RECEIVE: u64 = 2 << 32;
const SEND: u64 = 3 << 32;
const CLOSE: u64 = 4 << 32;
const CONNECTIONS_MAX: u32 = 16_384;
const BUFFERS: u16 = 1024;
const BUFFER_BYTES: usize = 2048;
const GROUP: u16 = 0;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (Some(port), Some(bytes)) = (
        arguments.first().and_then(|port| port.parse().ok()),
        arguments.get(1).and_then(|bytes| bytes.parse().ok()),
    ) else {
        eprintln!("usage: null PORT BYTES");
        return ExitCode::from(2);
    };
    match run(port, bytes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "null: {error}; choose a free port and a kernel with io_uring (6.1 or newer)"
            );
            ExitCode::FAILURE
        }
    }
}

fn run(port: u16, bytes: usize) -> io::Result<()> {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    listener.set_reuse_address(true)?;
    listener.set_tcp_nodelay(true)?;
    listener.bind(&std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    listener.listen(4096)?;
    let listener = TcpListener::from(listener);
    let mut floor = Floor::new(listener, response(bytes))?;
    println!("ready: http://{} driver=null workers=1", floor.listener.local_addr()?);
    io::stdout().flush()?;
    floor.serve()
}

/// As long as a server's usual answer of that size.
fn response(bytes: usize) -> Vec<u8> {
    let mut response = format!(
        "HTTP/1.1 200 OK\r\nServer: null\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: {bytes}\r\nETag: \"0123456789abcdef0123456789abcdef\"\r\n\
         Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n"
    )
    .into_bytes();
    response.resize(response.len() + bytes, 0);
    response
}

struct Floor {
    ring: IoUring,
    listener: TcpListener,
    response: Vec<u8>,
    memory: Vec<[u8; BUFFER_BYTES]>,
    buffer_ring: Vec<BufferRingPage>,
    tail: u16,
    /// Sends cut short, by connection: what is left of them.
    unsent: HashMap<u32, usize>,
}

/// The buffer ring has to begin at a page's boundary.
#[repr(C, align(4096))]
struct BufferRingPage([u8; 4096]);

impl Floor {
    fn new(listener: TcpListener, response: Vec<u8>) -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_clamp()
            .setup_cqsize(CONNECTIONS_MAX * 2)
            .setup_single_issuer()
            .setup_defer_taskrun()
            .build(1024)?;
        ring.submitter().register_files_sparse(CONNECTIONS_MAX)?;
        let pages = usize::from(BUFFERS) * size_of::<BufRingEntry>() / 4096;
        let mut floor = Self {
            ring,
            listener,
            response,
            memory: vec![[0; BUFFER_BYTES]; usize::from(BUFFERS)],
            buffer_ring: (0..pages).map(|_| BufferRingPage([0; 4096])).collect(),
            tail: 0,
            unsent: HashMap::new(),
        };
        let address = floor.buffer_ring.as_ptr() as u64;
        // SAFETY: the pages live as long as the ring, and nobody else writes to them.
        unsafe { floor.ring.submitter().register_buf_ring_with_flags(address, BUFFERS, GROUP, 0) }?;
        for buffer in 0..BUFFERS {
            floor.provide(buffer);
        }
        Ok(floor)
    }

    fn provide(&mut self, buffer: u16) {
        let index = usize::from(self.tail & (BUFFERS - 1));
        let base = self.buffer_ring.as_mut_ptr().cast::<BufRingEntry>();
        // SAFETY: `index` is below the number of entries that the pages hold.
        let entry = unsafe { base.add(index) };
        // SAFETY: the kernel reads entries only below the published tail; this one is beyond it.
        let entry = unsafe { &mut *entry };
        entry.set_addr(self.memory[usize::from(buffer)].as_ptr() as u64);
        entry.set_len(BUFFER_BYTES as u32);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: computes the tail's address in the first entry.
        let tail = unsafe { BufRingEntry::tail(base) }.cast_mut();
        // SAFETY: two aligned bytes that only this thread writes and the kernel reads.
        unsafe { AtomicU16::from_ptr(tail) }.store(self.tail, Ordering::Release);
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: entries name the response, the buffers or nothing; all live as long as the ring.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            self.ring.submit()?;
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        let listener = Fd(self.listener.as_raw_fd());
        let entry = opcode::AcceptMulti::new(listener).allocate_file_index(true).build();
        self.push(&entry.user_data(ACCEPT))
    }

    fn receive(&mut self, connection: u32) -> io::Result<()> {
        let entry = opcode::RecvMulti::new(Fixed(connection), GROUP).build();
        self.push(&entry.user_data(RECEIVE | u64::from(connection)))
    }

    fn send(&mut self, connection: u32, from: usize) -> io::Result<()> {
        let rest = &self.response[from..];
        let entry = opcode::Send::new(Fixed(connection), rest.as_ptr(), rest.len() as u32)
            .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
            .build();
        self.push(&entry.user_data(SEND | u64::from(connection)))
    }

    fn close(&mut self, connection: u32) -> io::Result<()> {
        let entry = opcode::Close::new(Fixed(connection)).build();
        self.push(&entry.user_data(CLOSE))
    }

    fn serve(&mut self) -> io::Result<()> {
        self.accept()?;
        let mut batch: Vec<cqueue::Entry> = Vec::new();
        loop {
            self.ring.submit_and_wait(1)?;
            batch.extend(self.ring.completion());
            for entry in batch.drain(..) {
                self.complete(&entry)?;
            }
        }
    }

    fn complete(&mut self, entry: &cqueue::Entry) -> io::Result<()> {
        let (data, result) = (entry.user_data(), entry.result());
        let (connection, more) = (data as u32, cqueue::more(entry.flags()));
        match data & !u64::from(u32::MAX) {
            ACCEPT => {
                if let Ok(connection) = u32::try_from(result) {
                    self.receive(connection)?;
                }
                if !more {
                    self.accept()?;
                }
            }
            RECEIVE => {
                if let Some(buffer) = cqueue::buffer_select(entry.flags()) {
                    self.provide(buffer);
                }
                if result > 0 {
                    self.send(connection, 0)?;
                }
                match result {
                    _ if more => {}
                    1.. => self.receive(connection)?,
                    _ if result == -libc::ENOBUFS => self.receive(connection)?,
                    _ => self.close(connection)?,
                }
            }
            SEND => {
                let before = self.unsent.remove(&connection).unwrap_or(self.response.len());
                let sent = usize::try_from(result).unwrap_or(before);
                if sent < before {
                    self.unsent.insert(connection, before - sent);
                    self.send(connection, self.response.len() - (before - sent))?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}
