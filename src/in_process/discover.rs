//! Whether the API server has the API of the component.

use std::time::Duration;

use kube::Client;
use tokio::time::sleep;

use crate::{call::within, causes::chain, log_once::LogOnce};

const GROUP: &str = "admissionregistration.k8s.io/v1";
const PLURAL: &str = "mutatingadmissionpolicies";

/// How long one call may take, and when to ask again: after a failure, and where the API server may
/// be upgraded some day.
const PATIENCE: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_secs(5);
const LATER: Duration = Duration::from_mins(5);

/// Waits until the API server serves `MutatingAdmissionPolicy` v1, which Kubernetes does from 1.36
/// on. Until then it is logged once that the webhook alone sets profiles, and reported why.
pub(super) async fn await_served(client: &Client, on_missing: impl Fn(String)) {
    let mut logged = LogOnce::default();
    loop {
        let pause = match within(PATIENCE, client.list_api_group_resources(GROUP)).await {
            Ok(it) if it.resources.iter().any(|it| it.name == PLURAL) => return,
            Ok(_) => {
                let why = format!("it does not serve {PLURAL} of {GROUP}");
                if logged.is_new((), why.clone()) {
                    on_missing(format!("the API server does not serve {PLURAL} of {GROUP}"));
                    tracing::warn!(
                        reason = why,
                        "the API server cannot set profiles itself: the webhook alone does"
                    );
                }
                LATER
            }
            Err(error) => {
                let error = chain(&error);
                if logged.is_new((), error.clone()) {
                    tracing::warn!(error, "cannot ask which APIs there are, retrying");
                }
                SOON
            }
        };
        sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::RefCell,
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
        },
    };

    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::json;
    use tokio::time::Instant;
    use tower::service_fn;

    use super::*;

    /// As an API server before 1.36, which is upgraded.
    #[tokio::test(start_paused = true)]
    async fn nothing_begins_before_the_api_server_has_the_api() {
        let asked = Arc::<AtomicU32>::default();
        let count = Arc::clone(&asked);
        let service = service_fn(move |request: Request<Body>| {
            let number = count.fetch_add(1, Ordering::Relaxed);
            let path = request.uri().path().to_owned();
            async move {
                assert_eq!(path, "/apis/admissionregistration.k8s.io/v1");
                let resource = |name: &str| json!({ "name": name, "kind": "It", "namespaced": false, "verbs": [], "singularName": "" });
                let mut resources = vec![resource("validatingadmissionpolicies")];
                if number == 2 {
                    resources.push(resource(PLURAL));
                }
                let list = json!({
                    "kind": "APIResourceList", "groupVersion": GROUP, "resources": resources,
                });
                let body = Body::from(list.to_string().into_bytes());
                Ok::<_, Infallible>(Response::new(body))
            }
        });
        let start = Instant::now();
        let missing = RefCell::new(Vec::new());
        await_served(&Client::new(service, "callgate-system"), |it| missing.borrow_mut().push(it))
            .await;
        assert_eq!((asked.load(Ordering::Relaxed), start.elapsed()), (3, 2 * LATER));
        let why = "the API server does not serve mutatingadmissionpolicies of \
            admissionregistration.k8s.io/v1";
        assert_eq!(*missing.borrow(), [why]);
    }
}
