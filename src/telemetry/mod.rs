//! Logs on stderr, and metrics for Prometheus.

mod agent;
mod declare;
mod denials;
mod lines;
mod log;
mod logging;
mod metrics;
mod traffic;
mod watches;

pub use self::{
    agent::{AgentMetrics, Profiles},
    denials::DenialMetrics,
    log::Log,
    logging::{Format, Logging, LoggingError},
    metrics::Metrics,
    traffic::Traffic,
    watches::Watches,
};
