//! What `benches/reviews.rs` measures, and with what.

pub(crate) mod constant;
pub(crate) mod in_process;
pub(crate) mod over_tls;
pub(crate) mod ratio;
pub(crate) mod review;
pub(crate) mod server;
mod usage;
