//! Publishes the bundle in one webhook configuration.

use std::time::Duration;

use futures_util::Stream;
use kube::Client;

use super::{
    CaEvent,
    backoff::{TokenBucket, now},
    call::{CallError, WriteOutcome},
    configuration::{Configuration, ConfigurationSnapshot},
    overwrite_reporter::OverwriteReporter,
};

/// One webhook configuration, with the limit of our writes to it.
pub(super) struct BundlePublisher {
    configuration: Configuration,
    /// Its name in metrics: `mutating` or `validating`.
    kind: &'static str,
    writes: TokenBucket,
    /// The `uid` of the configuration that last held the bundle in all our webhooks, and the
    /// number of these webhooks.
    right: Option<(String, usize)>,
    overwritten: OverwriteReporter,
}

/// How a round ended, ordered by how soon the next one has to follow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Round {
    /// There was nothing to write.
    InSync,
    /// There is something to write, and no token for it for this time.
    Throttled(Duration),
    /// The object changed after it was read.
    Conflict,
    Wrote,
}

impl BundlePublisher {
    pub(super) fn new(
        configuration: Configuration,
        kind: &'static str,
        writes: TokenBucket,
        client: &Client,
    ) -> Self {
        let overwritten = OverwriteReporter::new(client);
        Self { configuration, kind, writes, right: None, overwritten }
    }

    pub(super) async fn read(&self) -> Result<ConfigurationSnapshot, CallError> {
        self.configuration.read().await
    }

    pub(super) fn changes(&self) -> impl Stream<Item = ()> + use<> {
        self.configuration.changes()
    }

    pub(super) async fn publish(
        &mut self,
        found: Result<ConfigurationSnapshot, CallError>,
        bundle: &str,
        report: &impl Fn(CaEvent),
    ) -> Result<Round, CallError> {
        let found = found?;
        if found.bundles().all(|it| *it == bundle.as_bytes()) {
            self.right = Some((found.uid().to_owned(), found.bundles().count()));
            return Ok(Round::InSync);
        }
        let wait = self.writes.wait(now());
        if !wait.is_zero() {
            return Ok(Round::Throttled(wait));
        }
        if self.configuration.publish(&found, bundle).await? == WriteOutcome::Conflict {
            return Ok(Round::Conflict);
        }
        let now = now();
        self.writes.spend(now);
        tracing::info!(configuration = self.configuration.what(), "CA published");
        report(CaEvent::Published);
        if found.manager().is_some() || self.was_removed(&found) {
            report(CaEvent::PutBack(self.kind));
            let object = self.configuration.reference(&found);
            self.overwritten.report(found.manager(), object, now);
        }
        Ok(Round::Wrote)
    }

    /// Whether a bundle was removed after all our webhooks had it.
    fn was_removed(&self, found: &ConfigurationSnapshot) -> bool {
        let same = |(uid, count): &(String, usize)| {
            uid == found.uid() && *count == found.bundles().count()
        };
        self.right.as_ref().is_some_and(same) && found.bundles().any(Vec::is_empty)
    }
}
