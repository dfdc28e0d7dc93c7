//! The metrics of what listens for denials.

use std::sync::atomic::Ordering;

use prometheus_client::{encoding::EncodeLabelSet, metrics::counter::Counter, registry::Registry};

use super::{
    declare::{Counters, metrics},
    metrics::{registry, render},
};
use crate::denials::Totals;

/// The metrics of `callgate denials`.
#[derive(Debug)]
pub struct DenialMetrics {
    registry: Registry,
    records: Records,
}

metrics! {
    struct Records {
        /// Calls that were denied or logged in containers of the node, by what the filter did
        calls: Counters<Action> = "denials",
        /// Records of calls that are of no container, by why
        unattributed: Counters<Unattributed> = "denials_unattributed",
        /// How often the kernel had more records than could be read in time
        lost: Counter = "denials_lost",
        /// Events about denied calls, by outcome
        events: Counters<Outcome> = "denials_events",
        /// Failures, by kind
        errors: Counters<Failure> = "denials_errors",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Action {
    action: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Unattributed {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failure {
    kind: &'static str,
}

impl DenialMetrics {
    /// All metrics at zero, and `callgate_build_info` for this version.
    pub fn new(version: &'static str) -> Self {
        let mut registry = registry(version);
        let records = Records::register(&mut registry);
        Self { registry, records }
    }

    /// Sets how many records there were (`callgate_denials_total`,
    /// `callgate_denials_unattributed_total`, `callgate_denials_lost_total`).
    pub fn set(&self, totals: &Totals) {
        let Totals { by_action, others, unknown, malformed, lost } = totals;
        let set = |it: &Counter, count: u64| it.inner().store(count, Ordering::Relaxed);
        for (action, count) in by_action {
            set(&self.records.calls.get_or_create(&Action { action }), *count);
        }
        for (reason, count) in [("node", others), ("ended", unknown), ("malformed", malformed)] {
            set(&self.records.unattributed.get_or_create(&Unattributed { reason }), *count);
        }
        set(&self.records.lost, *lost);
    }

    /// Counts an Event (`callgate_denials_events_total`).
    pub fn event(&self, outcome: &'static str) {
        self.records.events.get_or_create(&Outcome { outcome }).inc();
    }

    /// Counts a failure (`callgate_denials_errors_total`).
    pub fn failed(&self, kind: &'static str) {
        self.records.errors.get_or_create(&Failure { kind }).inc();
    }

    /// Renders the current values in the text format of `OpenMetrics`.
    pub fn render(&self) -> String {
        render(&self.registry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_operators_may_rely_on_is_rendered() {
        let metrics = DenialMetrics::new("1.2.3");
        let by_action = [("SCMP_ACT_ERRNO", 37), ("SCMP_ACT_LOG", 2)].into();
        metrics.set(&Totals { by_action, others: 5, unknown: 4, malformed: 1, lost: 3 });
        metrics.failed("silent");
        metrics.event("written");
        let page = metrics.render();
        for line in [
            r#"callgate_denials_total{action="SCMP_ACT_ERRNO"} 37"#,
            r#"callgate_denials_total{action="SCMP_ACT_LOG"} 2"#,
            r#"callgate_denials_unattributed_total{reason="node"} 5"#,
            r#"callgate_denials_unattributed_total{reason="ended"} 4"#,
            r#"callgate_denials_unattributed_total{reason="malformed"} 1"#,
            "callgate_denials_lost_total 3",
            r#"callgate_denials_events_total{outcome="written"} 1"#,
            r#"callgate_denials_errors_total{kind="silent"} 1"#,
            r#"callgate_build_info{version="1.2.3"} 1"#,
        ] {
            assert!(page.lines().any(|it| it == line), "no line {line}\n{page}");
        }
    }
}
