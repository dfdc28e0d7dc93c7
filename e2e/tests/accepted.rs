//! The conditions of policies and profiles.

use serde_json::{Value, json};
use support::{e2e::manifests::path_of, wait::eventually};

use crate::{
    tests::{
        compiled::{component, is_served},
        in_process::{keeper, seccomp_policy},
    },
    trial::{Test, container, pod, trials},
};

trials![
    a_valid_object_is_accepted_for_every_spec,
    an_invalid_object_is_not_accepted_and_affects_no_other,
    a_condition_says_whether_the_api_server_sets_the_profiles_of_a_policy,
];

const POLICIES: &str = "/apis/callgate.dev/v1alpha1/seccomppolicies";
const PROFILES: &str = "/apis/callgate.dev/v1alpha1/seccompprofiles";
const HOOKS: &str =
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/callgate";

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "callgate.dev/v1alpha1", "kind": kind,
        "metadata": { "name": name }, "spec": spec,
    })
}

/// The condition, once it refers to the stored spec.
async fn accepted(it: &Test, path: &str) -> Value {
    eventually("its condition is about this spec", async || {
        let object = it.api().get(path).await.expect_ok("the object");
        condition(&object, "Accepted")
    })
    .await
}

/// The condition of that type, if it is about the spec as it is.
fn condition(object: &Value, of: &str) -> Option<Value> {
    let all = object["status"]["conditions"].as_array()?;
    let condition = all.iter().find(|it| it["type"] == of)?;
    let is_current = condition["observedGeneration"] == object["metadata"]["generation"];
    is_current.then(|| condition.clone())
}

fn words(condition: &Value) -> [&str; 4] {
    ["type", "status", "reason", "message"].map(|it| condition[it].as_str().unwrap_or_default())
}

async fn a_valid_object_is_accepted_for_every_spec(it: Test) {
    let path = format!("{POLICIES}/{}", it.namespace);
    let apply = async |spec: &Value| {
        let policy = object("SeccompPolicy", &it.namespace, spec);
        it.api().apply(&path, &policy).await.expect_ok("the policy");
    };
    apply(&json!({})).await;
    let first = accepted(&it, &path).await;
    assert_eq!(words(&first), ["Accepted", "True", "Valid", "namespaces can obey it"]);
    apply(&json!({ "templates": "Deny" })).await;
    let mut second = accepted(&it, &path).await;
    assert_eq!(
        (&first["observedGeneration"], &second["observedGeneration"]),
        (&json!(1), &json!(2))
    );
    second["observedGeneration"] = json!(1);
    assert_eq!(second, first, "it is true since then");
    let stored = it.api().get(&path).await.expect_ok("the policy");
    let managers = stored["metadata"]["managedFields"].as_array().expect("a list");
    let ours = managers.iter().find(|it| it["manager"] == "callgate").expect("we wrote");
    assert_eq!(ours["subresource"], "status", "and nothing else");
    it.api().delete(&path).await.expect_ok("its end");
}

/// Skips the webhook for objects for which the expression does not hold, as if it were down;
/// `mark` is the name of this exception.
pub(super) async fn look_away(it: &Test, mark: &str, expression: &str) {
    eventually("the webhook looks away", async || {
        let mut hooks = it.api().get(HOOKS).await.expect_ok("the configuration");
        let all = hooks["webhooks"].as_array_mut()?.iter_mut();
        let objects = all.into_iter().find(|it| it["name"] == "objects.callgate.dev")?;
        let but = json!({ "name": mark, "expression": expression });
        if objects["matchConditions"].is_null() {
            objects["matchConditions"] = json!([]);
        }
        objects["matchConditions"].as_array_mut()?.push(but);
        it.api().put(HOOKS, &hooks).await.is_ok().then_some(())
    })
    .await;
}

pub(super) async fn look_again(it: &Test, mark: &str) {
    eventually("the webhook looks again", async || {
        let mut hooks = it.api().get(HOOKS).await.expect_ok("the configuration");
        for webhook in hooks["webhooks"].as_array_mut()? {
            if let Some(all) = webhook["matchConditions"].as_array_mut() {
                all.retain(|it| it["name"] != mark);
            }
        }
        it.api().put(HOOKS, &hooks).await.is_ok().then_some(())
    })
    .await;
}

async fn an_invalid_object_is_not_accepted_and_affects_no_other(it: Test) {
    let name = &it.namespace;
    let (policy, profile) = (format!("{POLICIES}/{name}"), format!("{PROFILES}/{name}"));
    let write = async |path: &str, kind: &str, spec: Value| {
        let object = object(kind, name, &spec);
        eventually("it is let in", async || {
            it.api().apply(path, &object).await.is_ok().then_some(())
        })
        .await;
    };
    look_away(&it, "but-one", &format!("request.name != {name:?}")).await;
    let elsewhere = json!({ "type": "Localhost", "localhostProfile": "./web.json" });
    write(&policy, "SeccompPolicy", json!({ "default": elsewhere })).await;
    let unstartable = json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [{ "names": ["read"], "action": "SCMP_ACT_ALLOW" }],
    });
    write(&profile, "SeccompProfile", unstartable).await;
    look_again(&it, "but-one").await;

    let refused = accepted(&it, &policy).await;
    let why = "localhostProfile \"./web.json\" is not in its shortest form, write \"web.json\"";
    assert_eq!(words(&refused), ["Accepted", "False", "Invalid", why]);
    let unusable = accepted(&it, &profile).await;
    let [.., status, reason, message] = words(&unusable);
    assert_eq!((status, reason), ("False", "Invalid"));
    assert!(message.starts_with("it is not one to run under:\n  spec."), "{message}");
    assert!(message.contains("[no-execve]"), "{message}");

    let privileged = json!({ "containers": [container("app", &json!({ "privileged": true }))] });
    let line = "spec.containers[0] \"app\": privileged turns seccomp off; remove it, or ask for an exemption \
                [privileged]";
    it.refuses(&pod("web", &privileged), &[line]).await;

    write(&policy, "SeccompPolicy", json!({ "default": { "type": "RuntimeDefault" } })).await;
    let mended = accepted(&it, &policy).await;
    assert_eq!(words(&mended), ["Accepted", "True", "Valid", "namespaces can obey it"]);
    let usable = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": ["mkdir"], "action": "SCMP_ACT_ERRNO" }],
    });
    write(&profile, "SeccompProfile", usable).await;
    let path = format!("pods can name it \"callgate/{name}.json\"");
    let mended = accepted(&it, &profile).await;
    assert_eq!(words(&mended), ["Accepted", "True", "Valid", &path]);
    for path in [policy, profile] {
        it.api().delete(&path).await.expect_ok("its end");
    }
}

/// Also on an API server that is too old for it.
async fn a_condition_says_whether_the_api_server_sets_the_profiles_of_a_policy(it: Test) {
    component::define(&it).await;
    let _keeper = keeper(&it, "compiled").await;
    let is_served = is_served(&it).await;
    let name = |it: &Test, what: &str| format!("{what}-{}", it.namespace);
    let mut policy = seccomp_policy(&name(&it, "all"), &json!({ "type": "RuntimeDefault" }));
    let nothing = json!({
        "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
        "metadata": { "name": name(&it, "none") }, "spec": {},
    });
    let old = "the webhook alone sets its profiles: the API server does not serve \
        mutatingadmissionpolicies of admissionregistration.k8s.io/v1";
    let seen = async |policy: &Value, [reason, message]: [&str; 2]| {
        let path = path_of(policy);
        it.api().apply(&path, policy).await.expect_ok("the policy");
        eventually(reason, async || {
            let object = it.api().get(&path).await.expect_ok("the policy");
            let compiled = condition(&object, "Compiled")?;
            let accepted = condition(&object, "Accepted")?;
            assert_eq!(words(&accepted)[..3], ["Accepted", "True", "Valid"]);
            let status = if reason == "NotServed" { "False" } else { "True" };
            (words(&compiled) == ["Compiled", status, reason, message]).then_some(())
        })
        .await;
    };
    let complete = ["Complete", "the API server sets its profiles"];
    seen(&policy, if is_served { complete } else { ["NotServed", old] }).await;
    seen(&nothing, ["SetsNoProfile", "it sets no profile"]).await;
    policy["spec"]["exemptions"] = json!([{
        "name": "agent", "reason": "r", "owner": "o", "rules": ["unset"],
        "match": { "containers": ["agent"] },
    }]);
    let partial = [
        "Partial",
        "left to the webhook: exemption \"agent\" from unset: pods that it may apply to",
    ];
    seen(&policy, if is_served { partial } else { ["NotServed", old] }).await;
    for it_ends in [&policy, &nothing] {
        it.api().delete(&path_of(it_ends)).await.expect_ok("its end");
    }
}
