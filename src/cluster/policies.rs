//! Asks for a policy that somebody is to obey, and for those who obey one that is deleted.

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

/// The metadata of objects, and nothing else of them.
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// More namespaces than these nobody is told of.
const MOST_NAMESPACES: usize = 500;

/// Answers whether a policy is there.
pub type FindPolicy = Arc<dyn Fn(&str) -> BoxFuture<'static, Presence> + Send + Sync>;

/// Answers with the names of the namespaces that name a policy; `None` if nobody can say.
pub type FindObeying = Arc<dyn Fn(&str) -> BoxFuture<'static, Option<Vec<String>>> + Send + Sync>;

/// An empty list of metadata has `null` for its items.
#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
struct List<T> {
    // Named so that the field itself has to be there.
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

/// Asks the API server for one policy. Where it cannot be asked, nothing is known.
pub fn find_policy(live: Live) -> FindPolicy {
    Arc::new(move |name| {
        let (live, name) = (live.clone(), name.to_owned());
        Box::pin(async move {
            if !is_subdomain(&name) {
                return Presence::Absent;
            }
            // To list is our right already; to get would be another.
            let path = format!("{}?fieldSelector=metadata.name%3D{name}", POLICY.path);
            match live.get(&path, "application/json").await {
                Ok(Some(text)) => presence(&text),
                Ok(None) | Err(_) => Presence::Unknown,
            }
        })
    })
}

/// Asks the API server for the namespaces whose label names a policy.
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

/// What a list of at most one policy says.
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
