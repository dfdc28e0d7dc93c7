//! What operators see: logs on stderr, metrics for Prometheus.

mod logging;
mod metrics;

pub use self::{
    logging::{Format, Logging, LoggingError},
    metrics::Metrics,
};
