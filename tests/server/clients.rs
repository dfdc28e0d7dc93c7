//! Clients that have to show a certificate.

use std::{fs, path::PathBuf};

use callgate::tls::Reload;
use rustls::{
    ClientConfig,
    client::Resumption,
    pki_types::{PrivateKeyDer, pem::PemObject},
    version::{TLS12, TLS13},
};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::{
    client::{handshake, trusting},
    pki::{Authority, Issued},
    rig::{Rig, echo, eventually},
};

/// A server that serves the clients of an authority whose file may change.
struct Door {
    rig: Rig,
    file: PathBuf,
    ours: Authority,
    reloads: UnboundedReceiver<Reload>,
    _directory: TempDir,
}

impl Door {
    async fn open(flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("there is room");
        let file = directory.path().join("clients.crt");
        let ours = Authority::new();
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
        trusting(&self.rig.authority, &[&TLS13, &TLS12])
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
        eventually(self.reloads.recv()).await.expect("the file is followed")
    }
}

#[tokio::test]
async fn with_a_client_authority_only_its_clients_are_served() {
    let door = Door::open(&[]).await;
    assert!(door.serves(door.client(door.ours.issue("apiserver"))).await);
    assert!(!door.serves(door.client(Authority::new().issue("apiserver"))).await);
    let anonymous = trusting(&door.rig.authority, &[&TLS13]).with_no_client_auth();
    assert!(!door.serves(anonymous).await);
}

#[tokio::test]
async fn of_the_clients_of_an_authority_only_those_with_a_name_of_ours_are_served() {
    let names = ["--client-name", "kube-apiserver", "--client-name", "apiserver.example.com"];
    let door = Door::open(&names).await;
    for (issued, is_served) in [
        (door.ours.issue("apiserver.example.com"), true),
        (door.ours.issue_to("kube-apiserver"), true),
        (door.ours.issue("kubelet"), false),
        (door.ours.issue("kube-apiserver.example.com"), false),
        (door.ours.issue("*.example.com"), false),
        (door.ours.issue_to("kube-apiserver "), false),
        (door.ours.issue_to("Kube-Apiserver"), false),
        (Authority::new().issue_to("kube-apiserver"), false),
    ] {
        let name = issued.name.clone();
        assert_eq!(door.serves(door.client(issued)).await, is_served, "{name}");
    }
}

#[tokio::test]
async fn client_authorities_are_read_again_when_they_change() {
    let mut door = Door::open(&["--client-name", "apiserver"]).await;
    let next = Authority::new();
    let [old, new] = [&door.ours, &next].map(|it| door.client(it.issue("apiserver")));
    assert!(door.serves(old.clone()).await && !door.serves(new.clone()).await);
    let both = door.ours.pem() + &next.pem();
    assert_eq!(door.changes_to(&both).await, Reload::Clients);
    assert!(door.serves(old.clone()).await && door.serves(new.clone()).await);
    assert_eq!(door.changes_to(&next.pem()).await, Reload::Clients);
    assert!(!door.serves(old).await && door.serves(new).await);
}

#[tokio::test]
async fn client_authorities_that_cannot_be_read_keep_the_old_and_are_reported_once() {
    let mut door = Door::open(&[]).await;
    let ours = door.client(door.ours.issue("apiserver"));
    let half = door.ours.pem();
    for pem in ["", "no certificate", &half[..half.len() / 2]] {
        assert_eq!(door.changes_to(pem).await, Reload::Failed);
        assert!(door.serves(ours.clone()).await);
    }
    fs::remove_file(&door.file).unwrap();
    assert_eq!(eventually(door.reloads.recv()).await, Some(Reload::Failed));
    assert!(door.serves(ours.clone()).await);
    // The next report is of the next content: none came twice.
    let next = Authority::new().pem();
    assert_eq!(door.changes_to(&next).await, Reload::Clients);
    assert!(!door.serves(ours).await);
}

#[tokio::test]
async fn a_session_does_not_outlive_the_authority_of_its_client() {
    for versions in [&[&TLS13][..], &[&TLS12]] {
        let mut door = Door::open(&[]).await;
        let Issued { der, key, .. } = door.ours.issue("apiserver");
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a new key is PEM");
        let mut client = trusting(&door.rig.authority, versions)
            .with_client_auth_cert(vec![der], key)
            .expect("certificate and key belong together");
        client.resumption = Resumption::in_memory_sessions(8);
        assert!(door.serves(client.clone()).await);
        assert_eq!(door.changes_to(&Authority::new().pem()).await, Reload::Clients);
        assert!(!door.serves(client).await);
    }
}
