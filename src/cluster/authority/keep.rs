//! Keeps the Secret of the authority and the bundles as they should be.

use std::{
    error::Error,
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
    Data, Objects,
    bundle::{Configuration, Found},
    call::{CallError, Written},
    pace::Pace,
    secret::Place,
    told::Told,
};

/// What the API server holds.
pub struct Seen<'a> {
    pub secret: Option<&'a Data>,
    /// The bundles of all our webhooks, unless some could not be read.
    pub bundles: Option<&'a [Vec<u8>]>,
    /// When reading began.
    pub since: Instant,
}

/// What it should hold.
pub struct Order {
    /// What to write to the Secret, and why; nothing is published meanwhile.
    pub store: Option<(&'static str, Data)>,
    pub bundle: String,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The Secret was written, by this step.
    Stored(&'static str),
    /// A configuration got the bundle.
    Published,
    /// Something could not be done; it will be tried again.
    Failed,
}

/// Whatever decides: it is asked after every look, with `None` when the API
/// server did not answer; then its order is not heard.
pub trait Decide: FnMut(Option<Seen<'_>>) -> Result<Option<Order>, BoxError> {}
impl<F: FnMut(Option<Seen<'_>>) -> Result<Option<Order>, BoxError>> Decide for F {}
type BoxError = Box<dyn Error + Send + Sync>;

/// The three objects.
struct Keep {
    secret: Place,
    configurations: [Configuration; 2],
}

/// How a round ended.
enum Round {
    Rest,
    Wrote,
}

/// Looks at `objects` whenever one of them changes, and every `pulse` anyway;
/// has `decide` say what they should hold, and writes that. Never returns.
///
/// Every replica may run it. What is written is written over what was read: who
/// comes second reads again. All reads are live, and the configurations are
/// read before the Secret, so that nobody overwrites a bundle by an older one.
pub async fn keep(
    client: Client,
    objects: &Objects,
    pulse: Duration,
    mut decide: impl Decide,
    report: impl Fn(Kept),
) {
    let keep = Keep::new(&client, objects);
    let mut changes = pin!(keep.changes());
    let mut pace = Pace::default();
    let mut told = Told::default();
    loop {
        match keep.round(&mut decide, &report).await {
            Ok(Round::Wrote) => sleep(pace.after_write(Instant::now())).await,
            Ok(Round::Rest) => {
                pace.after_rest();
                told.well();
                drop(timeout(pulse, changes.next()).await);
            }
            Err(error) => {
                report(Kept::Failed);
                told.failure(&error);
                drop(timeout(pace.after_failure(), changes.next()).await);
            }
        }
        // One look takes in all changes until now.
        while changes.next().now_or_never().flatten().is_some() {}
    }
}

impl Keep {
    fn new(client: &Client, objects: &Objects) -> Self {
        let Objects {
            ca_secret,
            ca_secret_namespace,
            mutating_configuration,
            validating_configuration,
        } = objects;
        let namespace = ca_secret_namespace.as_deref().unwrap_or(client.default_namespace());
        let (mutating, validating) = (mutating_configuration, validating_configuration);
        let configurations = [
            Configuration::new::<MutatingWebhookConfiguration>(client, mutating),
            Configuration::new::<ValidatingWebhookConfiguration>(client, validating),
        ];
        Self { secret: Place::new(client, namespace, ca_secret), configurations }
    }

    async fn round(
        &self,
        decide: &mut impl Decide,
        report: &impl Fn(Kept),
    ) -> Result<Round, CallError> {
        let since = Instant::now();
        let [mutating, validating] = &self.configurations;
        let (mutating, validating) = tokio::join!(mutating.read(), validating.read());
        let found = [mutating, validating];
        let held = match self.secret.read().await {
            Ok(held) => held,
            Err(error) => {
                decide(None).map_err(CallError::Undecided)?;
                return Err(error);
            }
        };
        let data = held.data();
        let bundles = bundles(&found);
        let seen = Seen { secret: data.as_ref(), bundles: bundles.as_deref(), since };
        let order = decide(Some(seen)).map_err(CallError::Undecided)?;
        let Some(Order { store, bundle }) = order else { return Ok(Round::Rest) };
        if let Some((step, data)) = store {
            if self.secret.write(held, data).await? == Written::Done {
                tracing::info!(step, secret = self.secret.name(), "authority stored");
                report(Kept::Stored(step));
            }
            return Ok(Round::Wrote);
        }
        let mut round = Ok(Round::Rest);
        for (configuration, found) in self.configurations.iter().zip(found) {
            // One that cannot be read does not keep the other from its bundle.
            match self.publish(configuration, found, &bundle, report).await {
                Ok(Round::Rest) => {}
                Ok(Round::Wrote) => round = round.map(|_| Round::Wrote),
                Err(error) => round = Err(error),
            }
        }
        round
    }

    async fn publish(
        &self,
        configuration: &Configuration,
        found: Result<Found, CallError>,
        bundle: &str,
        report: &impl Fn(Kept),
    ) -> Result<Round, CallError> {
        let found = found?;
        if found.bundles().all(|it| *it == bundle.as_bytes()) {
            return Ok(Round::Rest);
        }
        if configuration.publish(&found, bundle).await? == Written::Done {
            tracing::info!(configuration = configuration.what(), "authority published");
            report(Kept::Published);
        }
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

fn bundles(found: &[Result<Found, CallError>; 2]) -> Option<Vec<Vec<u8>>> {
    let mut bundles = Vec::new();
    for found in found {
        bundles.extend(found.as_ref().ok()?.bundles().cloned());
    }
    Some(bundles)
}
