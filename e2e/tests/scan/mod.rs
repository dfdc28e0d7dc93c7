//! `callgate scan` on a cluster with workloads whose pods controllers have made.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use support::{page::blocks, program::said, wait::eventually};

use crate::trial::{Test, container, trials};

trials![
    a_scan_says_what_enforcing_would_change_and_deny,
    the_commands_of_the_page_do_what_it_says,
    a_scan_needs_exactly_the_rights_that_it_prints,
    its_patches_and_its_exemptions_are_what_the_api_server_takes,
];

const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";

/// The exit code, standard output and standard error of `callgate scan`.
fn scan(kubeconfig: &Path, flags: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_callgate"))
        .arg("scan")
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(flags)
        .env_clear()
        .output()
        .expect("the binary starts");
    said(output)
}

/// A pod template whose container has this security context.
fn template(labels: &Value, context: &Value) -> Value {
    let spec = json!({ "restartPolicy": "Always", "containers": [container("app", context)] });
    json!({ "metadata": { "labels": labels }, "spec": spec })
}

/// Creates a Deployment of two replicas, a `CronJob` that has not run, and a pod; waits for the
/// replicas.
pub(super) async fn fill(it: &Test, namespace: &str) {
    let api = it.api();
    let labels = json!({ "app": "web" });
    let privileged = json!({ "privileged": true, "seccompProfile": { "type": "RuntimeDefault" } });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": {
            "replicas": 2, "selector": { "matchLabels": labels },
            "template": template(&labels, &privileged),
        },
    });
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
    api.post(&path, &deployment).await.expect_ok("the deployment");
    let mut job = template(&json!({}), &Value::Null);
    job["spec"]["restartPolicy"] = json!("Never");
    let cron_job = json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": { "name": "tidy" },
        "spec": {
            "schedule": "0 0 1 1 *", "suspend": true,
            "jobTemplate": { "spec": { "template": job } },
        },
    });
    let path = format!("/apis/batch/v1/namespaces/{namespace}/cronjobs");
    api.post(&path, &cron_job).await.expect_ok("the cron job");
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    let own = json!({ "seccompProfile": { "type": "RuntimeDefault" } });
    let alone = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "alone" },
        "spec": { "containers": [container("app", &own)] },
    });
    api.post(&pods, &alone).await.expect_ok("the pod");
    eventually("the replicas are there", async || {
        let list = api.get(&pods).await.body;
        (list["items"].as_array()?.len() == 3).then_some(())
    })
    .await;
}

async fn a_scan_says_what_enforcing_would_change_and_deny(it: Test) {
    let namespace = it.plain_namespace().await;
    fill(&it, &namespace).await;
    let kubeconfig = &it.world.site.kubeconfig;
    let (code, stdout, stderr) = scan(kubeconfig, &["--namespace", &namespace]);
    let expected = blocks("docs/scan.md", "text")[0].replace("shop", &namespace) + "\n";
    let summary =
        "scanned 3 pods and 3 workloads in 1 namespace: 0 safe to enforce, 1 not, 0 unknown\n";
    assert_eq!((code, &*stdout, &*stderr), (Some(1), &*expected, summary));

    let flags = ["--namespace", &namespace, "--output", "json", "--fail-on", "never"];
    let (code, stdout, _) = scan(kubeconfig, &flags);
    let document: Value = serde_json::from_str(&stdout).expect("it is JSON");
    assert_eq!((code, &document["version"]), (Some(0), &json!(1)));
    let found = &document["namespaces"][0];
    assert_eq!(found["pods"]["runsUnder"], json!({ "privileged": 2, "RuntimeDefault": 1 }));
    let web = &found["owners"][1];
    assert_eq!((&web["kind"], &web["pods"]), (&json!("Deployment"), &json!(2)));
    let finding = &web["findings"][0];
    assert_eq!((&finding["rule"], &finding["grade"]), (&json!("privileged"), &json!("denied")));
    assert_eq!(finding["names"].as_array().map(Vec::len), Some(2), "{finding}");

    // The built-in policy without injection leaves the CronJob as it is.
    let (_, stdout, _) = scan(kubeconfig, &["--namespace", &namespace, "--policy", "baseline"]);
    assert!(!stdout.contains("cronjob"), "{stdout}");
    let (code, stdout, stderr) =
        scan(kubeconfig, &["--namespace", &namespace, "--selector", "app=other"]);
    let unknown = format!(
        "{namespace}: unknown whether it is safe to enforce: only what the selector chooses was judged\n"
    );
    assert!(code == Some(0) && stdout.starts_with(&unknown), "{code:?} {stdout} {stderr}");
    let (code, _, stderr) = scan(kubeconfig, &["--namespace", "nowhere"]);
    assert_eq!((code, &*stderr), (Some(2), "error: there is no namespace \"nowhere\"\n"));
    let (code, _, stderr) = scan(kubeconfig, &["--policy", "restrictd"]);
    let start = "error: policy \"restrictd\" does not exist; the policies are baseline, ";
    assert!(code == Some(2) && stderr.starts_with(start), "{code:?} {stderr}");
}

/// Runs each line in a folder, as the cluster's admin; the exit codes and what they print.
pub(super) fn run_lines(it: &Test, script: &str, folder: &Path) -> Vec<(i32, String)> {
    script.lines().map(|line| it.world.site.run(line, folder)).collect()
}

async fn the_commands_of_the_page_do_what_it_says(it: Test) {
    let namespace = it.plain_namespace().await;
    fill(&it, &namespace).await;
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy("examples/policy.yaml", folder.path().join("my-policy.yaml")).expect("a file");
    let config = fs::read_to_string(&it.world.site.kubeconfig).expect("there is a kubeconfig");
    let config: Value = serde_saphyr::from_str(&config).expect("it is YAML");
    let context = config["current-context"].as_str().expect("it has one");
    // Other tests have other namespaces, and the day of the page will be over.
    let commands = blocks("docs/scan.md", "sh")
        .concat()
        .replace("--context prod", &format!("--context {context}"))
        .replace(" --namespace shop", "")
        .replace("callgate scan", &format!("callgate scan --namespace {namespace}"))
        .replace("kubectl patch", &format!("kubectl patch --dry-run=server -n {namespace}"))
        .replace("patches/shop", &format!("patches/{namespace}"))
        .replace("2027-03-01", "2999-12-31");
    let ran = run_lines(&it, &commands, folder.path());
    let codes: Vec<_> = ran.iter().map(|it| it.0).collect();
    assert_eq!(codes, [1, 1, 1, 1, 1, 0, 1], "{ran:#?}");
    assert_eq!(ran[5].1, "deployment.apps/web patched\n", "in a dry run");
    let html = fs::read_to_string(folder.path().join("scan.html")).expect("it was written");
    assert!(html.starts_with("<!doctype html>"), "{html:.80}");
    let policy = fs::read_to_string(folder.path().join("policy.yaml")).expect("it was written");
    assert!(policy.contains("reason: found by scan"), "{policy}");
}

/// A kubeconfig that holds the token of a service account, which it creates.
async fn kubeconfig_of(it: &Test, namespace: &str, name: &str) -> tempfile::NamedTempFile {
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
    let account =
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name } });
    it.api().post(&path, &account).await.expect_ok("the account");
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": { "audiences": null },
    });
    let reply = it.api().post(&format!("{path}/{name}/token"), &request).await;
    let token = reply.expect_ok("a token")["status"]["token"].clone();
    let text = fs::read_to_string(&it.world.site.kubeconfig).expect("there is a kubeconfig");
    let mut config: Value = serde_saphyr::from_str(&text).expect("it is YAML");
    for user in config["users"].as_array_mut().expect("it has users") {
        user["user"] = json!({ "token": token });
    }
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(&file, config.to_string()).expect("it is written");
    file
}

async fn a_scan_needs_exactly_the_rights_that_it_prints(it: Test) {
    let namespace = it.plain_namespace().await;
    fill(&it, &namespace).await;
    let name = format!("scan-{namespace}");
    let kubeconfig = kubeconfig_of(&it, &namespace, "scan").await;
    let (code, printed, _) = scan(kubeconfig.path(), &["--print-rbac"]);
    assert_eq!(code, Some(0));
    let mut role: Value = serde_saphyr::from_str(&printed).expect("it is YAML");
    role["metadata"]["name"] = json!(name);
    let path = format!("{ROLES}/{name}");
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": { "name": name },
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name,
        },
        "subjects": [{ "kind": "ServiceAccount", "name": "scan", "namespace": namespace }],
    });
    it.api().apply(&path, &role).await.expect_ok("the role");
    it.api().apply(&format!("{BINDINGS}/{name}"), &binding).await.expect_ok("the binding");
    let flags = ["--namespace", &*namespace];
    let verdict = format!("{namespace}: not safe to enforce: pods of 1 of 3 workloads");
    eventually("it has all rights", async || {
        let (code, stdout, _) = scan(kubeconfig.path(), &flags);
        (code == Some(1) && stdout.starts_with(&verdict)).then_some(())
    })
    .await;

    let mut checked = 0;
    for at in 0..role["rules"].as_array().map_or(0, Vec::len) {
        let resources = role["rules"][at]["resources"].as_array().cloned().unwrap_or_default();
        let group = role["rules"][at]["apiGroups"][0].as_str().expect("a group").to_owned();
        for resource in &resources {
            let mut less = role.clone();
            let others: Vec<_> = resources.iter().filter(|it| *it != resource).collect();
            if others.is_empty() {
                less["rules"].as_array_mut().expect("rules").remove(at);
            } else {
                less["rules"][at]["resources"] = json!(others);
            }
            it.api().put(&path, &less).await.expect_ok("a role with one right less");
            let plural = resource.as_str().expect("a name");
            let full =
                if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
            // The API server names the namespace where it was asked for one by its name.
            let named =
                if plural == "namespaces" { format!(" {namespace:?}") } else { String::new() };
            let missing = format!(
                "not read: {full}: the API server says: {full}{named} is forbidden: User \"system:serviceaccount:{namespace}:scan\" cannot list resource \"{plural}\" in API group \"{group}\""
            );
            let stdout = eventually("the right is gone", async || {
                let (code, stdout, stderr) = scan(kubeconfig.path(), &flags);
                let others = stdout.matches("not read: ").count();
                let is_it = code == Some(2) && stdout.starts_with(&missing) && others == 1;
                (is_it && stderr.ends_with("error: not everything could be read\n"))
                    .then_some(stdout)
            })
            .await;
            // What the pods of this namespace do not depend on may be missing.
            let unread = format!("{full} were not read");
            let is_of_pods =
                !["nodes", "runtimeclasses"].contains(&plural) && group != "callgate.dev";
            assert_eq!(stdout.contains(&unread), is_of_pods, "{stdout}");
            checked += 1;
        }
    }
    assert_eq!(checked, 14);
    for path in [path, format!("{BINDINGS}/{name}")] {
        it.api().delete(&path).await.expect_ok("it goes");
    }
}

async fn its_patches_and_its_exemptions_are_what_the_api_server_takes(it: Test) {
    let namespace = it.plain_namespace().await;
    fill(&it, &namespace).await;
    let kubeconfig = &it.world.site.kubeconfig;
    let until = "2999-12-31";
    let (_, policy, _) =
        scan(kubeconfig, &["--namespace", &namespace, "--exemptions", "--until", until]);
    let path = "/apis/callgate.dev/v1alpha1/seccomppolicies";
    it.api().post_yaml(path, &policy).await.expect_ok("the policy with exemptions");
    let name = "restricted-with-exemptions";
    let (code, stdout, stderr) = scan(kubeconfig, &["--namespace", &namespace, "--policy", name]);
    assert_eq!(code, Some(0), "{stdout} {stderr}");
    it.api().delete(&format!("{path}/{name}")).await.expect_ok("it goes");

    let folder = tempfile::tempdir().expect("a folder");
    let flag = folder.path().to_str().expect("it is text");
    let (code, _, stderr) = scan(kubeconfig, &["--namespace", &namespace, "--fix", flag]);
    assert!(code == Some(1) && stderr.starts_with("wrote 2 patch files to "), "{stderr}");
    // Each file begins with the command that applies it.
    let script = format!("head -qn1 {namespace}/* | sed 's/^# //' | bash");
    let (_, printed) = it.world.site.run(&script, folder.path());
    assert_eq!(printed, "cronjob.batch/tidy patched\ndeployment.apps/web patched\n");
    let stored = async |path: &str| {
        let path = path.replace("NS", &namespace);
        it.api().get(&path).await.expect_ok("it is there")
    };
    let web = stored("/apis/apps/v1/namespaces/NS/deployments/web").await;
    let expected = json!({
        "privileged": false, "seccompProfile": { "type": "RuntimeDefault" },
    });
    let container = &web["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["securityContext"], expected);
    let tidy = stored("/apis/batch/v1/namespaces/NS/cronjobs/tidy").await;
    let spec = &tidy["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    assert_eq!(spec["securityContext"], json!({ "seccompProfile": { "type": "RuntimeDefault" } }));
}
