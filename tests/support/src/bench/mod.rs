//! The reviews that benches send, and how they measure a process.

pub mod review;
pub mod run;
pub mod server;
pub mod usage;
