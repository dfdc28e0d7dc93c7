//! Clients for an API server.

use std::path::Path;

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::causes::chain;

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

/// Connects with the kubeconfig as kubectl does, or with this one, in this context.
///
/// # Errors
/// As one text.
pub async fn connect_to(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
) -> Result<Client, String> {
    if kubeconfig.is_none() && context.is_none() {
        return connect().await;
    }
    let read = match kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let read = read.map_err(|it| chain(&it))?;
    let options =
        KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(read, &options).await;
    Client::try_from(config.map_err(|it| chain(&it))?).map_err(|it| chain(&it))
}
