//! Whose calls are answered if a client certificate is required: the real API server shows
//! the right one, another one, or none.

use serde_json::json;
use support::{
    e2e::instance::{Instance, Setup},
    wait::eventually,
};

use crate::{
    callers,
    trial::{Test, container, denial, pod, trials},
};

trials![only_an_api_server_with_the_right_name_in_its_certificate_is_served];

async fn only_an_api_server_with_the_right_name_in_its_certificate_is_served(it: Test) {
    // For another cluster it is unknown which certificate it shows.
    let Some(directory) = it.world.site.directory.as_ref().and_then(|it| it.parent()) else {
        return;
    };
    let client_ca = callers::ca(directory).to_string_lossy().into_owned();
    let privileged = container("app", &json!({ "privileged": true }));
    let bad = pod("web", &json!({ "containers": [privileged] }));
    let line = "spec.containers[0] \"app\": privileged turns seccomp off; remove it, or ask for an \
                exemption [privileged]";
    for (service, expected) in [
        ("shown-ours", None),
        ("shown-another", Some("remote error: tls: access denied")),
        ("shown-none", Some("remote error: tls: certificate required")),
    ] {
        let namespace = it.plain_namespace().await;
        let flags = ["--client-ca", &client_ca, "--client-name", "kube-apiserver"];
        let setup = Setup {
            policy: "restricted".to_owned(),
            flags: flags.map(str::to_owned).into(),
            namespaces: vec![namespace.clone()],
            ..Setup::default()
        };
        let instance = Instance::start(it.api(), &it.world.site, service, &setup, |_| ()).await;
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        let expected = expected.map_or_else(
            || denial(&namespace, "restricted", "web", &[line]),
            |it| format!("failed calling webhook \"validate.callgate.dev\": failed to call webhook: Post \"https://{service}.callgate-system.svc:443/validate?timeout=5s\": {it}"),
        );
        eventually(&format!("{service} says that {expected}"), async || {
            let reply = it.api().post(&format!("{path}?dryRun=All"), &bad).await;
            reply.message().ends_with(&expected).then_some(())
        })
        .await;
        // A client that is rejected in the handshake sends no request.
        let is_heard = !instance.said("reviewed").is_empty();
        assert_eq!(is_heard, service == "shown-ours", "{service}");
    }
}
