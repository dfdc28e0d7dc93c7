//! The real binary, serving a real API server by the production manifests.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{api::Api, cluster::Site, manifests::manifests};
use crate::{
    program::{self, logged, metric},
    wait::eventually,
};

/// The configuration of an instance.
#[derive(Default)]
pub struct Setup {
    /// The name of a built-in policy, or the text of one; none: the policies
    /// of the cluster, as its namespaces name them.
    pub policy: String,
    /// Empty for `enforce`.
    pub mode: String,
    /// Further flags.
    pub flags: Vec<String>,
    pub profiles: BTreeMap<String, String>,
    /// The namespaces that it judges, by name; none: all that opt in by label,
    /// by the webhook configurations exactly as they are in manifests/base.
    pub namespaces: Vec<String>,
    /// Empty for a line for every review, which is how tests see calls.
    pub log_level: String,
    /// Its user at the API server; such an instance stores no CA in the
    /// cluster. Empty for the administrator.
    pub user: String,
    /// The day on which it starts, at noon, by its own clock alone; none: by the
    /// clock of this machine. Its certificate is then one from files.
    pub day: Option<Date>,
    /// Another callgate than this build's.
    pub program: Option<PathBuf>,
    /// Another connection to the API server than the suite's own.
    pub kubeconfig: Option<PathBuf>,
    /// Further variables of its environment.
    pub environment: BTreeMap<String, String>,
}

/// A running webhook that the API server calls. It ends when dropped.
pub struct Instance {
    process: Child,
    directory: TempDir,
    /// Where it serves reviews, and where it tells of itself.
    addresses: Option<(SocketAddr, SocketAddr)>,
}

impl Instance {
    /// Starts the binary and registers it; calls reach it once
    /// [`eventually`] something is denied.
    pub async fn start(
        api: &Api,
        site: &Site,
        name: &str,
        setup: &Setup,
        change: impl Fn(&mut Value),
    ) -> Self {
        let instance = Self::spawn(site, name, setup).await;
        instance.publish(api, name, name, true).await;
        let ca = fs::read(instance.directory.path().join("ca.crt")).ok();
        register(api, name, ca.as_deref(), &setup.namespaces, change).await;
        eventually("the webhook is ready", async || instance.ask("/readyz").await).await;
        instance
    }

    /// Starts the binary, without registering it at the API server.
    pub async fn spawn(site: &Site, name: &str, setup: &Setup) -> Self {
        let Site { address, kubeconfig, .. } = site;
        let address = *address;
        let directory = tempfile::tempdir().expect("there is room for temporary files");
        let at = |it: &str| directory.path().join(it);
        fs::create_dir(at("profiles")).expect("the directory is new");
        for (path, text) in &setup.profiles {
            let path = at("profiles").join(path);
            let parent = path.parent().expect("it is in the directory");
            fs::create_dir_all(parent).expect("profiles have proper paths");
            fs::write(path, text).expect("profiles have proper paths");
        }
        let mode = if setup.mode.is_empty() { "enforce" } else { &setup.mode };
        let mut facts = Vec::new();
        if !setup.policy.is_empty() {
            let policy = if setup.policy.contains(':') {
                fs::write(at("policy.yaml"), &setup.policy).expect("the directory is ours");
                at("policy.yaml").to_string_lossy().into_owned()
            } else {
                setup.policy.clone()
            };
            facts = ["--standalone", "--mode", mode, "--policy", &policy].map(str::to_owned).into();
        }
        // In a cluster it manages its own CA, and publishes it to the API server.
        let ca: Vec<String> = if setup.day.is_some() {
            certify(name, &at("tls.key"), &at("ca.crt"));
            let path = |it: &str| at(it).to_string_lossy().into_owned();
            ["--tls-cert".into(), path("ca.crt"), "--tls-key".into(), path("tls.key")].into()
        } else if setup.policy.is_empty() && setup.user.is_empty() {
            let secret = format!("{name}-ca");
            let all = [
                ["--ca-secret", &secret],
                ["--ca-secret-namespace", "callgate-system"],
                ["--mutating-configuration", name],
                ["--validating-configuration", name],
            ];
            all.concat().into_iter().map(str::to_owned).collect()
        } else {
            ["--ca-out".to_owned(), at("ca.crt").to_string_lossy().into_owned()].into()
        };
        let kubeconfig = if setup.user.is_empty() {
            kubeconfig.clone()
        } else {
            impersonating(&setup.user, kubeconfig, at("kubeconfig"))
        };
        let san = format!("--tls-san={name}.callgate-system.svc");
        let san = setup.day.is_none().then_some(san);
        let log = File::create(at("log")).expect("the directory is ours");
        let level = if setup.log_level.is_empty() { "callgate=debug" } else { &setup.log_level };
        let process = Command::new(setup.program.as_ref().unwrap_or(&site.callgate))
            .args(["serve", "--log-format", "json", "--log-level", level])
            .args(facts)
            .args(&setup.flags)
            .env("KUBECONFIG", setup.kubeconfig.as_deref().unwrap_or(&kubeconfig))
            .envs(&setup.environment)
            .args(["--listen", &SocketAddr::new(address, 0).to_string()])
            .args(["--admin-listen", "127.0.0.1:0", "--drain-delay", "0s"])
            .arg("--profiles")
            .arg(at("profiles"))
            .args(ca)
            .args(san)
            .envs(setup.day.map(moved_to).into_iter().flatten())
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        let mut instance = Self { process, directory, addresses: None };
        let serving = eventually("the webhook serves", async || instance.serving()).await;
        instance.addresses = Some(serving);
        instance
    }

    /// Where it serves reviews, and where it tells of itself.
    fn serving(&self) -> Option<(SocketAddr, SocketAddr)> {
        let event = self.said("serving").pop()?;
        let address = |key: &str| event[key].as_str()?.parse().ok();
        Some((address("address")?, address("admin_address")?))
    }

    pub fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The response of its admin port, if that is a 200.
    pub async fn ask(&self, path: &str) -> Option<String> {
        program::ask(self.addresses?.1, path).await
    }

    /// The status and the body of the response of its admin port.
    pub async fn answer(&self, path: &str) -> Option<(String, String)> {
        program::answer(self.addresses?.1, path).await
    }

    /// Makes it an endpoint of a Service like the production one, in a slice of
    /// its own.
    pub async fn publish(&self, api: &Api, slice: &str, service: &str, is_ready: bool) {
        let (address, _) = self.addresses.expect("it serves");
        let namespace = "callgate-system";
        for manifest in ["namespace", "service"] {
            for mut object in manifests(manifest) {
                if object["kind"] == "Service" {
                    object["metadata"]["name"] = json!(service);
                    // Else the controller manager writes Endpoints, of pods that there are not.
                    object["spec"]["selector"] = Value::Null;
                    let path = format!("/api/v1/namespaces/{namespace}/services/{service}");
                    api.apply(&path, &object).await.expect_ok("the Service");
                } else {
                    let path = format!("/api/v1/namespaces/{namespace}");
                    api.apply(&path, &object).await.expect_ok("the Namespace");
                }
            }
        }
        let endpoint = json!({ "addresses": [address.ip()], "conditions": { "ready": is_ready } });
        let labels = json!({ "kubernetes.io/service-name": service });
        let object = json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": { "name": slice, "labels": labels },
            "addressType": "IPv4",
            "ports": [{ "name": "webhook", "port": address.port(), "protocol": "TCP" }],
            "endpoints": [endpoint],
        });
        let root = format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}");
        let path = format!("{root}/endpointslices/{slice}");
        api.apply(&path, &object).await.expect_ok("the EndpointSlice");
        publish_endpoints(api, namespace, service).await;
    }

    /// The lines of its log with this message.
    pub fn said(&self, message: &str) -> Vec<Value> {
        logged(&self.log(), message)
    }

    /// The value of a metric, given with its labels.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        metric(&self.ask("/metrics").await?, name)
    }

    /// Ends the process, as a crash would.
    pub fn kill(&mut self) {
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

/// The same kubeconfig, by which the administrator speaks as a `ServiceAccount`.
fn impersonating(user: &str, kubeconfig: &Path, path: PathBuf) -> PathBuf {
    let text = fs::read_to_string(kubeconfig).expect("there is a kubeconfig");
    let mut config: Value = serde_saphyr::from_str(&text).expect("it is YAML");
    for it in config["users"].as_array_mut().expect("it has users") {
        it["user"]["as"] = json!(user);
        it["user"]["as-groups"] = json!(["system:serviceaccounts", "system:authenticated"]);
    }
    fs::write(&path, config.to_string()).expect("the directory is ours");
    path
}

/// libfaketime, as the loader finds it. The program `faketime` is of no use here: it keeps
/// something in /dev/shm by its process id, which the namespaces of clusters have in common.
const FAKETIME: &str = "/usr/$LIB/faketime/libfaketime.so.1";

/// Writes a self-signed certificate that is valid by any clock.
fn certify(name: &str, key_file: &Path, certificate_file: &Path) {
    let key = KeyPair::generate().expect("there is entropy");
    let names = [format!("{name}.callgate-system.svc")];
    let mut params = CertificateParams::new(names).expect("it is a name");
    params.not_before = date_time_ymd(1990, 1, 1);
    params.not_after = date_time_ymd(2090, 1, 1);
    let certificate = params.self_signed(&key).expect("a new key can sign");
    fs::write(key_file, key.serialize_pem()).expect("the directory is ours");
    fs::write(certificate_file, certificate.pem()).expect("the directory is ours");
}

/// The environment in which this day is today for a program.
fn moved_to(day: Date) -> [(&'static str, String); 3] {
    let noon = day.at(12, 0, 0, 0).to_zoned(TimeZone::UTC).expect("UTC has no gaps").timestamp();
    let seconds = noon.as_second() - Timestamp::now().as_second();
    let moved = [
        ("LD_PRELOAD", FAKETIME.to_owned()),
        ("FAKETIME", format!("{seconds:+}")),
        // Time-outs use the monotonic clock.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    // A missing library only leads to a warning.
    let date = Command::new("date").args(["-u", "+%F"]).envs(moved.clone()).output();
    let date = String::from_utf8(date.expect("there is date").stdout).expect("it is text");
    assert_eq!(date.trim(), day.to_string(), "e2e/setup installs faketime");
    moved
}

/// Applies the production webhook configurations with the CA filled in;
/// a further instance gets copies that differ in name, service and namespaces.
pub async fn register(
    api: &Api,
    name: &str,
    ca: Option<&[u8]>,
    namespaces: &[String],
    change: impl Fn(&mut Value),
) {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    for mut configuration in manifests("webhooks") {
        configuration["metadata"]["name"] = json!(name);
        let webhooks = configuration["webhooks"].as_array_mut().expect("it lists webhooks");
        if !namespaces.is_empty() {
            // Policies and labels are cluster-scoped.
            webhooks.retain(|it| it["name"] != "objects.callgate.dev");
        }
        for webhook in webhooks {
            change(webhook);
            if let Some(ca) = ca {
                webhook["clientConfig"]["caBundle"] = json!(STANDARD.encode(ca));
            }
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
pub fn lines_about(log: &Path, namespace: &str) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().filter(|it| it.contains(namespace)).collect();
    let from = lines.len().saturating_sub(40);
    lines[from..].join("\n")
}

/// Writes the `Endpoints` that say the same as the slices of a Service: the API server of
/// Kubernetes 1.33 looks for webhooks there, and only later ones look at slices.
async fn publish_endpoints(api: &Api, namespace: &str, service: &str) {
    let mut written = None;
    // Another replica may publish a slice meanwhile.
    loop {
        let subsets = subsets(api, namespace, service).await;
        if written.as_ref() == Some(&subsets) {
            return;
        }
        let object = json!({
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {
                "name": service,
                "labels": { "endpointslice.kubernetes.io/skip-mirror": "true" },
            },
            "subsets": subsets,
        });
        let path = format!("/api/v1/namespaces/{namespace}/endpoints/{service}");
        api.apply(&path, &object).await.expect_ok("the Endpoints");
        written = Some(subsets);
    }
}

/// What the slices of a Service say, in the form of `Endpoints`.
async fn subsets(api: &Api, namespace: &str, service: &str) -> Vec<Value> {
    let root = format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices");
    let selector = format!("labelSelector=kubernetes.io/service-name={service}");
    let slices = api.get(&format!("{root}?{selector}")).await.expect_ok("the EndpointSlices");
    let slices = slices["items"].as_array().expect("a list").iter();
    let subsets = slices.map(|it| {
        let endpoint = &it["endpoints"][0];
        let is_ready = endpoint["conditions"]["ready"] == true;
        let addresses = if is_ready { "addresses" } else { "notReadyAddresses" };
        json!({ addresses: [{ "ip": endpoint["addresses"][0] }], "ports": it["ports"] })
    });
    subsets.collect()
}
