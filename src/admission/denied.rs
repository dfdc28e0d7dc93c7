//! Denied pods, and the owners on which an Event reports them.

use crate::{
    admission::{request::AdmissionRequest, reviewer::Judgement, target::ReviewTarget},
    json::{Bounded, Entry, objects},
    pod::{Kind, Str},
};

/// A new pod that was denied. It does not exist, so an Event goes to its owner.
#[derive(Debug)]
pub struct DeniedPod<'a> {
    pub owner: Owner<'a>,
    /// The message without the name of the pod: the same for all pods of the owner.
    pub why: String,
}

/// An `OwnerReference`: what creates pods such as the denied one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    pub api_version: Str<'a>,
    pub kind: Str<'a>,
    pub name: Str<'a>,
    pub uid: Str<'a>,
}

objects! {
    struct Review<'a> {
        request("request"): Request<'a>,
    }

    struct Request<'a> {
        object("object"): Object<'a>,
    }

    struct Object<'a> {
        metadata("metadata"): Metadata<'a>,
    }

    struct Metadata<'a> {
        owners("ownerReferences"): Bounded<Reference<'a>>,
    }

    struct Reference<'a> {
        api_version("apiVersion"): Str<'a>,
        kind("kind"): Str<'a>,
        name("name"): Str<'a>,
        uid("uid"): Str<'a>,
        controller("controller"): bool,
    }
}

impl Entry for Reference<'_> {}

impl<'a> DeniedPod<'a> {
    /// `None` for what is allowed, dry runs, existing pods, and pods without an owner, whose
    /// creators see the denial.
    ///
    /// The body is read once more for that: only denials pay for it.
    pub(super) fn of(
        body: &'a [u8],
        request: &AdmissionRequest<'_>,
        judgement: &Judgement<'_>,
    ) -> Option<Self> {
        let denial = judgement.answer.denial()?;
        if request.is_dry_run() || request.raw.target() != Some(ReviewTarget::Whole(Kind::Pod)) {
            return None;
        }
        let owner = owner(body)?;
        let verdict = judgement.verdict.as_ref();
        let why = verdict.map_or_else(|| denial.to_owned(), |it| it.message(None));
        Some(Self { owner, why })
    }
}

/// The controller of the pod in a review, else its first owner; `None` if the body cannot be
/// read.
fn owner(body: &[u8]) -> Option<Owner<'_>> {
    let review: Review<'_> = serde_json::from_slice(body).ok()?;
    let mut owners = review.request?.object?.metadata?.owners?.into_vec();
    let controller = owners.iter().position(|it| it.controller == Some(true)).unwrap_or_default();
    if owners.is_empty() {
        return None;
    }
    let Reference { api_version, kind, name, uid, controller: _ } = owners.swap_remove(controller);
    Some(Owner { api_version: api_version?, kind: kind?, name: name?, uid: uid? })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use arc_swap::ArcSwap;
    use axum::body::Body;
    use http::{Request, header::CONTENT_TYPE};
    use rstest::rstest;
    use serde_json::{Value, json};
    use tower::ServiceExt;

    use crate::{
        admission::{App, Snapshot, router},
        policy::{Labels, PolicyIndex},
        profile::Catalog,
    };

    fn app(reported: Arc<Mutex<Vec<String>>>) -> App {
        let label = |it: &str| Some(it.to_owned());
        let namespaces = [
            ("shop", Labels { policy: label("restricted"), mode: None }),
            ("lost", Labels { policy: label("gone"), mode: None }),
            ("calm", Labels { policy: label("restricted"), mode: label("warn") }),
        ];
        let namespaces = namespaces.map(|(name, it)| (name.to_owned(), it)).into();
        let policies = PolicyIndex::of_cluster([], namespaces, None);
        App {
            snapshot: Arc::new(ArcSwap::from_pointee(Snapshot::without_nodes(
                policies,
                Catalog::default(),
            ))),
            today: || jiff::civil::date(2026, 11, 24),
            find_namespace: None,
            ask: None,
            observe: Arc::new(move |it| {
                let Some(denied) = &it.denied else { return };
                let owner = &denied.owner;
                let words = [&owner.api_version, &owner.kind, &owner.name, &owner.uid];
                let words: Vec<_> = words.iter().map(|it| &***it).collect();
                reported.lock().unwrap().push(format!("{}: {}", words.join(" "), denied.why));
            }),
            max_body: 1 << 20,
        }
    }

    /// The Event for a denied pod, after a change to its review.
    async fn reported(path: &str, change: impl FnOnce(&mut Value)) -> Vec<String> {
        let owners = json!([
            { "apiVersion": "example.com/v1", "kind": "Shop", "name": "ours", "uid": "u-1" },
            {
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d", "uid": "u-2",
                "controller": true, "blockOwnerDeletion": true,
            },
        ]);
        let unconfined = json!({ "seccompProfile": { "type": "Unconfined" } });
        let mut review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "u-0", "operation": "CREATE", "namespace": "shop", "name": "web-5d-x7k2p",
                "resource": { "group": "", "version": "v1", "resource": "pods" },
                "object": {
                    "metadata": { "name": "web-5d-x7k2p", "ownerReferences": owners },
                    "spec": { "containers": [{ "name": "app", "securityContext": unconfined }] },
                },
            },
        });
        change(&mut review["request"]);
        let reported = Arc::default();
        let request = Request::post(path).header(CONTENT_TYPE, "application/json");
        let request = request.body(Body::from(review.to_string())).unwrap();
        router(app(Arc::clone(&reported))).oneshot(request).await.unwrap();
        let reported = reported.lock().unwrap();
        reported.clone()
    }

    const WHY: &str = "policy \"restricted\" denies pod in namespace \"shop\": \
                       spec.containers[0] \"app\": Unconfined turns seccomp off; set type: RuntimeDefault, or ask for an exemption \
                       [unconfined]\n  more: callgate explain unconfined";

    #[tokio::test]
    async fn the_controller_of_a_denied_pod_is_reported_without_the_name_of_the_pod() {
        let reported = reported("/validate", |_| ()).await;
        assert_eq!(reported, [format!("apps/v1 ReplicaSet web-5d u-2: {WHY}")]);
    }

    #[tokio::test]
    async fn where_none_controls_it_is_the_first_owner() {
        let reported = reported("/validate", |it| {
            it["object"]["metadata"]["ownerReferences"][1]["controller"] = json!(false);
        })
        .await;
        assert_eq!(reported, [format!("example.com/v1 Shop ours u-1: {WHY}")]);
    }

    #[tokio::test]
    async fn a_pod_that_nothing_could_judge_has_an_owner_as_well() {
        let reported = reported("/validate", |it| it["namespace"] = json!("lost")).await;
        let why = "apps/v1 ReplicaSet web-5d u-2: pods in namespace \"lost\" cannot be \
                   judged: policy \"gone\" does not exist; the policies are baseline, restricted";
        assert_eq!(reported, [why]);
    }

    #[rstest]
    #[case::a_dry_run(|it: &mut Value| it["dryRun"] = json!(true))]
    #[case::a_mode_that_warns(|it: &mut Value| it["namespace"] = json!("calm"))]
    #[case::a_pod_that_obeys(
        |it: &mut Value| it["object"]["spec"]["containers"][0]["securityContext"] =
            json!({ "seccompProfile": { "type": "RuntimeDefault" } })
    )]
    #[case::a_pod_without_an_owner(
        |it: &mut Value| it["object"]["metadata"]["ownerReferences"] = json!([])
    )]
    #[case::an_owner_without_a_uid(
        |it: &mut Value| it["object"]["metadata"]["ownerReferences"] =
            json!([{ "apiVersion": "v1", "kind": "Robot", "name": "r" }])
    )]
    #[case::an_owner_that_is_a_word(
        |it: &mut Value| it["object"]["metadata"]["ownerReferences"] = json!("web")
    )]
    #[case::a_debug_container(|it: &mut Value| {
        it["operation"] = json!("UPDATE");
        it["subResource"] = json!("ephemeralcontainers");
        it["oldObject"] = json!({});
        it["object"]["spec"]["ephemeralContainers"] = it["object"]["spec"]["containers"].clone();
    })]
    #[tokio::test]
    async fn no_event_is_written_for(#[case] change: fn(&mut Value)) {
        assert_eq!(reported("/validate", change).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_fixed_pod_leads_to_no_event() {
        assert_eq!(reported("/mutate", |_| ()).await, Vec::<String>::new());
    }
}
