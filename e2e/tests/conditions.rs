//! The match conditions spare calls whose answer is certain, and no other.
//!
//! The API server itself reads the conditions: what it does not ask about, the
//! engine must let pass under every policy.

use std::collections::BTreeMap;

use callgate::{
    placement::Nodes,
    pod::{Kind, Scope, Subject},
    policy::{Facts, Mode, Policy, Verdict},
    profile::{Catalog, ProfilePath},
};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use serde_json::{Value, json};

use crate::{
    door, generated,
    instance::{Instance, Setup, lines_about},
    table::{self, Case},
    trial::{Test, trials},
};

trials![
    what_is_not_asked_about_would_pass_under_every_policy,
    a_condition_that_spares_too_much_is_found_out,
];

/// The policy to which nothing is indifferent, with a profile to inject.
const STRICTEST: &str = "
apiVersion: callgate.dev/v1alpha1
kind: SeccompPolicy
metadata: { name: strictest }
spec:
  default: { type: RuntimeDefault }
  placement: Pin
  rules: { legacy-annotation: Deny }
";

async fn what_is_not_asked_about_would_pass_under_every_policy(it: Test) {
    let (unsound, spared) = unsound(&it, &pods(200), |_| ()).await;
    assert!(unsound.is_empty(), "{}", unsound.join("\n"));
    let [mutate, validate] = spared;
    assert!(mutate > 10 && validate > 3, "the conditions spare calls: {mutate}, {validate}");
}

/// A law that cannot fail proves nothing.
async fn a_condition_that_spares_too_much_is_found_out(it: Test) {
    let privileged = json!({ "privileged": true });
    let bad = json!({ "metadata": { "name": "web" }, "spec": {
        "securityContext": { "seccompProfile": { "type": "RuntimeDefault" } },
        "containers": [{ "name": "app", "image": "app", "securityContext": privileged }],
    }});
    let careless = |webhook: &mut Value| {
        if webhook["name"] == "validate.callgate.dev" {
            let condition = "object.metadata.name == 'probe'";
            webhook["matchConditions"] = json!([{ "name": "careless", "expression": condition }]);
        }
    };
    let (unsound, _) = unsound(&it, &[bad], careless).await;
    assert_eq!(unsound.len(), 1, "{unsound:?}");
    assert!(unsound[0].contains("[privileged]"), "{unsound:?}");
}

/// The pods of every table, and some that nobody thought of.
fn pods(generated: usize) -> Vec<Value> {
    let is_new_pod = |it: &Case| it.kind() == Kind::Pod && it.old.is_none();
    let tables = table::all(door::TODAY);
    let cases = tables.iter().flat_map(|(_, table)| &table.cases).filter(|it| is_new_pod(it));
    let mut pods: Vec<_> = cases.map(|it| it.object.clone()).collect();
    let mut runner = TestRunner::deterministic();
    pods.extend((0..generated).map(|_| {
        let tree = generated::pod().new_tree(&mut runner).expect("pods can be generated");
        let mut pod = tree.current();
        // Only by itself may the API server refuse what the law is about.
        pod["spec"].as_object_mut().expect("it has one").remove("ephemeralContainers");
        pod
    }));
    pods
}

/// Creates every pod (for a try) and returns what is wrong with those that a
/// webhook was not asked about, and how many each was not asked about.
async fn unsound(
    it: &Test,
    pods: &[Value],
    change: impl Fn(&mut Value),
) -> (Vec<String>, [usize; 2]) {
    let namespace = it.plain_namespace().await;
    let setup = Setup {
        // Nothing is refused, so that every pod that is asked about is seen twice.
        policy: STRICTEST.replace(
            "rules: { legacy-annotation: Deny }",
            "rules: { privileged: Audit, unconfined: Audit, unknown-type: Audit, \
             invalid-path: Audit, missing-profile: Audit, partial-profile: Audit, \
             hollow-profile: Audit }",
        ),
        namespaces: vec![namespace.clone()],
        ..Setup::default()
    };
    let instance = it.instance_with("conditions", setup, change).await;
    let mut stored = BTreeMap::new();
    for (number, pod) in pods.iter().enumerate() {
        let mut pod = pod.clone();
        let name = format!("pod-{number}-");
        pod["apiVersion"] = json!("v1");
        pod["kind"] = json!("Pod");
        pod["metadata"]["name"] = json!(name.clone() + "x");
        pod["metadata"]["namespace"] = json!(namespace);
        let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
        let reply = it.api().post(&path, &pod).await;
        if reply.is_ok() {
            stored.insert(name + "x", (pod, reply.body));
        }
    }
    judge(&instance, &namespace, &stored)
}

fn judge(
    instance: &Instance,
    namespace: &str,
    stored: &BTreeMap<String, (Value, Value)>,
) -> (Vec<String>, [usize; 2]) {
    let log = std::fs::read_to_string(instance.log()).expect("there is a log");
    assert!(!lines_about(&instance.log(), namespace).is_empty(), "something was asked about");
    let asked = |webhook: &str, name: &str| {
        let words = [format!("\"webhook\":{webhook:?}"), format!("\"name\":{name:?}")];
        log.lines().any(|line| words.iter().all(|it| line.contains(it)))
    };
    let (mut unsound, mut spared) = (Vec::new(), [0, 0]);
    for (name, (submitted, accepted)) in stored {
        if !asked("mutate", name) {
            spared[0] += 1;
            let (_, patch) = verdict(submitted);
            if patch > 0 {
                unsound.push(format!("/mutate would have patched {submitted}"));
            }
        }
        if !asked("validate", name) {
            spared[1] += 1;
            let (lines, _) = verdict(accepted);
            unsound.extend(lines.iter().map(|line| format!("{line} in {accepted}")));
        }
    }
    (unsound, spared)
}

/// A profile that pods can be pinned for.
fn catalog() -> Catalog {
    let path = ProfilePath::of_object("web").expect("a name");
    Catalog::default().bringing([(path, None)])
}

/// What the strictest policy says, and how much it would change.
fn verdict(pod: &Value) -> (Vec<String>, usize) {
    let text = pod.to_string();
    let mut json = serde_json::Deserializer::from_str(&text);
    let Subject { pod, .. } = Kind::Pod.read(&mut json).expect("a pod").expect("a pod");
    let facts = Facts {
        policy: &Policy::parse(STRICTEST).expect("a policy"),
        catalog: &catalog(),
        nodes: &Nodes::default(),
        namespace: "shop",
        today: door::TODAY,
    };
    let verdict = Verdict::of(Kind::Pod, &pod, &Scope::Whole, facts, Mode::Enforce);
    let lines = verdict.judged().iter().map(|it| it.line(Kind::Pod)).collect();
    (lines, verdict.patch(&pod, &Scope::Whole).operations.len())
}
