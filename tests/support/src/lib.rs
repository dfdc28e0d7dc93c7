//! What the tests, the suites on clusters and the benches share.
//!
//! A package of its own, so that it is compiled once and each suite takes from
//! it what it needs.

#![allow(clippy::missing_panics_doc, reason = "a test fails by a panic")]

pub mod bench;
pub mod client;
pub mod e2e;
pub mod generated;
pub mod harness;
pub mod report;
pub mod table;
pub mod wait;
