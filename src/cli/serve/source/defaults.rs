//! The flags for namespaces and agents that say nothing themselves.

use std::time::Duration;

use clap::Args;

use crate::{duration, policy::Mode};

/// The defaults for namespaces without our labels.
#[derive(Args, Clone, Debug)]
pub(in crate::cli::serve) struct Defaults {
    /// Policy for namespaces without the label callgate.dev/policy; if unset, their pods are
    /// allowed. Not with --standalone
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "standalone",
        env = "CALLGATE_DEFAULT_POLICY"
    )]
    pub(super) default_policy: Option<String>,

    /// Mode of namespaces without the label callgate.dev/mode: enforce, warn or audit. Not with
    /// --standalone
    #[arg(
        long,
        value_name = "MODE",
        default_value = "enforce",
        conflicts_with = "standalone",
        value_parser = Mode::of_flag,
        env = "CALLGATE_DEFAULT_MODE"
    )]
    pub(super) default_mode: Mode,

    /// How long the agent of a node may be silent before what it reported counts no longer. Agents
    /// give a sign of life every five minutes. Not with --standalone
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "16m",
        conflicts_with = "standalone",
        value_parser = duration::parse,
        env = "CALLGATE_AGENT_TIMEOUT"
    )]
    pub(super) agent_timeout: Duration,

    /// Keep the object from which the API server takes the profiles that it sets itself, for the
    /// component in-process. Not with --standalone
    #[arg(long, conflicts_with = "standalone", env = "CALLGATE_IN_PROCESS")]
    pub(super) in_process: bool,

    /// Keep in an object of each namespace which pods were denied, or would have been in mode
    /// enforce; `callgate ladder` decides by it. Not with --standalone
    #[arg(long, conflicts_with = "standalone", env = "CALLGATE_EVIDENCE")]
    pub(super) evidence: bool,

    /// With --evidence, also write it as a Report of openreports.io in each namespace; its CRD has to
    /// be installed
    #[arg(long, requires = "evidence", env = "CALLGATE_OPEN_REPORTS")]
    pub(super) open_reports: bool,
}
