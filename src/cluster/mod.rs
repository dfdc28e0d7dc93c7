//! Reads objects from the API server by watches and live requests, and writes conditions and
//! Events.

mod clock_reading;
mod conditions;
mod connect;
pub mod events;
mod facts;
mod find;
mod freshness;
mod heartbeats;
mod kind;
mod live;
mod nodes;
mod objects;
mod partial;
mod policies;
mod read;
mod report;
mod watch;

pub use connect::{Clients, clients, connect};
pub use report::Report;
use report::cut;

use crate::causes::chain;

pub use facts::{Facts, News};
pub use find::{Find, find_namespace};
pub use freshness::Freshness;
pub use kind::Kind;
pub use live::Live;
pub use policies::{FindObeying, FindPolicy, find_obeying, find_policy};
pub use watch::{Watched, watch};
