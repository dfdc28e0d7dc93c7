//! What the component denials sees of real containers. Audit records reach only the first network
//! namespace, in which no node of the suite is, so the program runs around the cluster.

use std::{fs, path::PathBuf, sync::Arc};

use serde_json::{Value, json};
use support::{
    e2e::api::Api,
    logged_calls::logged_calls,
    program::{logged, metric},
    report::{report, report_details},
    wait::{eventually, patiently},
};

use super::{
    around::{Around, relay},
    node::SECCOMP_NODE,
    witness::{kustomization, make_the_namespace, runs, stays},
};
use crate::deployment::Deployment;

const ON: &str = "node-a";
const NAMESPACE: &str = "denied";
const PODS: &str =
    "/api/v1/namespaces/callgate-agent/pods?labelSelector=app.kubernetes.io/component=denials";

/// How often the containers make a call. Shells make it by `times`, without another process.
const FEW: u64 = 37;
const BURST: u64 = 20_000;
const SHORT: u64 = 20;

/// The program, around the cluster.
struct Program {
    around: Around,
    id: String,
    log: PathBuf,
}

impl Program {
    async fn start(it: &Deployment, token: &str) -> Self {
        let directory = it.directory();
        let around = Around::new(directory);
        let server = relay("10.200.0.1:6443".parse().expect("an address"));
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "a",
            "clusters": [{ "name": "a", "cluster": {
                "server": format!("https://{server}"),
                "certificate-authority": directory.join("identity/ca.crt"),
            } }],
            "users": [{ "name": "a", "user": { "token": token } }],
            "contexts": [{ "name": "a", "context": { "cluster": "a", "user": "a" } }],
        });
        let (path, log) = (directory.join("denials.kubeconfig"), directory.join("denials.log"));
        fs::write(&path, kubeconfig.to_string()).expect("the directory is ours");
        let program = env!("CARGO_BIN_EXE_callgate");
        // With the one capability that the pod has.
        let line = format!(
            "KUBECONFIG={} setpriv --inh-caps=-all --bounding-set=-all,+audit_read {program} denials \
             --log-format=json --node-name={ON} --admin-listen=127.0.0.1:0 2>{} & echo $!",
            path.display(),
            log.display(),
        );
        let id = around.run(&line).await.trim().to_owned();
        Self { around, id, log }
    }

    /// Whether records reach it; says so where they do not.
    async fn listens(&self) -> bool {
        let listens = eventually("it says whether it listens", async || {
            let said = |it| self.log.exists() && !logged(&self.log, it).is_empty();
            (said("audit records arrive") || said("no denial can be seen, trying again"))
                .then(|| said("audit records arrive"))
        });
        let listens = listens.await;
        if !listens {
            report(
                "what containers are denied is left out: no audit record arrives on this machine",
            );
        }
        listens
    }

    async fn metric(&self, name: &str) -> u64 {
        let started = logged(&self.log, "listening for denials").remove(0);
        let address = started["admin_address"].as_str().expect("an address");
        let (host, port) = address.split_once(':').expect("it has a port");
        let ask = format!(
            "exec 3<>/dev/tcp/{host}/{port}; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3; \
             exec 3>&-"
        );
        metric(&self.around.run(&ask).await, name).unwrap_or(0)
    }

    /// How many calls of containers it has counted, by action.
    async fn calls(&self, action: &str) -> u64 {
        self.metric(&format!("callgate_denials_total{{action=\"SCMP_ACT_{action}\"}}")).await
    }

    async fn unattributed(&self, reason: &str) -> u64 {
        let name = format!("callgate_denials_unattributed_total{{reason=\"{reason}\"}}");
        self.metric(&name).await
    }

    /// Its time on a processor in milliseconds, and its own memory.
    async fn cost(&self) -> (u64, String) {
        let stat = self.around.run(&format!("cat /proc/{}/stat", self.id)).await;
        let after = stat.rsplit_once(") ").expect("it runs").1;
        let ticks = |at: usize| after.split(' ').nth(at).and_then(|it| it.parse::<u64>().ok());
        let ticks = ticks(11).zip(ticks(12)).map(|(user, system)| user + system);
        let memory = self.around.run(&format!("grep RssAnon /proc/{}/status", self.id)).await;
        (10 * ticks.expect("numbers"), memory.replace("RssAnon:", "").trim().to_owned())
    }

    async fn stop(self) {
        self.around.run(&format!("kill {}", self.id)).await;
    }
}

/// What is reported of a container: the count of a call.
async fn reported(it: &Deployment, pod: &str, call: &str, action: &str) -> Option<u64> {
    let object = it.api.get(&format!("{SECCOMP_NODE}/{ON}")).await.body;
    let calls = object["status"]["denials"]["calls"].as_array()?;
    let is_one = |it: &&Value| it["pod"] == pod && it["syscall"] == call && it["action"] == action;
    calls.iter().find(is_one)?["count"].as_u64()
}

async fn has_event(it: &Deployment, owner: [&str; 2], note: &str) -> bool {
    let path = format!("/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events");
    let list = it.api.get(&path).await.body;
    let all = list["items"].as_array().into_iter().flatten();
    let mut of_us = all.filter(|it| it["reason"] == "SeccompDenied");
    of_us.any(|it| {
        let regarding = &it["regarding"];
        [&regarding["kind"], &regarding["name"]] == owner && it["note"] == note
    })
}

/// A shell that makes the call so often, and stays.
fn caller(name: &str, times: u64) -> Value {
    let line = format!(
        "i=0; while [ $i -lt {times} ]; do times >/dev/null; i=$((i+1)); done; \
         while :; do sleep 1000; done"
    );
    pod(name, &line)
}

fn pod(name: &str, line: &str) -> Value {
    let context = json!({
        "seccompProfile": { "type": "Localhost", "localhostProfile": "denials.json" },
    });
    let mut pod = stays(name, &context);
    pod["spec"]["containers"][0]["command"] = json!(["sh", "-c", line]);
    pod
}

/// Creates a `ReplicaSet` of one such pod, with the name of the pod.
async fn create_set(it: &Deployment, mut pod: Value) {
    pod["spec"]["restartPolicy"] = "Always".into();
    let labels = json!({ "app": pod["metadata"]["name"] });
    let set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": { "name": pod["metadata"]["name"] },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": pod["spec"] },
        },
    });
    let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/replicasets");
    it.api.post(&path, &set).await.expect_ok("a ReplicaSet");
}

/// A token as the pod of the component on that node has it.
async fn token(it: &Deployment) -> String {
    let mut pod = stays("speaker", &json!({}));
    pod["spec"]["serviceAccountName"] = "callgate-denials".into();
    let pod = it.create("callgate-agent", &pod).await.expect_ok("a pod");
    let (name, uid) = (&pod["metadata"]["name"], &pod["metadata"]["uid"]);
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {
            "audiences": null,
            "boundObjectRef": { "kind": "Pod", "apiVersion": "v1", "name": name, "uid": uid },
        },
    });
    let path = "/api/v1/namespaces/callgate-agent/serviceaccounts/callgate-denials/token";
    let reply = it.api.post(path, &request).await.expect_ok("a token");
    reply["status"]["token"].as_str().expect("a token").to_owned()
}

/// The token may write what was denied on its own node, and nothing else.
async fn writes_nothing_else(ours: &Api) {
    let denials = json!({ "status": { "denials": { "since": "2026-11-28T00:00:00Z" } } });
    let unlisted = json!({ "status": { "unlisted": 7 } });
    let own = ours.merge(&format!("{SECCOMP_NODE}/{ON}/status?dryRun=All"), &denials).await;
    own.expect_ok("its own");
    for (node, change, why) in [
        ("node-b", &denials, "denials are written for the own node alone, which is \"node-a\""),
        (ON, &unlisted, "nothing is written but the field denials of a status"),
    ] {
        let path = format!("{SECCOMP_NODE}/{node}/status?dryRun=All");
        let refused = async || {
            let reply = ours.merge(&path, change).await;
            (reply.status == 422).then(|| reply.message().to_owned())
        };
        let said = eventually("the policy is in force", refused).await;
        assert!(said.contains(why), "{node}: {said}");
    }
}

pub(super) async fn what_profiles_deny_is_reported_by_container(it: Arc<Deployment>) {
    make_the_namespace(&it, NAMESPACE).await;
    let seccomp = it.seccomp_root(ON);
    fs::create_dir_all(&seccomp).expect("the node is ours");
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            { "names": ["times"], "action": "SCMP_ACT_LOG" },
            { "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS" },
        ],
    });
    fs::write(seccomp.join("denials.json"), profile.to_string()).expect("the node is ours");
    let folder = kustomization(&it, "denials");
    it.kubectl_ok(&["apply", "-k", &folder]).await;
    let token = token(&it).await;
    writes_nothing_else(&it.connect_with(&token).await).await;

    // In the network of a node of the suite no record arrives, and the log says so.
    patiently("the pods say what is wrong", async || {
        let words = ["-n", "callgate-agent", "logs", "daemonset/callgate-denials"];
        let said = String::from_utf8_lossy(&it.kubectl(&words).await.stdout).into_owned();
        said.contains("the node must not be a container itself").then_some(())
    })
    .await;
    let pods = it.api.get(PODS).await.expect_ok("the pods");
    let conditions = pods["items"][0]["status"]["conditions"].as_array().expect("a list");
    assert!(conditions.iter().any(|it| it["type"] == "Ready" && it["status"] == "False"), "{pods}");

    // Their own calls, which are tried again and again, would be counted as well.
    let name = "callgate-denials";
    it.kubectl_ok(&["-n", "callgate-agent", "delete", "daemonset", name]).await;
    patiently("its pods are gone", async || {
        it.api.get(PODS).await.body["items"].as_array()?.is_empty().then_some(())
    })
    .await;

    let program = Program::start(&it, &token).await;
    if program.listens().await {
        see(&it, &program).await;
    }
    program.stop().await;
    it.kubectl_ok(&["-n", "callgate-agent", "delete", "pod", "speaker"]).await;
    it.kubectl_ok(&["-n", "callgate-agent", "delete", "serviceaccount", name]).await;
    it.kubectl_ok(&["delete", "clusterrole,clusterrolebinding", name]).await;
    let kinds = "validatingadmissionpolicy,validatingadmissionpolicybinding";
    it.kubectl_ok(&["delete", kinds, "callgate-denials-own-node"]).await;
    let none = json!({ "status": { "denials": null } });
    it.api.merge(&format!("{SECCOMP_NODE}/{ON}/status"), &none).await.expect_ok("the report");
    fs::remove_file(seccomp.join("denials.json")).expect("the node is ours");
    it.api.delete(&format!("/api/v1/namespaces/{NAMESPACE}")).await.expect_ok("the namespace");
}

async fn see(it: &Deployment, program: &Program) {
    let before = program.unattributed("node").await;
    it.create(NAMESPACE, &caller("few", FEW)).await.expect_ok("a pod");
    runs(it, NAMESPACE, "few").await;
    patiently("the calls of a container are reported", async || {
        (reported(it, "few", "times", "SCMP_ACT_LOG").await? == FEW).then_some(())
    })
    .await;
    assert_eq!(program.calls("LOG").await, FEW);

    // A process that is in no container is only counted.
    let outside = || logged_calls(10, "sleep 1");
    tokio::task::spawn_blocking(outside).await.expect("it does not panic");
    patiently("the calls of the node are counted", async || {
        (program.unattributed("node").await >= before + 10).then_some(())
    })
    .await;
    assert_eq!(program.calls("LOG").await, FEW, "they are no calls of containers");

    // Processes that end with their first call.
    let line = format!(
        "i=0; while [ $i -lt {SHORT} ]; do mkdir /tmp/a; i=$((i+1)); done; while :; do sleep 1000; done"
    );
    let unknown = program.unattributed("ended").await;
    create_set(it, pod("short", &line)).await;
    patiently("each is found, or counted as unknown", async || {
        let ended = program.unattributed("ended").await - unknown;
        (program.calls("KILL_PROCESS").await + ended >= SHORT).then_some(())
    })
    .await;
    let found = program.calls("KILL_PROCESS").await;
    assert!(found <= SHORT, "{found} of {SHORT}");
    if found > 0 {
        let note = "container \"app\" was denied mkdir by \"denials.json\"";
        patiently("an Event on the owner says so", async || {
            has_event(it, ["ReplicaSet", "short"], note).await.then_some(())
        })
        .await;
    }
    report_details(&format!("of {SHORT} processes that were killed, {found} were found"));

    let (before, _) = program.cost().await;
    it.create(NAMESPACE, &caller("burst", BURST)).await.expect_ok("a pod");
    patiently("the burst has been read", async || {
        let lost = program.metric("callgate_denials_lost_total").await;
        (program.calls("LOG").await == FEW + BURST || lost > 0).then_some(())
    })
    .await;
    let (after, memory) = program.cost().await;
    let lost = program.metric("callgate_denials_lost_total").await;
    let read = program.calls("LOG").await - FEW;
    report_details(&format!(
        "a burst of {BURST} calls: {read} were read, and records were lost {lost} times; \
         {} ms of a processor, {memory} of memory (RssAnon)",
        after - before
    ));
    patiently("the burst is reported", async || {
        let count = reported(it, "burst", "times", "SCMP_ACT_LOG").await?;
        (count == program.calls("LOG").await - FEW).then_some(())
    })
    .await;
    let object = it.api.get(&format!("{SECCOMP_NODE}/{ON}")).await.expect_ok("the report");
    let denials = &object["status"]["denials"];
    let calls = denials["calls"].as_array().expect("a list");
    assert!(calls.iter().all(|it| it["namespace"] == NAMESPACE), "{calls:?}");
    let few = calls.iter().find(|it| it["pod"] == "few").expect("it is there still");
    let is = json!([few["container"], few["declared"], few["localhostProfile"]]);
    assert_eq!(is, json!(["app", "Localhost", "denials.json"]));
    assert_eq!(denials["lost"], lost);
    assert!(object["status"]["profiles"].is_array(), "the agent's own fields stay: {object}");
}
