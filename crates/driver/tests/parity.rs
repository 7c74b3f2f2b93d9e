//! Every driver keeps the promises of the trait in the same way.
//!
//! A script runs operations, with both ends of each connection in the same driver, and notes what
//! comes of them: outcomes, bytes, errors; nothing that may differ between two good drivers, such as
//! slot numbers or the order of what does not depend on each other. The notes must be those that the
//! test expects, on each driver and, for io_uring, with each of its features switched off.
//!
//! A further driver joins with an [`parity::environment::Environment`] and a line in
//! [`parity::script::check`].

mod parity {
    pub(crate) mod environment;
    pub(crate) mod reader;
    pub(crate) mod run;
    pub(crate) mod script;
    pub(crate) mod simulated;

    mod buffers;
    mod cancelling;
    mod closing;
    mod connecting;
    mod control;
    mod files;
    mod transfer;
}
