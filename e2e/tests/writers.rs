//! Who may write the objects that decide: the table in SECURITY.md, checked with the
//! authorizer.

use serde_json::{Value, json};
use support::wait::eventually;

use crate::trial::{Test, trials};

trials![the_admin_of_a_namespace_may_write_no_object_that_decides_for_others];

/// An object, and whether the administrator of a namespace may write it there.
const OBJECTS: [(&str, &str, bool); 13] = [
    ("", "pods", true),
    ("", "events", true),
    ("", "secrets", true),
    ("", "serviceaccounts", true),
    ("", "namespaces", false),
    ("", "nodes", false),
    ("node.k8s.io", "runtimeclasses", false),
    ("callgate.dev", "seccomppolicies", false),
    ("callgate.dev", "seccompprofiles", false),
    ("callgate.dev", "seccompnodes", false),
    ("callgate.dev", "seccompevidences", false),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations", false),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", false),
];

async fn the_admin_of_a_namespace_may_write_no_object_that_decides_for_others(it: Test) {
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": { "name": "tenant" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin" },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": TENANT }],
    });
    let root = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{}", it.namespace);
    it.api().post(&format!("{root}/rolebindings"), &binding).await.expect_ok("the binding");
    eventually("the binding is known", async || {
        may(&it, "create", ("", "pods"), &it.namespace).await.then_some(())
    })
    .await;
    for (group, resource, expected) in OBJECTS {
        for verb in ["create", "update", "patch", "delete"] {
            // Also the namespace itself, for its administrator.
            let own = may(&it, verb, (group, resource), &it.namespace).await;
            assert_eq!(own, expected, "{verb} {resource} in his own namespace");
            let of_ours = may(&it, verb, (group, resource), "callgate-system").await;
            assert!(!of_ours, "{verb} {resource} in callgate-system");
        }
    }
}

const TENANT: &str = "tenant";

async fn may(it: &Test, verb: &str, (group, resource): (&str, &str), namespace: &str) -> bool {
    let attributes =
        json!({ "verb": verb, "group": group, "resource": resource, "namespace": namespace });
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {
            "user": TENANT, "groups": ["system:authenticated"], "resourceAttributes": attributes,
        },
    });
    let reply = it.api().post("/apis/authorization.k8s.io/v1/subjectaccessreviews", &review).await;
    reply.expect_ok("the review")["status"]["allowed"] == Value::Bool(true)
}
