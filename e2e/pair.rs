//! Replicas of the real binary behind one Service, as a Deployment has them:
//! only a ready replica is an endpoint.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value, json};
use support::{
    e2e::{
        api::Api,
        instance::{Instance, Setup, register},
        trust,
    },
    wait::eventually,
};
use tokio::task::AbortHandle;

use crate::trial::Test;

pub(crate) struct Pair {
    api: Api,
    pub(crate) name: String,
    /// A namespace with the policy `restricted`, which only these replicas judge.
    pub(crate) namespace: String,
    pub(crate) secret: String,
    pub(crate) configurations: [String; 2],
    pub(crate) replicas: Vec<Arc<Instance>>,
    endpoints: Vec<AbortHandle>,
}

/// How often a fast kubelet would probe readiness.
const PROBE: Duration = Duration::from_millis(100);

impl Pair {
    /// The objects, and no replica yet.
    pub(crate) async fn of(it: &Test, purpose: &str) -> Self {
        let namespace = it.plain_namespace().await;
        let name = format!("{purpose}-{namespace}");
        let root = "/apis/admissionregistration.k8s.io/v1";
        let path = |kind: &str| format!("{root}/{kind}webhookconfigurations/{name}");
        register(it.api(), &name, None, std::slice::from_ref(&namespace), |_| ()).await;
        Self {
            api: it.api().clone(),
            secret: format!("/api/v1/namespaces/callgate-system/secrets/{name}-ca"),
            configurations: [path("mutating"), path("validating")],
            name,
            namespace,
            replicas: Vec::new(),
            endpoints: Vec::new(),
        }
    }

    /// Starts a replica with these variables in its environment.
    pub(crate) async fn add(
        &mut self,
        it: &Test,
        environment: BTreeMap<String, String>,
    ) -> Arc<Instance> {
        let setup = Setup {
            // It checks its clock four times as often.
            flags: ["--default-policy=restricted", "--ca-introduction=4s"]
                .map(str::to_owned)
                .into(),
            log_level: "callgate=info".to_owned(),
            environment,
            ..Setup::default()
        };
        let replica = Arc::new(Instance::spawn(&it.world.site, &self.name, &setup).await);
        let (api, name) = (self.api.clone(), self.name.clone());
        let slice = format!("{name}-{}", self.replicas.len());
        let probed = Arc::clone(&replica);
        let endpoint = tokio::spawn(async move {
            let mut was_ready = false;
            loop {
                let is_ready = probed.ask("/readyz").await.is_some();
                if is_ready != was_ready {
                    probed.publish(&api, &slice, &name, is_ready).await;
                    was_ready = is_ready;
                }
                tokio::time::sleep(PROBE).await;
            }
        });
        self.replicas.push(Arc::clone(&replica));
        self.endpoints.push(endpoint.abort_handle());
        replica
    }

    /// Waits until a pod is created with the profile that they set.
    pub(crate) async fn are_called(&self) {
        let path = format!("/api/v1/namespaces/{}/pods?dryRun=All", self.namespace);
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "probe" },
            "spec": { "containers": [{ "name": "app", "image": "app" }] },
        });
        eventually("pods are repaired", async || {
            let stored = self.api.post(&path, &pod).await;
            stored.body["spec"]["securityContext"].get("seccompProfile").map(drop)
        })
        .await;
    }

    /// The content of the Secret.
    pub(crate) async fn stored(&self) -> Value {
        self.api.get(&self.secret).await.body["data"].clone()
    }

    /// The `caBundle` of all webhooks, if it is the same.
    pub(crate) async fn bundle(&self) -> Option<String> {
        trust::bundle(&self.api, &self.configurations).await
    }

    /// The sum of a metric over all replicas.
    pub(crate) async fn sum(&self, metric: &str) -> f64 {
        let mut sum = 0.0;
        for replica in &self.replicas {
            sum += replica.metric(metric).await.unwrap_or_default();
        }
        sum
    }

    pub(crate) async fn uninstall(&self) {
        for path in &self.configurations {
            self.api.delete(path).await.expect_ok("the webhook configuration");
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for endpoint in &self.endpoints {
            endpoint.abort();
        }
    }
}
