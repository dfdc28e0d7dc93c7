//! The metrics of watches.

use std::time::SystemTime;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use super::metrics::seconds_of;

/// The age of the facts, and how many objects cannot be read.
#[derive(Debug, Default)]
pub struct Watches {
    contact: Gauge,
    failures: Counter,
    confirmed: Family<Object, Gauge>,
    policies_unreadable: Gauge,
    unreadable: Family<Object, Gauge>,
    policies_of_newer_versions: Gauge,
    agents_silent: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Object {
    object: &'static str,
}

impl Watches {
    /// Notes when the API server answered last, in seconds since 1970
    /// (`callgate_cluster_contact_timestamp_seconds`).
    pub fn answered(&self, now: SystemTime) {
        self.contact.set(seconds_of(now));
    }

    /// Counts a watch that failed (`callgate_watch_failures_total`).
    pub fn failed(&self) {
        self.failures.inc();
    }

    /// Notes until when everything is known of objects of that type, in seconds since 1970
    /// (`callgate_watch_confirmed_timestamp_seconds`).
    pub fn confirmed(&self, object: &'static str, at: SystemTime) {
        self.confirmed.get_or_create(&Object { object }).set(seconds_of(at));
    }

    /// Notes how many policies are stored that cannot be read
    /// (`callgate_policies_unreadable`).
    pub fn policies_unreadable(&self, count: usize) {
        self.policies_unreadable.set(count.try_into().unwrap_or(i64::MAX));
    }

    /// Notes how many objects of another type cannot be read
    /// (`callgate_objects_unreadable`).
    pub fn unreadable(&self, object: &'static str, count: usize) {
        let count = count.try_into().unwrap_or(i64::MAX);
        self.unreadable.get_or_create(&Object { object }).set(count);
    }

    /// Notes how many policies have fields that this version does not know
    /// (`callgate_policies_of_newer_versions`).
    pub fn policies_of_newer_versions(&self, count: usize) {
        self.policies_of_newer_versions.set(count.try_into().unwrap_or(i64::MAX));
    }

    /// Notes how many agents have reported something and are silent since
    /// (`callgate_agents_silent`).
    pub fn agents_silent(&self, count: usize) {
        self.agents_silent.set(count.try_into().unwrap_or(i64::MAX));
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "cluster_contact_timestamp",
            "When the API server answered last, in seconds since 1970",
            Unit::Seconds,
            self.contact.clone(),
        );
        registry.register(
            "watch_failures",
            "Watches of the cluster that failed and were tried again",
            self.failures.clone(),
        );
        registry.register_with_unit(
            "watch_confirmed_timestamp",
            "Until when everything is known of these objects, in seconds since 1970",
            Unit::Seconds,
            self.confirmed.clone(),
        );
        registry.register(
            "policies_unreadable",
            "Policies that are stored and cannot be read",
            self.policies_unreadable.clone(),
        );
        registry.register(
            "objects_unreadable",
            "Other objects that are stored and cannot be read, by type",
            self.unreadable.clone(),
        );
        registry.register(
            "policies_of_newer_versions",
            "Policies with fields that this version does not know",
            self.policies_of_newer_versions.clone(),
        );
        registry.register(
            "agents_silent",
            "Nodes whose agent has reported something and is silent since",
            self.agents_silent.clone(),
        );
    }
}
