//! Asks for one namespace, when a pod comes before the watch has told of it.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, ResourceExt};
use tokio::time::timeout;

use super::{chain, facts::labels, is_name};
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
            if !is_name(&name) {
                return Err(format!("namespace {name:?} does not exist"));
            }
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

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use kube::client::Body;
    use tower::service_fn;

    use super::*;

    #[tokio::test]
    async fn what_is_no_name_is_no_namespace_and_nobody_is_asked() {
        let service =
            service_fn(async |request: Request<Body>| -> Result<Response<Body>, String> {
                Err(format!("asked for {}", request.uri()))
            });
        let find = find_namespace(Client::new(service, "callgate-system"));
        for name in ["kube-system/secrets/all", "..", "shop?watch=1", "shop#", ""] {
            let why = find(name).await.unwrap_err();
            assert_eq!(why, format!("namespace {name:?} does not exist"));
        }
        let why = find("shop").await.unwrap_err();
        assert!(why.contains("asked for /api/v1/namespaces/shop"), "{why}");
    }
}
