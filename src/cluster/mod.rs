//! Reads objects from the API server by watches and live requests, and writes conditions, Events
//! and evidence.

mod budget;
mod clock_reading;
mod conditions;
mod connect;
pub mod events;
pub mod evidence;
pub mod exported;
mod facts;
mod find;
mod freshness;
mod heartbeats;
pub mod history;
mod live;
mod nodes;
mod object_type;
mod objects;
mod partial;
mod policies;
mod read;
mod report;
mod scan;
mod watch;

use self::report::cut;
use crate::causes::chain;

pub use conditions::InProcess;
pub use connect::{Clients, clients, connect, connect_to};
pub use facts::{Changes, Facts};
pub use find::{Find, find_namespace};
pub use freshness::Freshness;
pub use live::Live;
pub use object_type::ObjectType;
pub use policies::{FindObeying, FindPolicy, find_obeying, find_policy};
pub use report::Report;
pub use scan::{Reader, Unreachable};
pub use watch::{Watched, watch};
