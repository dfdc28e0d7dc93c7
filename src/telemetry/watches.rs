//! The metrics of watches.

use std::time::SystemTime;

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

use super::{
    declare::{Gauges, Object, metrics},
    metrics::{seconds_of, whole},
};

metrics! {
    /// The age of the facts, and how many objects cannot be read.
    pub struct Watches {
        /// When the API server answered last, in seconds since 1970
        contact: Gauge = "cluster_contact_timestamp" in Seconds,
        /// Watches of the cluster that failed and were tried again
        failures: Counter = "watch_failures",
        /// Until when everything is known of these objects, in seconds since 1970
        confirmed: Gauges<Object> = "watch_confirmed_timestamp" in Seconds,
        /// Policies that are stored and cannot be read
        policies_unreadable: Gauge = "policies_unreadable",
        /// Other objects that are stored and cannot be read, by type
        unreadable: Gauges<Object> = "objects_unreadable",
        /// Policies with fields that this version does not know
        policies_of_newer_versions: Gauge = "policies_of_newer_versions",
        /// Nodes whose agent has reported before and is silent now
        agents_silent: Gauge = "agents_silent",
    }
}

impl Watches {
    /// Sets when the API server last answered, in seconds since 1970
    /// (`callgate_cluster_contact_timestamp_seconds`).
    pub fn answered(&self, now: SystemTime) {
        self.contact.set(seconds_of(now));
    }

    /// Counts a watch that failed (`callgate_watch_failures_total`).
    pub fn failed(&self) {
        self.failures.inc();
    }

    /// Sets until when the watch of a type is up to date, in seconds since 1970
    /// (`callgate_watch_confirmed_timestamp_seconds`).
    pub fn confirmed(&self, object: &'static str, at: SystemTime) {
        self.confirmed.get_or_create(&Object { object }).set(seconds_of(at));
    }

    /// Sets how many stored policies cannot be read (`callgate_policies_unreadable`).
    pub fn policies_unreadable(&self, count: usize) {
        self.policies_unreadable.set(whole(count));
    }

    /// Sets how many objects of another type cannot be read (`callgate_objects_unreadable`).
    pub fn unreadable(&self, object: &'static str, count: usize) {
        self.unreadable.get_or_create(&Object { object }).set(whole(count));
    }

    /// Sets how many policies have fields that this version does not know
    /// (`callgate_policies_of_newer_versions`).
    pub fn policies_of_newer_versions(&self, count: usize) {
        self.policies_of_newer_versions.set(whole(count));
    }

    /// Sets how many agents have sent a report and have been silent since
    /// (`callgate_agents_silent`).
    pub fn agents_silent(&self, count: usize) {
        self.agents_silent.set(whole(count));
    }
}
