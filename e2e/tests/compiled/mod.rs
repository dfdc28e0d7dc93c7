//! Policies that are compiled into the API server (`callgate compile`).

pub(super) mod backstop;
mod careless;
pub(super) mod component;
mod law;
mod pairs;

use std::collections::BTreeMap;

pub(super) use law::outcome;

use callgate::{
    compile::{self, Cluster, Compiled, compile},
    policy::{Builtin, Mode, Policy},
};
use serde_json::{Value, json};
use support::{
    e2e::{api::Api, instance::Setup, manifests::path_of},
    harness::TODAY,
    report::{report, report_details},
    table,
    wait::eventually,
};

use crate::{
    tests::{
        compiled::law::{Class, Form, Group, Tally},
        every_table::submit,
        on_nodes::define_classes,
    },
    trial::{Test, pod, trials},
};

trials![
    compiled_policies_change_pods_as_mutate_does_or_leave_them,
    the_component_changes_pods_as_mutate_does_or_leaves_them,
    each_careless_compiled_policy_is_found_out,
    each_careless_policy_of_the_component_is_found_out,
    beside_the_webhook_a_compiled_policy_changes_no_verdict,
    without_a_replica_a_compiled_policy_sets_the_profile,
];

/// Without a webhook: every case of the tables, every policy of theirs on pods that differ in what
/// matters, generated pairs, and the largest policies that a cluster takes.
async fn compiled_policies_change_pods_as_mutate_does_or_leave_them(it: Test) {
    if is_served(&it).await {
        let tally = obey_the_law(&it, Form::Policies).await;
        let largest = tally[&Class::Largest];
        assert!(largest.injected == 6 && largest.left == 0, "{tally:#?}");
    }
}

/// The same for the policy of the component `in-process`, to which all of it is data.
async fn the_component_changes_pods_as_mutate_does_or_leaves_them(it: Test) {
    if is_served(&it).await {
        component::define(&it).await;
        let tally = obey_the_law(&it, Form::Data).await;
        // The pod of a hundred containers is too expensive among 256 exemptions.
        let largest = tally[&Class::Largest];
        assert!(largest.injected >= 5, "{tally:#?}");
    }
}

async fn obey_the_law(it: &Test, form: Form) -> BTreeMap<Class, Tally> {
    let mut groups = pairs::of_tables();
    let cases: usize = groups.iter().map(|it| it.cases.len()).sum();
    groups.extend(pairs::generated(50, 10));
    groups.extend(pairs::largest());
    for (_, table) in table::all(TODAY) {
        define_classes(it, &table).await;
    }
    let (wrong, tally) = law::wrong(it, groups, form).await;
    report_details(&format!("{cases} pairs of the tables; by class: {tally:#?}"));
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    // Else the law might hold since nothing is compiled.
    let at = |class: Class| tally.get(&class).copied().unwrap_or_default();
    assert!(at(Class::Plain).injected > 300, "{tally:#?}");
    for class in [Class::Annotated, Class::Exempt, Class::Pinned, Class::Update] {
        assert!(at(class).left > 0, "{class:?} are left to the webhook: {tally:#?}");
    }
    assert_eq!(at(Class::Plain).left, 0);
    assert!(at(Class::Plain).unchanged > 100 && at(Class::Template).unchanged > 20, "{tally:#?}");
    tally
}

/// Verifies that the law can fail.
async fn each_careless_compiled_policy_is_found_out(it: Test) {
    if is_served(&it).await {
        find_out(&it, careless::all(Form::Policies), Form::Policies).await;
    }
}

async fn each_careless_policy_of_the_component_is_found_out(it: Test) {
    if is_served(&it).await {
        component::define(&it).await;
        find_out(&it, careless::all(Form::Data), Form::Data).await;
    }
}

async fn find_out(it: &Test, mistakes: Vec<(&'static str, Group)>, form: Form) {
    let (names, groups): (Vec<_>, Vec<_>) = mistakes.into_iter().unzip();
    let (wrong, tally) = law::wrong(it, groups, form).await;
    for name in &names {
        let found = wrong.iter().any(|it| it.starts_with(&format!("{name}: ")));
        assert!(found, "{name} is not found out; {tally:#?}\n{}", wrong.join("\n"));
    }
}

/// With both in place each pod gets the same profile, or the same denial, as with the webhook alone:
/// nothing is injected twice. The objects are those that `callgate compile` prints.
async fn beside_the_webhook_a_compiled_policy_changes_no_verdict(it: Test) {
    if !is_served(&it).await {
        return;
    }
    let name = format!("both-{}", std::process::id());
    let policy = json!({
        "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
        "metadata": { "name": name },
        "spec": { "default": { "type": "RuntimeDefault" }, "placement": "Ignore", "bindings": [{
            "podSelector": { "matchLabels": { "app": "web" } },
            "profile": { "type": "Localhost", "localhostProfile": "block-mkdir.json" },
        }] },
    });
    let path = format!("/apis/callgate.dev/v1alpha1/seccomppolicies/{name}");
    it.api().apply(&path, &policy).await.expect_ok("the policy");
    let label = json!({ "metadata": { "labels": { "callgate.dev/policy": name } } });
    let path = format!("/api/v1/namespaces/{}", it.namespace);
    it.api().merge(&path, &label).await.expect_ok("the label");
    it.world.await_calls(&it.world.webhook, &it.namespace).await;

    let bound = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "probe", "labels": { "app": "web" } },
        "spec": { "containers": [{ "name": "app", "image": "app" }] },
    });
    eventually("callgate knows the policy", async || {
        let reply = it.api().post(&format!("{}?dryRun=All", it.pods()), &bound).await;
        let profile = &reply.body["spec"]["securityContext"]["seccompProfile"];
        (profile["localhostProfile"] == "block-mkdir.json").then_some(())
    })
    .await;
    let cases = pairs::pods();
    let before = verdicts(&it, &cases).await;
    let policy = Policy::parse(&policy.to_string()).expect("a policy");
    let Compiled { objects, left } = compile(&policy, &cluster());
    assert!(left.is_empty(), "{left:?}");
    activate(&it, &objects, Form::Policies).await;
    let after = verdicts(&it, &cases).await;
    remove(it.api(), &objects).await;
    it.api().delete(&format!("/apis/callgate.dev/v1alpha1/seccomppolicies/{name}")).await;
    for ((case, before), after) in cases.iter().zip(&before).zip(&after) {
        assert_eq!(before, after, "{}", case.name);
    }
    let accepted = before.iter().filter(|it| it.is_ok()).count();
    assert!(accepted > 10 && accepted < before.len(), "{accepted} of {}", before.len());
}

/// Without a replica the API server sets the profile of a bare pod, which then passes as one does that
/// has the profile already. Pods for which `/validate` is called are denied.
async fn without_a_replica_a_compiled_policy_sets_the_profile(it: Test) {
    if is_served(&it).await {
        component::define(&it).await;
        for form in [Form::Policies, Form::Data] {
            endure_an_outage(&it, form).await;
        }
    }
}

async fn endure_an_outage(it: &Test, form: Form) {
    let namespace = it.plain_namespace().await;
    let setup = Setup {
        policy: "restricted".to_owned(),
        namespaces: vec![namespace.clone()],
        ..Setup::default()
    };
    let mut instance = it.instance(&format!("outage-{form:?}").to_lowercase(), setup).await;
    instance.kill();
    let objects = restricted(&namespace, form);
    activate(it, &objects, form).await;

    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let create = async |name: &str, profile: Value, privileged: bool| {
        let container = json!({
            "name": "app", "image": "app", "securityContext": { "privileged": privileged },
        });
        let spec = json!({
            "containers": [container], "securityContext": { "seccompProfile": profile },
        });
        it.api().post(&path, &pod(name, &spec)).await
    };
    let default = json!({ "type": "RuntimeDefault" });
    for (name, profile) in [("bare", Value::Null), ("compliant", default.clone())] {
        let stored = create(name, profile, false).await.expect_ok(name);
        assert_eq!(stored["spec"]["securityContext"]["seccompProfile"], default, "{name}");
    }
    let unconfined = json!({ "type": "Unconfined" });
    for (name, profile, privileged) in [
        ("unconfined", unconfined, false),
        ("privileged", default, true),
        ("bare-and-privileged", Value::Null, true),
    ] {
        let reply = create(name, profile, privileged).await;
        let start = "Internal error occurred: failed calling webhook \"validate.callgate.dev\"";
        assert!(reply.message().starts_with(start), "{name}: {}", reply.message());
    }
    remove(it.api(), &objects).await;
}

async fn verdicts(it: &Test, cases: &[table::Case]) -> Vec<Result<Value, String>> {
    let mut verdicts = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        verdicts.push(law::outcome(submit(it, &it.namespace, number, case).await));
    }
    verdicts
}

/// Whether the API server has the API: from 1.36 on, without a feature gate.
pub(super) async fn is_served(it: &Test) -> bool {
    let path = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies";
    let is_served = it.api().get(path).await.is_ok();
    if !is_served {
        report("skipped: the API server does not serve MutatingAdmissionPolicy v1");
    }
    is_served
}

/// Applies the objects of compiled policies and waits until the API server goes by them: it learns
/// of policies in the order in which they were written, and so of bindings, hence it goes by these
/// once it goes by a policy and a binding that were written after them.
async fn activate(it: &Test, objects: &[Value], form: Form) {
    for object in objects {
        it.api().apply(&path_of(object), object).await.expect_ok("a compiled policy");
    }
    let namespace = it.plain_namespace().await;
    let last = restricted(&namespace, form);
    for object in &last {
        it.api().apply(&path_of(object), object).await.expect_ok("the last policy");
    }
    let context = json!({ "privileged": form == Form::Backstop });
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "probe" },
        "spec": { "containers": [{ "name": "app", "image": "app", "securityContext": context }] },
    });
    let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
    eventually("the API server goes by the last policy", async || {
        let reply = it.api().post(&path, &pod).await;
        let is_changed = reply.body["spec"]["securityContext"].get("seccompProfile").is_some();
        let is_denied = form == Form::Backstop && reply.status == 403;
        (is_changed || is_denied).then_some(())
    })
    .await;
    remove(it.api(), &last).await;
}

/// The policy `restricted`, compiled for one namespace, whatever its labels are.
fn restricted(namespace: &str, form: Form) -> Vec<Value> {
    let policy = Builtin::named("restricted").expect("it is built in").policy();
    let mut objects = match form {
        Form::Policies => compile(&policy, &cluster()).objects,
        Form::Data => component::of_every_namespace(&policy, namespace),
        Form::Backstop => compile::backstop(&policy, &cluster()).objects,
    };
    for it in &mut objects {
        it["metadata"]["name"] = json!(namespace);
    }
    let binding = objects.last_mut().expect("a binding");
    binding["spec"]["policyName"] = json!(namespace);
    binding["spec"]["matchResources"]["namespaceSelector"] =
        json!({ "matchLabels": { "kubernetes.io/metadata.name": namespace } });
    objects
}

fn cluster() -> Cluster {
    Cluster {
        default_policy: None,
        default_mode: Mode::Enforce,
        excluded_namespaces: vec!["callgate-system".to_owned(), "kube-system".to_owned()],
    }
}

async fn remove(api: &Api, objects: &[Value]) {
    for it in objects.iter().rev() {
        api.delete(&path_of(it)).await;
    }
}
