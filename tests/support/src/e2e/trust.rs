//! The CA that all replicas share, as its clients see it.

use std::{net::SocketAddr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
    time_provider::TimeProvider,
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::api::Api;

/// The name that the API server expects of a server installed by the manifests.
pub const NAME: &str = "callgate.callgate-system.svc";

/// The value of a key of the Secret at the path, as text.
pub async fn stored(api: &Api, secret: &str, key: &str) -> Option<String> {
    let secret = api.get(secret).await.body;
    let bytes = STANDARD.decode(secret["data"][key].as_str()?).ok()?;
    String::from_utf8(bytes).ok()
}

/// The `caBundle` of all our webhooks in the configurations, if it is the same.
pub async fn bundle(api: &Api, configurations: &[String]) -> Option<String> {
    let mut bundles = Vec::new();
    for path in configurations {
        let configuration = api.get(path).await.body;
        for webhook in configuration["webhooks"].as_array()? {
            let ours = webhook["name"].as_str()?.ends_with(".callgate.dev");
            if ours {
                let text = webhook["clientConfig"]["caBundle"].as_str()?;
                bundles.push(STANDARD.decode(text).expect("the API server checks"));
            }
        }
    }
    let first = bundles.first()?.clone();
    let all = bundles.iter().all(|it| *it == first);
    all.then(|| String::from_utf8(first).expect("PEM is text"))
}

/// The change that gives all webhooks of the configuration another `caBundle`.
pub fn overwritten(configuration: &Value, bundle: &Value) -> Value {
    let mut webhooks = configuration["webhooks"].clone();
    for webhook in webhooks.as_array_mut().expect("it lists webhooks") {
        webhook["clientConfig"]["caBundle"] = bundle.clone();
    }
    json!({ "webhooks": webhooks })
}

/// Verifies a replica as a client that expects this name and trusts these
/// CAs.
pub async fn verify(
    clock: Arc<dyn TimeProvider>,
    replica: SocketAddr,
    name: &str,
    trusted: &str,
) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(trusted.as_bytes()) {
        let certificate = certificate.map_err(|it| it.to_string())?;
        roots.add(certificate).map_err(|it| it.to_string())?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_details(provider, clock)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(replica).await.map_err(|it| it.to_string())?;
    let name = ServerName::try_from(name.to_owned()).expect("it is a name");
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.map(drop).map_err(|it| it.to_string())
}

/// Another CA, and its key.
pub fn stranger() -> (String, String) {
    let key = KeyPair::generate().expect("there is entropy");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).expect("a new key can sign");
    (certificate.pem().replace("\r\n", "\n"), key.serialize_pem())
}
