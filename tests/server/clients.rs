//! Clients that have to show a certificate.

use std::{fs, path::PathBuf};

use callgate::tls::Reload;
use rustls::{
    ClientConfig,
    client::Resumption,
    pki_types::{PrivateKeyDer, pem::PemObject},
    version::{TLS12, TLS13},
};
use support::{
    client::{handshake, trusting},
    wait::in_time,
};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::{
    pki::{Ca, Issued},
    rig::{Rig, echo},
};

/// A server that serves the clients of a CA whose file may change.
struct MutualTls {
    rig: Rig,
    file: PathBuf,
    ours: Ca,
    reloads: UnboundedReceiver<Reload>,
    _directory: TempDir,
}

impl MutualTls {
    async fn open(flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("there is room");
        let file = directory.path().join("clients.crt");
        let ours = Ca::new();
        fs::write(&file, ours.pem()).expect("the directory is ours");
        let path = file.to_str().expect("it is text");
        let all = ["--client-ca", path, "--tls-reload-interval", "5ms"];
        let mut rig = Rig::start(echo(), &[&all[..], flags].concat()).await;
        let (report, reloads) = unbounded_channel();
        let follow = rig.clients.take().expect("the file is followed");
        tokio::spawn(follow.run(move |it| report.send(it).expect("the test listens")));
        Self { rig, file, ours, reloads, _directory: directory }
    }

    fn client(&self, Issued { der, key, .. }: Issued) -> ClientConfig {
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a new key is PEM");
        trusting(&self.rig.ca, &[&TLS13, &TLS12])
            .with_client_auth_cert(vec![der], key)
            .expect("certificate and key belong together")
    }

    /// In TLS 1.3 a client is done with its handshake before the server has
    /// looked at its certificate: only an answer tells.
    async fn serves(&self, client: ClientConfig) -> bool {
        let Ok(mut client) = handshake(self.rig.address, client).await else {
            return false;
        };
        let written = client.write("GET / HTTP/1.1\r\nHost: callgate\r\n\r\n").await;
        written.is_ok() && client.answer().await.is_ok()
    }

    async fn changes_to(&mut self, pem: &str) -> Reload {
        // As a volume changes: at once.
        let next = self.file.with_extension("next");
        fs::write(&next, pem).expect("the directory is ours");
        fs::rename(next, &self.file).expect("the directory is ours");
        in_time(self.reloads.recv()).await.expect("the file is followed")
    }
}

#[tokio::test]
async fn with_a_client_ca_only_its_clients_are_served() {
    let server = MutualTls::open(&[]).await;
    assert!(server.serves(server.client(server.ours.issue("apiserver"))).await);
    assert!(!server.serves(server.client(Ca::new().issue("apiserver"))).await);
    let anonymous = trusting(&server.rig.ca, &[&TLS13]).with_no_client_auth();
    assert!(!server.serves(anonymous).await);
}

#[tokio::test]
async fn only_clients_of_the_ca_with_an_expected_name_are_served() {
    let names = ["--client-name", "kube-apiserver", "--client-name", "apiserver.example.com"];
    let server = MutualTls::open(&names).await;
    for (issued, is_served) in [
        (server.ours.issue("apiserver.example.com"), true),
        (server.ours.issue_to("kube-apiserver"), true),
        (server.ours.issue("kubelet"), false),
        (server.ours.issue("kube-apiserver.example.com"), false),
        (server.ours.issue("*.example.com"), false),
        (server.ours.issue_to("kube-apiserver "), false),
        (server.ours.issue_to("Kube-Apiserver"), false),
        (Ca::new().issue_to("kube-apiserver"), false),
    ] {
        let name = issued.name.clone();
        assert_eq!(server.serves(server.client(issued)).await, is_served, "{name}");
    }
}

#[tokio::test]
async fn client_cas_are_read_again_when_they_change() {
    let mut server = MutualTls::open(&["--client-name", "apiserver"]).await;
    let next = Ca::new();
    let [old, new] = [&server.ours, &next].map(|it| server.client(it.issue("apiserver")));
    assert!(server.serves(old.clone()).await && !server.serves(new.clone()).await);
    let both = server.ours.pem() + &next.pem();
    assert_eq!(server.changes_to(&both).await, Reload::Clients);
    assert!(server.serves(old.clone()).await && server.serves(new.clone()).await);
    assert_eq!(server.changes_to(&next.pem()).await, Reload::Clients);
    assert!(!server.serves(old).await && server.serves(new).await);
}

#[tokio::test]
async fn client_cas_that_cannot_be_read_keep_the_old_ones_and_are_reported_once() {
    let mut server = MutualTls::open(&[]).await;
    let ours = server.client(server.ours.issue("apiserver"));
    let half = server.ours.pem();
    for pem in ["", "no certificate", &half[..half.len() / 2]] {
        assert_eq!(server.changes_to(pem).await, Reload::Failed);
        assert!(server.serves(ours.clone()).await);
    }
    fs::remove_file(&server.file).unwrap();
    assert_eq!(in_time(server.reloads.recv()).await, Some(Reload::Failed));
    assert!(server.serves(ours.clone()).await);
    // The next report is of the next content: none came twice.
    let next = Ca::new().pem();
    assert_eq!(server.changes_to(&next).await, Reload::Clients);
    assert!(!server.serves(ours).await);
}

#[tokio::test]
async fn a_session_does_not_outlive_the_ca_of_its_client() {
    for versions in [&[&TLS13][..], &[&TLS12]] {
        let mut server = MutualTls::open(&[]).await;
        let Issued { der, key, .. } = server.ours.issue("apiserver");
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a new key is PEM");
        let mut client = trusting(&server.rig.ca, versions)
            .with_client_auth_cert(vec![der], key)
            .expect("certificate and key belong together");
        client.resumption = Resumption::in_memory_sessions(8);
        assert!(server.serves(client.clone()).await);
        assert_eq!(server.changes_to(&Ca::new().pem()).await, Reload::Clients);
        assert!(!server.serves(client).await);
    }
}
