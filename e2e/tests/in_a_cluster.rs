//! Policies, profiles and labels as objects of the cluster.

use serde_json::{Value, json};
use support::{
    e2e::{
        api::Reply,
        instance::{Setup, lines_about},
    },
    wait::eventually,
};

use crate::trial::{Test, container, pod, profile_of, trials};

trials![
    a_policy_of_the_cluster_is_enforced_and_so_is_its_change,
    a_policy_that_a_namespace_names_cannot_be_deleted,
    a_policy_and_a_namespace_that_names_it_can_be_applied_at_once,
    a_policy_cannot_be_deleted_just_after_a_namespace_named_it,
    a_label_on_a_namespace_that_is_left_out_leads_to_a_warning,
    a_label_that_names_no_policy_is_denied_and_the_policies_are_listed,
    an_invalid_mode_is_denied_also_on_a_namespace_without_a_policy,
    the_default_mode_is_that_of_namespaces_that_name_none,
    a_pod_in_a_namespace_that_is_brand_new_is_judged,
    a_profile_of_the_cluster_can_be_named,
    numbers_of_64_bits_survive,
    the_schema_rejects_invalid_policies,
    callgate_denies_invalid_policies_that_the_schema_accepts,
    a_profile_under_which_no_container_starts_is_denied,
];

const POLICIES: &str = "/apis/callgate.dev/v1alpha1/seccomppolicies";
const PROFILES: &str = "/apis/callgate.dev/v1alpha1/seccompprofiles";

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "callgate.dev/v1alpha1", "kind": kind,
        "metadata": { "name": name }, "spec": spec,
    })
}

fn policy(name: &str, spec: &Value) -> Value {
    object("SeccompPolicy", name, spec)
}

fn bare() -> Value {
    json!({ "containers": [{ "name": "app", "image": "app" }] })
}

/// A name that no other test uses.
fn own(it: &Test) -> String {
    it.namespace.chars().take(60).collect::<String>().trim_matches('-').to_owned()
}

async fn obey(it: &Test, policy: &str) {
    let label = json!({ "metadata": { "labels": { "callgate.dev/policy": policy } } });
    let path = format!("/api/v1/namespaces/{}", it.namespace);
    // The webhook receives the policy by its watch.
    eventually("the label is accepted", async || {
        it.api().merge(&path, &label).await.is_ok().then_some(())
    })
    .await;
}

async fn dry_run(it: &Test, spec: &Value) -> Reply {
    it.api().post(&format!("{}?dryRun=All", it.pods()), &pod("web", spec)).await
}

async fn a_policy_of_the_cluster_is_enforced_and_so_is_its_change(it: Test) {
    let name = own(&it);
    let path = format!("{POLICIES}/{name}");
    let privileged = json!({ "containers": [container("app", &json!({ "privileged": true }))] });
    it.api().apply(&path, &policy(&name, &json!({}))).await.expect_ok("the policy");
    obey(&it, &name).await;
    eventually("the policy is obeyed", async || {
        let reply = dry_run(&it, &privileged).await;
        reply.message().contains(&format!("policy {name:?} denies pod")).then_some(())
    })
    .await;

    let change = json!({ "rules": { "privileged": "Warn", "unset": "Off" } });
    it.api().apply(&path, &policy(&name, &change)).await.expect_ok("the change");
    eventually("the change is obeyed", async || {
        let reply = dry_run(&it, &privileged).await;
        let warned = reply.warnings.iter().any(|it| it.ends_with("[privileged]"));
        (reply.is_ok() && warned).then_some(())
    })
    .await;
}

async fn a_policy_that_a_namespace_names_cannot_be_deleted(it: Test) {
    let name = own(&it);
    let path = format!("{POLICIES}/{name}");
    it.api().apply(&path, &policy(&name, &json!({}))).await.expect_ok("the policy");
    obey(&it, &name).await;
    let denial = eventually("the webhook knows who obeys it", async || {
        let reply = it.api().delete(&format!("{path}?dryRun=All")).await;
        (!reply.is_ok()).then(|| reply.message().to_owned())
    })
    .await;
    assert_eq!(
        denial,
        format!(
            "admission webhook \"objects.callgate.dev\" denied the request: \
             policy {name:?} governs namespaces {:?}; change their label callgate.dev/policy first",
            it.namespace
        )
    );
    obey(&it, "restricted").await;
    eventually("no namespace names it any more", async || {
        it.api().delete(&path).await.is_ok().then_some(())
    })
    .await;
}

/// As the first synchronisation by a tool that applies a repository does it.
async fn a_policy_and_a_namespace_that_names_it_can_be_applied_at_once(it: Test) {
    for number in 0..20 {
        let name = format!("{}-{number}", own(&it));
        let path = format!("{POLICIES}/{name}");
        it.api().apply(&path, &policy(&name, &json!({}))).await.expect_ok("the policy");
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": name, "labels": { "callgate.dev/policy": name } },
        });
        let namespaces = format!("/api/v1/namespaces/{name}");
        it.api().apply(&namespaces, &namespace).await.expect_ok("the namespace, at once");
        it.api().delete(&namespaces).await.expect_ok("its end");
    }
}

async fn a_policy_cannot_be_deleted_just_after_a_namespace_named_it(it: Test) {
    let namespace = format!("/api/v1/namespaces/{}", it.namespace);
    let label =
        |policy: &str| json!({ "metadata": { "labels": { "callgate.dev/policy": policy } } });
    for number in 0..20 {
        let name = format!("{}-{number}", own(&it));
        let path = format!("{POLICIES}/{name}");
        it.api().apply(&path, &policy(&name, &json!({}))).await.expect_ok("the policy");
        it.api().merge(&namespace, &label(&name)).await.expect_ok("the label");
        let reply = it.api().delete(&path).await;
        let why = format!(
            "policy {name:?} governs namespaces {:?}; change their label callgate.dev/policy first",
            it.namespace
        );
        assert!(reply.message().ends_with(&why), "{number}: {} {}", reply.status, reply.message());
        it.api().merge(&namespace, &label("restricted")).await.expect_ok("another label");
        it.api().delete(&path).await.expect_ok("the deletion of a policy that no namespace names");
    }
}

async fn a_label_on_a_namespace_that_is_left_out_leads_to_a_warning(it: Test) {
    let label = json!({ "metadata": { "labels": { "callgate.dev/policy": "restricted" } } });
    let reply = it.api().merge("/api/v1/namespaces/kube-system?dryRun=All", &label).await;
    let warning = "callgate.dev/policy has no effect on namespace \"kube-system\": the webhook \
                   configurations leave it out by its name";
    assert_eq!(reply.warnings, [warning]);
    reply.expect_ok("it is only a warning");
}

async fn a_label_that_names_no_policy_is_denied_and_the_policies_are_listed(it: Test) {
    let label = json!({ "metadata": { "labels": { "callgate.dev/policy": "restrictd" } } });
    let path = format!("/api/v1/namespaces/{}", it.namespace);
    let reply = it.api().merge(&path, &label).await;
    let start = "admission webhook \"objects.callgate.dev\" denied the request: \
                 callgate.dev/policy=restrictd: policy \"restrictd\" does not exist; the policies are ";
    assert!(reply.message().starts_with(start), "{}", reply.message());
    assert!(reply.message().contains("baseline") && reply.message().contains("restricted"));
    let mode = json!({ "metadata": { "labels": { "callgate.dev/mode": "loud" } } });
    let reply = it.api().merge(&path, &mode).await;
    let end =
        "callgate.dev/mode=loud: mode \"loud\" does not exist; the modes are enforce, warn, audit";
    assert!(reply.message().ends_with(end), "{}", reply.message());
}

async fn an_invalid_mode_is_denied_also_on_a_namespace_without_a_policy(it: Test) {
    let namespace = it.plain_namespace().await;
    let path = format!("/api/v1/namespaces/{namespace}");
    let labels = |it: Value| json!({ "metadata": { "labels": it } });
    let reply = it.api().merge(&path, &labels(json!({ "callgate.dev/mode": "loud" }))).await;
    assert_eq!(
        reply.message(),
        "admission webhook \"objects.callgate.dev\" denied the request: \
         callgate.dev/mode=loud: mode \"loud\" does not exist; the modes are enforce, warn, audit"
    );
    let labels = [json!({ "callgate.dev/mode": "warn" }), json!({ "team": "shop" })].map(labels);
    for label in labels {
        it.api().merge(&path, &label).await.expect_ok("a label that is right");
    }
}

async fn the_default_mode_is_that_of_namespaces_that_name_none(it: Test) {
    let namespace = it.plain_namespace().await;
    let flags = ["--default-policy=restricted", "--default-mode=audit"].map(str::to_owned);
    let setup =
        Setup { namespaces: vec![namespace.clone()], flags: flags.into(), ..Setup::default() };
    let webhook = it.instance("default", setup).await;
    let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
    let privileged = json!({ "containers": [container("app", &json!({ "privileged": true }))] });
    let create = async || it.api().post(&path, &pod("web", &privileged)).await;
    let reply = create().await;
    assert!(reply.is_ok() && reply.warnings.is_empty(), "{reply:?}");
    let log = lines_about(&webhook.log(), &namespace);
    assert!(log.contains("\"rules\":\"privileged,unset\""), "it is recorded: {log}");

    let own = json!({ "metadata": { "labels": { "callgate.dev/mode": "enforce" } } });
    it.api().merge(&format!("/api/v1/namespaces/{namespace}"), &own).await.expect_ok("a mode");
    eventually("its own mode wins", async || {
        create().await.message().contains("[privileged]").then_some(())
    })
    .await;
}

async fn a_pod_in_a_namespace_that_is_brand_new_is_judged(it: Test) {
    for _ in 0..5 {
        let labels = json!({ "callgate.dev/policy": "restricted" });
        let namespace = it.world.namespace("new", &labels).await;
        let new = Test { namespace, world: it.world.clone() };
        let stored = dry_run(&new, &bare()).await.expect_ok("a pod in a new namespace");
        assert_eq!(profile_of(&stored, "/spec").as_deref(), Some("RuntimeDefault"));
    }
}

async fn a_profile_of_the_cluster_can_be_named(it: Test) {
    let name = own(&it);
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL" }],
    });
    let path = format!("callgate/{name}.json");
    let mut spec = bare();
    spec["securityContext"] =
        json!({ "seccompProfile": { "type": "Localhost", "localhostProfile": path } });
    let missing = format!("profile {path:?} does not exist; name a profile that exists");
    let reply = dry_run(&it, &spec).await;
    assert!(reply.message().contains(&missing), "{}", reply.message());

    let own = format!("{PROFILES}/{name}");
    let profile = object("SeccompProfile", &name, &profile);
    it.api().apply(&own, &profile).await.expect_ok("the profile");
    eventually("the profile is known", async || dry_run(&it, &spec).await.is_ok().then_some(()))
        .await;
    it.api().delete(&own).await.expect_ok("its end");
    eventually("its end is known", async || {
        dry_run(&it, &spec).await.message().contains(&missing).then_some(())
    })
    .await;
}

async fn numbers_of_64_bits_survive(it: Test) {
    let name = own(&it);
    let args = json!([{
        "index": 0, "value": "18446744073709551615", "valueTwo": 2_114_060_288_u64,
        "op": "SCMP_CMP_MASKED_EQ",
    }]);
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": ["clone"], "action": "SCMP_ACT_ERRNO", "args": args }],
    });
    let path = format!("{PROFILES}/{name}");
    let stored = it.api().apply(&path, &object("SeccompProfile", &name, &profile)).await;
    assert_eq!(stored.expect_ok("the profile")["spec"]["syscalls"][0]["args"], args);
    it.api().delete(&path).await.expect_ok("its end");
}

async fn the_schema_rejects_invalid_policies(it: Test) {
    let exemption = |key: &str, value: Value| {
        let mut exemption = json!({
            "name": "a", "reason": "b", "owner": "c", "rules": ["unset"],
            "match": { "namespaces": ["shop"] },
        });
        exemption[key] = value;
        json!({ "exemptions": [exemption] })
    };
    let all = [
        (json!({ "rules": { "unsett": "Warn" } }), "there is no such rule"),
        (json!({ "rules": { "unset": "warn" } }), "Unsupported value: \"warn\""),
        (json!({ "templates": "deny" }), "Unsupported value: \"deny\""),
        (
            json!({ "default": { "type": "Localhost" } }),
            "localhostProfile goes with type Localhost",
        ),
        (json!({ "default": { "type": "Unconfined" } }), "Unsupported value: \"Unconfined\""),
        (exemption("match", json!({})), "an exemption must match something"),
        (
            exemption("match", json!({ "serviceAccounts": ["robot"] })),
            "serviceAccounts need namespaces beside them",
        ),
        (exemption("owner", json!("")), "should be at least 1 chars long"),
        (exemption("expires", json!("soon")), "should match"),
    ];
    for (spec, why) in all {
        let path = format!("{POLICIES}?dryRun=All");
        let reply = it.api().post(&path, &policy(&own(&it), &spec)).await;
        assert_eq!(reply.status, 422, "{spec}: {}", reply.message());
        assert!(reply.message().contains(why), "{spec}: {}", reply.message());
    }
    let reply = it.api().post(POLICIES, &policy("baseline", &json!({}))).await;
    assert!(reply.message().contains("built in, choose another name"), "{}", reply.message());
}

async fn callgate_denies_invalid_policies_that_the_schema_accepts(it: Test) {
    let spec = json!({ "default": { "type": "Localhost", "localhostProfile": "./web.json" } });
    let path = format!("{POLICIES}?dryRun=All");
    let reply = it.api().post(&path, &policy(&own(&it), &spec)).await;
    let why = "localhostProfile \"./web.json\" is not in its shortest form, write \"web.json\"";
    assert!(reply.message().contains("\"objects.callgate.dev\" denied"), "{}", reply.message());
    assert!(reply.message().contains(why), "{}", reply.message());
}

async fn a_profile_under_which_no_container_starts_is_denied(it: Test) {
    let name = own(&it);
    let path = format!("{PROFILES}?dryRun=All");
    let spec = json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [{ "names": ["read", "wirte"], "action": "SCMP_ACT_ALLOW" }],
    });
    let reply = it.api().post(&path, &object("SeccompProfile", &name, &spec)).await;
    assert!(reply.message().contains("[no-execve]"), "{}", reply.message());
    let spec = json!({ "defaultAction": "SCMP_ACT_LOG" });
    let reply = it.api().post(&path, &object("SeccompProfile", &name, &spec)).await;
    assert!(reply.is_ok(), "{}", reply.message());
    assert!(reply.warnings.iter().any(|it| it.ends_with("[permissive]")), "{:?}", reply.warnings);
}
