//! Shared by all tests: the cluster, and the webhook as in production.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use support::{
    e2e::{
        api::Api,
        cluster::Site,
        instance::{Instance, Setup, lines_about},
        manifests::{define, profiles},
        versions::report_versions,
    },
    wait::eventually,
};

pub(crate) struct World {
    pub(crate) site: Site,
    pub(crate) api: Api,
    pub(crate) webhook: Instance,
    count: AtomicUsize,
}

impl World {
    /// Installs the webhook as in production, and waits until it is called.
    pub(crate) async fn start(site: Site) -> Self {
        let api = Api::connect(&site.kubeconfig).await;
        report_versions(&api).await;
        define(&api).await;
        let flags = vec!["--evidence".to_owned()];
        let setup = Setup { profiles: profiles(), flags, ..Setup::default() };
        let webhook = Instance::start(&api, &site, "callgate", &setup, |_| ()).await;
        let world = Self { site, api, webhook, count: AtomicUsize::new(0) };
        let probe = world.namespace("probe", &json!({ "callgate.dev/policy": "restricted" })).await;
        world.await_calls(&world.webhook, &probe).await;
        world
    }

    /// Creates a namespace for one test.
    pub(crate) async fn namespace(&self, purpose: &str, labels: &Value) -> String {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let stem: String = purpose.replace('_', "-").chars().take(40).collect();
        let name = format!("{}-{}-{number}", stem.trim_matches('-'), std::process::id());
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": name, "labels": labels },
        });
        self.api.post("/api/v1/namespaces", &object).await.expect_ok("the namespace");
        // Pods need a service account, which the controller manager creates later.
        let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "default" } });
        self.api.post(&format!("/api/v1/namespaces/{name}/serviceaccounts"), &account).await;
        name
    }

    /// Waits until the API server calls our webhooks for pods and workloads of
    /// `namespace`: it receives configurations and labels by watches.
    pub(crate) async fn await_calls(&self, webhook: &Instance, namespace: &str) {
        // With its own profile it is sent to both webhooks.
        let own = json!({ "seccompProfile": { "type": "RuntimeDefault" } });
        let spec = json!({ "containers": [
            { "name": "app", "image": "app", "securityContext": own },
        ]});
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "probe" }, "spec": spec,
        });
        let template = json!({
            "apiVersion": "v1", "kind": "PodTemplate", "metadata": { "name": "probe" },
            "template": { "spec": spec },
        });
        let root = format!("/api/v1/namespaces/{namespace}");
        eventually("the webhook is called", async || {
            self.api.post(&format!("{root}/pods?dryRun=All"), &pod).await;
            self.api.post(&format!("{root}/podtemplates?dryRun=All"), &template).await;
            let log = lines_about(&webhook.log(), namespace);
            let called = |webhook: &str, resource: &str| {
                let words =
                    [format!("\"webhook\":{webhook:?}"), format!("\"resource\":{resource:?}")];
                log.lines().any(|line| words.iter().all(|it| line.contains(it)))
            };
            let all = called("mutate", "pods")
                && called("validate", "pods")
                && called("validate", "podtemplates");
            all.then_some(())
        })
        .await;
    }
}
