//! A load generator for HTTP servers that says when its own numbers are worthless.
//!
//! A run has two phases. First all connections are opened, at a bounded pace, and nothing is sent.
//! Then comes the window: every connection sends a request, and the next one as soon as the answer
//! is complete. One thread on each core does this for its share of the connections, with a driver
//! of its own; nothing is shared while they run but immutable requests.
//!
//! What has no answer at the end is counted and not forgotten: requests as outstanding, which makes
//! the percentiles that they hide lower bounds; connections that never got an answer as starved,
//! which makes the run invalid. A [`verdict`] with its reasons stands above every figure.
//!
//! The reader of responses is this crate's own: the servers under test share no code with it.

pub mod args;
mod connection;
mod crew;
pub mod errors;
pub mod failure;
pub mod host;
mod intervals;
pub mod latency;
mod live;
mod opening;
mod output;
pub mod plan;
mod progress;
pub mod report;
pub mod response;
mod run;
pub mod source;
pub mod table;
pub mod tally;
mod thread;
pub mod url;
pub mod verdict;
mod worker;

pub use run::{Finished, run};
