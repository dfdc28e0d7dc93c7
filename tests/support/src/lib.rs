//! Code that the tests, the suites on clusters and the benches share.
//!
//! A separate package, so that it is compiled once and each suite uses the parts
//! that it needs.

#![allow(clippy::missing_panics_doc, reason = "a test fails by a panic")]

pub mod bench;
pub mod client;
pub mod e2e;
pub mod generated;
pub mod harness;
pub mod helm;
pub mod logged_calls;
pub mod openreports;
pub mod page;
pub mod profiles;
pub mod program;
pub mod report;
pub mod table;
pub mod wait;
