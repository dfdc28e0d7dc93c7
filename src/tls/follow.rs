//! Updates the current certificate when its files change.

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
/// Compares bytes instead of watching for events: a Secret volume changes by the swap of a symbolic
/// link, after which a watch on the file gets no more events.
pub struct Follow {
    files: Files,
    seen: LastRead<Pair>,
    current: Arc<Current>,
    interval: Duration,
}

/// The result of a change of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The new certificate is served from now on.
    Renewed { not_after: SystemTime },
    /// The new CAs verify clients from now on.
    Clients,
    /// A file cannot be used; its last content stays in use.
    Failed,
}

/// The last content, accepted or rejected; or the text of the last error of reading it.
pub(super) struct LastRead<T>(Result<T, String>);

impl<T: PartialEq> LastRead<T> {
    pub(super) fn new(first: T) -> Self {
        Self(Ok(first))
    }

    /// `None` if nothing has changed.
    pub(super) fn news(&mut self, reading: Result<T, FileError>) -> Option<Result<&T, FileError>> {
        let (now, error) = match reading {
            Ok(content) => (Ok(content), None),
            Err(error) => (Err(error.to_string()), Some(error)),
        };
        if now == self.0 {
            return None;
        }
        self.0 = now;
        match (&self.0, error) {
            (Ok(content), _) => Some(Ok(content)),
            (Err(_), error) => error.map(Err),
        }
    }
}

/// Reads again and again, for ever, without blocking the runtime.
pub(super) async fn every<T: Send + 'static>(
    pause: Duration,
    read: impl Fn() -> T + Clone + Send + 'static,
    mut take: impl FnMut(T),
) {
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Ok(reading) = spawn_blocking(read.clone()).await else {
            return; // The runtime is shutting down.
        };
        take(reading);
    }
}

impl Follow {
    pub(super) fn new(files: Files, seen: Pair, current: Arc<Current>, interval: Duration) -> Self {
        Self { files, seen: LastRead::new(seen), current, interval }
    }

    /// Reads the files again and again, for ever; reports once per distinct content.
    pub async fn run(mut self, report: impl Fn(Reload)) {
        let files = self.files.clone();
        every(
            self.interval,
            move || files.read(),
            |reading| {
                if let Some(reload) = self.take(reading) {
                    report(reload);
                }
            },
        )
        .await;
    }

    fn take(&mut self, reading: Result<Pair, FileError>) -> Option<Reload> {
        let news = self.seen.news(reading)?;
        Some(match news.and_then(|it| self.files.identity(it)) {
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
