//! Installs profiles on one node, and reports the files that are there.
//!
//! [`plan()`] decides what to do with the files and [`writes`] what to report to the API server;
//! both are pure. [`host`] changes the files and [`Agent::run`] reports, in this order: write,
//! sync, rename, read again, hash, and only then report.

mod denials;
mod event;
pub mod host;
mod install;
mod name;
mod native;
mod pass_result;
mod plan;
mod reconciler;
mod report;
mod run;
mod wanted;
mod watch;
mod witness;

pub use self::{
    denials::{Listener, ListenerEvent, ListenerEvents, Silence, not_logged},
    event::{AgentEvent, Agreement, ClockSkew, EventHandler},
    install::Fetch,
    name::Name,
    pass_result::{Entry, Failure, PassResult, Source},
    plan::{Plan, Present, Released, Step, plan},
    reconciler::Reconciler,
    report::{Condition, Published, ReportError, Write, writes},
    run::Agent,
    wanted::{Content, Want, Wanted, want},
    witness::Lookout,
};

/// The directory under the seccomp directory that only callgate writes to.
const OWN: &str = "callgate";
