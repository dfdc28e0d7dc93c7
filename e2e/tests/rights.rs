//! The rights of manifests/base permit exactly the calls that callgate makes.

use serde_json::json;
use support::{
    e2e::{
        api::Api,
        instance::Setup,
        manifests::{manifests, path_of},
    },
    wait::eventually,
};

use crate::trial::{Test, pod, trials};

trials![
    its_own_objects_can_be_watched_and_no_others,
    with_a_certificate_from_files_it_serves_and_may_write_no_webhook_configuration,
];

const OWN: &str = "/api/v1/namespaces/callgate-system";
const HOOKS: &str = "/apis/admissionregistration.k8s.io/v1";

async fn its_own_objects_can_be_watched_and_no_others(it: Test) {
    for object in manifests("rbac") {
        it.api().apply(&path_of(&object), &object).await.expect_ok("the role");
    }
    let user = "system:serviceaccount:callgate-system:callgate";
    let groups = ["system:serviceaccounts", "system:authenticated"];
    let callgate = Api::connect_as(&it.world.site.kubeconfig, user, &groups).await;
    let status = async |path: &str| callgate.get(path).await.status;
    eventually("the roles are known", async || {
        (status("/api/v1/namespaces").await == 200).then_some(())
    })
    .await;

    let only = |name: &str| format!("fieldSelector=metadata.name%3D{name}");
    let watch = "watch=true&timeoutSeconds=1";
    let allowed = [
        format!("{OWN}/secrets?{}", only("callgate-ca")),
        format!("{OWN}/secrets?{}&{watch}", only("callgate-ca")),
        format!("{HOOKS}/mutatingwebhookconfigurations?{}&{watch}", only("callgate")),
        format!("{HOOKS}/validatingwebhookconfigurations?{}&{watch}", only("callgate")),
        format!("{HOOKS}/validatingwebhookconfigurations/callgate"),
        format!("/api/v1/namespaces?{watch}"),
        format!("/api/v1/nodes?{watch}"),
        format!("/apis/node.k8s.io/v1/runtimeclasses?{watch}"),
        format!("/apis/callgate.dev/v1alpha1/seccompnodes?{watch}"),
        format!("/apis/callgate.dev/v1alpha1/seccomppolicies?{watch}"),
        format!("/apis/callgate.dev/v1alpha1/seccompprofiles?{watch}"),
        "/version".to_owned(),
    ];
    for path in allowed {
        assert_eq!(status(&path).await, 200, "{path}");
    }
    let forbidden = [
        format!("{OWN}/secrets"),
        format!("{OWN}/secrets/another"),
        format!("{OWN}/secrets?{}", only("another")),
        format!("/api/v1/namespaces/{}/secrets/callgate-ca", it.namespace),
        format!("{OWN}/pods"),
        format!("{HOOKS}/validatingwebhookconfigurations"),
        format!("{HOOKS}/validatingwebhookconfigurations/another"),
    ];
    for path in forbidden {
        assert_eq!(status(&path).await, 403, "{path}");
    }
    let reply = callgate.delete(&format!("{HOOKS}/validatingwebhookconfigurations/callgate")).await;
    assert_eq!(reply.status, 403);
    let events = format!("/apis/events.k8s.io/v1/namespaces/{}/events", it.namespace);
    // The API server reports an invalid object only to clients that may write it.
    assert_eq!(callgate.post(&events, &json!({})).await.status, 422);
    assert_eq!(callgate.merge(&format!("{events}/none"), &json!({})).await.status, 404);
    for path in [events.clone(), format!("{events}/none")] {
        assert_eq!(status(&path).await, 403, "{path}");
    }
    for plural in ["seccomppolicies", "seccompprofiles"] {
        let path = format!("/apis/callgate.dev/v1alpha1/{plural}/none");
        let reply = callgate.merge(&format!("{path}/status"), &json!({})).await;
        assert_eq!(reply.status, 404, "{}", reply.message());
        assert_eq!(callgate.merge(&path, &json!({})).await.status, 403, "{path}");
    }
    for (name, expected) in [("callgate-ca", 200), ("another", 403)] {
        let path = format!("{OWN}/secrets/{name}?dryRun=All");
        assert_eq!(callgate.delete(&path).await.status, expected, "{name}");
    }
    let secret =
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "callgate-ca" } });
    let path = format!("{OWN}/secrets?dryRun=All");
    let created = callgate.post(&path, &secret).await;
    // The webhook of the suite has created it already: to get that error takes the same right.
    assert_eq!(created.body["reason"], "AlreadyExists", "{}", created.message());
}

/// The rights that manifests/components/tls-secret leaves, as
/// `the_rights_are_exactly_those_that_are_needed` has them.
async fn with_a_certificate_from_files_it_serves_and_may_write_no_webhook_configuration(it: Test) {
    let name = "callgate-tls-secret";
    let user = format!("system:serviceaccount:callgate-system:{name}");
    let all = manifests("rbac").into_iter();
    for mut role in all.filter(|it| it["kind"] == "ClusterRole") {
        role["metadata"]["name"] = json!(name);
        let rules = role["rules"].as_array_mut().expect("it has rules");
        rules.retain(|it| it["apiGroups"] != json!(["admissionregistration.k8s.io"]));
        let path = format!("/apis/rbac.authorization.k8s.io/v1/clusterroles/{name}");
        it.api().apply(&path, &role).await.expect_ok("the role");
    }
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": { "name": name },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name },
        "subjects": [
            { "kind": "ServiceAccount", "name": name, "namespace": "callgate-system" },
        ],
    });
    let path = format!("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{name}");
    it.api().apply(&path, &binding).await.expect_ok("the binding");

    let namespace = it.plain_namespace().await;
    let setup = Setup {
        namespaces: vec![namespace.clone()],
        flags: ["--default-policy", "restricted"].map(str::to_owned).into(),
        user: user.clone(),
        ..Setup::default()
    };
    let _instance = it.instance("rights", setup).await;
    let privileged = json!({ "containers": [
        { "name": "app", "image": "app", "securityContext": { "privileged": true } },
    ]});
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let reply = it.api().post(&path, &pod("web", &privileged)).await;
    assert!(reply.message().contains("policy \"restricted\" denies pod"), "{reply:?}");

    let groups = ["system:serviceaccounts", "system:authenticated"];
    let callgate = Api::connect_as(&it.world.site.kubeconfig, &user, &groups).await;
    let anything = json!({ "webhooks": [] });
    for plural in ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"] {
        let path = format!("{HOOKS}/{plural}/callgate");
        assert_eq!(callgate.merge(&path, &anything).await.status, 403, "{path}");
        assert_eq!(callgate.get(&path).await.status, 403, "{path}");
    }
    assert_eq!(callgate.get(&format!("{OWN}/secrets/callgate-ca")).await.status, 403);
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "another" } });
    let path = format!("{OWN}/secrets?dryRun=All");
    assert_eq!(callgate.post(&path, &secret).await.status, 403);
}
