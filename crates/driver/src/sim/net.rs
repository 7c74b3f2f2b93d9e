//! The model of a network: listeners with queues, connections as two byte streams.

use std::collections::VecDeque;
use std::net::SocketAddr;

use fastrand::Rng;

use super::Faults;
use crate::{Errno, Time};

/// Bytes that one direction of a connection holds at most: sent and not yet received.
const WINDOW_BYTES: usize = 16 << 10;

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct End {
    connection: usize,
    /// The end that connected is 0, the one that was accepted 1.
    side: usize,
}

impl End {
    fn other(self) -> Self {
        Self { side: 1 - self.side, ..self }
    }
}

/// What a receive finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// That many bytes were appended.
    Bytes(usize),
    /// The other end has half-closed, and all has been received.
    EndOfStream,
    /// Nothing yet.
    Nothing,
}

/// One direction of a connection.
#[derive(Debug, Default)]
struct Stream {
    /// On their way, with the time of arrival, in order.
    in_transit: VecDeque<(Time, Segment)>,
    /// Arrived and not yet received.
    arrived: VecDeque<u8>,
    bytes_in_transit: usize,
    has_ended: bool,
}

#[derive(Debug)]
enum Segment {
    Bytes(Vec<u8>),
    End,
    Reset,
}

#[derive(Debug)]
struct Connection {
    addresses: [SocketAddr; 2],
    /// By the side that receives.
    towards: [Stream; 2],
    is_open: [bool; 2],
    /// The end has half-closed or closed: it sends no more.
    is_shut: [bool; 2],
    /// The end has learnt of a reset.
    is_reset: [bool; 2],
    /// The error that the next operation of the end is told, once.
    error: [Option<Errno>; 2],
}

#[derive(Debug)]
struct ListenQueue {
    address: SocketAddr,
    backlog: usize,
    waiting: VecDeque<End>,
}

/// All listeners and connections.
#[derive(Debug)]
pub struct Net {
    rng: Rng,
    delay_max_ns: u64,
    now: Time,
    listeners: Vec<ListenQueue>,
    connections: Vec<Connection>,
    next_port: u16,
    /// Counts what was sent and received, to tell whether anything has happened.
    pub(super) activity: u64,
}

impl Net {
    pub(super) fn new(rng: Rng, faults: &Faults) -> Self {
        Self {
            rng,
            delay_max_ns: faults.network_delay_max_ns,
            now: Time::ZERO,
            listeners: Vec::new(),
            connections: Vec::new(),
            next_port: 49_152,
            activity: 0,
        }
    }

    /// Starts to listen; the number of the listener.
    pub fn listen(&mut self, address: SocketAddr, backlog: usize) -> u32 {
        self.listeners.push(ListenQueue { address, backlog, waiting: VecDeque::new() });
        u32::try_from(self.listeners.len() - 1).expect("few listeners")
    }

    /// Connects to whoever listens on `to`. The address to connect from gets a port if it has none.
    ///
    /// # Errors
    /// `ECONNREFUSED` if nobody listens or the queue is full.
    pub fn connect(&mut self, mut from: SocketAddr, to: SocketAddr) -> Result<End, Errno> {
        let queue = self.listeners.iter_mut().find(|queue| queue.address == to);
        let queue = queue.filter(|queue| queue.waiting.len() < queue.backlog);
        let queue = queue.ok_or(Errno::CONNREFUSED)?;
        if from.port() == 0 {
            from.set_port(self.next_port);
            self.next_port = self.next_port.checked_add(1).unwrap_or(49_152);
        }
        let end = End { connection: self.connections.len(), side: 0 };
        queue.waiting.push_back(end.other());
        self.connections.push(Connection {
            addresses: [from, to],
            towards: [Stream::default(), Stream::default()],
            is_open: [true; 2],
            is_shut: [false; 2],
            is_reset: [false; 2],
            error: [None; 2],
        });
        Ok(end)
    }

    /// Takes the connection that has waited longest.
    pub fn accept(&mut self, listener: u32) -> Option<End> {
        self.listeners[listener as usize].waiting.pop_front()
    }

    /// Whether a connection waits to be accepted.
    pub(super) fn can_accept(&self, listener: u32) -> bool {
        !self.listeners[listener as usize].waiting.is_empty()
    }

    /// The address of the other end.
    #[must_use]
    pub fn peer_name(&self, end: End) -> SocketAddr {
        self.connections[end.connection].addresses[end.other().side]
    }

    /// How many bytes fit on their way from `end` now.
    fn room(&self, end: End) -> usize {
        let stream = &self.connections[end.connection].towards[end.other().side];
        WINDOW_BYTES.saturating_sub(stream.arrived.len() + stream.bytes_in_transit)
    }

    /// Sends what fits of `bytes`; how much that was.
    ///
    /// # Errors
    /// `ECONNRESET` once if the connection was reset; `EPIPE` after that, if this end has
    /// half-closed, or if the other end had closed before it was sent to.
    pub fn send(&mut self, end: End, bytes: &[u8]) -> Result<usize, Errno> {
        let connection = &mut self.connections[end.connection];
        if connection.is_reset[end.side] {
            return Err(connection.error[end.side].take().unwrap_or(Errno::PIPE));
        }
        if connection.is_shut[end.side] {
            return Err(Errno::PIPE);
        }
        let len = self.room(end).min(bytes.len());
        if len > 0 {
            self.transmit(end, Segment::Bytes(bytes[..len].to_vec()));
        }
        Ok(len)
    }

    /// Receives up to `len` bytes.
    ///
    /// # Errors
    /// `ECONNRESET` once if the connection was reset: whatever had arrived is gone.
    pub fn receive(&mut self, end: End, len: usize, into: &mut Vec<u8>) -> Result<Received, Errno> {
        let connection = &mut self.connections[end.connection];
        let stream = &mut connection.towards[end.side];
        if connection.is_reset[end.side] {
            let error = connection.error[end.side].take_if(|_| !stream.has_ended);
            return error.map_or(Ok(Received::EndOfStream), Err);
        }
        let len = len.min(stream.arrived.len());
        if len > 0 {
            self.activity += 1;
            into.extend(stream.arrived.drain(..len));
            return Ok(Received::Bytes(len));
        }
        Ok(if stream.has_ended { Received::EndOfStream } else { Received::Nothing })
    }

    /// How many bytes could be received now, or that something else is to be learnt.
    pub(super) fn can_receive(&self, end: End) -> Option<usize> {
        let connection = &self.connections[end.connection];
        let stream = &connection.towards[end.side];
        let has_news =
            connection.is_reset[end.side] || stream.has_ended || !stream.arrived.is_empty();
        has_news.then_some(stream.arrived.len())
    }

    /// Half-closes: the other end will see the end of the stream.
    pub fn shutdown(&mut self, end: End) {
        let connection = &mut self.connections[end.connection];
        if !connection.is_shut[end.side] {
            connection.is_shut[end.side] = true;
            self.transmit(end, Segment::End);
        }
    }

    /// Closes, as close(2) does: politely if all was received, with a reset if not.
    pub fn close(&mut self, end: End) {
        let connection = &mut self.connections[end.connection];
        connection.is_open[end.side] = false;
        let stream = &connection.towards[end.side];
        if stream.arrived.is_empty() {
            self.shutdown(end);
        } else {
            self.transmit(end, Segment::Reset);
        }
    }

    /// Closes with a reset, whatever has been received (`SO_LINGER` of zero).
    pub fn reset(&mut self, end: End) {
        self.connections[end.connection].is_open[end.side] = false;
        self.transmit(end, Segment::Reset);
    }

    fn transmit(&mut self, from: End, segment: Segment) {
        self.activity += 1;
        let delay = if self.delay_max_ns == 0 { 0 } else { self.rng.u64(0..self.delay_max_ns) };
        let stream = &mut self.connections[from.connection].towards[from.other().side];
        let earliest = stream.in_transit.back().map_or(Time::ZERO, |(arrival, _)| *arrival);
        let arrival = Time::from_nanos(self.now.as_nanos() + delay).max(earliest);
        if let Segment::Bytes(bytes) = &segment {
            stream.bytes_in_transit += bytes.len();
        }
        stream.in_transit.push_back((arrival, segment));
        if delay == 0 {
            self.deliver(self.now);
        }
    }

    /// Lets arrive what is due at `now`.
    pub(super) fn deliver(&mut self, now: Time) {
        self.now = now;
        let mut to_reset = Vec::new();
        for (number, connection) in self.connections.iter_mut().enumerate() {
            for side in 0..2 {
                while let Some((arrival, _)) = connection.towards[side].in_transit.front()
                    && *arrival <= now
                {
                    let end = End { connection: number, side };
                    if connection.arrive(side) {
                        to_reset.push(end);
                    }
                }
            }
        }
        for end in to_reset {
            self.transmit(end, Segment::Reset);
        }
    }

    /// The time of the next arrival.
    pub(super) fn next_arrival(&self) -> Option<Time> {
        let streams = self.connections.iter().flat_map(|connection| &connection.towards);
        streams.filter_map(|stream| Some(stream.in_transit.front()?.0)).min()
    }
}

impl Connection {
    /// Lets the next segment towards `side` arrive; whether the answer is a reset, because bytes
    /// came for an end that is closed.
    fn arrive(&mut self, side: usize) -> bool {
        let stream = &mut self.towards[side];
        let Some((_, segment)) = stream.in_transit.pop_front() else { return false };
        match segment {
            Segment::Bytes(bytes) => {
                stream.bytes_in_transit -= bytes.len();
                if !self.is_open[side] {
                    return !self.is_reset[side];
                }
                stream.arrived.extend(bytes);
            }
            Segment::End => stream.has_ended = true,
            Segment::Reset => {
                self.is_reset[side] = true;
                let errno = if stream.has_ended { Errno::PIPE } else { Errno::CONNRESET };
                self.error[side] = Some(errno);
                stream.arrived.clear();
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Net, End, End) {
        let mut net = Net::new(Rng::with_seed(1), &Faults::none());
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let listener = net.listen(address, 1);
        let client = net.connect(SocketAddr::from(([127, 0, 0, 9], 0)), address).unwrap();
        let server = net.accept(listener).unwrap();
        (net, client, server)
    }

    #[test]
    fn bytes_arrive_in_order_and_the_end_after_them() {
        let (mut net, client, server) = pair();
        assert_eq!(net.send(client, b"abc"), Ok(3));
        assert_eq!(net.send(client, b"de"), Ok(2));
        net.shutdown(client);
        let mut into = Vec::new();
        assert_eq!(net.receive(server, 4, &mut into), Ok(Received::Bytes(4)));
        assert_eq!(net.receive(server, 4, &mut into), Ok(Received::Bytes(1)));
        assert_eq!(into, b"abcde");
        assert_eq!(net.receive(server, 4, &mut into), Ok(Received::EndOfStream));
        assert_eq!(net.send(client, b"f"), Err(Errno::PIPE));
        assert_eq!(net.send(server, b"f"), Ok(1), "the other direction still works");
    }

    #[test]
    fn a_window_fills_up() {
        let (mut net, client, server) = pair();
        assert_eq!(net.send(client, &[0; WINDOW_BYTES + 1]), Ok(WINDOW_BYTES));
        assert_eq!(net.send(client, b"x"), Ok(0));
        let mut into = Vec::new();
        net.receive(server, 10, &mut into).unwrap();
        assert_eq!(net.room(client), 10);
    }

    #[test]
    fn closing_with_bytes_unread_resets() {
        let (mut net, client, server) = pair();
        net.send(server, b"answer").unwrap();
        net.send(client, b"unread").unwrap();
        net.close(server);
        let mut into = Vec::new();
        assert_eq!(net.receive(client, 10, &mut into), Err(Errno::CONNRESET));
        assert_eq!(net.send(client, b"x"), Err(Errno::PIPE), "told once");
    }

    #[test]
    fn bytes_for_a_closed_end_are_answered_with_a_reset() {
        let (mut net, client, server) = pair();
        net.close(server);
        let mut into = Vec::new();
        assert_eq!(net.receive(client, 1, &mut into), Ok(Received::EndOfStream));
        assert_eq!(net.send(client, b"late"), Ok(4));
        assert_eq!(net.send(client, b"later"), Err(Errno::PIPE));
    }

    #[test]
    fn nobody_listening_or_a_full_queue_refuses() {
        let (mut net, _, _) = pair();
        let from = SocketAddr::from(([127, 0, 0, 1], 0));
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        assert!(net.connect(from, address).is_ok());
        assert_eq!(net.connect(from, address), Err(Errno::CONNREFUSED), "backlog of 1");
        let nobody = SocketAddr::from(([127, 0, 0, 1], 81));
        assert_eq!(net.connect(from, nobody), Err(Errno::CONNREFUSED));
    }
}
