//! Brings profiles to one node, and says what is there.
//!
//! [`plan()`] decides what is to be done to the files and [`writes`] what to
//! tell the API server; both are pure. [`host`] does the one, [`Agent::run`]
//! the other, in this order: write, sync, rename, read again, hash, and only
//! then report.

mod bring;
mod event;
mod found;
pub mod host;
mod name;
mod native;
mod plan;
mod reconciler;
mod report;
mod run;
mod wanted;
mod watch;

pub use self::{
    bring::Fetch,
    event::{AgentEvent, EventHandler},
    found::{Entry, Failure, Found, Source},
    name::Name,
    plan::{Plan, Present, Released, Step, plan},
    reconciler::Reconciler,
    report::{Condition, ReportError, Seen, Write, writes},
    run::Agent,
    wanted::{Content, Want, Wanted, want},
};

/// The directory under the seccomp directory that is ours alone.
const OWN: &str = "callgate";
