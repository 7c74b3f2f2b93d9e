//! A benchmark suite that compares HTTP servers on one machine, in turn, and keeps every record.
//!
//! A suite takes targets through scenarios. For each run a fresh server is started, checked to be
//! the right program, warmed up, and loaded by `rimload`; then it is stopped, and its record is
//! written before the next run begins. Targets take turns, because machines drift: only figures
//! that were taken in turn can be compared.
//!
//! * `definitions`, `target`, `scenario`, `suite` and `plan` say what there is to do;
//! * `binaries` and `site` make what it is done with;
//! * `start`, `identify`, `idle`, `load` and `window` are the parts of a run, `group`, `cores` and
//!   `stop` keep hold of what was started;
//! * `machine`, `checkout`, `usage`, `record` and `results` keep what came of it;
//! * `outcome`, `table` and `progress` show it.

pub mod args;
mod binaries;
mod checkout;
mod cores;
mod definitions;
mod exchange;
pub mod failure;
mod group;
mod identify;
mod idle;
mod load;
mod machine;
mod outcome;
mod plan;
mod progress;
mod record;
mod results;
mod run;
mod scenario;
mod site;
mod start;
mod stop;
mod suite;
mod table;
mod target;
mod text;
mod usage;
mod window;

pub use run::run;
