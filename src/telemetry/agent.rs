//! The metrics of an agent.

use std::time::SystemTime;

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::{Registry, Unit},
};

use super::{log, metrics::seconds_of};

/// The metrics of an agent.
#[derive(Debug)]
pub struct AgentMetrics {
    registry: Registry,
    profiles: Family<State, Gauge>,
    files: Gauge,
    files_unlisted: Gauge,
    errors: Family<Kind, Counter>,
    writes: Counter,
    removals: Counter,
    report: Gauge,
    report_writes: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
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
    /// Everything at zero, and `callgate_build_info` for this version.
    pub fn new(version: &'static str) -> Self {
        let mut registry = Registry::with_prefix("callgate");
        let profiles = Family::<State, Gauge>::default();
        let errors = Family::<Kind, Counter>::default();
        let (files, files_unlisted, report) =
            (Gauge::default(), Gauge::default(), Gauge::default());
        let (writes, removals, report_writes) =
            (Counter::default(), Counter::default(), Counter::default());
        registry.register("agent_profiles", "Profiles, by what became of them", profiles.clone());
        registry.register("agent_files", "Files that were reported", files.clone());
        registry.register(
            "agent_files_unlisted",
            "Files that were not reported, as there are too many",
            files_unlisted.clone(),
        );
        registry.register("agent_errors", "What could not be done, by kind", errors.clone());
        registry.register("agent_writes", "Files that were written", writes.clone());
        registry.register("agent_removals", "Files that were removed", removals.clone());
        registry.register_with_unit(
            "agent_report_timestamp",
            "When the API server was told of everything last, in seconds since 1970",
            Unit::Seconds,
            report.clone(),
        );
        log::register(&mut registry);
        registry.register(
            "agent_report_writes",
            "Calls of the API server that wrote what is on the node",
            report_writes.clone(),
        );
        registry.register("build", "The version that runs", Info::new([("version", version)]));
        Self {
            registry,
            profiles,
            files,
            files_unlisted,
            errors,
            writes,
            removals,
            report,
            report_writes,
        }
    }

    /// Notes how many profiles there are (`callgate_agent_profiles`).
    pub fn profiles(&self, count: Profiles) {
        let Profiles { wanted, installed, released } = count;
        let all = [("wanted", wanted), ("installed", installed), ("released", released)];
        for (state, count) in all {
            self.profiles.get_or_create(&State { state }).set(whole(count));
        }
    }

    /// Notes how many files were reported (`callgate_agent_files`), and how many
    /// more there are (`callgate_agent_files_unlisted`).
    pub fn files(&self, listed: usize, unlisted: usize) {
        self.files.set(whole(listed));
        self.files_unlisted.set(whole(unlisted));
    }

    /// Counts a failure (`callgate_agent_errors_total`).
    pub fn failed(&self, kind: &'static str) {
        self.errors.get_or_create(&Kind { kind }).inc();
    }

    /// Counts files that were written and removed (`callgate_agent_writes_total`,
    /// `callgate_agent_removals_total`).
    pub fn changed(&self, written: usize, removed: usize) {
        self.writes.inc_by(written as u64);
        self.removals.inc_by(removed as u64);
    }

    /// Sets when the last report to the API server was complete, in seconds since
    /// 1970 (`callgate_agent_report_timestamp_seconds`).
    pub fn reported(&self, now: SystemTime) {
        self.report.set(seconds_of(now));
    }

    /// Counts the calls of a report to the API server
    /// (`callgate_agent_report_writes_total`).
    pub fn told(&self, calls: usize) {
        self.report_writes.inc_by(calls as u64);
    }

    /// The page of this instant, in the text format of `OpenMetrics`.
    #[expect(clippy::missing_panics_doc, reason = "a String takes all that is written to it")]
    pub fn render(&self) -> String {
        let mut page = String::new();
        text::encode(&mut page, &self.registry).expect("a String takes all that is written to it");
        page
    }
}

fn whole(count: usize) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
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
        metrics.failed("disk-full");
        metrics.failed("disk-full");
        metrics.changed(3, 1);
        metrics.told(4);
        metrics.reported(UNIX_EPOCH + Duration::from_secs(1_800_000_001));
        let page = metrics.render();
        for line in [
            r#"callgate_agent_profiles{state="wanted"} 7"#,
            r#"callgate_agent_profiles{state="installed"} 5"#,
            r#"callgate_agent_profiles{state="released"} 1"#,
            "callgate_agent_files 40",
            "callgate_agent_files_unlisted 2",
            r#"callgate_agent_errors_total{kind="disk-full"} 2"#,
            "callgate_agent_writes_total 3",
            "callgate_agent_removals_total 1",
            "callgate_log_lines_dropped_total 0",
            "callgate_agent_report_writes_total 4",
            "callgate_agent_report_timestamp_seconds 1800000001",
            r#"callgate_build_info{version="1.2.3"} 1"#,
            "# EOF",
        ] {
            assert!(page.lines().any(|it| it == line), "no line {line}\n{page}");
        }
    }
}
