//! Metrics in the text format of `OpenMetrics`.
//!
//! Every label value is a `&'static str`, so no client can create a new series.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};

use super::{
    Traffic, Watches,
    declare::{Counters, metrics},
    log,
};

/// Upper bounds of the buckets of `callgate_review_duration_seconds`.
///
/// A verdict takes some ten microseconds; a millisecond is slow, and the API
/// server waits for five seconds.
const REVIEW_SECONDS: [f64; 14] = [
    0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25,
    1.0, 5.0,
];

/// The metrics of the webhook.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    own: Own,
    traffic: Traffic,
    watches: Watches,
}

metrics! {
    struct Own {
        /// Reviews answered, by webhook, operation and verdict
        reviews: Counters<Review> = "reviews",
        /// Time from having read a review to its verdict
        review_duration: Durations = "review_duration" in Seconds
            as Family::new_with_constructor(|| Histogram::new(REVIEW_SECONDS)),
        /// Findings, by rule and what they led to
        findings: Counters<Finding> = "findings",
        /// When the serving certificate ends, in seconds since 1970
        certificate_expiry: Gauge = "certificate_expiry_timestamp" in Seconds,
        /// Certificates on disk that could not be served
        certificate_reload_failures: Counter = "certificate_reload_failures",
        /// When the CA that replicas share expires, in seconds since 1970
        authority_expiry: Gauge = "authority_expiry_timestamp" in Seconds,
        /// Failed attempts to reconcile the shared CA
        authority_failures: Counter = "authority_failures",
        /// caBundles restored after another client had overwritten them, by configuration
        bundles_put_back: Counters<Configuration> = "bundles_put_back",
        /// By how much the clock is ahead of the API server's
        clock_ahead: Gauge = "clock_ahead" in Seconds,
        /// Events and conditions for the cluster, by object and outcome
        reports: Counters<Report> = "reports",
    }
}

type Durations = Family<Webhook, Histogram, fn() -> Histogram>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Review {
    webhook: &'static str,
    operation: &'static str,
    verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Webhook {
    webhook: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Finding {
    rule: &'static str,
    level: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Report {
    object: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Configuration {
    configuration: &'static str,
}

impl Metrics {
    /// All metrics at zero, and `callgate_build_info` for this version.
    pub fn new(version: &'static str) -> Self {
        let mut registry = registry(version);
        let own = Own::register(&mut registry);
        for configuration in ["mutating", "validating"] {
            // The series starts at 0: otherwise its first value would not be an increase.
            drop(own.bundles_put_back.get_or_create(&Configuration { configuration }));
        }
        let traffic = Traffic::register(&mut registry);
        let watches = Watches::register(&mut registry);
        Self { registry, own, traffic, watches }
    }

    /// Counts one answered review (`callgate_reviews_total`) and the time from
    /// its last byte to its verdict (`callgate_review_duration_seconds`).
    pub fn review(
        &self,
        webhook: &'static str,
        operation: &'static str,
        verdict: &'static str,
        took: Duration,
    ) {
        self.own.reviews.get_or_create(&Review { webhook, operation, verdict }).inc();
        self.own.review_duration.get_or_create(&Webhook { webhook }).observe(took.as_secs_f64());
    }

    /// Counts one finding of a rule (`callgate_findings_total`).
    pub fn finding(&self, rule: &'static str, level: &'static str) {
        self.findings(rule, level, 1);
    }

    /// Counts several findings of a rule (`callgate_findings_total`).
    pub fn findings(&self, rule: &'static str, level: &'static str, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.own.findings.get_or_create(&Finding { rule, level }).inc_by(count);
    }

    /// Sets when the CA that all replicas share expires, in seconds since 1970
    /// (`callgate_authority_expiry_timestamp_seconds`).
    pub fn authority_expires(&self, not_after: SystemTime) {
        self.own.authority_expiry.set(seconds_of(not_after));
    }

    /// Counts a failed attempt to read, write or publish the shared CA
    /// (`callgate_authority_failures_total`).
    pub fn authority_failed(&self) {
        self.own.authority_failures.inc();
    }

    /// Counts a bundle that was restored in a webhook configuration after another client had
    /// overwritten it (`callgate_bundles_put_back_total`).
    pub fn bundle_put_back(&self, configuration: &'static str) {
        self.own.bundles_put_back.get_or_create(&Configuration { configuration }).inc();
    }

    /// Sets by how much the clock is ahead of the API server's
    /// (`callgate_clock_ahead_seconds`).
    pub fn clock_is_ahead(&self, seconds: i64) {
        self.own.clock_ahead.set(seconds);
    }

    /// Counts a report to the cluster (`callgate_reports_total`).
    pub fn reported(&self, object: &'static str, outcome: &'static str) {
        self.own.reports.get_or_create(&Report { object, outcome }).inc();
    }

    /// Sets when the current serving certificate expires, in seconds since 1970
    /// (`callgate_certificate_expiry_timestamp_seconds`).
    pub fn certificate_expires(&self, not_after: SystemTime) {
        self.own.certificate_expiry.set(seconds_of(not_after));
    }

    /// Counts a certificate on disk that cannot be served
    /// (`callgate_certificate_reload_failures_total`).
    pub fn certificate_reload_failed(&self) {
        self.own.certificate_reload_failures.inc();
    }

    /// The metrics of watches.
    pub fn watches(&self) -> &Watches {
        &self.watches
    }

    /// The metrics of connections.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Renders the current values in the text format of `OpenMetrics`.
    pub fn render(&self) -> String {
        render(&self.registry)
    }
}

/// A registry with the metrics that every program of ours has.
pub(super) fn registry(version: &'static str) -> Registry {
    let mut registry = Registry::with_prefix("callgate");
    log::register(&mut registry);
    registry.register("build", "The version that runs", Info::new([("version", version)]));
    registry
}

/// Renders the current values in the text format of `OpenMetrics`.
pub(super) fn render(registry: &Registry) -> String {
    let mut page = String::new();
    text::encode(&mut page, registry).expect("a String takes all that is written to it");
    page
}

pub(super) fn whole(count: usize) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

pub(super) fn seconds_of(time: SystemTime) -> i64 {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    seconds.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_operators_may_rely_on_is_rendered() {
        let metrics = Metrics::new("1.2.3");
        metrics.review("validate", "create", "deny", Duration::from_micros(15));
        metrics.review("validate", "create", "deny", Duration::from_secs(9));
        metrics.finding("privileged", "deny");
        metrics.certificate_expires(UNIX_EPOCH + Duration::from_secs(1_800_000_001));
        metrics.certificate_reload_failed();
        metrics.traffic().opened();
        metrics.traffic().opened();
        metrics.traffic().closed();
        metrics.traffic().refused();
        metrics.traffic().replaced();
        metrics.traffic().request_shed();
        metrics.traffic().body_shed();
        metrics.watches().answered(UNIX_EPOCH + Duration::from_secs(1_800_000_003));
        metrics.watches().failed();
        metrics.watches().confirmed("nodes", UNIX_EPOCH + Duration::from_secs(1_800_000_004));
        metrics.watches().policies_unreadable(2);
        metrics.watches().policies_of_newer_versions(3);
        metrics.watches().agents_silent(4);
        metrics.watches().unreadable("namespaces", 1);
        metrics.authority_expires(UNIX_EPOCH + Duration::from_secs(1_900_000_001));
        metrics.authority_failed();
        metrics.bundle_put_back("mutating");
        metrics.clock_is_ahead(-61);
        metrics.reported("event", "written");
        let page = metrics.render();
        for line in [
            r#"callgate_reviews_total{webhook="validate",operation="create",verdict="deny"} 2"#,
            r#"callgate_review_duration_seconds_count{webhook="validate"} 2"#,
            r#"callgate_review_duration_seconds_bucket{le="0.00001",webhook="validate"} 0"#,
            r#"callgate_review_duration_seconds_bucket{le="0.00002",webhook="validate"} 1"#,
            r#"callgate_review_duration_seconds_bucket{le="+Inf",webhook="validate"} 2"#,
            r#"callgate_findings_total{rule="privileged",level="deny"} 1"#,
            "callgate_certificate_expiry_timestamp_seconds 1800000001",
            "callgate_certificate_reload_failures_total 1",
            "callgate_connections 1",
            "callgate_connections_refused_total 1",
            "callgate_connections_replaced_total 1",
            "callgate_requests_shed_total 1",
            "callgate_bodies_shed_total 1",
            "callgate_cluster_contact_timestamp_seconds 1800000003",
            "callgate_watch_failures_total 1",
            r#"callgate_watch_confirmed_timestamp_seconds{object="nodes"} 1800000004"#,
            "callgate_policies_unreadable 2",
            "callgate_policies_of_newer_versions 3",
            "callgate_agents_silent 4",
            "callgate_log_lines_dropped_total 0",
            r#"callgate_objects_unreadable{object="namespaces"} 1"#,
            "callgate_authority_expiry_timestamp_seconds 1900000001",
            "callgate_authority_failures_total 1",
            r#"callgate_bundles_put_back_total{configuration="mutating"} 1"#,
            r#"callgate_bundles_put_back_total{configuration="validating"} 0"#,
            "callgate_clock_ahead_seconds -61",
            r#"callgate_reports_total{object="event",outcome="written"} 1"#,
            r#"callgate_build_info{version="1.2.3"} 1"#,
            "# EOF",
        ] {
            assert!(page.lines().any(|it| it == line), "no line {line}\n{page}");
        }
    }

    #[test]
    fn every_metric_has_a_help_text_and_a_type() {
        let metrics = Metrics::new("1.2.3");
        metrics.review("mutate", "create", "allow", Duration::ZERO);
        metrics.finding("unset", "audit");
        metrics.reported("event", "dropped");
        metrics.watches().confirmed("nodes", UNIX_EPOCH);
        metrics.watches().unreadable("nodes", 0);
        let page = metrics.render();
        let lines = |start| page.lines().filter(move |it| it.starts_with(start)).count();
        assert_eq!(lines("# HELP callgate_"), 24, "{page}");
        assert_eq!(lines("# TYPE callgate_"), 24, "{page}");
    }

    #[test]
    fn buckets_rise() {
        assert!(REVIEW_SECONDS.is_sorted());
    }
}
