//! callgate on two nodes, by the manifests of production.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
    time::Duration,
};

use rustls::time_provider::DefaultTimeProvider;
use serde_json::{Value, json};
use support::{
    e2e::{
        api::{Api, Reply},
        cluster::Site,
        load, trust,
        versions::report_versions,
    },
    program,
    wait::eventually,
};

pub(crate) const PODS: &str = "/api/v1/namespaces/callgate-system/pods";

/// The Secret of the CA of all replicas.
pub(crate) const SECRET: &str = "/api/v1/namespaces/callgate-system/secrets/callgate-ca";

/// On every node.
pub(crate) const SECCOMP_ROOT: &str = "/var/lib/kubelet/seccomp";

pub(crate) struct Deployment {
    site: Site,
    pub(crate) api: Api,
}

/// A replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replica {
    pub(crate) name: String,
    /// Where it serves, if it has an address yet.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) uid: String,
    pub(crate) node: String,
    pub(crate) is_ready: bool,
    pub(crate) restarts: u64,
}

impl Deployment {
    /// Applies everything at once to a cluster without callgate, and waits until
    /// the API server calls it.
    pub(crate) async fn apply(site: Site) -> Self {
        let api = Api::connect(&site.kubeconfig).await;
        report_versions(&api).await;
        let deployment = Self { site, api };
        deployment.kubectl_ok(&["apply", "-k", Self::overlay()]).await;
        deployment.rolled_out().await;
        let probe = deployment.namespace("probe").await;
        eventually("the API server calls us", async || {
            let reply = deployment.create(&probe, &privileged("probe")).await;
            reply.message().contains("[privileged]").then_some(())
        })
        .await;
        // One connection leads to one replica; those of the load lead to all.
        eventually("every call arrives", async || {
            let during = load::during(&deployment.api, &probe, async |it| it.is_sent().await);
            (during.await.1.failed_since(Duration::ZERO) == 0).then_some(())
        })
        .await;
        deployment
    }

    /// What is applied.
    pub(crate) fn overlay() -> &'static str {
        concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/overlays/e2e")
    }

    /// The files of a node, as its kubelet and containerd see them: each node has a mount namespace
    /// of its own.
    pub(crate) fn root_of(&self, node: &str) -> PathBuf {
        format!("/proc/{}/root", self.process_of(node)).into()
    }

    /// Where that node looks for profiles.
    pub(crate) fn seccomp_root(&self, node: &str) -> PathBuf {
        self.root_of(node).join(SECCOMP_ROOT.trim_start_matches('/'))
    }

    /// Runs a line in the mount namespace of a node, as its root.
    pub(crate) async fn shell_on(&self, node: &str, line: &str) {
        let pid = self.process_of(node);
        self.shell(&format!("nsenter --target {pid} --mount bash -euc {line:?}")).await;
    }

    /// A process that lives as long as the node.
    pub(crate) fn process_of(&self, node: &str) -> String {
        let directory = self.site.kubeconfig.parent().expect("it is in the cluster's directory");
        let pid = fs::read_to_string(directory.join(node).join("pid")).expect("the node runs");
        pid.trim().to_owned()
    }

    /// A client with only this token.
    pub(crate) async fn connect_with(&self, token: &str) -> Api {
        Api::connect_with(&self.site.kubeconfig, token).await
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

    /// The recent log of the replicas.
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

    /// Creates a namespace with the policy `restricted`.
    pub(crate) async fn namespace(&self, name: &str) -> String {
        self.namespace_obeying(name, "restricted").await
    }

    /// Creates a policy, or changes it.
    pub(crate) async fn policy(&self, name: &str, spec: Value) {
        let policy = json!({
            "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
            "metadata": { "name": name }, "spec": spec,
        });
        self.api.apply(&path_of_policy(name), &policy).await.expect_ok("the policy");
    }

    pub(crate) async fn namespace_obeying(&self, name: &str, policy: &str) -> String {
        let labels = json!({ "callgate.dev/policy": policy });
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels },
        });
        eventually("the replica that is asked knows the policy", async || {
            self.api.post("/api/v1/namespaces", &object).await.is_ok().then_some(())
        })
        .await;
        let account = format!("/api/v1/namespaces/{name}/serviceaccounts/default");
        eventually("pods can be created", async || {
            self.api.get(&account).await.is_ok().then_some(())
        })
        .await;
        name.to_owned()
    }

    /// Waits until there are so many replicas, all ready, and no other.
    pub(crate) async fn scale(&self, replicas: usize) {
        let replicas = format!("--replicas={replicas}");
        self.kubectl_ok(&["-n", "callgate-system", "scale", "deployment/callgate", &replicas])
            .await;
        self.rolled_out().await;
    }

    /// Waits until none of these replicas is left.
    pub(crate) async fn gone(&self, old: &[Replica]) {
        eventually("the old replicas are gone", async || {
            let now = self.replicas().await;
            (!old.iter().any(|old| now.iter().any(|it| it.name == old.name))).then_some(())
        })
        .await;
    }

    /// The value of a key of the CA Secret.
    pub(crate) async fn stored(&self, key: &str) -> Option<String> {
        trust::stored(&self.api, SECRET, key).await
    }

    /// The `caBundle` of all our webhooks, if it is the same.
    pub(crate) async fn bundle(&self) -> Option<String> {
        trust::bundle(&self.api, &configurations()).await
    }

    /// The steps by which the current replicas changed the Secret.
    pub(crate) async fn steps(&self) -> Vec<String> {
        let select = "--selector=app.kubernetes.io/component=webhook";
        let said = self.kubectl_ok(&["-n", "callgate-system", "logs", select, "--tail=-1"]).await;
        let lines = said.lines().filter_map(|it| serde_json::from_str::<Value>(it).ok());
        lines
            .filter(|it| it["message"] == "CA stored")
            .map(|it| it["step"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Whether the cluster was created by this suite, which can then reach all its parts.
    pub(crate) fn is_our_own_cluster(&self) -> bool {
        self.site.directory.is_some()
    }

    /// The directory of a cluster that was made for this suite.
    pub(crate) fn directory(&self) -> &Path {
        self.site.directory.as_deref().expect("the cluster is ours")
    }

    pub(crate) async fn create(&self, namespace: &str, pod: &Value) -> Reply {
        self.api.post(&format!("/api/v1/namespaces/{namespace}/pods"), pod).await
    }

    pub(crate) async fn kubectl(&self, words: &[&str]) -> Output {
        let program = self.site.programs.as_deref().unwrap_or(Path::new("")).join("kubectl");
        self.run(&program, words).await
    }

    /// Runs a client of this cluster at the top of the tree.
    pub(crate) async fn run(&self, program: &Path, words: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(words).env("KUBECONFIG", &self.site.kubeconfig);
        command.current_dir(env!("CARGO_MANIFEST_DIR"));
        let run = move || command.output().expect("the client starts");
        tokio::task::spawn_blocking(run).await.expect("it does not panic")
    }

    /// Runs a shell line at the top of the tree, with `kubectl` on `PATH`, and returns what it prints.
    pub(crate) async fn shell(&self, line: &str) -> String {
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", line]).env("KUBECONFIG", &self.site.kubeconfig);
        command.current_dir(env!("CARGO_MANIFEST_DIR"));
        if let Some(programs) = &self.site.programs {
            let path = env::var("PATH").unwrap_or_default();
            command.env("PATH", format!("{}:{path}", programs.display()));
        }
        let run = move || command.output().expect("bash starts");
        let output = tokio::task::spawn_blocking(run).await.expect("it does not panic");
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {why}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) async fn kubectl_ok(&self, words: &[&str]) -> String {
        let output = self.kubectl(words).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {}: {said}{why}", words.join(" "));
        said
    }
}

pub(crate) fn path_of_policy(name: &str) -> String {
    format!("/apis/callgate.dev/v1alpha1/seccomppolicies/{name}")
}

pub(crate) fn configurations() -> [String; 2] {
    ["mutating", "validating"].map(|kind| {
        let root = "/apis/admissionregistration.k8s.io/v1";
        format!("{root}/{kind}webhookconfigurations/callgate")
    })
}

impl Replica {
    /// Whether a client that trusts only this CA trusts the replica.
    pub(crate) async fn serves_by(&self, ca: &str) -> bool {
        let address = self.address.expect("a replica that is ready has an address");
        let clock = Arc::new(DefaultTimeProvider);
        trust::verify(clock, address, trust::NAME, ca).await.is_ok()
    }

    /// Its metrics, by its address, since the API server may be away; `None` if it does not answer.
    pub(crate) async fn metrics(&self) -> Option<String> {
        program::ask((self.address?.ip(), 8080).into(), "/metrics").await
    }

    pub(crate) fn read(pod: &Value) -> Self {
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        let conditions = pod["status"]["conditions"].as_array();
        let mut conditions = conditions.into_iter().flatten();
        Self {
            name: text(&pod["metadata"]["name"]),
            address: format!("{}:8443", text(&pod["status"]["podIP"])).parse().ok(),
            uid: text(&pod["metadata"]["uid"]),
            node: text(&pod["spec"]["nodeName"]),
            is_ready: conditions.any(|it| it["type"] == "Ready" && it["status"] == "True"),
            restarts: pod["status"]["containerStatuses"][0]["restartCount"].as_u64().unwrap_or(0),
        }
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
