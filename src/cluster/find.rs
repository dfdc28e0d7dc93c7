//! Asks for one namespace, when a pod comes before the watch has told of it.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, ResourceExt};
use tokio::time::timeout;

use super::{chain, facts::labels};
use crate::policy::Labels;

/// Well within the five seconds that the API server waits for our answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers with the labels of a namespace, or with the reason why there are none.
pub type Find = Arc<dyn Fn(&str) -> BoxFuture<'static, Result<Labels, String>> + Send + Sync>;

/// Asks the API server for the labels of a namespace.
pub fn find_namespace(client: Client) -> Find {
    Arc::new(move |name| {
        let (namespaces, name) = (Api::<Namespace>::all(client.clone()), name.to_owned());
        Box::pin(async move {
            let found = match timeout(PATIENCE, namespaces.get_metadata_opt(&name)).await {
                Ok(found) => found.map_err(|it| chain(&it)),
                Err(_) => Err("the API server did not answer in time".to_owned()),
            };
            match found {
                Ok(Some(namespace)) => Ok(labels(namespace.labels())),
                Ok(None) => Err(format!("namespace {name:?} does not exist")),
                Err(why) => Err(format!("namespace {name:?} is not known yet: {why}")),
            }
        })
    })
}
