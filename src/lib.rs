//! Seccomp admission for Kubernetes.
//!
//! The core decides and touches nothing: [`pod`] reads what a pod says,
//! [`profile`] what a profile does, [`policy`] what follows. Everything else
//! carries requests to the core and answers away from it.

pub mod admission;
pub mod agent;
pub mod api;
pub mod bpf;
pub mod ca;
mod call;
mod causes;
pub mod check;
pub mod cli;
mod clock;
pub mod cluster;
pub mod compile;
pub mod convert;
pub mod denials;
mod duration;
pub mod group;
pub mod in_process;
mod json;
pub mod ladder;
mod log_once;
pub mod placement;
pub mod pod;
pub mod policy;
pub mod position;
pub mod profile;
mod recent;
pub mod replay;
pub mod report;
pub mod scan;
pub mod server;
mod spelling;
pub mod standalone;
pub mod suite;
pub mod telemetry;
pub mod tls;
mod watch;
pub mod witness;
pub mod yaml;
