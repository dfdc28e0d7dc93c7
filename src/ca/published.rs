//! Keeps the bundle in one webhook configuration as it should be.

use std::time::Duration;

use futures_util::Stream;
use kube::Client;

use super::{
    CaEvent,
    backoff::{Bucket, now},
    call::{CallError, Written},
    configuration::{Configuration, ConfigurationSnapshot},
    overwritten::Overwritten,
};

/// A configuration, and what is remembered of it.
pub(super) struct Published {
    configuration: Configuration,
    /// The word for it in metrics.
    kind: &'static str,
    writes: Bucket,
    /// The configuration in which all was right at the last look: its uid, and
    /// how many webhooks of ours it had.
    right: Option<(String, usize)>,
    overwritten: Overwritten,
}

/// How a round ended, the most urgent last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Round {
    /// All is as it should be.
    Rest,
    /// There is something to write, and so long no token for it.
    Held(Duration),
    /// Somebody else wrote first.
    Lost,
    Wrote,
}

impl Published {
    pub(super) fn new(
        configuration: Configuration,
        kind: &'static str,
        writes: Bucket,
        client: &Client,
    ) -> Self {
        let overwritten = Overwritten::new(client);
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
            return Ok(Round::Rest);
        }
        let wait = self.writes.wait(now());
        if !wait.is_zero() {
            return Ok(Round::Held(wait));
        }
        if self.configuration.publish(&found, bundle).await? == Written::Conflict {
            return Ok(Round::Lost);
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

    /// Whether somebody took the bundle away since it was right.
    fn was_removed(&self, found: &ConfigurationSnapshot) -> bool {
        let same = |(uid, count): &(String, usize)| {
            uid == found.uid() && *count == found.bundles().count()
        };
        self.right.as_ref().is_some_and(same) && found.bundles().any(Vec::is_empty)
    }
}
