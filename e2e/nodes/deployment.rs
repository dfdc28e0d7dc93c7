//! callgate on two nodes, by the manifests of production.

use std::{
    env, fs,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{api::Api, cluster::Site, patience::eventually};

pub(crate) const PODS: &str = "/api/v1/namespaces/callgate-system/pods";

pub(crate) struct Deployment {
    site: Site,
    pub(crate) api: Api,
}

/// A replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replica {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) node: String,
    pub(crate) is_ready: bool,
    pub(crate) restarts: u64,
}

impl Deployment {
    /// Applies everything at once to a cluster that has never heard of us, and
    /// waits until the API server calls us.
    pub(crate) async fn apply(site: Site) -> Self {
        let api = Api::connect(&site.kubeconfig).await;
        let deployment = Self { site, api };
        deployment.kubectl_ok(&["apply", "-k", Self::overlay()]).await;
        deployment.rolled_out().await;
        let probe = deployment.namespace("probe").await;
        eventually("the API server calls us", async || {
            let reply = deployment.create(&probe, &privileged("probe")).await;
            reply.message().contains("[privileged]").then_some(())
        })
        .await;
        deployment
    }

    /// What is applied.
    pub(crate) fn overlay() -> &'static str {
        concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/overlays/e2e")
    }

    /// Waits until every replica is of the latest version and ready.
    pub(crate) async fn rolled_out(&self) {
        let wait =
            ["-n", "callgate-system", "rollout", "status", "deployment/callgate", "--timeout=60s"];
        if !self.kubectl(&wait).await.status.success() {
            let words = ["-n", "callgate-system", "get", "pods,events", "-o", "wide"];
            let events = self.kubectl_ok(&words).await;
            panic!("it does not roll out:\n{events}\n{}", self.logs().await);
        }
    }

    /// What the replicas have said lately.
    pub(crate) async fn logs(&self) -> String {
        let select = "--selector=app.kubernetes.io/component=webhook";
        let words = ["-n", "callgate-system", "logs", select, "--prefix", "--tail=20"];
        String::from_utf8_lossy(&self.kubectl(&words).await.stdout).into_owned()
    }

    pub(crate) async fn replicas(&self) -> Vec<Replica> {
        let path = format!("{PODS}?labelSelector=app.kubernetes.io/component=webhook");
        let list = self.api.get(&path).await.expect_ok("the replicas");
        let items = list["items"].as_array().expect("a list");
        let mut replicas: Vec<_> = items.iter().map(Replica::read).collect();
        replicas.sort_by(|a, b| a.name.cmp(&b.name));
        replicas
    }

    /// Makes a namespace that obeys the policy `restricted`.
    pub(crate) async fn namespace(&self, name: &str) -> String {
        self.namespace_obeying(name, "restricted").await
    }

    pub(crate) async fn namespace_obeying(&self, name: &str, policy: &str) -> String {
        let labels = json!({ "callgate.dev/policy": policy });
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels },
        });
        self.api.post("/api/v1/namespaces", &object).await.expect_ok("the namespace");
        let account = format!("/api/v1/namespaces/{name}/serviceaccounts/default");
        eventually("pods can be created", async || {
            self.api.get(&account).await.is_ok().then_some(())
        })
        .await;
        name.to_owned()
    }

    pub(crate) async fn create(&self, namespace: &str, pod: &Value) -> crate::api::Reply {
        self.api.post(&format!("/api/v1/namespaces/{namespace}/pods"), pod).await
    }

    pub(crate) async fn kubectl(&self, words: &[&str]) -> Output {
        let program = self.site.programs.as_deref().unwrap_or(Path::new("")).join("kubectl");
        let mut command = Command::new(program);
        command.args(words).env("KUBECONFIG", &self.site.kubeconfig);
        let run = move || command.output().expect("kubectl starts");
        tokio::task::spawn_blocking(run).await.expect("it does not panic")
    }

    pub(crate) async fn kubectl_ok(&self, words: &[&str]) -> String {
        let output = self.kubectl(words).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {}: {said}{why}", words.join(" "));
        said
    }
}

impl Replica {
    fn read(pod: &Value) -> Self {
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        let conditions = pod["status"]["conditions"].as_array();
        let mut conditions = conditions.into_iter().flatten();
        Self {
            name: text(&pod["metadata"]["name"]),
            uid: text(&pod["metadata"]["uid"]),
            node: text(&pod["spec"]["nodeName"]),
            is_ready: conditions.any(|it| it["type"] == "Ready" && it["status"] == "True"),
            restarts: pod["status"]["containerStatuses"][0]["restartCount"].as_u64().unwrap_or(0),
        }
    }

    /// Ends its process, as the kernel does when memory runs out.
    pub(crate) fn kill(&self) {
        // Pods write their uid into the name of their cgroup, some with `_` for `-`.
        let uids = [self.uid.clone(), self.uid.replace('-', "_")];
        let processes = fs::read_dir("/proc").expect("it is there").filter_map(Result::ok);
        let mut killed = 0;
        for process in processes.map(|it| it.path()) {
            let read = |name: &str| fs::read(process.join(name)).unwrap_or_default();
            let text = String::from_utf8_lossy(&read("cgroup")).into_owned();
            let is_ours = uids.iter().any(|it| text.contains(it.as_str()));
            if is_ours && read("cmdline").starts_with(b"/bin/callgate\0") {
                let id = process.file_name().expect("it has one").to_string_lossy().into_owned();
                let status = Command::new("sh").args(["-c", &format!("kill -KILL {id}")]).status();
                assert!(status.expect("a shell starts").success());
                killed += 1;
            }
        }
        assert_eq!(killed, 1, "processes of {}", self.name);
    }
}

/// A pod that runs the command to its end.
pub(crate) fn pod(name: &str, command: &[&str], context: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name },
        "spec": {
            "restartPolicy": "Never", "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "app", "image": "busybox:1", "command": command, "securityContext": context,
            }],
        },
    })
}

pub(crate) fn privileged(name: &str) -> Value {
    pod(name, &["true"], &json!({ "privileged": true }))
}

/// A moment for what is not to happen to happen.
pub(crate) async fn a_moment() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}
