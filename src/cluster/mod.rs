//! Reads objects from the API server by watches and live requests, and writes conditions and
//! Events.

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
mod read;
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

/// The outcome of a condition or an Event that was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    Written,
    /// The API server rejected it or did not answer.
    Failed,
    /// The queue was full, or the object cannot exist.
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

/// The clients for one API server.
#[derive(Clone)]
pub struct Clients {
    /// Retries a request where the API server asks for that (429, 503, 504).
    pub client: Client,
    /// For watches. It does not retry, since a watch must report each failure, and it has its own
    /// connections.
    pub watches: Client,
}

/// Connects with the kubeconfig as kubectl does, or with the service account of the pod.
///
/// # Errors
/// As one text, since kube's own errors repeat each other.
pub async fn connect() -> Result<Client, String> {
    Ok(clients().await?.client)
}

/// Like [`connect`], with a second client for watches.
pub async fn clients() -> Result<Clients, String> {
    let config = Config::infer().await.map_err(|it| chain(&it))?;
    let mut watches = config.clone();
    watches.default_retry = false;
    let client = |it| Client::try_from(it).map_err(|it| chain(&it));
    Ok(Clients { client: client(config)?, watches: client(watches)? })
}

/// The first `most` bytes of a text at most, cut at the boundary of a character.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
