//! A CA Secret that cannot be written as it is.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use callgate::ca::CaEvent;
use serde_json::{Value, json};
use support::wait::eventually;

use crate::{
    replica::{Replica, Site},
    tests::ca::started,
    trial::{Test, trials},
};

trials![
    an_immutable_ca_secret_is_recreated_and_no_call_fails,
    a_full_ca_secret_loses_foreign_keys_and_no_call_fails,
    an_immutable_ca_secret_stays_if_no_other_may_be_created,
    a_ca_secret_that_cannot_be_written_counts_as_a_failure_until_it_can,
];

/// Waits until the Secret has the complete CA.
async fn healed(site: &Site, ca: &str) -> Value {
    eventually("the Secret heals", async || {
        let key = site.stored("ca.key").await?;
        let whole = key.contains("PRIVATE KEY") && site.stored("ca.crt").await? == ca;
        whole.then_some(())
    })
    .await;
    site.api.get(&site.secret).await.body
}

async fn an_immutable_ca_secret_is_recreated_and_no_call_fails(it: Test) {
    let (site, replicas) = started(&it).await;
    let ca = site.stored("ca.crt").await.expect("the Secret holds a CA");
    let caller = site.caller(&[&replicas[0], &replicas[1]]);
    let metadata = json!({ "labels": { "team": "shop" }, "annotations": { "why": "audit" } });
    let change =
        json!({ "metadata": metadata, "immutable": true, "data": { "ca.key": null, "x": "eA==" } });
    let before = site.api.merge(&site.secret, &change).await.expect_ok("an immutable Secret");
    healed(&site, &ca).await;
    // If the other replica was faster, the keys that it does not know are added after its write.
    let after = eventually("what others keep there is there again", async || {
        let secret = site.api.get(&site.secret).await.body;
        (secret["data"]["x"] == "eA==").then_some(secret)
    })
    .await;
    assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(after["immutable"], Value::Null);
    for key in ["labels", "annotations"] {
        assert_eq!(after["metadata"][key], before["metadata"][key]);
    }
    // If nothing has to be written, the Secret stays as it is.
    let change = json!({ "immutable": true });
    site.api.merge(&site.secret, &change).await.expect_ok("an immutable Secret");
    let third = site.replica().await;
    site.await_signer(&third, &ca).await;
    assert_eq!(site.api.get(&site.secret).await.body["immutable"], true);
    caller.finish().await;
    assert_eq!(site.bundle().await, Some(ca));
    site.uninstall().await;
}

async fn a_full_ca_secret_loses_foreign_keys_and_no_call_fails(it: Test) {
    let (site, replicas) = started(&it).await;
    let ca = site.stored("ca.crt").await.expect("the Secret holds a CA");
    let caller = site.caller(&[&replicas[0], &replicas[1]]);
    let junk = STANDARD.encode(vec![b'x'; 1024 * 1024 - ca.len() - 1]);
    let change = json!({ "data": { "ca.key": null, "junk": junk, "x": "eA==" } });
    site.api.merge(&site.secret, &change).await.expect_ok("a Secret that is full");
    let after = healed(&site, &ca).await;
    assert_eq!((&after["data"]["junk"], &after["data"]["x"]), (&Value::Null, &json!("eA==")));
    caller.finish().await;
    site.uninstall().await;
}

/// An admission policy that denies creating Secrets, in force when it returns.
async fn forbid_creating(site: &Site) -> [String; 2] {
    let root = "/apis/admissionregistration.k8s.io/v1";
    let name = site.objects.mutating_configuration.clone();
    let namespace = site.objects.ca_secret_namespace.clone();
    let paths = [
        format!("{root}/validatingadmissionpolicies/{name}"),
        format!("{root}/validatingadmissionpolicybindings/{name}"),
    ];
    let rules = json!([{
        "apiGroups": [""], "apiVersions": ["v1"], "resources": ["secrets"], "operations": ["CREATE"],
    }]);
    let selector = json!({ "matchLabels": { "kubernetes.io/metadata.name": namespace } });
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": { "name": name },
        "spec": {
            "matchConstraints": { "resourceRules": rules, "namespaceSelector": selector },
            "validations": [{ "expression": "false", "message": "nobody makes Secrets here" }],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": { "name": name },
        "spec": { "policyName": name, "validationActions": ["Deny"] },
    });
    for (path, object) in paths.iter().zip([policy, binding]) {
        site.api.apply(path, &object).await.expect_ok("the policy");
    }
    let list = site.secret.trim_end_matches("/callgate-ca");
    let probe = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "probe" } });
    eventually("it is in force", async || {
        let reply = site.api.post(&format!("{list}?dryRun=All"), &probe).await;
        (!reply.is_ok()).then_some(())
    })
    .await;
    paths
}

async fn permit(site: &Site, paths: [String; 2]) {
    for path in paths {
        site.api.delete(&path).await.expect_ok("the policy");
    }
}

/// Waits until each of them has failed again.
async fn fail(replicas: &[Replica]) {
    let failures = |it: &Replica| it.news().iter().filter(|it| **it == CaEvent::Failed).count();
    for replica in replicas {
        let before = failures(replica);
        eventually("it fails", async || (failures(replica) > before + 1).then_some(())).await;
    }
}

async fn an_immutable_ca_secret_stays_if_no_other_may_be_created(it: Test) {
    let (site, replicas) = started(&it).await;
    let ca = site.stored("ca.crt").await.expect("the Secret holds a CA");
    let caller = site.caller(&[&replicas[0], &replicas[1]]);
    let rule = forbid_creating(&site).await;
    let change = json!({ "immutable": true, "data": { "ca.key": null } });
    let before = site.api.merge(&site.secret, &change).await.expect_ok("an immutable Secret");
    fail(&replicas).await;
    let after = site.api.get(&site.secret).await.body;
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
    permit(&site, rule).await;
    healed(&site, &ca).await;
    caller.finish().await;
    site.uninstall().await;
}

async fn a_ca_secret_that_cannot_be_written_counts_as_a_failure_until_it_can(it: Test) {
    let (site, replicas) = started(&it).await;
    let ca = site.stored("ca.crt").await.expect("the Secret holds a CA");
    let caller = site.caller(&[&replicas[0], &replicas[1]]);
    let rule = forbid_creating(&site).await;
    site.api.delete(&site.secret).await.expect_ok("the Secret");
    fail(&replicas).await;
    assert_eq!(site.api.get(&site.secret).await.status, 404);
    permit(&site, rule).await;
    healed(&site, &ca).await;
    caller.finish().await;
    site.uninstall().await;
}
