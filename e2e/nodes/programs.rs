//! The programs of the cluster and of callgate, which end and start when a test says so.

use std::{fs, process::Command};

use support::e2e::cluster;
use tokio::task::spawn_blocking;

use crate::deployment::{Deployment, Replica};

impl Deployment {
    /// Ends a program of the control plane as a crash does; a new one starts.
    pub(crate) async fn restart(&self, program: &'static str) {
        self.order(None, &[program]).await;
    }

    /// The same, of a program of that node.
    pub(crate) async fn restart_on(&self, node: &'static str, program: &'static str) {
        self.order(Some(node), &[program]).await;
    }

    /// Ends a program of the control plane as a crash does; it is not there until it begins.
    pub(crate) async fn end(&self, program: &'static str) {
        self.order(None, &[program, "end"]).await;
    }

    /// Starts a program that was ended.
    pub(crate) async fn begin(&self, program: &'static str) {
        self.order(None, &[program, "begin"]).await;
    }

    /// Ends a program of that node; it is not there until it begins.
    pub(crate) async fn end_on(&self, node: &'static str, program: &'static str) {
        self.order(Some(node), &[program, "end"]).await;
    }

    /// Starts a program of that node that was ended.
    pub(crate) async fn begin_on(&self, node: &'static str, program: &'static str) {
        self.order(Some(node), &[program, "begin"]).await;
    }

    /// The cgroup of the pods of a node.
    pub(crate) fn cgroup_of(&self, node: &str) -> String {
        let file = self.directory().join(node).join("config/kubelet.yaml");
        let text = fs::read_to_string(file).expect("the kubelet has read it");
        let line = text.lines().find_map(|it| it.strip_prefix("cgroupRoot: "));
        line.expect("it has one").trim_matches('"').to_owned()
    }

    /// Defines `etcd METHOD REQUEST` for a shell line, a call to the key-value service of etcd.
    pub(crate) fn etcd(&self) -> String {
        let pki = self.root_of("node-a").join("etc/kubernetes/pki/etcd");
        let pki = pki.display();
        // The one that kubeadm sets up takes only clients with a certificate.
        let server = if cluster::is_kind() {
            format!("--cacert {pki}/ca.crt --cert {pki}/server.crt --key {pki}/server.key https")
        } else {
            "http".to_owned()
        };
        let network = format!("nsenter --target {} --net", self.process_of("node-a"));
        format!(r#"etcd() {{ {network} curl -fsS {server}://127.0.0.1:2379/v3/kv/"$1" -d "$2"; }}"#)
    }

    async fn order(&self, node: Option<&'static str>, words: &[&'static str]) {
        let mut command = Command::new(cluster::rig().join("restart"));
        command.arg(self.directory()).args(words);
        if let Some(node) = node {
            command.env("NODE", node);
        }
        let status = spawn_blocking(move || command.status()).await.expect("it does not panic");
        assert!(status.expect("it starts").success(), "{words:?} of {node:?}");
    }
}

impl Replica {
    /// Ends its process, as the kernel does when memory runs out.
    pub(crate) fn kill(&self) {
        self.signal("KILL");
    }

    /// Sends its process a signal.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.process());
        let status = Command::new("sh").args(["-c", &kill]).status();
        assert!(status.expect("a shell starts").success());
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> String {
        // Pods write their uid into the name of their cgroup, some with `_` for `-`.
        let uids = [self.uid.clone(), self.uid.replace('-', "_")];
        let processes = fs::read_dir("/proc").expect("it is there").filter_map(Result::ok);
        let mut ours = Vec::new();
        for process in processes.map(|it| it.path()) {
            let read = |name: &str| fs::read(process.join(name)).unwrap_or_default();
            let text = String::from_utf8_lossy(&read("cgroup")).into_owned();
            let is_ours = uids.iter().any(|it| text.contains(it.as_str()));
            if is_ours && read("cmdline").starts_with(b"/bin/callgate\0") {
                ours.push(process.file_name().expect("it has one").to_string_lossy().into_owned());
            }
        }
        assert_eq!(ours.len(), 1, "processes of {}: {ours:?}", self.name);
        ours.remove(0)
    }
}
