//! The real binary, serving a real API server by the production manifests.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    api::Api,
    world::{eventually, manifests},
};

/// How an instance decides, and for whom.
#[derive(Default)]
pub(crate) struct Setup {
    /// The name of a built-in policy, or the text of one.
    pub(crate) policy: String,
    /// Empty for `enforce`.
    pub(crate) mode: String,
    pub(crate) profiles: BTreeMap<String, String>,
    /// The namespaces that it is for, by name; none: all that opt in by label,
    /// by the webhook configurations exactly as they are in manifests/base.
    pub(crate) namespaces: Vec<String>,
}

/// A running webhook that the API server calls. It ends when dropped.
pub(crate) struct Instance {
    process: Child,
    directory: TempDir,
}

impl Instance {
    /// Starts the binary and registers it; calls reach it once
    /// [`eventually`] something is refused.
    pub(crate) async fn start(api: &Api, address: IpAddr, name: &str, setup: &Setup) -> Self {
        let directory = tempfile::tempdir().expect("there is room for temporary files");
        let at = |it: &str| directory.path().join(it);
        fs::create_dir(at("profiles")).expect("the directory is new");
        for (path, text) in &setup.profiles {
            let path = at("profiles").join(path);
            let parent = path.parent().expect("it is in the directory");
            fs::create_dir_all(parent).expect("profiles have proper paths");
            fs::write(path, text).expect("profiles have proper paths");
        }
        let policy = if setup.policy.contains(':') {
            fs::write(at("policy.yaml"), &setup.policy).expect("the directory is ours");
            at("policy.yaml")
        } else {
            PathBuf::from(&setup.policy)
        };
        let mode = if setup.mode.is_empty() { "enforce" } else { &setup.mode };
        let log = File::create(at("log")).expect("the directory is ours");
        let process = Command::new(env!("CARGO_BIN_EXE_callgate"))
            .args(["serve", "--standalone", "--log-format", "json", "--log-level", "debug"])
            .args(["--listen", &SocketAddr::new(address, 0).to_string()])
            .args(["--admin-listen", "127.0.0.1:0", "--drain-delay", "0s", "--mode", mode])
            .args(["--tls-san", &format!("{name}.callgate-system.svc")])
            .arg("--policy")
            .arg(policy)
            .arg("--profiles")
            .arg(at("profiles"))
            .arg("--ca-out")
            .arg(at("ca.crt"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        let instance = Self { process, directory };
        let port = eventually("the webhook serves", async || instance.port()).await;
        let authority = fs::read(instance.directory.path().join("ca.crt")).expect("it was written");
        publish(api, address, port, name).await;
        register(api, name, &authority, &setup.namespaces).await;
        instance
    }

    fn port(&self) -> Option<u16> {
        let log = fs::read_to_string(self.log()).ok()?;
        let lines = log.lines().filter_map(|it| serde_json::from_str::<Value>(it).ok());
        let address =
            lines.into_iter().find_map(|it| Some(it.get("address")?.as_str()?.to_owned()))?;
        Some(address.parse::<SocketAddr>().expect("it logs an address").port())
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// Ends the process, as a crash would.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it is ours");
        self.process.wait().expect("it is ours");
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Makes `port` of this machine the endpoint of a Service like the production one.
async fn publish(api: &Api, address: IpAddr, port: u16, name: &str) {
    let namespace = "callgate-system";
    for manifest in ["namespace", "service"] {
        for mut object in manifests(manifest) {
            if object["kind"] == "Service" {
                object["metadata"]["name"] = json!(name);
                let path = format!("/api/v1/namespaces/{namespace}/services/{name}");
                api.apply(&path, &object).await.expect_ok("the Service");
            } else {
                let path = format!("/api/v1/namespaces/{namespace}");
                api.apply(&path, &object).await.expect_ok("the Namespace");
            }
        }
    }
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": { "name": name, "labels": { "kubernetes.io/service-name": name } },
        "addressType": "IPv4",
        "ports": [{ "name": "webhook", "port": port, "protocol": "TCP" }],
        "endpoints": [{ "addresses": [address], "conditions": { "ready": true } }],
    });
    let path = format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices/{name}");
    api.apply(&path, &slice).await.expect_ok("the EndpointSlice");
}

/// Applies the production webhook configurations with the authority filled in;
/// a further instance gets copies that differ in name, service and namespaces.
async fn register(api: &Api, name: &str, authority: &[u8], namespaces: &[String]) {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    for mut configuration in manifests("webhooks") {
        configuration["metadata"]["name"] = json!(name);
        for webhook in configuration["webhooks"].as_array_mut().expect("it lists webhooks") {
            webhook["clientConfig"]["caBundle"] = json!(STANDARD.encode(authority));
            webhook["clientConfig"]["service"]["name"] = json!(name);
            if !namespaces.is_empty() {
                webhook["namespaceSelector"] = json!({ "matchExpressions": [{
                    "key": "kubernetes.io/metadata.name", "operator": "In", "values": namespaces,
                }]});
            }
        }
        let plural = match configuration["kind"].as_str() {
            Some("MutatingWebhookConfiguration") => "mutatingwebhookconfigurations",
            _ => "validatingwebhookconfigurations",
        };
        let path = format!("/apis/admissionregistration.k8s.io/v1/{plural}/{name}");
        api.apply(&path, &configuration).await.expect_ok("the webhook configuration");
    }
}

/// The lines of a log that are about a namespace.
pub(crate) fn lines_about(log: &Path, namespace: &str) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().filter(|it| it.contains(namespace)).collect();
    let from = lines.len().saturating_sub(40);
    lines[from..].join("\n")
}
