//! Verdicts on pods that could land on nodes, with Node objects and the reports that agents would write.

use callgate::{pod::Kind, policy::Builtin, profile::Digest};
use serde_json::{Value, json};
use support::{
    e2e::{api::Reply, instance::Setup},
    table::{Asked, Case, Judging, NAMESPACE, Outcome, Table},
    wait::eventually,
};

use crate::{
    tests::every_table::prepare,
    trial::{Test, naming, trials},
};

trials![
    a_profile_on_its_way_to_nodes_is_denied_then_warned_about_and_a_pinned_pod_waits_for_it,
    the_report_of_a_silent_agent_does_not_count_until_its_next_heartbeat,
];

const NODES: &str = "/api/v1/nodes";
const REPORTS: &str = "/apis/callgate.dev/v1alpha1/seccompnodes";
const POLICIES: &str = "/apis/callgate.dev/v1alpha1/seccomppolicies";
const CLASSES: &str = "/apis/node.k8s.io/v1/runtimeclasses";
const PROFILES: &str = "/apis/callgate.dev/v1alpha1/seccompprofiles";

/// The label and the taint of the nodes of one case, which pods of other cases neither select nor tolerate.
const CASE: &str = "callgate.test/case";

/// Cases of one policy and mode, with the objects that they need in the cluster.
pub(super) struct Stage {
    pub(super) namespace: String,
    /// Its policies and profiles, under the names that they have in the cluster.
    pub(super) table: Table,
    pub(super) cases: Vec<(usize, Case)>,
    nodes: Vec<String>,
}

impl Stage {
    pub(super) async fn set(
        it: &Test,
        table: &Table,
        policy: &str,
        mode: &str,
        cases: &[(usize, &Case)],
    ) -> Self {
        it.opt_in().await;
        let namespace = it.plain_namespace().await;
        // The last word of the name is a unique number.
        let own = namespace.rsplit('-').next().unwrap_or_default().to_owned();
        let mut stage = Self {
            namespace,
            table: Table {
                managed: table.managed.clone(),
                classes: table.classes.clone(),
                policies: table.policies.clone(),
                around: table.around.clone(),
                ..Table::default()
            },
            cases: Vec::new(),
            nodes: Vec::new(),
        };
        for (name, text) in &table.managed {
            let spec: Value = serde_json::from_str(text).expect("cases bring profiles");
            let object = object("SeccompProfile", name, &spec);
            it.api().apply(&format!("{PROFILES}/{name}"), &object).await.expect_ok("the profile");
        }
        define_classes(it, table).await;
        await_classes(it, table).await;
        let policy = stage.policy(it, policy, &own).await;
        for (number, case) in cases.iter().filter(|(_, it)| !it.is_unasked()) {
            let case = stage.moved(case, &policy, &format!("{own}-{number}"));
            prepare(it, &stage.namespace, *number, &case).await;
            stage.nodes.extend(put(it, &stage.table, &case, &format!("{own}-{number}")).await);
            stage.cases.push((*number, case));
        }
        stage.nodes.push(await_news(it, &own, table.managed.keys()).await);
        obey(it, &stage.namespace, &policy, mode).await;
        stage
    }

    /// Creates the policy as an object, and returns its name.
    async fn policy(&mut self, it: &Test, name: &str, own: &str) -> String {
        if Builtin::named(name).is_some() {
            return name.to_owned();
        }
        let spec = self.table.policies.remove(name).expect("a table has its policies");
        let own = format!("{name}-{own}");
        let text = spec
            .to_string()
            .replace(&format!("\"{NAMESPACE}\""), &format!("\"{}\"", self.namespace));
        let stored = serde_json::from_str(&text).expect("it was JSON");
        let object = object("SeccompPolicy", &own, &stored);
        it.api().apply(&format!("{POLICIES}/{own}"), &object).await.expect_ok("the policy");
        self.table.policies.insert(own.clone(), spec);
        own
    }

    /// The case with its own nodes, and the verdict of the function there.
    fn moved(&self, case: &Case, policy: &str, own: &str) -> Case {
        let mut case = case.clone();
        policy.clone_into(&mut case.policy);
        let nodes = std::mem::take(&mut case.nodes).into_iter();
        case.nodes = nodes
            .map(|(name, mut node)| {
                node.labels.insert(CASE.to_owned(), own.to_owned());
                (format!("{name}-{own}"), node)
            })
            .collect();
        let kind = case.kind();
        keep_to(&mut case.object, kind, own);
        if let Some(old) = &mut case.old {
            keep_to(old, kind, own);
        }
        let Outcome { denied, warned, .. } = self.table.judge(&case, &case.object());
        (case.denied, case.warned) = (denied, warned);
        case
    }

    pub(super) async fn clear(self, it: &Test) {
        for name in &self.nodes {
            it.api().delete(&format!("{NODES}/{name}")).await;
            it.api().delete(&format!("{REPORTS}/{name}")).await;
        }
    }
}

/// Restricts the pod to the nodes of this case.
fn keep_to(object: &mut Value, kind: Kind, own: &str) {
    let path = format!("/{}spec", kind.prefix().replace('.', "/"));
    let spec = object.pointer_mut(&path).expect("cases have a spec");
    spec["nodeSelector"][CASE] = json!(own);
    // Nodes that run nothing are not ready.
    let keys = [CASE, "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
    let tolerations = keys.map(|key| json!({ "key": key, "operator": "Exists" }));
    match spec["tolerations"].as_array_mut() {
        Some(it) => it.extend(tolerations),
        None => spec["tolerations"] = json!(tolerations),
    }
    if let Some(name) = spec["nodeName"].as_str() {
        spec["nodeName"] = json!(format!("{name}-{own}"));
    }
}

/// Creates the nodes of a case, and the reports of their agents; returns their names.
async fn put(it: &Test, table: &Table, case: &Case, own: &str) -> Vec<String> {
    for (name, node) in &case.nodes {
        let taint = |key: &str, value: &str, effect: &str| json!({ "key": key, "value": value, "effect": effect });
        let mut taints: Vec<_> =
            node.taints.iter().map(|it| taint(&it.key, &it.value, &it.effect)).collect();
        taints.push(taint(CASE, own, "NoSchedule"));
        make_node(it, name, &json!(node.labels), taints).await;
        if node.unschedulable {
            let change = json!({ "spec": { "unschedulable": true } });
            it.api().merge(&format!("{NODES}/{name}"), &change).await.expect_ok("the cordon");
        }
        let Some(profiles) = &node.profiles else { continue };
        let files = profiles.iter().map(|(path, file)| {
            let mut entry = json!({ "path": path.as_str(), "size": 7, "source": "node" });
            if let Some(digest) = table.digest(path, file) {
                entry["digest"] = json!(digest);
            }
            if let Some(problem) = &file.problem {
                entry["problem"] = json!(problem);
            }
            if let Some(doubt) = &file.doubt {
                entry["doubt"] = json!(doubt);
            }
            entry
        });
        report(
            it,
            name,
            json!({ "profiles": files.collect::<Vec<_>>(), "unlisted": node.unlisted }),
        )
        .await;
    }
    case.nodes.keys().cloned().collect()
}

async fn make_node(it: &Test, name: &str, labels: &Value, taints: Vec<Value>) {
    let node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": { "name": name, "labels": labels }, "spec": { "taints": taints },
    });
    it.api().post(NODES, &node).await.expect_ok("the node");
}

async fn report(it: &Test, name: &str, status: Value) {
    let object = object("SeccompNode", name, &json!({}));
    it.api().apply(&format!("{REPORTS}/{name}"), &object).await.expect_ok("the report");
    let path = format!("{REPORTS}/{name}/status");
    it.api().merge(&path, &json!({ "status": status })).await.expect_ok("what it says");
}

/// Waits until the webhook has received all earlier objects: watches keep the order.
async fn await_news(it: &Test, own: &str, managed: impl Iterator<Item = &String>) -> String {
    let (name, path) = (format!("last-{own}"), format!("last-{own}.json"));
    let labels = json!({ CASE: name });
    make_node(it, &name, &labels, vec![]).await;
    let file = json!({ "path": path, "size": 7, "source": "node" });
    report(it, &name, json!({ "profiles": [file] })).await;
    let mut paths = vec![path];
    paths.extend(managed.map(|it| format!("callgate/{it}.json")));
    for path in paths {
        // No node has this label, so the catalog decides, and allows the pod.
        let mut pod = naming(&path);
        pod["spec"]["nodeSelector"] = json!({ CASE: "of-none" });
        eventually("the webhook knows of the profile", async || {
            it.api().post(&format!("{}?dryRun=All", it.pods()), &pod).await.is_ok().then_some(())
        })
        .await;
    }
    name
}

/// Creates the runtime classes of a table. They stay, since they are the same for all cases.
pub(super) async fn define_classes(it: &Test, table: &Table) {
    for (name, handler) in &table.classes {
        let class = json!({
            "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass",
            "metadata": { "name": name }, "handler": handler,
        });
        it.api().apply(&format!("{CLASSES}/{name}"), &class).await.expect_ok("the class");
    }
}

/// Waits until the webhook has received all classes of a table.
async fn await_classes(it: &Test, table: &Table) {
    for name in table.classes.keys() {
        let template = json!({
            "apiVersion": "v1", "kind": "PodTemplate", "metadata": { "name": "probe" },
            "template": { "spec": {
                "runtimeClassName": name, "containers": [{ "name": "app", "image": "app" }],
            } },
        });
        let path = format!("/api/v1/namespaces/{}/podtemplates?dryRun=All", it.namespace);
        eventually("the webhook knows of the class", async || {
            let reply = it.api().post(&path, &template).await;
            let is_new = reply.warnings.iter().any(|it| it.contains("there is no runtime class"));
            (reply.is_ok() && !is_new).then_some(())
        })
        .await;
    }
}

async fn obey(it: &Test, namespace: &str, policy: &str, mode: &str) {
    let labels = json!({ "callgate.dev/policy": policy, "callgate.dev/mode": mode });
    let labels = json!({ "metadata": { "labels": labels } });
    let path = format!("/api/v1/namespaces/{namespace}");
    eventually("the label is accepted", async || {
        it.api().merge(&path, &labels).await.is_ok().then_some(())
    })
    .await;
    it.world.await_calls(&it.world.webhook, namespace).await;
}

/// A profile that denies one call.
fn denying(call: &str) -> Value {
    json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        { "names": [call], "action": "SCMP_ACT_ERRNO" },
    ] })
}

/// The file that agents make of it.
fn written(call: &str) -> String {
    [
        "{",
        "  \"defaultAction\": \"SCMP_ACT_ALLOW\",",
        "  \"syscalls\": [",
        "    {",
        "      \"names\": [",
        &format!("        {call:?}"),
        "      ],",
        "      \"action\": \"SCMP_ACT_ERRNO\"",
        "    }",
        "  ]",
        "}",
        "",
    ]
    .join("\n")
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "callgate.dev/v1alpha1", "kind": kind,
        "metadata": { "name": name }, "spec": spec,
    })
}

async fn a_profile_on_its_way_to_nodes_is_denied_then_warned_about_and_a_pinned_pod_waits_for_it(
    it: Test,
) {
    it.opt_in().await;
    let own = it.namespace.rsplit('-').next().expect("it ends with a number").to_owned();
    let (name, nodes) = (format!("sloe-{own}"), ["a", "b"].map(|it| format!("story-{it}-{own}")));
    let path = format!("callgate/{name}.json");
    for node in &nodes {
        let taint = json!({ "key": CASE, "effect": "NoSchedule" });
        make_node(&it, node, &json!({ CASE: own }), vec![taint]).await;
        report(&it, node, json!({ "profiles": [] })).await;
    }
    let profile = format!("{PROFILES}/{name}");
    let store = async |call: &str| {
        let object = object("SeccompProfile", &name, &denying(call));
        it.api().apply(&profile, &object).await.expect_ok("the profile");
    };
    store("mkdir").await;

    let mut pod = naming(&path);
    keep_to(&mut pod, Kind::Pod, &own);
    let dry = format!("{}?dryRun=All", it.pods());
    let tried = async || it.api().post(&dry, &pod).await;
    let until = async |what: &str, is: &dyn Fn(&Reply) -> bool| {
        eventually(what, async || Some(tried().await).filter(|it| is(it))).await
    };
    let line = format!(
        "spec.securityContext: profile {path:?} is on none of the 2 nodes this pod can land on; \
         callgate is delivering it to the nodes, retry in a moment [missing-profile]"
    );
    let denial = it.denial("web", &[&line]);
    until("it is on no node, and denied", &|it| it.message() == denial).await;

    let with = |call: &str| {
        let digest = Digest::of(written(call).as_bytes()).to_string();
        json!({ "path": path, "digest": digest, "size": 7, "source": "callgate" })
    };
    let there = with("mkdir");
    report(&it, &nodes[0], json!({ "profiles": [there] })).await;
    let warning = format!(
        "policy \"restricted\": spec.securityContext: profile {path:?} is on 1 of the 2 nodes this \
         pod can land on: {:?} lacks it; under placement: Pin the scheduler waits for a node with \
         it [partial-profile]",
        nodes[1]
    );
    until("it is on one node, and warned about", &|it| it.warnings == [warning.clone()]).await;
    report(&it, &nodes[1], json!({ "profiles": [there] })).await;
    let reply = until("it is on both nodes", &|it| it.warnings.is_empty()).await;
    let stored = reply.expect_ok("nothing is wrong");
    assert!(stored["spec"]["affinity"].is_null(), "restricted pins nothing");

    store("rmdir").await;
    let outdated = |on: String| {
        format!(
            "policy \"restricted\": spec.securityContext: profile {path:?} is not yet the current \
             one on {on}; callgate delivers it, wait a moment [partial-profile]"
        )
    };
    let (a, b) = (&nodes[0], &nodes[1]);
    let both = outdated(format!("all 2 nodes this pod can land on: {a:?}, {b:?}"));
    until("both nodes have the version before", &|it| it.warnings == [both.clone()]).await;
    report(&it, a, json!({ "profiles": [with("rmdir")] })).await;
    let one = outdated(format!("1 of the 2 nodes this pod can land on: {b:?}"));
    until("one node has the version before", &|it| it.warnings == [one.clone()]).await;
    report(&it, b, json!({ "profiles": [with("rmdir")] })).await;
    until("both nodes have the new version", &|it| it.warnings.is_empty()).await;

    let policy = format!("sloe-{own}");
    let pins = json!({ "placement": "Pin", "default": {
        "type": "Localhost", "localhostProfile": path,
    } });
    let pins = object("SeccompPolicy", &policy, &pins);
    it.api().apply(&format!("{POLICIES}/{policy}"), &pins).await.expect_ok("the policy");
    obey(&it, &it.namespace, &policy, "enforce").await;
    let value = Digest::of(written("rmdir").as_bytes()).short();
    let key = format!("profile.callgate.dev/{name}");
    let label = json!([{ "key": key, "operator": "In", "values": [value] }]);
    let terms = json!([{ "matchExpressions": label }]);
    // No node has the label, and yet it is not denied.
    let is_pinned = |reply: &Reply| {
        let affinity = &reply.body["spec"]["affinity"]["nodeAffinity"];
        affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"] == terms
            && reply.warnings.is_empty()
    };
    until("pods are pinned", &is_pinned).await;

    let warned = eventually("the webhook knows who sets it", async || {
        let reply = it.api().delete(&format!("{profile}?dryRun=All")).await;
        assert!(reply.is_ok(), "{}", reply.message());
        Some(reply.warnings).filter(|it| it.len() == 2)
    })
    .await;
    let expected = [
        format!(
            "policy {policy:?} sets profile {name:?}: its pods will be denied, change it first"
        ),
        format!(
            "profile {name:?} stays on the nodes for as long as their agents keep what is released \
             (24 hours by default), then pods that name {path:?} no longer start"
        ),
    ];
    assert_eq!(warned, expected);
    for node in &nodes {
        it.api().delete(&format!("{NODES}/{node}")).await;
        it.api().delete(&format!("{REPORTS}/{node}")).await;
    }
}

async fn the_report_of_a_silent_agent_does_not_count_until_its_next_heartbeat(it: Test) {
    let namespace = it.plain_namespace().await;
    let own = namespace.rsplit('-').next().expect("it ends with a number").to_owned();
    let (name, node) = (format!("medlar-{own}"), format!("silent-{own}"));
    let profile = format!("{PROFILES}/{name}");
    let stored = object("SeccompProfile", &name, &denying("mkdir"));
    it.api().apply(&profile, &stored).await.expect_ok("the profile");
    let taint = json!({ "key": CASE, "effect": "NoSchedule" });
    make_node(&it, &node, &json!({ CASE: own }), vec![taint]).await;
    report(&it, &node, json!({ "profiles": [] })).await;
    let flags = ["--default-policy", "restricted", "--agent-timeout", "5s"];
    let setup = Setup {
        namespaces: vec![namespace.clone()],
        flags: flags.map(str::to_owned).into(),
        ..Setup::default()
    };
    let instance = it.instance("silent", setup).await;

    let path = format!("callgate/{name}.json");
    let mut pod = naming(&path);
    keep_to(&mut pod, Kind::Pod, &own);
    let dry = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
    eventually("the node is unknown, so the catalog decides", async || {
        let reply = it.api().post(&dry, &pod).await;
        (reply.is_ok() && reply.warnings.is_empty()).then_some(())
    })
    .await;
    // Nodes of other tests have no heartbeat either.
    eventually("that is counted", async || {
        instance.metric("callgate_agents_silent").await.filter(|it| *it >= 1.0)
    })
    .await;
    eventually("and logged", async || instance.said("agents are silent").pop()).await;

    let status = format!("{NODES}/{node}/status");
    let mut beats = 0..;
    let refused = format!("profile {path:?} is not on {node:?}, the only node");
    eventually("its agent is alive, so that the profile is missing", async || {
        // No replica compares it with its own time: the last one is a hundred years ahead.
        let seconds: u32 = beats.next()?;
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        let heartbeat = format!("2126-11-24T{:02}:{:02}:{seconds:02}Z", minutes / 60, minutes % 60);
        let condition = json!({
            "type": "SeccompProfilesReady", "status": "True", "reason": "Installed",
            "message": "", "lastHeartbeatTime": heartbeat, "lastTransitionTime": heartbeat,
        });
        let alive = json!({ "status": { "conditions": [condition] } });
        it.api().merge(&status, &alive).await.expect_ok("the heartbeat");
        it.api().post(&dry, &pod).await.message().contains(&refused).then_some(())
    })
    .await;
    eventually("its agent is silent again", async || {
        it.api().post(&dry, &pod).await.is_ok().then_some(())
    })
    .await;
    it.api().delete(&format!("{NODES}/{node}")).await;
    it.api().delete(&format!("{REPORTS}/{node}")).await;
    it.api().delete(&profile).await;
}
