//! What operators see: logs on stderr, metrics for Prometheus.

mod agent;
mod logging;
mod metrics;
mod traffic;

pub use self::{
    agent::{AgentMetrics, Profiles},
    logging::{Format, Logging, LoggingError},
    metrics::Metrics,
    traffic::Traffic,
};
