//! CAs that another client wrote into the Secret, and that the API server would not accept.

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyPair, NameConstraints,
};
use serde_json::json;
use support::{
    e2e::{
        instance::{Instance, Setup},
        trust,
    },
    wait::eventually,
};

use crate::trial::{Test, container, pod, trials};

trials![a_ca_that_the_api_server_would_not_accept_never_signs];

/// Such a CA in the Secret, stored by mistake, must not lead to an outage.
async fn a_ca_that_the_api_server_would_not_accept_never_signs(it: Test) {
    let namespace = it.plain_namespace().await;
    let flags = ["--ca-introduction", "1s"].map(str::to_owned).into();
    let setup = Setup { flags, namespaces: vec![namespace.clone()], ..Setup::default() };
    let instance = Instance::start(it.api(), &it.world.site, "strangers", &setup, |_| ()).await;
    let label = json!({ "metadata": { "labels": { "callgate.dev/policy": "restricted" } } });
    it.api().merge(&format!("/api/v1/namespaces/{namespace}"), &label).await.expect_ok("a label");
    it.world.await_calls(&instance, &namespace).await;
    let it = Test { namespace, world: it.world.clone() };

    let secret = "/api/v1/namespaces/callgate-system/secrets/strangers-ca";
    let ours = trust::stored(it.api(), secret, "ca.crt").await.expect("there is a CA");
    let bad =
        pod("web", &json!({ "containers": [container("app", &json!({ "privileged": true }))] }));
    for (case, certificate, key) in strangers() {
        let there = |text: &str| STANDARD.encode(text);
        let change = json!({ "data": { "ca.crt": there(&certificate), "ca.key": there(&key) } });
        it.api().merge(secret, &change).await.expect_ok(case);
        eventually(&format!("a CA {case} is gone"), async || {
            let current = trust::stored(it.api(), secret, "ca.crt").await?;
            let next = trust::stored(it.api(), secret, "next.crt").await;
            (current == ours && next.is_none()).then_some(())
        })
        .await;
        let line = "spec.containers[0] \"app\": privileged turns seccomp off; remove it, or ask for an \
                    exemption [privileged]";
        it.refuses(&bad, &[line]).await;
    }
    let log = fs::read_to_string(instance.log()).expect("it logs");
    assert!(log.contains("the stored CA cannot be used"));
}

/// Without a check, each would be introduced and promoted, and rejected by the API server.
fn strangers() -> [(&'static str, String, String); 3] {
    let (for_clients, its_key) =
        foreign(|it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    let (of_a_directory, its_own) = foreign(|it| {
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, "callgate");
        it.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DirectoryName(name)],
            excluded_subtrees: vec![],
        });
    });
    let (plain, key) = foreign(|_| ());
    [
        ("for clients alone", pem(&for_clients), its_key),
        ("for names of a kind that Go does not know", pem(&of_a_directory), its_own),
        ("with a negative number", pem(&negative(plain)), key),
    ]
}

/// The certificate of a CA, and its key.
fn foreign(change: impl FnOnce(&mut CertificateParams)) -> (Vec<u8>, String) {
    let key = KeyPair::generate().expect("there is entropy");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    let certificate = params.self_signed(&key).expect("a new key can sign");
    (certificate.der().to_vec(), key.serialize_pem())
}

/// No client verifies the signature of a CA that it trusts already.
fn negative(mut der: Vec<u8>) -> Vec<u8> {
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).expect("it is one");
    let serial = certificate.raw_serial().to_vec();
    let at = der.windows(serial.len()).position(|it| it == serial).expect("it is in there");
    der[at] |= 0x80;
    der
}

/// A certificate as text.
fn pem(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
}
