//! Keeps the Secret of the authority and the bundles as they should be.

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
    backoff::{Backoff, Bucket, now},
    call::{CallError, Written},
    configuration::{Configuration, ConfigurationSnapshot},
    log_once::LogOnce,
    published::{Published, Round},
    secret::{SecretRef, SecretSnapshot},
    server_clock::ServerClock,
    signer::{Observed, Write},
    stored::SecretData,
};

/// Decides what to write. It is called after every read, with `None` if the API server did not
/// answer; its result is then ignored.
pub(super) trait Decide:
    FnMut(Option<Observed<'_>>) -> Result<Option<Write>, BoxError>
{
}
impl<F: FnMut(Option<Observed<'_>>) -> Result<Option<Write>, BoxError>> Decide for F {}
type BoxError = Box<dyn Error + Send + Sync>;

/// The three objects.
struct Reconciler {
    clock: ServerClock,
    secret: SecretRef,
    stores: Bucket,
    configurations: [Published; 2],
}

/// The shortest and longest pauses after a failure.
const FAILED: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The shortest and longest pauses after a write that came second.
const LOST: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// How many lost writes in a row are no accident any more.
const MANY: u32 = 20;

/// Looks at `objects` whenever one of them changes, and every `pulse` anyway;
/// has `decide` say what they should hold, and writes that. Never returns.
///
/// Every replica may run it. What is written is written over what was read: who
/// comes second reads again. All reads are live, and the configurations are
/// read before the Secret, so that nobody overwrites a bundle by an older one.
///
/// However often others write, and whatever fails: `decide` is asked again
/// after a `pulse`, or after what calls take that get no answer.
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
    let mut failures = Backoff::new(FAILED.0, FAILED.1, jitter);
    let mut losses = Backoff::new(LOST.0, LOST.1, jitter);
    let mut log = LogOnce::default();
    loop {
        let round = match reconciler.round(&mut decide, &report).await {
            Ok(Round::Lost) if losses.failures() >= MANY => Err(CallError::Lost(MANY)),
            round => round,
        };
        if !matches!(round, Ok(Round::Lost) | Err(CallError::Lost(_))) {
            losses.reset();
        }
        if round.is_ok() {
            failures.reset();
        }
        match round {
            Ok(Round::Wrote) => {}
            Ok(Round::Lost) => sleep(losses.next()).await,
            Ok(Round::Held(wait)) => sleep(wait.min(pulse)).await,
            Ok(Round::Rest) => {
                log.success();
                drop(timeout(pulse, changes.next()).await);
            }
            Err(error) => {
                report(CaEvent::Failed);
                log.failure(&error);
                let wait = failures.next().min(pulse);
                // Changes that come without a pause do not make us knock without one.
                let least = wait.min(FAILED.0);
                sleep(least).await;
                drop(timeout(wait.saturating_sub(least), changes.next()).await);
            }
        }
        // One look takes in all changes until now.
        while changes.next().now_or_never().flatten().is_some() {}
    }
}

/// Between 0 and 1, another for each replica.
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
        let published = |it, kind| Published::new(it, kind, Bucket::new(now, jitter), &client);
        let mutating =
            Configuration::new::<MutatingWebhookConfiguration>(&client, mutating_configuration);
        let validating =
            Configuration::new::<ValidatingWebhookConfiguration>(&client, validating_configuration);
        Self {
            clock,
            secret: SecretRef::new(&client, namespace, ca_secret),
            stores: Bucket::new(now, jitter),
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
        let looked = self.secret.read().await;
        let looked = looked.and_then(|it| Ok((it, self.clock.read().ok_or(CallError::NoClock)?)));
        let (held, clock) = match looked {
            Ok(looked) => looked,
            Err(error) => {
                decide(None).map_err(CallError::Undecided)?;
                return Err(error);
            }
        };
        let data = held.data();
        let bundles = bundles(&found);
        let seen = Observed { secret: data.as_ref(), bundles: bundles.as_deref(), since, clock };
        let order = decide(Some(seen)).map_err(CallError::Undecided)?;
        let Some(Write { store, bundle }) = order else { return Ok(Round::Rest) };
        if let Some((step, data)) = store {
            return self.store(step, held, data, report).await;
        }
        let [mutating, validating] = &mut self.configurations;
        let [in_mutating, in_validating] = found;
        // One that cannot be read does not keep the other from its bundle.
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
            return Ok(Round::Held(wait));
        }
        if self.secret.write(held, data).await? == Written::Conflict {
            return Ok(Round::Lost);
        }
        self.stores.spend(now());
        tracing::info!(step, secret = self.secret.name(), "CA stored");
        report(CaEvent::Stored(step));
        Ok(Round::Wrote)
    }

    /// Something may have changed: no more is taken from a watch, which may
    /// lag behind and miss what was there for a moment.
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
