//! The program against servers that lie, starve, break off or are not there.

mod lies;
mod outages;
mod runs;
mod server;
mod tool;
mod usage;
