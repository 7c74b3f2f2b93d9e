//! Simulated clients: what they send, in which pieces, and what they receive.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use rim_driver::sim::{End, Files, Net, Peer, Received};
use rim_driver::{Errno, Time};

use super::ADDRESS;
use super::check::take_answer;
use super::site::Site;

/// One request, and what may come of it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) bytes: Vec<u8>,
    pub(super) expected: Expected,
    /// HEAD: an answer without content.
    pub(super) head_only: bool,
    /// The connection ends after the answer.
    pub(super) is_last: bool,
}

/// What may come of a request.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    /// The file of that path, or 404 if it is not there.
    File(String),
    /// That status.
    Status(u16),
}

/// How a client behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Sends everything, reads everything, closes when it has all answers.
    Good,
    /// Half-closes after its last request, and reads on.
    HalfCloses,
    /// Resets somewhere.
    Resets,
    /// Stops reading somewhere, and stays.
    StopsReading,
    /// Stops sending somewhere, and stays.
    StopsSending,
}

/// What a client is going to do.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) asked: Vec<Asked>,
    pub(super) manner: Manner,
    /// Bytes after which a client that misbehaves does so: sent, or received.
    turning_point: usize,
    /// Longest pause between two acts.
    pub(super) pause_max: Duration,
    /// Most bytes sent or received in one act.
    pub(super) piece_max: usize,
    seed: u64,
}

impl Script {
    /// A client that is good or not, and asks for this and that.
    pub(super) fn random(rng: &mut Rng, site: &Site) -> Self {
        let mut asked = Vec::new();
        for _ in 0..rng.usize(1..8) {
            let request = random_request(rng, site);
            let is_last = request.is_last;
            asked.push(request);
            if is_last {
                break;
            }
        }
        let manner = match rng.u8(..12) {
            0 | 1 => Manner::HalfCloses,
            2 => Manner::Resets,
            3 => Manner::StopsReading,
            4 => Manner::StopsSending,
            _ => Manner::Good,
        };
        let len: usize = asked.iter().map(|asked| asked.bytes.len()).sum();
        // Long pauses or small pieces; with both, the server would rightly give the client up.
        let is_piecemeal = rng.bool();
        Self {
            asked,
            manner,
            turning_point: rng.usize(..len + 2000),
            pause_max: Duration::from_micros(rng.u64(1..if is_piecemeal { 1000 } else { 200_000 })),
            piece_max: if is_piecemeal { rng.usize(64..5000) } else { usize::MAX },
            seed: rng.u64(..),
        }
    }

    /// A client that sends `asked` in pieces of at most `piece_max` bytes and behaves.
    pub(super) fn good(asked: Vec<Asked>, piece_max: usize, seed: u64) -> Self {
        let pause_max = Duration::from_micros(100);
        Self { asked, manner: Manner::Good, turning_point: 0, pause_max, piece_max, seed }
    }

    /// Whether the client will get every answer if nothing fails.
    pub(super) fn is_well_behaved(&self) -> bool {
        matches!(self.manner, Manner::Good | Manner::HalfCloses)
    }
}

/// A request for a file.
pub(super) fn get(path: &str, fields: &str) -> Asked {
    Asked {
        bytes: format!("GET /{path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into_bytes(),
        expected: Expected::File(path.to_owned()),
        head_only: false,
        is_last: false,
    }
}

/// A request for something that is answered with a status alone.
fn status(bytes: &[u8], status: u16, is_last: bool) -> Asked {
    let (bytes, expected) = (bytes.to_vec(), Expected::Status(status));
    Asked { bytes, expected, head_only: false, is_last }
}

fn random_request(rng: &mut Rng, site: &Site) -> Asked {
    let paths = site.paths();
    let path = paths[rng.usize(..paths.len())];
    match rng.u8(..20) {
        0 => {
            let mut head = get(path, "");
            head.bytes.splice(..3, *b"HEAD");
            head.head_only = true;
            head
        }
        1 => Asked { is_last: true, ..get(path, "Connection: close\r\n") },
        2 => {
            let mut old = get(path, "");
            old.bytes = format!("GET /{path} HTTP/1.0\r\n\r\n").into_bytes();
            old.is_last = true;
            old
        }
        3 => {
            let mut with_content = get(path, "Content-Length: 700\r\n");
            with_content.bytes.extend([b'G'; 700]);
            with_content
        }
        4 => get("missing.txt", ""),
        5 => status(b"GET /dir HTTP/1.1\r\nHost: a\r\n\r\n", dir_status(site), false),
        6 => status(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 405, false),
        7 => status(b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n", 501, false),
        8 => status(b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400, true),
        9 => status(b"GET / HTTP/1.1\r\n\r\n", 400, true),
        10 => status(b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, true),
        11 => {
            let long = [b"GET /", &[b'a'; 9000][..], b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
            status(&long, 414, true)
        }
        12 => {
            let fields = b"a: b\r\n".repeat(120);
            let many = [b"GET / HTTP/1.1\r\nHost: a\r\n", &fields[..], b"\r\n"].concat();
            status(&many, 431, true)
        }
        13 => Asked {
            bytes: format!("\r\nGET /./x/../{path}?q HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes(),
            ..get(path, "")
        },
        _ => get(path, ""),
    }
}

fn dir_status(site: &Site) -> u16 {
    if site.paths().iter().any(|path| path.starts_with("dir/")) { 301 } else { 404 }
}

/// How long a client that does nothing itself waits to be given up: longer than any time-out.
const PATIENCE: Duration = Duration::from_secs(45);

/// A client at work.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) script: Script,
    rng: Rng,
    end: Option<End>,
    input: Vec<u8>,
    sent: usize,
    pub(super) received: Vec<u8>,
    /// Whole answers, and where the last of them ends.
    pub(super) answered: usize,
    answered_end: usize,
    /// When it last sent or received something.
    active: Time,
    /// How it ended, once it has.
    pub(super) ended: Option<Ended>,
    next: Time,
}

/// How a connection ended, as its client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The server half-closed or closed.
    ByServer,
    /// It was reset.
    Reset,
    /// The client had all it wanted, or went.
    ByClient,
    /// It was never connected.
    Refused,
}

impl Client {
    pub(super) fn new(script: Script) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(Self {
            rng: Rng::with_seed(script.seed),
            end: None,
            input: script.asked.iter().flat_map(|asked| asked.bytes.iter().copied()).collect(),
            script,
            sent: 0,
            received: Vec::new(),
            answered: 0,
            answered_end: 0,
            active: Time::ZERO,
            ended: None,
            next: Time::ZERO,
        }))
    }

    pub(super) fn is_done(&self) -> bool {
        self.ended.is_some()
    }

    fn end(&mut self, how: Ended) {
        self.ended = Some(how);
    }

    /// One act: sends a piece, or receives one, or misbehaves.
    fn act(&mut self, now: Time, net: &mut Net) {
        let Some(end) = self.end else {
            let from = std::net::SocketAddr::from(([127, 0, 0, 2], 0));
            match net.connect(from, ADDRESS) {
                Ok(end) => self.end = Some(end),
                Err(_) => self.end(Ended::Refused),
            }
            return;
        };
        let is_past = |count: usize, script: &Script| count >= script.turning_point;
        match self.script.manner {
            Manner::Resets if is_past(self.sent + self.received.len(), &self.script) => {
                net.reset(end);
                return self.end(Ended::ByClient);
            }
            // It goes after a while; until then the server has every reason to give it up.
            Manner::StopsReading | Manner::StopsSending if now > self.active + PATIENCE => {
                net.close(end);
                return self.end(Ended::ByClient);
            }
            _ => {}
        }
        let stops_sending =
            self.script.manner == Manner::StopsSending && is_past(self.sent, &self.script);
        let stops_reading = self.script.manner == Manner::StopsReading
            && is_past(self.received.len(), &self.script);
        let before = (self.sent, self.received.len());
        if !stops_sending {
            self.send(end, net);
        }
        if !stops_reading && self.ended.is_none() {
            self.receive(end, net);
        }
        if before != (self.sent, self.received.len()) {
            self.active = now;
        }
    }

    fn send(&mut self, end: End, net: &mut Net) {
        if self.sent == self.input.len() {
            return;
        }
        let rest = &self.input[self.sent..];
        let len = self.rng.usize(1..=rest.len().min(self.script.piece_max));
        match net.send(end, &rest[..len]) {
            Ok(sent) => self.sent += sent,
            // The server has closed; what it has answered is still to be read.
            Err(_) => self.sent = self.input.len(),
        }
        if self.sent == self.input.len() && self.script.manner == Manner::HalfCloses {
            net.shutdown(end);
        }
    }

    fn receive(&mut self, end: End, net: &mut Net) {
        let len = self.rng.usize(1..=self.script.piece_max.min(1 << 20));
        match net.receive(end, len, &mut self.received) {
            Ok(Received::Bytes(_) | Received::Nothing) => {}
            Ok(Received::EndOfStream) => {
                net.close(end);
                return self.end(Ended::ByServer);
            }
            Err(Errno::CONNRESET) => return self.end(Ended::Reset),
            Err(errno) => unreachable!("{errno}"),
        }
        self.count_answers();
        let wants_no_more = self.script.manner == Manner::Good
            && !self.script.asked.iter().any(|asked| asked.is_last)
            && self.answered == self.script.asked.len();
        if wants_no_more {
            net.close(end);
            self.end(Ended::ByClient);
        }
    }
}

impl Client {
    /// Counts the answers that have become whole.
    fn count_answers(&mut self) {
        while let Some(asked) = self.script.asked.get(self.answered) {
            let mut rest = &self.received[self.answered_end..];
            match take_answer(&mut rest, asked.head_only) {
                Some(answer) if answer.is_whole => {}
                _ => return,
            }
            self.answered_end = self.received.len() - rest.len();
            self.answered += 1;
        }
    }
}

/// A client in a world.
pub(super) struct Acting(pub(super) Rc<RefCell<Client>>);

impl Peer for Acting {
    fn act(&mut self, now: Time, net: &mut Net, _: &mut Files) -> Option<Time> {
        let mut client = self.0.borrow_mut();
        if client.is_done() {
            return None;
        }
        if now >= client.next {
            client.act(now, net);
            let pause = client.script.pause_max.as_nanos() as u64;
            client.next = now + Duration::from_nanos(client.rng.u64(1..=pause.max(1)));
        }
        Some(client.next)
    }
}
