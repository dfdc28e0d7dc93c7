//! The CA that all replicas share: in a Secret, and in the webhook
//! configurations.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use callgate::ca::{CaEvent, Service};
use serde_json::{Value, json};
use support::{
    e2e::trust::{overwritten, stranger},
    wait::eventually,
};

use crate::{
    replica::{Replica, Site, TIMES},
    trial::{Test, trials},
};

trials![
    replicas_that_start_together_without_a_secret_agree_on_one_ca,
    the_ca_is_rotated_and_no_call_fails,
    a_ca_secret_that_is_deleted_or_damaged_is_restored_and_no_call_fails,
    a_ca_bundle_that_is_overwritten_is_restored,
    a_ca_written_by_hand_takes_over_and_no_call_fails,
    a_missing_webhook_configuration_is_not_created_and_gets_its_ca_bundle_later,
    a_certificate_is_for_the_service_in_the_namespace_of_the_replica,
];

/// Two replicas that all clients can call.
pub(crate) async fn started(it: &Test) -> (Arc<Site>, [Replica; 2]) {
    let site = Arc::new(Site::of(it));
    site.install().await;
    let replicas = [site.replica().await, site.replica().await];
    let bundle = site.await_bundle("it is published", |it| !it.is_empty()).await;
    for replica in &replicas {
        site.await_signer(replica, &bundle).await;
    }
    (site, replicas)
}

async fn current(site: &Site) -> String {
    site.stored("ca.crt").await.expect("the Secret holds a CA")
}

async fn replicas_that_start_together_without_a_secret_agree_on_one_ca(it: Test) {
    let site = Site::of(&it);
    site.install().await;
    let mut before = Vec::new();
    for path in &site.configurations {
        before.push(site.api.get(path).await.body);
    }
    let replicas = [site.replica().await, site.replica().await, site.replica().await];
    let bundle = site.await_bundle("it is published", |it| !it.is_empty()).await;
    assert_eq!(bundle, current(&site).await);
    for replica in &replicas {
        site.await_signer(replica, &bundle).await;
        let ready = async || replica.news().contains(&CaEvent::Trusted(true)).then_some(());
        eventually("the replica sees that it is trusted", ready).await;
    }
    let steps: Vec<_> = replicas.iter().flat_map(Replica::steps).collect();
    assert_eq!(steps, ["create"]);

    // Our field manager owns only the `caBundle`.
    for (path, before) in site.configurations.iter().zip(before) {
        let after = site.api.get(path).await.body;
        assert_eq!(without_bundles(&after), without_bundles(&before));
        let managers = after["metadata"]["managedFields"].as_array().expect("fields have managers");
        let ours = managers.iter().find(|it| it["manager"] == "callgate-authority");
        let ours = ours.expect("we applied");
        for (name, fields) in ours["fieldsV1"]["f:webhooks"].as_object().expect("we own some") {
            assert!(name.contains(".callgate.dev"));
            let expected = json!({ ".": {}, "f:name": {}, "f:clientConfig": { "f:caBundle": {} } });
            assert_eq!(*fields, expected);
        }
    }
    site.uninstall().await;
}

fn without_bundles(configuration: &Value) -> Value {
    let mut webhooks = configuration["webhooks"].clone();
    for webhook in webhooks.as_array_mut().expect("it lists webhooks") {
        webhook["clientConfig"].as_object_mut().expect("it has a client").remove("caBundle");
    }
    webhooks
}

async fn the_ca_is_rotated_and_no_call_fails(it: Test) {
    let (site, replicas) = started(&it).await;
    let first = current(&site).await;
    let caller = site.caller(&[&replicas[0], &replicas[1]]);

    site.clock.skip(TIMES.ca_lifetime * 2 / 3 + Duration::from_mins(1));
    let both = site.await_bundle("both are published", |it| it.matches("BEGIN").count() == 2).await;
    let second = site.stored("next.crt").await.expect("there is a successor");
    assert!(both.contains(&first) && both.contains(&second));
    for replica in &replicas {
        site.await_signer(replica, &second).await;
    }
    assert_eq!(current(&site).await, second);
    let both = site.bundle().await.expect("all agree");
    assert!(both.contains(&first) && both.contains(&second));
    assert_eq!(site.stored("previous.crt").await, Some(first.clone()));
    assert_eq!(site.stored("next.key").await, None);

    site.clock.skip(TIMES.ca_lifetime / 3 + Duration::from_mins(10));
    site.await_bundle("the old one drops out", |it| *it == second).await;
    let calls = caller.finish().await;
    assert!(calls > 10, "only {calls} calls");
    let mut steps: Vec<_> = replicas.iter().flat_map(Replica::steps).collect();
    steps.sort_unstable();
    assert_eq!(steps, ["create", "introduce", "promote", "retire"]);
    site.uninstall().await;
}

async fn a_ca_secret_that_is_deleted_or_damaged_is_restored_and_no_call_fails(it: Test) {
    let (site, replicas) = started(&it).await;
    let ca = current(&site).await;
    let caller = site.caller(&[&replicas[0], &replicas[1]]);
    let nonsense = STANDARD.encode("nonsense");
    for (damage, change) in [
        ("deleted", None),
        ("emptied", Some(json!({ "data": null }))),
        ("without its key", Some(json!({ "data": { "ca.key": null } }))),
        ("without its certificate", Some(json!({ "data": { "ca.crt": nonsense } }))),
        ("all nonsense", Some(json!({ "data": { "ca.crt": nonsense, "ca.key": nonsense } }))),
    ] {
        match change {
            None => site.api.delete(&site.secret).await.expect_ok(damage),
            Some(change) => site.api.merge(&site.secret, &change).await.expect_ok(damage),
        };
        eventually(&format!("a Secret that is {damage} heals"), async || {
            let key = site.stored("ca.key").await?;
            let whole = key.contains("PRIVATE KEY") && site.stored("ca.crt").await? == ca;
            whole.then_some(())
        })
        .await;
    }
    caller.finish().await;
    // A new replica can sign with the restored CA.
    let third = site.replica().await;
    site.await_signer(&third, &ca).await;
    assert_eq!(site.bundle().await, Some(ca));
    site.uninstall().await;
}

async fn a_ca_bundle_that_is_overwritten_is_restored(it: Test) {
    let (site, replicas) = started(&it).await;
    let ca = current(&site).await;
    let theirs = STANDARD.encode(stranger().0);
    for path in &site.configurations {
        let configuration = site.api.get(path).await.body;
        for bundle in [json!(theirs), Value::Null] {
            let change = overwritten(&configuration, &bundle);
            site.api.merge(path, &change).await.expect_ok("overwritten by hand");
            site.await_bundle("the caBundle is restored", |it| *it == ca).await;
        }
    }
    // By another client, with a forced apply.
    for (path, mut manifest) in site.configurations.iter().zip(site.manifests()) {
        for webhook in manifest["webhooks"].as_array_mut().expect("it lists webhooks") {
            webhook["clientConfig"]["caBundle"] = json!(theirs);
        }
        site.api.apply(path, &manifest).await.expect_ok("overwritten by an apply");
        site.await_bundle("the caBundle is restored", |it| *it == ca).await;
    }
    // A webhook that is not callgate's keeps its own `caBundle`.
    let [path, _] = &site.configurations;
    let mut webhooks = site.api.get(path).await.body["webhooks"].clone();
    let webhooks = webhooks.as_array_mut().expect("it lists webhooks");
    let mut other = webhooks[0].clone();
    other["name"] = json!("mutate.example.com");
    other["clientConfig"]["caBundle"] = json!(theirs);
    webhooks[0]["clientConfig"]["caBundle"] = json!(theirs);
    webhooks.push(other);
    site.api.merge(path, &json!({ "webhooks": webhooks })).await.expect_ok("a neighbour");
    site.await_bundle("the caBundle is restored", |it| *it == ca).await;
    let configuration = site.api.get(path).await.body;
    assert_eq!(configuration["webhooks"][1]["clientConfig"]["caBundle"], json!(theirs));
    // No replica created a new CA because of that.
    let steps: Vec<_> = replicas.iter().flat_map(Replica::steps).collect();
    assert_eq!(steps, ["create"]);
    site.uninstall().await;
}

async fn a_ca_written_by_hand_takes_over_and_no_call_fails(it: Test) {
    let (site, replicas) = started(&it).await;
    let ours = current(&site).await;
    let caller = site.caller(&[&replicas[0], &replicas[1]]);
    let (certificate, key) = stranger();
    let data = json!({ "data": {
        "ca.crt": STANDARD.encode(&certificate), "ca.key": STANDARD.encode(key),
    }});
    site.api.merge(&site.secret, &data).await.expect_ok("another CA");
    for replica in &replicas {
        site.await_signer(replica, &certificate).await;
    }
    let both = |it: &str| it.contains(&ours) && it.contains(&certificate);
    site.await_bundle("the one that signed before is still known", both).await;
    caller.finish().await;
    site.uninstall().await;
}

async fn a_missing_webhook_configuration_is_not_created_and_gets_its_ca_bundle_later(it: Test) {
    let site = Site::of(&it);
    let [mutating, validating] = &site.configurations;
    let manifests = site.manifests();
    site.api.apply(validating, &manifests[1]).await.expect_ok("the validating configuration");
    let replica = site.replica().await;
    eventually("the other gets its bundle", async || {
        let configuration = site.api.get(validating).await.body;
        configuration["webhooks"][0]["clientConfig"]["caBundle"].as_str().map(drop)
    })
    .await;
    let failed = async || replica.news().contains(&CaEvent::Failed).then_some(());
    eventually("the missing one is reported", failed).await;
    assert_eq!(site.api.get(mutating).await.status, 404);
    assert!(!replica.news().contains(&CaEvent::Trusted(true)));

    site.api.apply(mutating, &manifests[0]).await.expect_ok("the mutating configuration");
    let ca = current(&site).await;
    site.await_bundle("both have it", |it| *it == ca).await;
    site.await_signer(&replica, &ca).await;
    site.uninstall().await;
}

async fn a_certificate_is_for_the_service_in_the_namespace_of_the_replica(it: Test) {
    let site = Site::of(&it);
    site.install().await;
    let namespace = Some("elsewhere".to_owned());
    let service = Service { service: "gate".to_owned(), service_namespace: namespace };
    let moved = site.replica_behind(service).await;
    let usual = site.replica().await;
    let bundle = site.await_bundle("it is published", |it| !it.is_empty()).await;
    for replica in [&moved, &usual] {
        site.await_signer(replica, &bundle).await;
    }
    for name in ["gate.elsewhere.svc", "gate.elsewhere.svc.cluster.local"] {
        site.verify_as(name, moved.address, &bundle).await.expect(name);
        site.verify_as(name, usual.address, &bundle).await.expect_err(name);
    }
    // The default is the namespace that it runs in, which is also the client's default.
    let own = format!("callgate.{}.svc", it.api().client().default_namespace());
    site.verify_as(&own, usual.address, &bundle).await.expect("its own name");
    site.uninstall().await;
}
