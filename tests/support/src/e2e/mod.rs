//! A cluster, and callgate in it.

pub mod api;
pub mod cluster;
pub mod instance;
pub mod load;
pub mod manifests;
pub mod trust;
pub mod versions;
