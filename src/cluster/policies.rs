//! Looks up a policy that an object names, and the namespaces that use a policy being deleted.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;

use super::live::Live;
use crate::{
    group::{POLICY, POLICY_LABEL},
    policy::{Presence, Stored},
    profile::is_subdomain,
};

/// Requests the metadata of objects only.
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// A message about a deleted policy counts up to this many namespaces.
const MOST_NAMESPACES: usize = 500;

/// Returns whether a policy exists.
pub type FindPolicy = Arc<dyn Fn(&str) -> BoxFuture<'static, Presence> + Send + Sync>;

/// Returns the names of the namespaces whose label names a policy; `None` if that is not known.
pub type FindObeying = Arc<dyn Fn(&str) -> BoxFuture<'static, Option<Vec<String>>> + Send + Sync>;

/// An empty list of metadata has `null` for its items.
#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
struct List<T> {
    // With this attribute the field is required, though it may be `null`.
    #[serde(deserialize_with = "Option::deserialize")]
    items: Option<Vec<T>>,
}

#[derive(Deserialize)]
struct Named {
    metadata: Name,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

/// Requests one policy from the API server. If the request fails, the answer is unknown.
pub fn find_policy(live: Live) -> FindPolicy {
    Arc::new(move |name| {
        let (live, name) = (live.clone(), name.to_owned());
        Box::pin(async move {
            if !is_subdomain(&name) {
                return Presence::Absent;
            }
            // The role already allows `list`; `get` would be a further right.
            let path = format!("{}?fieldSelector=metadata.name%3D{name}", POLICY.path);
            match live.get(&path, "application/json").await {
                Ok(Some(text)) => presence(&text),
                Ok(None) | Err(_) => Presence::Unknown,
            }
        })
    })
}

/// Requests the namespaces whose label names a policy from the API server.
pub fn find_obeying(live: Live) -> FindObeying {
    Arc::new(move |name| {
        let (live, name) = (live.clone(), name.to_owned());
        Box::pin(async move {
            if !is_subdomain(&name) {
                return Some(Vec::new());
            }
            let label = POLICY_LABEL.replace('/', "%2F");
            let path = format!(
                "/api/v1/namespaces?labelSelector={label}%3D{name}&limit={MOST_NAMESPACES}"
            );
            let text = live.get(&path, METADATA).await.ok()??;
            let List::<Named> { items } = serde_json::from_str(&text).ok()?;
            Some(items.into_iter().flatten().map(|it| it.metadata.name).collect())
        })
    })
}

/// Whether the policy exists, by a list of one policy at most.
fn presence(list: &str) -> Presence {
    let Ok(List::<Value> { items }) = serde_json::from_str(list) else {
        return Presence::Unknown;
    };
    let Some(policy) = items.unwrap_or_default().into_iter().next() else {
        return Presence::Absent;
    };
    match Stored::read(&policy) {
        Ok(_) => Presence::There,
        Err(why) => Presence::Unreadable(why.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use kube::{Client, client::Body};
    use rstest::rstest;
    use tower::service_fn;

    use super::*;

    #[rstest]
    #[case::none(r#"{"items": []}"#, Presence::Absent)]
    #[case::one(
        r#"{"items": [{"apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
            "metadata": {"name": "own"}, "spec": {}}]}"#,
        Presence::There
    )]
    #[case::none_as_go_writes_no_slice(r#"{"items": null}"#, Presence::Absent)]
    #[case::no_list(r#"{"kind": "Status"}"#, Presence::Unknown)]
    fn a_list_says_whether_a_policy_is_there(#[case] list: &str, #[case] expected: Presence) {
        assert_eq!(presence(list), expected);
    }

    #[test]
    fn a_policy_that_means_nothing_is_there_and_cannot_be_read() {
        let list = r#"{"items": [{"apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
            "metadata": {"name": "own"}, "spec": {"templates": "Sometimes"}}]}"#;
        let Presence::Unreadable(why) = presence(list) else { panic!("it is no policy") };
        assert!(why.starts_with("unknown variant `Sometimes`"), "{why}");
    }

    #[test]
    fn a_policy_of_a_newer_version_is_there() {
        let list = r#"{"items": [{"apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
            "metadata": {"name": "own"}, "spec": {"rules": {"of-tomorrow": "Warn"}}}]}"#;
        assert_eq!(presence(list), Presence::There);
    }

    #[tokio::test]
    async fn an_invalid_name_is_no_policy_and_is_not_looked_up() {
        let service =
            service_fn(async |request: Request<Body>| -> Result<Response<Body>, String> {
                Err(format!("asked for {}", request.uri()))
            });
        let live = Live::new(Client::new(service, "callgate-system"), 8);
        for name in ["own&watch=1", "..", "own,a!=b", "own#", ""] {
            assert_eq!(find_policy(live.clone())(name).await, Presence::Absent, "{name:?}");
            assert_eq!(find_obeying(live.clone())(name).await, Some(Vec::new()), "{name:?}");
        }
        assert_eq!(find_policy(live.clone())("own").await, Presence::Unknown);
        assert_eq!(find_obeying(live)("own").await, None);
    }
}
