//! The metrics of connections, and of requests that are shed.

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

use super::declare::metrics;

metrics! {
    /// The metrics of connections on the webhook's port.
    pub struct Traffic {
        /// Connections now open
        connections: Gauge = "connections",
        /// Connections closed at once because too many were open and at work
        refused: Counter = "connections_refused",
        /// Connections closed while they waited for their clients, to make room for others
        replaced: Counter = "connections_replaced",
        /// Requests answered 503 because too many were in flight
        requests_shed: Counter = "requests_shed",
        /// Requests answered 503 because there was no memory for their bodies
        bodies_shed: Counter = "bodies_shed",
    }
}

impl Traffic {
    /// Counts a connection as open (`callgate_connections`).
    pub fn opened(&self) {
        self.connections.inc();
    }

    /// Counts a connection as closed (`callgate_connections`).
    pub fn closed(&self) {
        self.connections.dec();
    }

    /// Counts a connection that was closed at once, since it was one too many and all others were
    /// at work (`callgate_connections_refused_total`).
    pub fn refused(&self) {
        self.refused.inc();
    }

    /// Counts a connection closed to make room for others
    /// (`callgate_connections_replaced_total`).
    pub fn replaced(&self) {
        self.replaced.inc();
    }

    /// Counts a request that was answered with 503, since too many were in progress
    /// (`callgate_requests_shed_total`).
    pub fn request_shed(&self) {
        self.requests_shed.inc();
    }

    /// Counts a request that was answered with 503, since there was no memory for its body
    /// (`callgate_bodies_shed_total`).
    pub fn body_shed(&self) {
        self.bodies_shed.inc();
    }
}
