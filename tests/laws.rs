//! Laws: properties that hold for every input.
//!
//! `PROPTEST_CASES` sets how many are tried; `make test-long` sets it high.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use axum::Router;
use callgate::{
    admission::Snapshot,
    placement::Nodes,
    pod::{Kind, Pod, Scope},
    policy::{Facts, Level, Mode, Policy, PolicyIndex, RuntimeClasses, Verdict},
    profile::{Catalog, Document, Managed, ProfilePath},
};
use http::StatusCode;
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};
use support::{
    generated::{affinity, pod},
    harness::{self, patch_of, patched, post},
};
use tokio::runtime::Runtime;

/// A policy with every field that affects a verdict.
const POLICY: &str = r"
apiVersion: callgate.dev/v1alpha1
kind: SeccompPolicy
metadata: { name: laws }
spec:
  default: { type: RuntimeDefault }
  bindings:
    - podSelector: { matchLabels: { app: web } }
      profile: { type: Localhost, localhostProfile: callgate/web.json }
  placement: Pin
  exemptions:
    - name: spared
      reason: to see what becomes of the others
      owner: nobody
      rules: [unset, privileged]
      match: { containers: [spared] }
";

/// It filters, and containers start under it.
const SOUND: &str = r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
    {"names": ["execve"], "action": "SCMP_ACT_ALLOW"}]}"#;

/// The value of the label of a node that has the current version of a profile.
const CURRENT: &str = "070707070707";

/// The profiles that agents install on the nodes.
const MANAGED: [&str; 2] = ["db", "web"];

static FACTS: LazyLock<(Policy, Catalog)> = LazyLock::new(|| {
    let profiles = [("web.json", SOUND), ("hollow.json", "{}")];
    let catalog: Catalog = profiles
        .into_iter()
        .map(|(path, text)| (path.parse().expect("a path"), Document::appraise(text.as_bytes())))
        .collect();
    let profile = Managed { digest: Some([7; 32].into()), ..Managed::default() };
    let managed = MANAGED.map(|it| (ProfilePath::of_object(it).expect("a name"), profile.clone()));
    (Policy::parse(POLICY).expect("a policy"), catalog.with_managed(managed))
});

static ROUTER: LazyLock<(Runtime, Router)> = LazyLock::new(|| {
    let (policy, catalog) = FACTS.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let policies = PolicyIndex::of_one(policy, Mode::Enforce);
    (runtime, harness::router(Snapshot::without_nodes(policies, catalog)))
});

fn ask(path: &str, body: Vec<u8>) -> harness::Reply {
    let (runtime, router) = &*ROUTER;
    runtime.block_on(post(router, path, body))
}

fn review(object: &Value) -> Vec<u8> {
    let review = json!({
        "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "u-1", "resource": { "group": "", "version": "v1", "resource": "pods" },
            "name": "web", "namespace": "shop", "operation": "CREATE", "object": object,
        },
    });
    review.to_string().into_bytes()
}

fn mutate(object: &Value) -> Vec<Value> {
    patch_of(&ask("/mutate", review(object)).response())
}

/// The findings for which `/validate` denies the pod, in lines.
fn findings(object: &Value) -> Vec<String> {
    let (policy, catalog) = &*FACTS;
    let text = object.to_string();
    let pod: Pod<'_> = serde_json::from_str(&text).expect("a pod");
    let facts = Facts {
        policy,
        catalog,
        nodes: &Nodes::default(),
        classes: &RuntimeClasses::default(),
        namespace: "shop",
        today: harness::TODAY,
    };
    let verdict = Verdict::of(Kind::Pod, &pod, &Scope::Whole, facts, Mode::Enforce);
    let denied = verdict.judged().iter().filter(|it| it.level == Level::Deny);
    denied.map(|it| verdict.line(it)).collect()
}

// ── what is generated, besides pods ──

fn any_json() -> impl Strategy<Value = Value> {
    let words = select(vec![
        "metadata",
        "spec",
        "containers",
        "initContainers",
        "ephemeralContainers",
        "name",
        "image",
        "securityContext",
        "seccompProfile",
        "type",
        "localhostProfile",
        "privileged",
        "annotations",
        "labels",
        "os",
        "nodeName",
        "nodeSelector",
        "affinity",
        "nodeAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "nodeSelectorTerms",
        "matchExpressions",
        "matchFields",
        "tolerations",
        "key",
        "operator",
        "values",
        "serviceAccountName",
        "kubernetes.io/config.mirror",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        select(vec!["app", "RuntimeDefault", "Localhost", "web.json", "windows"])
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(8, 64, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(words.clone(), inner, 0..6).prop_map(|it| json!(it)),
        ]
    })
}

// ── what the laws compare with: written apart from the code that is tested ──

/// Whether every field that decides has the type that Kubernetes gives it.
fn is_readable(pod: &Value) -> bool {
    let metadata = &pod["metadata"];
    let spec = &pod["spec"];
    let string = |it: &Value| it.is_null() || it.is_string();
    let strings =
        |it: &Value| it.is_null() || it.as_object().is_some_and(|it| it.values().all(string));
    let context = |it: &Value| {
        let profile = &it["seccompProfile"];
        (it.is_null() || it.is_object())
            && (it["privileged"].is_null() || it["privileged"].is_boolean())
            && (profile.is_null() || profile.is_object())
            && string(&profile["type"])
            && string(&profile["localhostProfile"])
    };
    let list = |it: &Value, is: &dyn Fn(&Value) -> bool| {
        it.is_null() || it.as_array().is_some_and(|it| it.iter().all(is))
    };
    let container = |it: &Value| {
        it.is_object()
            && string(&it["name"])
            && string(&it["image"])
            && context(&it["securityContext"])
    };
    let requirement = |it: &Value| {
        let values = |it: &Value| it.as_array().is_some_and(|it| it.iter().all(Value::is_string));
        it.is_object()
            && string(&it["key"])
            && string(&it["operator"])
            && (it["values"].is_null() || values(&it["values"]))
    };
    let term = |it: &Value| {
        it.is_object()
            && list(&it["matchExpressions"], &requirement)
            && list(&it["matchFields"], &requirement)
    };
    let toleration = |it: &Value| {
        it.is_object()
            && ["key", "operator", "value", "effect"].iter().all(|field| string(&it[*field]))
    };
    let affinity = &spec["affinity"];
    let node_affinity = &affinity["nodeAffinity"];
    let required = &node_affinity["requiredDuringSchedulingIgnoredDuringExecution"];
    let places =
        [affinity, node_affinity, required].into_iter().all(|it| it.is_null() || it.is_object())
            && list(&required["nodeSelectorTerms"], &term)
            && list(&spec["tolerations"], &toleration)
            && string(&spec["nodeName"])
            && strings(&spec["nodeSelector"]);
    let ours = metadata["annotations"].as_object().map(|it| {
        let ours = it
            .iter()
            .filter(|(key, _)| key.contains("seccomp.security") || key.contains("config.mirror"));
        ours.map(|(_, value)| value).all(string)
    });
    pod.is_object()
        && (metadata.is_null() || metadata.is_object())
        && string(&metadata["name"])
        && string(&metadata["generateName"])
        && strings(&metadata["labels"])
        && (metadata["annotations"].is_null() || ours == Some(true))
        && spec.is_object()
        && (spec["os"].is_null() || spec["os"].is_object())
        && string(&spec["os"]["name"])
        && string(&spec["serviceAccountName"])
        && context(&spec["securityContext"])
        && ["initContainers", "containers", "ephemeralContainers"]
            .iter()
            .all(|it| list(&spec[*it], &container))
        && places
}

/// The effective profile of every container (S5), by list and name.
fn effective(pod: &Value) -> BTreeMap<(String, String), Value> {
    let of = |it: &Value| it["securityContext"]["seccompProfile"].clone();
    let mut all = BTreeMap::new();
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in pod["spec"][list].as_array().into_iter().flatten() {
            let own = of(container);
            let profile = if own.is_null() { of(&pod["spec"]) } else { own };
            let name = container["name"].as_str().unwrap_or_default().to_owned();
            all.insert((list.to_owned(), name), profile);
        }
    }
    all
}

/// The pod without anything that a patch may touch.
fn untouchable(pod: &Value) -> Value {
    let mut pod = pod.clone();
    let forget = |holder: &mut Value| {
        let Some(context) = holder["securityContext"].as_object_mut() else {
            if let Some(holder) = holder.as_object_mut() {
                holder.remove("securityContext");
            }
            return;
        };
        context.remove("seccompProfile");
        if context.is_empty() {
            holder.as_object_mut().expect("it has a context").remove("securityContext");
        }
    };
    if let Some(annotations) = pod["metadata"]["annotations"].as_object_mut() {
        annotations.retain(|key, _| !key.contains("seccomp.security.alpha"));
    }
    forget(&mut pod["spec"]);
    // Node requirements have separate laws.
    for parent in ["/spec/affinity/nodeAffinity", "/spec/affinity", "/spec"] {
        let Some(parent) = pod.pointer_mut(parent).and_then(Value::as_object_mut) else { continue };
        parent.remove("requiredDuringSchedulingIgnoredDuringExecution");
        parent.retain(|key, it| !key.ends_with("ffinity") || !it.is_null() && *it != json!({}));
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in pod["spec"][list].as_array_mut().into_iter().flatten() {
            forget(container);
        }
    }
    pod
}

/// Whether a node is one of those that the pod requires, as the scheduler reads
/// it: one term of several is enough, all of a term must hold, an empty one
/// holds for no node.
fn is_required(pod: &Value, name: &str, labels: &BTreeMap<&str, &str>) -> bool {
    const REQUIRED: &str =
        "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution";
    let Some(required) = pod.pointer(REQUIRED).filter(|it| !it.is_null()) else { return true };
    let list = |it: &Value| it.as_array().cloned().unwrap_or_default();
    let holds = |it: &Value, value: Option<&str>| {
        let among = || value.is_some_and(|value| list(&it["values"]).contains(&json!(value)));
        match it["operator"].as_str() {
            Some("Exists") => value.is_some(),
            Some("DoesNotExist") => value.is_none(),
            Some("In") => among(),
            Some("NotIn") => !among(),
            other => panic!("no test makes {other:?}"),
        }
    };
    list(&required["nodeSelectorTerms"]).iter().any(|term| {
        let (labelled, fields) = (list(&term["matchExpressions"]), list(&term["matchFields"]));
        let label = |it: &Value| labels.get(it["key"].as_str().expect("a key")).copied();
        !(labelled.is_empty() && fields.is_empty())
            && labelled.iter().all(|it| holds(it, label(it)))
            && fields.iter().all(|it| holds(it, Some(name)))
    })
}

/// The labels of the profiles that the pod names and agents bring.
fn labels_to_wait_for(pod: &Value) -> BTreeSet<String> {
    let text = pod["spec"].to_string();
    let named = MANAGED.iter().filter(|it| text.contains(&format!("\"callgate/{it}.json\"")));
    named.map(|it| format!("profile.callgate.dev/{it}")).collect()
}

/// A pod with a profile to wait for.
fn waiting() -> impl Strategy<Value = Value> {
    (pod(), affinity()).prop_map(|(mut pod, affinity)| {
        let profile = json!({ "type": "Localhost", "localhostProfile": "callgate/web.json" });
        pod["spec"]["securityContext"] = json!({ "seccompProfile": profile });
        pod["spec"]["affinity"] = affinity;
        pod
    })
}

fn node() -> impl Strategy<Value = (&'static str, BTreeMap<&'static str, &'static str>)> {
    let keys = select(vec!["disk", "zone", "profile.callgate.dev/db"]);
    let labels = proptest::collection::btree_map(keys, select(vec!["a", "b"]), 0..4);
    let has_it = prop_oneof![1 => Just(None), 4 => select(vec![CURRENT, "a"]).prop_map(Some)];
    (select(vec!["node-a", "node-b"]), labels, has_it).prop_map(|(name, mut labels, has_it)| {
        labels.extend(has_it.map(|it| ("profile.callgate.dev/web", it)));
        (name, labels)
    })
}

/// A line without the index of the container, which a new order changes.
fn without_index(line: &str) -> String {
    let digits = |it: char| it.is_ascii_digit();
    line.split('[').map(|it| it.trim_start_matches(digits)).collect::<Vec<_>>().join("[")
}

/// Every term gets a requirement, so a pod that is full of terms would become many times as long.
#[test]
fn a_pod_of_thousands_of_terms_is_not_pinned() {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    // As many profiles as it has containers, and one of its own.
    let containers: Vec<_> = (0..9).map(|it| json!({ "name": format!("app-{it}") })).collect();
    let steps = |count: usize| {
        let term = json!({ "matchExpressions": [{ "key": "disk", "operator": "Exists" }] });
        let terms = json!({ "nodeSelectorTerms": vec![term; count] });
        let profile = json!({ "type": "Localhost", "localhostProfile": "callgate/web.json" });
        let pod = json!({ "spec": {
            "securityContext": { "seccompProfile": profile },
            "affinity": { "nodeAffinity": { REQUIRED: terms } },
            "containers": containers,
        } });
        mutate(&pod).len()
    };
    assert_eq!([1_000, 1_001].map(steps), [1_000, 0]);
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_bytes_crash_it_or_are_allowed(bytes in vec(any::<u8>(), 0..512)) {
        for path in ["/mutate", "/validate"] {
            prop_assert_eq!(ask(path, bytes.clone()).status, StatusCode::BAD_REQUEST);
        }
    }

    #[test]
    fn half_a_review_is_an_http_error(pod in pod(), part in 0.0..1.0) {
        let bytes = review(&pod);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
                 reason = "a few kilobytes")]
        let end = (bytes.len() as f64 * part) as usize;
        for path in ["/mutate", "/validate"] {
            let reply = ask(path, bytes[..end].to_vec());
            prop_assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text);
        }
    }

    #[test]
    fn an_unreadable_pod_is_never_allowed(object in any_json()) {
        for path in ["/mutate", "/validate"] {
            let response = ask(path, review(&object)).response();
            prop_assert!(response["uid"] == "u-1");
            prop_assert!(is_readable(&object) || response["allowed"] == false, "{} {}", path, object);
        }
    }

    #[test]
    fn a_readable_pod_is_never_reported_as_unreadable(pod in pod()) {
        prop_assert!(is_readable(&pod));
        prop_assert_eq!(&ask("/mutate", review(&pod)).response()["allowed"], true);
    }

    #[test]
    fn a_patch_applies_and_the_second_one_is_empty(pod in pod()) {
        let once = patched(&pod, &mutate(&pod));
        prop_assert_eq!(mutate(&once), Vec::<Value>::new());
    }

    #[test]
    fn a_patch_never_weakens_and_never_overwrites(pod in pod()) {
        let before = effective(&pod);
        let after = effective(&patched(&pod, &mutate(&pod)));
        prop_assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
        for (container, profile) in &before {
            if profile.is_null() {
                let set = &after[container]["type"];
                prop_assert!(set.is_null() || set == "RuntimeDefault" || set == "Localhost");
            } else {
                prop_assert_eq!(profile, &after[container], "{:?}", container);
            }
        }
    }

    #[test]
    fn a_patch_changes_only_profiles_legacy_annotations_and_required_nodes(pod in pod()) {
        prop_assert_eq!(untouchable(&pod), untouchable(&patched(&pod, &mutate(&pod))));
    }

    /// Nor are there more nodes for it than before, even if there were none.
    #[test]
    fn a_pinned_pod_lands_only_on_nodes_with_the_current_version_of_its_profiles(pod in waiting(), node in node()) {
        let (name, labels) = node;
        let after = patched(&pod, &mutate(&pod));
        if is_required(&after, name, &labels) {
            prop_assert!(is_required(&pod, name, &labels), "{} is new to {}", name, pod);
            let bound = pod["spec"]["nodeName"] == "node-a";
            let windows = pod["spec"]["os"]["name"] == "windows";
            for label in labels_to_wait_for(&after) {
                let has_it = labels.get(label.as_str()) == Some(&CURRENT);
                prop_assert!(bound || windows || has_it, "{} lacks {}: {}", name, label, after);
            }
        }
    }

    #[test]
    fn a_pinned_pod_lands_on_every_node_that_it_required_and_that_has_their_current_version(
        pod in waiting(), node in node()
    ) {
        let (name, mut labels) = node;
        let after = patched(&pod, &mutate(&pod));
        let all = labels_to_wait_for(&after);
        for label in &all {
            labels.insert(label, CURRENT);
        }
        prop_assert_eq!(is_required(&pod, name, &labels), is_required(&after, name, &labels));
    }

    #[test]
    fn a_pod_that_is_bound_to_a_node_is_not_pinned(pod in waiting()) {
        let mut pod = pod;
        pod["spec"]["nodeName"] = json!("node-a");
        let after = patched(&pod, &mutate(&pod));
        prop_assert_eq!(&pod["spec"]["affinity"], &after["spec"]["affinity"]);
    }

    #[test]
    fn after_a_patch_no_finding_with_a_fix_remains(pod in pod()) {
        let left = findings(&patched(&pod, &mutate(&pod)));
        prop_assert!(!left.iter().any(|it| it.ends_with("[unset]")), "{:?}", left);
        prop_assert!(!left.iter().any(|it| it.contains("contradicts the field")), "{:?}", left);
        let warned = ask("/validate", review(&patched(&pod, &mutate(&pod)))).response();
        prop_assert!(!warned["warnings"].to_string().contains("nothing keeps this pod"));
    }

    /// S15, as the API server would compare them.
    /// Evidence for mode enforce is gathered in the other modes, in which pods are not changed.
    #[test]
    fn a_refusal_is_found_in_every_mode_where_mode_enforce_would_deny(
        pod in pod(),
        injected in select(vec!["callgate/web.json", "web.json", "hollow.json", "gone.json"]),
        placement in select(vec!["Check", "Pin", "Ignore"]),
        unset in select(vec!["Deny", "Warn", "Audit", "Off"]),
    ) {
        let policy = POLICY
            .replace("{ type: RuntimeDefault }", &format!("{{ type: Localhost, localhostProfile: {injected} }}"))
            .replace("placement: Pin", &format!("placement: {placement}\n  rules: {{ unset: {unset} }}"));
        let policy = Policy::parse(&policy).expect("a policy");
        let (nodes, classes) = (Nodes::default(), RuntimeClasses::default());
        let (catalog, today) = (&FACTS.1, jiff::civil::date(2026, 11, 24));
        let facts = Facts {
            policy: &policy, catalog, nodes: &nodes, classes: &classes, namespace: "shop", today,
        };
        let text = pod.to_string();
        let read = |text| serde_json::from_str::<Pod<'_>>(text).expect("it is readable");
        let pod = read(&text);
        let whole = &Scope::Whole;
        let enforced = Verdict::of(Kind::Pod, &pod, whole, facts, Mode::Enforce);
        let after = callgate::policy::patched(&text, &enforced.patch(&pod, whole));
        let after = after.expect("it applies");
        let is_denied =
            Verdict::of(Kind::Pod, &read(&after), whole, facts, Mode::Enforce).is_denied();
        for mode in [Mode::Warn, Mode::Audit] {
            let verdict = Verdict::of(Kind::Pod, &pod, whole, facts, mode);
            prop_assert_eq!(!verdict.refusals().is_empty(), is_denied, "{:?}", verdict.refusals());
        }
    }

    #[test]
    fn after_a_patch_no_annotation_contradicts_its_field(pod in pod()) {
        let windows = pod["spec"]["os"]["name"] == "windows";
        let pod = patched(&pod, &mutate(&pod));
        let annotation = pod["metadata"]["annotations"]["seccomp.security.alpha.kubernetes.io/pod"].as_str();
        let field = &pod["spec"]["securityContext"]["seccompProfile"];
        if let (Some(annotation), false) = (annotation, windows) {
            let agrees = match (field["type"].as_str(), field["localhostProfile"].as_str()) {
                (Some("RuntimeDefault"), None) => ["runtime/default", "docker/default"].contains(&annotation),
                (Some("Unconfined"), None) => annotation == "unconfined",
                (Some("Localhost"), Some(path)) => annotation == format!("localhost/{path}"),
                _ => true, // No field, or one that is a finding of its own.
            };
            prop_assert!(agrees, "{} beside {}", annotation, field);
        }
    }

    #[test]
    fn the_order_of_containers_changes_no_finding(pod in pod()) {
        let mut turned = pod.clone();
        for list in ["initContainers", "containers", "ephemeralContainers"] {
            if let Some(containers) = turned["spec"][list].as_array_mut() {
                containers.reverse();
            }
        }
        let set = |pod: &Value| -> BTreeSet<_> {
            findings(pod).iter().map(|it| without_index(it)).collect()
        };
        prop_assert_eq!(set(&pod), set(&turned));
    }

    #[test]
    fn the_order_of_keys_changes_nothing(pod in pod()) {
        let text = String::from_utf8(review(&pod)).expect("JSON is text");
        let turned = reversed(&serde_json::from_str(&text).expect("JSON")).into_bytes();
        for path in ["/mutate", "/validate"] {
            let (a, b) = (ask(path, text.clone().into_bytes()), ask(path, turned.clone()));
            prop_assert_eq!(sorted_lines(&a.response()), sorted_lines(&b.response()));
        }
    }
}

/// Random inputs hardly ever get that deep.
#[test]
fn a_wrong_type_in_a_scheduling_field_is_never_allowed() {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    let affinity = |required: Value| json!({ "nodeAffinity": { REQUIRED: required } });
    let term = |term: Value| affinity(json!({ "nodeSelectorTerms": [term] }));
    let wrong = [
        ("nodeName", json!(7)),
        ("nodeSelector", json!([])),
        ("nodeSelector", json!({ "zone": 1 })),
        ("affinity", json!([])),
        ("affinity", json!({ "nodeAffinity": "none" })),
        ("affinity", affinity(json!([]))),
        ("affinity", affinity(json!({ "nodeSelectorTerms": {} }))),
        ("affinity", term(Value::Null)),
        ("affinity", term(json!([]))),
        ("affinity", term(json!({ "matchExpressions": {} }))),
        ("affinity", term(json!({ "matchExpressions": [7] }))),
        ("affinity", term(json!({ "matchExpressions": [{ "key": 7 }] }))),
        ("affinity", term(json!({ "matchExpressions": [{ "operator": [] }] }))),
        ("affinity", term(json!({ "matchExpressions": [{ "values": "z1" }] }))),
        ("affinity", term(json!({ "matchExpressions": [{ "values": [1] }] }))),
        ("affinity", term(json!({ "matchFields": [{ "values": [null] }] }))),
        ("tolerations", json!({})),
        ("tolerations", json!(["Exists"])),
        ("tolerations", json!([{ "key": 7 }])),
        ("tolerations", json!([{ "operator": true }])),
        ("tolerations", json!([{ "value": 7 }])),
        ("tolerations", json!([{ "effect": ["NoSchedule"] }])),
    ];
    let own = json!({ "seccompProfile": { "type": "RuntimeDefault" } });
    let mut pod = json!({ "metadata": { "name": "web" }, "spec": { "securityContext": own } });
    let allowed = |path: &str, pod: &Value| ask(path, review(pod)).response()["allowed"] == true;
    assert!(allowed("/validate", &pod));
    for (field, value) in wrong {
        pod["spec"][field] = value;
        for path in ["/mutate", "/validate"] {
            assert!(!is_readable(&pod) && !allowed(path, &pod), "{path} {pod}");
        }
        pod["spec"].as_object_mut().expect("it is one").remove(field);
    }
}

/// The document with the keys of every object in falling order.
fn reversed(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let mut keys: Vec<_> = object.iter().collect();
            keys.sort_by(|a, b| b.0.cmp(a.0));
            let entries =
                keys.iter().map(|(key, value)| format!("{}:{}", json!(key), reversed(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(reversed).collect::<Vec<_>>().join(","))
        }
        leaf => leaf.to_string(),
    }
}

/// Annotations are found in the order in which they are written.
fn sorted_lines(response: &Value) -> (Value, BTreeSet<String>, Vec<Value>) {
    let message = response["status"]["message"].as_str().unwrap_or_default();
    (response["allowed"].clone(), message.lines().map(str::to_owned).collect(), patch_of(response))
}
