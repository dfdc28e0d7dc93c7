//! Reads the files again and again, and tells of what changed.

use std::{error::Error, time::Duration};

use tokio::{task::spawn_blocking, time::sleep};

use crate::standalone::{Facts, SourceError, Sources};

/// How often to look: as often as the certificate is looked at.
const INTERVAL: Duration = Duration::from_secs(5);

/// What the files say now, and not a moment ago.
pub type Change = Facts;

/// Calls `changed` whenever the files say something new, for ever.
///
/// Files that cannot be read change nothing: what was read last stays in
/// force, and the log says so, once.
pub async fn follow(sources: Sources, mut known: Facts, changed: impl Fn(Change)) {
    let mut last_error = None;
    loop {
        sleep(INTERVAL).await;
        let again = sources.clone();
        let Ok(reading) = spawn_blocking(move || again.read()).await else {
            return; // The runtime is shutting down.
        };
        match reading {
            Ok(facts) => {
                last_error = None;
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
                if last_error.as_ref() != Some(&text) {
                    tracing::error!(error = text, "policy and profiles stay as they were");
                }
                last_error = Some(text);
            }
        }
    }
}

fn chain(error: &SourceError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
