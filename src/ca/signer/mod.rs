//! The signer of one replica: it decides what the shared objects should hold, and signs the
//! replica's serving certificate.

use std::{
    error::Error,
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::{
    lifetimes::{Lifetimes, LifetimesError},
    rotation::{CaDates, Serving, Step, Successor, is_over, leaf_end, leaf_is_due, next_step},
    stored::{SecretData, Stored},
};
use crate::{
    clock::{ClockSkew, LocalTime, ServerTime, TimeRange},
    tls::{CaError, Certificate, CertificateAuthority, Current, Validity, check},
};

/// Signs this replica's leaf with the CA that all replicas share.
///
/// It decides from the observed Secret and webhook configurations, and reads or writes neither.
/// Every replica has one, and none leads: the first write wins, and the others observe it.
pub(super) struct ReplicaSigner {
    lifetimes: Lifetimes,
    names: Vec<String>,
    current: Arc<Current>,
    /// The Secret that was observed last, and the CAs in it.
    last: Option<(SecretData, Stored)>,
    served: Option<Served>,
    /// The successor, and since when every configuration has held it without a break.
    seen: Option<(Certificate, Instant)>,
    /// The API server's clock in the last answer.
    clock: Option<ServerTime>,
}

struct Served {
    ca: Arc<CertificateAuthority>,
    leaf: Validity,
}

/// What a replica read from the API server.
///
/// The bundles must have been read *before* the Secret: then a bundle that has not changed since is
/// not newer than the one that replaces it.
#[derive(Clone, Copy)]
pub(super) struct Observed<'a> {
    pub(super) secret: Option<&'a SecretData>,
    /// The `caBundle` of all our webhooks; `None` if a configuration could not be read.
    pub(super) bundles: Option<&'a [Vec<u8>]>,
    /// When the first read began.
    pub(super) since: Instant,
    /// The clock of the API server that answered.
    pub(super) clock: ServerTime,
}

/// Why a signer with these lifetimes and names cannot work.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    #[error(transparent)]
    Lifetimes(#[from] LifetimesError),
    #[error(transparent)]
    Names(#[from] CaError),
}

/// What the API server should hold.
pub(super) struct Write {
    /// The new data of the Secret, with the step that leads to it; the bundle is published in a
    /// later round.
    pub(super) store: Option<(&'static str, SecretData)>,
    /// The `caBundle` of all our webhooks.
    pub(super) bundle: String,
}

/// What follows from what a replica observed.
pub(super) struct Decision {
    /// What to write; `None` where other replicas have to decide.
    pub(super) write: Option<Write>,
    /// Whether all our webhooks have the bundle, and trust the serving certificate by it.
    pub(super) published: bool,
    /// When the CA that signs ends.
    pub(super) ca_ends: Option<SystemTime>,
    /// Whether our clock agrees with the API server's. If not, the Secret is not written.
    pub(super) clock: ClockSkew,
}

impl ReplicaSigner {
    /// A signer that stores leaves in `current`, for the names of the service and `names`.
    ///
    /// # Errors
    /// Invalid names and lifetimes. An invalid name that was noticed later would look like a stored
    /// CA that must not sign for our names, and would replace it.
    pub(super) fn new(
        lifetimes: Lifetimes,
        names: Vec<String>,
        current: Arc<Current>,
    ) -> Result<Self, SignerError> {
        check(&names)?;
        let lifetimes = lifetimes.check()?;
        Ok(Self { lifetimes, names, current, last: None, served: None, seen: None, clock: None })
    }

    /// When the leaf in use ends.
    pub(super) fn leaf_ends(&self) -> Option<SystemTime> {
        self.served.as_ref().map(|it| it.leaf.not_after)
    }

    /// Decides what the Secret and the webhook configurations should hold, and renews the leaf.
    ///
    /// A CA signs only once it is stored: another replica may write first. Validity is judged by the
    /// API server's clock; while ours differs, the Secret is not written.
    ///
    /// # Errors
    /// Failures of the cryptographic library.
    pub(super) fn advance(
        &mut self,
        observed: Observed<'_>,
        now: LocalTime,
    ) -> Result<Decision, CaError> {
        let Observed { secret, bundles, since, clock } = observed;
        self.clock = Some(clock);
        let comparison = clock.compare(now);
        let time = clock.now(now);
        let stored = secret.map(|it| self.read(it)).unwrap_or_default();
        let bundle = stored.bundle();
        let published = bundles.is_some_and(|it| it.iter().all(|it| *it == bundle.as_bytes()));
        let next = stored.next.as_ref().filter(|_| published).map(|it| &it.certificate);
        let published_for = self.published_for(next, since, now.monotonic);
        let dates = self.dates(&stored, published_for);
        let step = next_step(&dates, time, &self.lifetimes);
        let is_wrong = matches!(step, Step::Create | Step::Restore);
        // Another replica repairs the Secret; if it stores another CA, that one signs.
        let is_for_others = !comparison.verdict.is_enough();
        let signs_as_stored = (!is_wrong || (is_for_others && published))
            && dates.current.is_some_and(|it| it.holds(time));
        match &stored.current {
            Some(ca) if signs_as_stored => {
                self.sign(&Arc::clone(ca), clock.span(now))?;
            }
            _ => self.renew(now)?,
        }
        let trusted = self.served.as_ref().is_some_and(|it| stored.holds(&it.ca.certificate));
        let ca_ends = stored.current.as_ref().map(|it| it.certificate.validity().not_after);
        let store = match step {
            Step::Rest => None,
            _ if is_for_others => None,
            step => {
                let served = self.served.as_ref().map(|it| &it.ca);
                let is_over = |it| is_over(it, time, &self.lifetimes);
                let fresh = || CertificateAuthority::create(time, self.lifetimes.ca_lifetime);
                let stored = stored.apply(step, served, is_over, fresh)?;
                let (data, left_out) = stored.write();
                if left_out > 0 {
                    tracing::warn!(left_out, "the Secret is full: keys of others were dropped");
                }
                Some((step.into(), data))
            }
        };
        let published = published && trusted;
        let write = (!(is_wrong && is_for_others)).then_some(Write { store, bundle });
        Ok(Decision { write, published, ca_ends, clock: comparison })
    }

    /// Renews the leaf with the CA in memory if it is due, for rounds without an answer of the API
    /// server.
    pub(super) fn renew(&mut self, now: LocalTime) -> Result<(), CaError> {
        match (&self.served, self.clock) {
            (Some(Served { ca, .. }), Some(clock))
                if ca.certificate.validity().holds(clock.now(now)) =>
            {
                self.sign(&Arc::clone(ca), clock.span(now))
            }
            _ => Ok(()),
        }
    }

    /// Reads the Secret, or returns what was read if it has not changed: to test a CA takes
    /// signatures.
    fn read(&mut self, data: &SecretData) -> Stored {
        let last = self.last.take().filter(|(it, _)| it == data);
        let (data, stored) = last.unwrap_or_else(|| {
            let stored = Stored::read(data, &self.names);
            if let Some(trouble) = &stored.trouble {
                let error: &(dyn Error + 'static) = trouble;
                tracing::warn!(error, "the stored CA cannot be used");
            }
            (data.clone(), stored)
        });
        self.last = Some((data, stored.clone()));
        stored
    }

    /// Signs a leaf with the CA, unless the leaf in use is of this CA and not due.
    fn sign(&mut self, ca: &Arc<CertificateAuthority>, now: TimeRange) -> Result<(), CaError> {
        let validity = ca.certificate.validity();
        let same = self.served.as_ref().filter(|it| {
            it.ca.certificate == ca.certificate
                && !leaf_is_due(it.leaf, validity, now, &self.lifetimes)
        });
        if same.is_some() {
            return Ok(());
        }
        let end = leaf_end(validity, now.late, &self.lifetimes);
        let leaf = ca.issue(&self.names, now.early, end)?;
        self.current.renew(leaf.identity);
        self.served = Some(Served { ca: Arc::clone(ca), leaf: leaf.validity });
        tracing::info!("serving certificate signed");
        Ok(())
    }

    /// The time for which the successor has been published at least: from the end of the round in
    /// which it was observed first to the begin of this one.
    fn published_for(
        &mut self,
        next: Option<&Certificate>,
        began: Instant,
        now: Instant,
    ) -> Option<Duration> {
        let seen = self.seen.take().filter(|(it, _)| Some(it) == next);
        self.seen = seen.or_else(|| Some((next?.clone(), now)));
        self.seen.as_ref().map(|(_, since)| began.saturating_duration_since(*since))
    }

    fn dates(&self, stored: &Stored, published: Option<Duration>) -> CaDates {
        let validity = |it: &Arc<CertificateAuthority>| it.certificate.validity();
        CaDates {
            current: stored.current.as_ref().map(validity),
            next: stored.next.as_ref().map(|it| Successor { validity: validity(it), published }),
            previous: stored.previous.iter().map(Certificate::validity).collect(),
            serving: self.served.as_ref().map(|it| Serving {
                validity: validity(&it.ca),
                stored: stored.holds(&it.ca.certificate),
            }),
        }
    }
}

impl fmt::Debug for ReplicaSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lifetimes, names, .. } = self;
        f.debug_struct("ReplicaSigner")
            .field("lifetimes", lifetimes)
            .field("names", names)
            .finish_non_exhaustive()
    }
}

impl From<Step> for &'static str {
    fn from(step: Step) -> Self {
        match step {
            Step::Create => "create",
            Step::Restore => "restore",
            Step::Introduce => "introduce",
            Step::Promote => "promote",
            Step::Retire => "retire",
            Step::Rest => "rest",
        }
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
