//! A static edge server: a worker per core, each with a driver, a listener, connections and an index
//! of files of its own, and nothing shared between them but what is immutable, and messages.
//!
//! From the inside out:
//!
//! * `service` decides what to answer, from a parsed request and what is known about files;
//! * `answer` turns that into bytes, `body` gives out long content piece by piece;
//! * `connection` is one client's state: `transport`, `protocol`, and the exchange under way;
//! * `files` knows what there is at a path, and finds it out;
//! * `worker` is the loop: it brings completions to their owners and carries out what they want;
//! * `crew`, `serve`, `config`, `args` and `doctor` are the process around the workers.

mod answer;
pub mod args;
mod body;
mod clock;
mod close_reason;
pub mod config;
mod connection;
mod crew;
pub mod doctor;
mod files;
mod limits;
mod mailbox;
mod protocol;
pub mod reference;
pub mod serve;
mod service;
mod snapshot;
mod timers;
mod transport;
mod worker;

/// What the `Server` field says.
pub(crate) const SERVER: &str = "rim";
