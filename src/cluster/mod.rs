//! What a cluster says, and what it keeps for us.

mod clock_reading;
mod conditions;
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
mod watch;

use kube::{Client, Config};

use crate::causes::chain;

pub use facts::{Facts, News};
pub use find::{Find, find_namespace};
pub use freshness::Freshness;
pub use kind::Kind;
pub use live::Live;
pub use policies::{FindObeying, FindPolicy, find_obeying, find_policy};
pub use watch::{Watched, watch};

/// What became of something that we had to tell the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    Written,
    /// The API server refused it, or did not answer.
    Failed,
    /// There was more to tell than there was room for.
    Dropped,
}

impl Report {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// The ways to one API server.
#[derive(Clone)]
pub struct Clients {
    /// Tries again by itself where the API server asks for that.
    pub client: Client,
    /// For watches, which have to know of each failure, on connections of their own.
    pub watches: Client,
}

/// Finds the cluster as kubectl does, or by the service account of a pod.
///
/// # Errors
/// In words, since kube's own repeat each other.
pub async fn connect() -> Result<Client, String> {
    Ok(clients().await?.client)
}

/// The same, with a client for watches besides.
pub async fn clients() -> Result<Clients, String> {
    let config = Config::infer().await.map_err(|it| chain(&it))?;
    let mut watches = config.clone();
    watches.default_retry = false;
    let client = |it| Client::try_from(it).map_err(|it| chain(&it));
    Ok(Clients { client: client(config)?, watches: client(watches)? })
}

/// The beginning of a text, of at most so many bytes.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
