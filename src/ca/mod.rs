//! The CA that all replicas share: it signs their serving certificates, is rotated automatically,
//! and is published as the `caBundle` of callgate's webhooks.
//!
//! Every replica runs [`run()`]; there is no leader. A replica reads the Secret of the CA and the
//! webhook configurations, `signer` decides what they should hold, and the reconciler
//! writes that by compare-and-swap. `rotation` and `signer` are pure: they get the time and
//! what was read as values, and simulations run many replicas with clocks years apart.

mod backoff;
mod bundle_publisher;
mod call;
mod configuration;
mod event;
mod flags;
mod lifetimes;
mod overwrite_reporter;
mod reconcile;
mod rotation;
mod run;
mod secret;
mod signer;
mod stored;
mod watch;

pub use self::{
    event::CaEvent,
    flags::{CaFlags, CaObjects, Service},
    lifetimes::{Lifetimes, LifetimesError},
    run::run,
    signer::SignerError,
};

/// The field manager of our writes.
const MANAGER: &str = "callgate-authority";

#[cfg(test)]
mod tests;
