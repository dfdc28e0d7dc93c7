//! Reconciles the Secret of the CA and the `caBundle` of our webhooks.

use std::{
    error::Error,
    hash::{BuildHasher, RandomState},
    pin::pin,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, Stream, StreamExt, stream};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use kube::Client;
use tokio::time::{sleep, timeout};

use super::{
    CaEvent, CaObjects,
    backoff::{Backoff, TokenBucket, now},
    bundle_publisher::{BundlePublisher, Round},
    call::{CallError, WriteOutcome},
    configuration::{Configuration, ConfigurationSnapshot},
    secret::{SecretRef, SecretSnapshot},
    signer::{Observed, Write},
    stored::SecretData,
};
use crate::{causes::chain, clock::ServerClock, log_once::LogOnce};

/// Decides what to write. It is called after every read, with `None` if the API server did not
/// answer; its result is then ignored.
pub(super) trait Decide:
    FnMut(Option<Observed<'_>>) -> Result<Option<Write>, BoxError>
{
}
impl<F: FnMut(Option<Observed<'_>>) -> Result<Option<Write>, BoxError>> Decide for F {}
type BoxError = Box<dyn Error + Send + Sync>;

/// The Secret and the two webhook configurations, with the limits of our writes to each.
struct Reconciler {
    clock: ServerClock,
    secret: SecretRef,
    stores: TokenBucket,
    configurations: [BundlePublisher; 2],
}

/// The shortest and the longest pause after a failure.
const FAILURE_PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The shortest and the longest pause after a write conflict.
const CONFLICT_PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// More conflicts in a row than this are a failure: replicas that race each other have fewer.
const MOST_CONFLICTS: u32 = 20;

/// Reads `objects` whenever one of them changes, and every `pulse` anyway; calls `decide`, and
/// writes its result. Never returns.
///
/// Every replica runs it. A write names the `resourceVersion` that was read: after a conflict all
/// is read again. All reads are live, and the configurations are read before the Secret, so that
/// no replica overwrites a bundle with an older one.
///
/// `decide` is called again after a `pulse` at the latest, or after the time that unanswered
/// calls take, however often others write and whatever fails.
pub(super) async fn reconcile(
    client: Client,
    objects: &CaObjects,
    pulse: Duration,
    mut decide: impl Decide,
    report: impl Fn(CaEvent),
) {
    let jitter = jitter();
    let mut reconciler = Reconciler::new(&client, objects, jitter);
    let mut changes = pin!(reconciler.changes());
    let mut failures = Backoff::new(FAILURE_PAUSES.0, FAILURE_PAUSES.1, jitter);
    let mut conflicts = Backoff::new(CONFLICT_PAUSES.0, CONFLICT_PAUSES.1, jitter);
    let mut log = LogOnce::default();
    loop {
        let round = match reconciler.round(&mut decide, &report).await {
            Ok(Round::Conflict) if conflicts.failures() >= MOST_CONFLICTS => {
                Err(CallError::Conflicts(MOST_CONFLICTS))
            }
            round => round,
        };
        if !matches!(round, Ok(Round::Conflict) | Err(CallError::Conflicts(_))) {
            conflicts.reset();
        }
        if round.is_ok() {
            failures.reset();
        }
        match round {
            Ok(Round::Wrote) => {}
            Ok(Round::Conflict) => sleep(conflicts.next()).await,
            Ok(Round::Throttled(wait)) => sleep(wait.min(pulse)).await,
            Ok(Round::InSync) => {
                if log.is_over(&()) {
                    tracing::info!("the CA is reconciled again");
                }
                drop(timeout(pulse, changes.next()).await);
            }
            Err(error) => {
                report(CaEvent::Failed);
                // With its causes, which kube's own texts leave out.
                let why = chain(&error);
                if log.is_new((), why.clone()) {
                    tracing::warn!(error = why, "cannot reconcile the CA, retrying");
                }
                let wait = failures.next().min(pulse);
                // A stream of changes does not end the pause before its shortest length.
                let least = wait.min(FAILURE_PAUSES.0);
                sleep(least).await;
                drop(timeout(wait.saturating_sub(least), changes.next()).await);
            }
        }
        // The next read covers all changes until now.
        while changes.next().now_or_never().flatten().is_some() {}
    }
}

/// A random number between 0 and 1, different for each replica.
fn jitter() -> f64 {
    f64::from(u16::try_from(RandomState::new().hash_one(()) & 0xffff).unwrap_or_default())
        / f64::from(u16::MAX)
}

impl Reconciler {
    fn new(client: &Client, objects: &CaObjects, jitter: f64) -> Self {
        let CaObjects {
            ca_secret,
            ca_secret_namespace,
            mutating_configuration,
            validating_configuration,
        } = objects;
        let namespace = ca_secret_namespace.as_deref().unwrap_or(client.default_namespace());
        let (client, clock) = ServerClock::watched_by(client);
        let now = now();
        let published =
            |it, kind| BundlePublisher::new(it, kind, TokenBucket::new(now, jitter), &client);
        let mutating =
            Configuration::new::<MutatingWebhookConfiguration>(&client, mutating_configuration);
        let validating =
            Configuration::new::<ValidatingWebhookConfiguration>(&client, validating_configuration);
        Self {
            clock,
            secret: SecretRef::new(&client, namespace, ca_secret),
            stores: TokenBucket::new(now, jitter),
            configurations: [published(mutating, "mutating"), published(validating, "validating")],
        }
    }

    async fn round(
        &mut self,
        decide: &mut impl Decide,
        report: &impl Fn(CaEvent),
    ) -> Result<Round, CallError> {
        let since = Instant::now();
        let [mutating, validating] = &self.configurations;
        let found = tokio::join!(mutating.read(), validating.read()).into();
        let secret = self.secret.read().await;
        let read = secret.and_then(|it| Ok((it, self.clock.read().ok_or(CallError::NoClock)?)));
        let (held, clock) = match read {
            Ok(read) => read,
            Err(error) => {
                decide(None).map_err(CallError::Undecided)?;
                return Err(error);
            }
        };
        let data = held.data();
        let bundles = bundles(&found);
        let observed =
            Observed { secret: data.as_ref(), bundles: bundles.as_deref(), since, clock };
        let write = decide(Some(observed)).map_err(CallError::Undecided)?;
        let Some(Write { store, bundle }) = write else { return Ok(Round::InSync) };
        if let Some((step, data)) = store {
            return self.store(step, held, data, report).await;
        }
        let [mutating, validating] = &mut self.configurations;
        let [in_mutating, in_validating] = found;
        // If one cannot be read, the other still gets its bundle.
        let (one, other) = tokio::join!(
            mutating.publish(in_mutating, &bundle, report),
            validating.publish(in_validating, &bundle, report),
        );
        Ok(one?.max(other?))
    }

    async fn store(
        &mut self,
        step: &'static str,
        held: SecretSnapshot,
        data: SecretData,
        report: &impl Fn(CaEvent),
    ) -> Result<Round, CallError> {
        let wait = self.stores.wait(now());
        if !wait.is_zero() {
            return Ok(Round::Throttled(wait));
        }
        if self.secret.write(held, data).await? == WriteOutcome::Conflict {
            return Ok(Round::Conflict);
        }
        self.stores.spend(now());
        tracing::info!(step, secret = self.secret.name(), "CA stored");
        report(CaEvent::Stored(step));
        Ok(Round::Wrote)
    }

    /// An item whenever an object may have changed. The watches carry no content: they may lag
    /// behind, and skip states that lasted a moment.
    fn changes(&self) -> impl Stream<Item = ()> + use<> {
        let [mutating, validating] = &self.configurations;
        let configurations = stream::select(mutating.changes(), validating.changes());
        stream::select(self.secret.changes(), configurations)
    }
}

fn bundles(found: &[Result<ConfigurationSnapshot, CallError>; 2]) -> Option<Vec<Vec<u8>>> {
    let mut bundles = Vec::new();
    for found in found {
        bundles.extend(found.as_ref().ok()?.bundles().cloned());
    }
    Some(bundles)
}
