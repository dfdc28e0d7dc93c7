//! Looks up one namespace when a pod is created in it before the watch has reported it.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{live::Live, read::labels};
use crate::{policy::Labels, profile::is_subdomain, watch::Object};

/// Requests the metadata of an object only.
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// Returns the labels of a namespace, or the reason why they are not known.
pub type Find = Arc<dyn Fn(&str) -> BoxFuture<'static, Result<Labels, String>> + Send + Sync>;

/// Requests the labels of a namespace from the API server.
pub fn find_namespace(live: Live) -> Find {
    Arc::new(move |name| {
        let (live, name) = (live.clone(), name.to_owned());
        Box::pin(async move {
            let absent = || format!("namespace {name:?} does not exist");
            if !is_subdomain(&name) {
                return Err(absent());
            }
            let unknown = |why| format!("namespace {name:?} is not known yet: {why}");
            let path = format!("/api/v1/namespaces/{name}");
            let text = live.get(&path, METADATA).await.map_err(unknown)?.ok_or_else(absent)?;
            Object::read(&text).and_then(|it| labels(&it)).map_err(unknown)
        })
    })
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use kube::{Client, client::Body};
    use tower::service_fn;

    use super::*;

    #[tokio::test]
    async fn an_invalid_name_is_no_namespace_and_is_not_looked_up() {
        let service =
            service_fn(async |request: Request<Body>| -> Result<Response<Body>, String> {
                Err(format!("asked for {}", request.uri()))
            });
        let find = find_namespace(Live::new(Client::new(service, "callgate-system"), 1));
        for name in ["kube-system/secrets/all", "..", "shop?watch=1", "shop#", ""] {
            let why = find(name).await.unwrap_err();
            assert_eq!(why, format!("namespace {name:?} does not exist"));
        }
        let why = find("shop").await.unwrap_err();
        assert!(why.contains("asked for /api/v1/namespaces/shop"), "{why}");
    }
}
