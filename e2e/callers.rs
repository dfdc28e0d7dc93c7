//! The client certificates that the API server of our own cluster shows to webhooks, configured
//! as an administrator would do it, by `--admission-control-config-file` (certs/README.md).

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use serde_json::{Value, json};
use support::e2e::cluster;

/// The Services to which it shows a certificate, and the name in it.
const CALLERS: [(&str, &str); 2] = [
    ("shown-ours.callgate-system.svc", "kube-apiserver"),
    ("shown-another.callgate-system.svc", "somebody-else"),
];

const STATIC: &str = "static";

/// Writes the configuration of the API server beside the state of its cluster, and returns the flag.
pub(crate) fn write(directory: &Path) -> io::Result<String> {
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).map_err(io::Error::other)?;
    fs::write(ca(directory), certificate.pem())?;
    let issuer = Issuer::new(params, key);
    let users: Vec<_> = CALLERS
        .iter()
        .map(|(service, name)| user(&issuer, service, name))
        .collect::<Result<_, _>>()
        .map_err(io::Error::other)?;
    let kubeconfig = directory.join("callers.kubeconfig");
    let users = json!({ "apiVersion": "v1", "kind": "Config", "users": users });
    fs::write(&kubeconfig, users.to_string())?;
    let plugin = |name: &str| {
        json!({ "name": name, "configuration": {
            "apiVersion": "apiserver.config.k8s.io/v1", "kind": "WebhookAdmissionConfiguration",
            "kubeConfigFile": kubeconfig,
        }})
    };
    let mut plugins =
        ["ValidatingAdmissionWebhook", "MutatingAdmissionWebhook"].map(plugin).to_vec();
    if has_static_admission() {
        for (name, kind) in
            [("mutating", "MutatingAdmissionPolicy"), ("validating", "ValidatingAdmissionPolicy")]
        {
            let own = directory.join(STATIC).join(name);
            fs::create_dir_all(&own)?;
            plugins.push(json!({ "name": kind, "configuration": {
                "apiVersion": "apiserver.config.k8s.io/v1",
                "kind": format!("{kind}Configuration"), "staticManifestsDir": own,
            }}));
        }
    }
    let admission = json!({
        "apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration",
        "plugins": plugins,
    });
    let path = directory.join("admission.yaml");
    fs::write(&path, admission.to_string())?;
    Ok(format!("--admission-control-config-file={}", path.display()))
}

/// The folder of static manifests, beside the state of the cluster; none where its API server has no
/// static admission.
pub(crate) fn static_folder(state: &Path) -> Option<PathBuf> {
    Some(state.parent()?.join(STATIC)).filter(|it| it.is_dir())
}

/// It is on by default from Kubernetes 1.37 on, the newest here.
fn has_static_admission() -> bool {
    let version = env::var("CALLGATE_KUBERNETES").unwrap_or_default();
    !cluster::is_kind() && (version.is_empty() || version.starts_with("1.37"))
}

/// The CA certificate of the client certificates.
pub(crate) fn ca(directory: &Path) -> PathBuf {
    directory.join("callers.crt")
}

fn user(issuer: &Issuer<'_, KeyPair>, service: &str, name: &str) -> Result<Value, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, issuer)?;
    Ok(json!({ "name": service, "user": {
        "client-certificate-data": STANDARD.encode(certificate.pem()),
        "client-key-data": STANDARD.encode(key.serialize_pem()),
    }}))
}
