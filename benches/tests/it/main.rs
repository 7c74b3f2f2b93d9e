//! The program with real servers: those of the workspace, and ones that are not what they should be.

mod models;
mod programs;
mod runs;
mod stopping;
mod usage;
