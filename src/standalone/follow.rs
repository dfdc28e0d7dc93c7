//! Rereads the files periodically, and reports changes.

use std::time::Duration;

use tokio::{task::spawn_blocking, time::sleep};

use crate::{
    causes::chain,
    log_once::LogOnce,
    standalone::{Facts, Sources},
};

/// How often to reread; as often as the files of the certificate.
const INTERVAL: Duration = Duration::from_secs(5);

/// Calls `changed` whenever the content of the files has changed, for ever.
///
/// Files that cannot be read change nothing: what was read last stays in
/// force, and the error is logged once.
pub async fn follow(sources: Sources, mut known: Facts, changed: impl Fn(Facts)) {
    let mut log = LogOnce::default();
    loop {
        sleep(INTERVAL).await;
        let again = sources.clone();
        let Ok(reading) = spawn_blocking(move || again.read()).await else {
            return; // The runtime is shutting down.
        };
        match reading {
            Ok(facts) => {
                if log.is_over(&()) {
                    tracing::info!("policy and profiles can be read again");
                }
                if facts != known {
                    tracing::info!(
                        policy = facts.policy.name(),
                        profiles = facts.catalog.len(),
                        "policy or profiles changed"
                    );
                    known = facts.clone();
                    changed(facts);
                }
            }
            Err(error) => {
                let text = chain(&error);
                if log.is_new((), text.clone()) {
                    tracing::error!(
                        error = text,
                        "policy and profiles not reloaded, the old ones stay"
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;
    use crate::policy::Mode;

    const POLICY: &str = "apiVersion: callgate.dev/v1alpha1
kind: SeccompPolicy
metadata: { name: one }
spec: {}
";

    /// Follows the files of a directory; its clock runs as fast as it can.
    fn followed(directory: &tempfile::TempDir) -> UnboundedReceiver<Facts> {
        let path = directory.path().join("policy.yaml");
        fs::write(&path, POLICY).unwrap();
        let profiles = directory.path().join("profiles");
        fs::create_dir(&profiles).unwrap();
        let policy = path.to_str().unwrap().to_owned();
        let sources = Sources { policy, mode: Mode::Enforce, profiles: Some(profiles) };
        let known = sources.read().unwrap();
        let (sender, changes) = unbounded_channel();
        tokio::spawn(follow(sources, known, move |it| sender.send(it).unwrap()));
        changes
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_profile_file_and_a_new_policy_file_are_reported() {
        let directory = tempfile::tempdir().unwrap();
        let mut changes = followed(&directory);
        fs::write(directory.path().join("profiles/a.json"), "{}").unwrap();
        assert_eq!(changes.recv().await.unwrap().catalog.len(), 1);
        fs::write(directory.path().join("policy.yaml"), POLICY.replace("one", "two")).unwrap();
        assert_eq!(changes.recv().await.unwrap().policy.name(), "two");
    }

    #[tokio::test(start_paused = true)]
    async fn a_policy_that_cannot_be_read_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut changes = followed(&directory);
        let path = directory.path().join("policy.yaml");
        fs::write(&path, "half a pol").unwrap();
        // Two rounds pass, and nothing is reported until the file is valid again.
        sleep(INTERVAL * 2).await;
        assert!(changes.try_recv().is_err());
        fs::write(&path, POLICY.replace("one", "three")).unwrap();
        assert_eq!(changes.recv().await.unwrap().policy.name(), "three");
    }
}
