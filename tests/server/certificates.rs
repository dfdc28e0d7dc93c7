//! Certificates that change while the server runs.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use callgate::tls::Reload;
use rustls::version::TLS13;
use support::{
    client::{Encrypted, handshake, trusting},
    wait::in_time,
};
use tempfile::TempDir;
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time,
};

use crate::{
    pki::{Ca, Issued},
    rig::{Rig, echo},
};

/// The name of the server that the client expects.
const NAME: &str = "callgate.callgate-system.svc";

/// How often files are checked.
const INTERVAL: Duration = Duration::from_millis(5);

/// Lets the reader of the files check them ten times more. The clock stands still
/// while it reads, and jumps to its next check.
async fn ten_looks() {
    time::pause();
    time::sleep(INTERVAL * 10).await;
    time::resume();
}

/// A Secret as the kubelet mounts it: `tls.crt` → `..data/tls.crt`, `..data` →
/// a directory named after the time.
struct Volume {
    directory: TempDir,
    swaps: usize,
}

impl Volume {
    fn new(first: &Issued) -> io::Result<Self> {
        let mut volume = Self { directory: tempfile::tempdir()?, swaps: 0 };
        volume.try_swap(&first.certificate, &first.key)?;
        for name in ["tls.crt", "tls.key"] {
            symlink(Path::new("..data").join(name), volume.path(name))?;
        }
        Ok(volume)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn swap(&mut self, certificate: &str, key: &str) {
        self.try_swap(certificate, key).expect("the volume can be written");
    }

    /// The steps of the kubelet, in its order (`AtomicWriter.Write`).
    fn try_swap(&mut self, certificate: &str, key: &str) -> io::Result<()> {
        self.swaps += 1;
        let name = format!("..2026_11_24_06_50_{:02}.1", self.swaps);
        let before = fs::read_link(self.path("..data")).ok();
        fs::create_dir(self.path(&name))?;
        fs::write(self.path(&name).join("tls.crt"), certificate)?;
        fs::write(self.path(&name).join("tls.key"), key)?;
        symlink(&name, self.path("..data_tmp"))?;
        fs::rename(self.path("..data_tmp"), self.path("..data"))?;
        match before {
            Some(before) => fs::remove_dir_all(self.directory.path().join(before)),
            None => Ok(()),
        }
    }
}

/// A server that reads its files from a volume.
struct Following {
    rig: Rig,
    ca: Ca,
    first: Issued,
    volume: Volume,
    reloads: UnboundedReceiver<Reload>,
}

impl Following {
    async fn start() -> Self {
        let ca = Ca::new();
        let first = ca.issue(NAME);
        let volume = Volume::new(&first).expect("the volume can be written");
        let flags = [
            format!("--tls-cert={}", volume.path("tls.crt").display()),
            format!("--tls-key={}", volume.path("tls.key").display()),
            format!("--tls-reload-interval={}ms", INTERVAL.as_millis()),
        ];
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let mut rig = Rig::start(echo(), &flags).await;
        fs::write(&rig.ca, ca.pem()).expect("the CA can be written");
        let (report, reloads) = unbounded_channel();
        let follow = rig.follow.take().expect("files are followed");
        tokio::spawn(follow.run(move |it| report.send(it).expect("the test listens")));
        Self { rig, ca, first, volume, reloads }
    }

    async fn connect(&self) -> Encrypted {
        let client = trusting(&self.rig.ca, &[&TLS13]).with_no_client_auth();
        handshake(self.rig.address, client).await.expect("some certificate is served")
    }

    async fn serves(&self, expected: &Issued) -> bool {
        let client = self.connect().await;
        let shown = client.stream.get_ref().1.peer_certificates().unwrap_or_default();
        shown.first() == Some(&expected.der)
    }

    async fn reload(&mut self) -> Reload {
        in_time(self.reloads.recv()).await.expect("the files are followed")
    }
}

#[tokio::test]
async fn a_swapped_volume_is_served_and_open_connections_go_on() {
    let mut following = Following::start().await;
    assert!(following.serves(&following.first).await);
    let mut open = following.connect().await;
    let second = following.ca.issue(NAME);
    following.volume.swap(&second.certificate, &second.key);
    let Reload::Renewed { not_after } = following.reload().await else {
        panic!("the second certificate is as good as the first");
    };
    assert!(not_after > std::time::SystemTime::now());
    assert!(following.serves(&second).await);
    assert_eq!(open.post("/", "hello").await.status, 200);
}

#[tokio::test]
async fn an_unusable_certificate_keeps_the_old_one_and_is_reported_once() {
    let mut following = Following::start().await;
    let (second, third) = (following.ca.issue(NAME), following.ca.issue(NAME));
    let half = &second.certificate[..second.certificate.len() / 2];
    // Clients read no chain of this length.
    let long = second.certificate.repeat(250);
    for (certificate, key) in [
        (second.certificate.as_str(), third.key.as_str()),
        (half, second.key.as_str()),
        (long.as_str(), second.key.as_str()),
        ("", ""),
        (second.certificate.as_str(), "no key at all"),
    ] {
        following.volume.swap(certificate, key);
        assert_eq!(following.reload().await, Reload::Failed);
        // The same content is not reported twice.
        ten_looks().await;
        assert!(following.reloads.is_empty());
        assert!(following.serves(&following.first).await);
    }
    following.volume.swap(&third.certificate, &third.key);
    assert!(matches!(following.reload().await, Reload::Renewed { .. }));
    assert!(following.serves(&third).await);
}

#[tokio::test]
async fn missing_files_keep_the_old_certificate_and_are_reported_once() {
    let mut following = Following::start().await;
    fs::remove_file(following.volume.path("..data")).unwrap();
    assert_eq!(following.reload().await, Reload::Failed);
    ten_looks().await;
    assert!(following.reloads.is_empty());
    assert!(following.serves(&following.first).await);
    let second = following.ca.issue(NAME);
    following.volume.swap(&second.certificate, &second.key);
    assert!(matches!(following.reload().await, Reload::Renewed { .. }));
    assert!(following.serves(&second).await);
}
