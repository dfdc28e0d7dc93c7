//! A kubelet that meets a type of seccomp profile which it does not know.

use std::sync::Arc;

use serde_json::json;
use support::wait::eventually;

use crate::{
    deployment::{Deployment, pod},
    tests::{Entry, entries},
};

pub(crate) const ALL: &[Entry] = entries![a_kubelet_runs_a_type_that_it_does_not_know_unconfined];

/// A type that no version knows, as long as `RuntimeDefault`, so that the stored object stays well-formed.
const NEWER: &str = "SomethingNewer";

/// The API servers of all versions refuse such a pod, so it is changed in etcd: as if a newer API server had stored it.
/// This is why `unknown-type` denies; kubelets of 1.38 and later refuse such a container.
async fn a_kubelet_runs_a_type_that_it_does_not_know_unconfined(it: Arc<Deployment>) {
    let namespace = it.namespace("newer").await;
    let command = ["grep", "Seccomp:", "/proc/self/status"];
    let mut newer = pod("newer", &command, &json!({}));
    newer["spec"]["schedulerName"] = json!("no-scheduler");
    let stored = it.create(&namespace, &newer).await.expect_ok("a pod that waits for a node");
    let kind = "/spec/securityContext/seccompProfile/type";
    assert_eq!(stored.pointer(kind), Some(&json!("RuntimeDefault")));
    it.shell(&format!(
        r#"{etcd}
        key=$(printf '/registry/pods/{namespace}/newer' | base64 -w 0)
        value=$(etcd range '{{"key": "'"$key"'"}}' | sed 's/.*"value":"\([^"]*\)".*/\1/' | base64 -d |
            LC_ALL=C sed 's/RuntimeDefault/{NEWER}/' | base64 -w 0)
        etcd put '{{"key": "'"$key"'", "value": "'"$value"'"}}'"#,
        etcd = it.etcd(),
    ))
    .await;
    let path = format!("/api/v1/namespaces/{namespace}/pods/newer");
    eventually("the API server has the type", async || {
        (it.api.get(&path).await.body.pointer(kind) == Some(&json!(NEWER))).then_some(())
    })
    .await;
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": { "name": "newer" },
        "target": { "apiVersion": "v1", "kind": "Node", "name": "node-a" },
    });
    it.api.post(&format!("{path}/binding"), &binding).await.expect_ok("the node");
    eventually("the pod has run", async || {
        let phase = it.api.get(&path).await.body["status"]["phase"].clone();
        (phase == "Succeeded").then_some(())
    })
    .await;
    assert_eq!(it.kubectl_ok(&["-n", &namespace, "logs", "newer"]).await, "Seccomp:\t0\n");
    it.kubectl_ok(&["delete", "namespace", &namespace, "--wait=false"]).await;
}
