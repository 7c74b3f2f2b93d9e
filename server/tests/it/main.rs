//! The program over real sockets, on every driver that this machine has.

mod cases;
mod changes;
mod client;
mod conditions;
mod connections;
mod deadlines;
mod drivers;
mod ends;
mod files;
mod filter;
mod framing;
mod mistakes;
mod names;
mod pipelining;
mod requests;
mod roots;
mod server;
mod site;
mod starting;
mod stopping;
mod wait;
mod workers;
