//! The metrics of an agent.

use std::time::SystemTime;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

use super::{
    declare::{Counters, Gauges, metrics},
    metrics::{registry, render, seconds_of, whole},
};

/// The metrics of an agent.
#[derive(Debug)]
pub struct AgentMetrics {
    registry: Registry,
    node: Node,
}

metrics! {
    struct Node {
        /// Profiles, by what became of them
        profiles: Gauges<State> = "agent_profiles",
        /// Files that were reported
        files: Gauge = "agent_files",
        /// Files that were not reported, as there are too many
        files_unlisted: Gauge = "agent_files_unlisted",
        /// Containers of the node that run, by the seccomp mode of their processes
        containers: Gauges<Seccomp> = "containers",
        /// Containers that run without the filter that their pod declares, a hundred at most
        against_spec: Gauge = "containers_against_spec",
        /// Failures, by kind
        errors: Counters<Failure> = "agent_errors",
        /// Files that were written
        writes: Counter = "agent_writes",
        /// Files that were removed
        removals: Counter = "agent_removals",
        /// When the last complete report reached the API server, in seconds since 1970
        report: Gauge = "agent_report_timestamp" in Seconds,
        /// By how much the clock of the node is ahead of the API server's
        clock_ahead: Gauge = "agent_clock_ahead" in Seconds,
        /// Calls of the API server that wrote what is on the node
        report_writes: Counter = "agent_report_writes",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Seccomp {
    seccomp: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failure {
    kind: &'static str,
}

/// How many profiles there are on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Profiles {
    pub wanted: usize,
    pub installed: usize,
    pub released: usize,
}

impl AgentMetrics {
    /// All metrics at zero, and `callgate_build_info` for this version.
    pub fn new(version: &'static str) -> Self {
        let mut registry = registry(version);
        let node = Node::register(&mut registry);
        Self { registry, node }
    }

    /// Sets how many profiles there are (`callgate_agent_profiles`).
    pub fn profiles(&self, count: Profiles) {
        let Profiles { wanted, installed, released } = count;
        let all = [("wanted", wanted), ("installed", installed), ("released", released)];
        for (state, count) in all {
            self.node.profiles.get_or_create(&State { state }).set(whole(count));
        }
    }

    /// Sets how many files were reported (`callgate_agent_files`), and how many more there are
    /// (`callgate_agent_files_unlisted`).
    pub fn files(&self, listed: usize, unlisted: usize) {
        self.node.files.set(whole(listed));
        self.node.files_unlisted.set(whole(unlisted));
    }

    /// Sets how many containers run in each mode (`callgate_containers`), and how many without the
    /// filter that their pod declares (`callgate_containers_against_spec`).
    pub fn containers(&self, modes: &[(&'static str, usize)], against_spec: usize) {
        self.node.against_spec.set(whole(against_spec));
        for (seccomp, count) in modes.iter().copied() {
            self.node.containers.get_or_create(&Seccomp { seccomp }).set(whole(count));
        }
    }

    /// Counts a failure (`callgate_agent_errors_total`).
    pub fn failed(&self, kind: &'static str) {
        self.node.errors.get_or_create(&Failure { kind }).inc();
    }

    /// Counts files that were written and removed (`callgate_agent_writes_total`,
    /// `callgate_agent_removals_total`).
    pub fn changed(&self, written: usize, removed: usize) {
        self.node.writes.inc_by(written as u64);
        self.node.removals.inc_by(removed as u64);
    }

    /// Sets when the last report to the API server was complete, in seconds since
    /// 1970 (`callgate_agent_report_timestamp_seconds`).
    pub fn reported(&self, now: SystemTime) {
        self.node.report.set(seconds_of(now));
    }

    /// Sets by how much the clock of the node is ahead of the API server's
    /// (`callgate_agent_clock_ahead_seconds`).
    pub fn clock_is_ahead(&self, seconds: i64) {
        self.node.clock_ahead.set(seconds);
    }

    /// Counts the calls of a report to the API server
    /// (`callgate_agent_report_writes_total`).
    pub fn report_calls(&self, calls: usize) {
        self.node.report_writes.inc_by(calls as u64);
    }

    /// Renders the current values in the text format of `OpenMetrics`.
    pub fn render(&self) -> String {
        render(&self.registry)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn all_that_operators_may_rely_on_is_rendered() {
        let metrics = AgentMetrics::new("1.2.3");
        metrics.profiles(Profiles { wanted: 7, installed: 5, released: 1 });
        metrics.files(40, 2);
        metrics.containers(&[("filter", 12), ("none", 3)], 2);
        metrics.failed("disk-full");
        metrics.failed("disk-full");
        metrics.changed(3, 1);
        metrics.report_calls(4);
        metrics.clock_is_ahead(-61);
        metrics.reported(UNIX_EPOCH + Duration::from_secs(1_800_000_001));
        let page = metrics.render();
        for line in [
            r#"callgate_agent_profiles{state="wanted"} 7"#,
            r#"callgate_agent_profiles{state="installed"} 5"#,
            r#"callgate_agent_profiles{state="released"} 1"#,
            "callgate_agent_files 40",
            "callgate_agent_files_unlisted 2",
            r#"callgate_containers{seccomp="filter"} 12"#,
            r#"callgate_containers{seccomp="none"} 3"#,
            "callgate_containers_against_spec 2",
            r#"callgate_agent_errors_total{kind="disk-full"} 2"#,
            "callgate_agent_writes_total 3",
            "callgate_agent_removals_total 1",
            "callgate_log_lines_dropped_total 0",
            "callgate_agent_report_writes_total 4",
            "callgate_agent_clock_ahead_seconds -61",
            "callgate_agent_report_timestamp_seconds 1800000001",
            r#"callgate_build_info{version="1.2.3"} 1"#,
            "# EOF",
        ] {
            assert!(page.lines().any(|it| it == line), "no line {line}\n{page}");
        }
    }
}
