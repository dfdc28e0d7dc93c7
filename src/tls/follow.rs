//! Keeps the current certificate up to date with its files.

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use super::{
    Current,
    files::{self, FileError, Files, Pair},
};

/// A pair of files and what they last held.
///
/// Compares bytes instead of watching for events: a Secret volume changes by
/// the swap of a symbolic link, after which a watch on the file is dead.
pub struct Follow {
    files: Files,
    /// What was served or found wanting last; a failure to read, as its text.
    seen: Result<Pair, String>,
    current: Arc<Current>,
    interval: Duration,
}

/// What came of a change of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The new certificate is served from now on.
    Renewed { not_after: SystemTime },
    /// The files are of no use; the old certificate stays.
    Failed,
}

impl Follow {
    pub(super) fn new(files: Files, seen: Pair, current: Arc<Current>, interval: Duration) -> Self {
        Self { files, seen: Ok(seen), current, interval }
    }

    /// Looks at the files for ever; reports once per distinct content.
    pub async fn run(mut self, report: impl Fn(Reload)) {
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let files = self.files.clone();
            let Ok(reading) = spawn_blocking(move || files.read()).await else {
                return; // The runtime is shutting down.
            };
            if let Some(reload) = self.take(reading) {
                report(reload);
            }
        }
    }

    fn take(&mut self, reading: Result<Pair, FileError>) -> Option<Reload> {
        let (now, identity) = match reading {
            Ok(pair) if self.seen.as_ref().is_ok_and(|it| *it == pair) => return None,
            Ok(pair) => {
                let identity = self.files.identity(&pair);
                (Ok(pair), identity)
            }
            Err(unreadable) => (Err(unreadable.to_string()), Err(unreadable)),
        };
        if now.is_err() && now == self.seen {
            return None;
        }
        self.seen = now;
        Some(match identity {
            Ok(identity) => {
                let not_after = files::not_after(&identity);
                self.current.renew(identity);
                tracing::info!(certificate = ?self.files.certificate, "certificate reloaded");
                Reload::Renewed { not_after }
            }
            Err(error) => {
                let error: &(dyn Error + 'static) = &error;
                tracing::error!(error, "certificate not reloaded, the old one stays");
                Reload::Failed
            }
        })
    }
}
