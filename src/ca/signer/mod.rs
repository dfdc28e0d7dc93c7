//! One replica's part in the rotation: what it serves, and what it has seen.

use std::{
    error::Error,
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::{
    clock::{Comparison, Moment, ServerTime, Span},
    lifetimes::{Lifetimes, LifetimesError},
    rotation::{CaDates, Serving, Step, Successor, is_over, leaf_end, leaf_is_due, next_step},
    stored::{SecretData, Stored},
};
use crate::tls::{CaError, Certificate, CertificateAuthority, Current, Validity, check};

/// Signs this replica's leaf by the CA that all replicas share.
///
/// It makes up its mind from what it is told of the Secret and of the webhook
/// configurations, and touches neither. Every replica has one, and none leads:
/// whoever writes first wins, the others see what he wrote (design, section 6).
pub(super) struct ReplicaSigner {
    lifetimes: Lifetimes,
    names: Vec<String>,
    current: Arc<Current>,
    /// The Secret as it was last, and what was read from it.
    last: Option<(SecretData, Stored)>,
    served: Option<Served>,
    /// Since when the successor has been in every configuration without a break.
    seen: Option<(Certificate, Instant)>,
    /// What the API server's clock showed last.
    clock: Option<ServerTime>,
}

struct Served {
    authority: Arc<CertificateAuthority>,
    leaf: Validity,
}

/// What a replica was told of the cluster.
///
/// The bundles must have been read *before* the Secret: then a bundle that
/// was not changed since is no newer than what replaces it.
#[derive(Clone, Copy)]
pub(super) struct Observed<'a> {
    pub(super) secret: Option<&'a SecretData>,
    /// What every webhook of ours trusts, unless some could not be read.
    pub(super) bundles: Option<&'a [Vec<u8>]>,
    /// When reading began.
    pub(super) since: Instant,
    /// The clock of the API server that answered.
    pub(super) clock: ServerTime,
}

/// Why there is no signer of these lifetimes and names.
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
    /// Whether they all do, and with it trust what is served here.
    pub(super) published: bool,
    /// When the authority that signs ends.
    pub(super) ca_ends: Option<SystemTime>,
    /// Whether our clock can be believed. If not, there is nothing to store.
    pub(super) clock: Comparison,
}

impl ReplicaSigner {
    /// A signer that serves by `current`, under the names of the service and `names`.
    ///
    /// A name that is none is an error at once: later it would look as if the
    /// stored authority could not sign, and was to be replaced.
    pub(super) fn new(
        lifetimes: Lifetimes,
        names: Vec<String>,
        current: Arc<Current>,
    ) -> Result<Self, SignerError> {
        check(&names)?;
        let lifetimes = lifetimes.check()?;
        Ok(Self { lifetimes, names, current, last: None, served: None, seen: None, clock: None })
    }

    /// When the leaf ends that is served.
    pub(super) fn leaf_ends(&self) -> Option<SystemTime> {
        self.served.as_ref().map(|it| it.leaf.not_after)
    }

    /// Decides by what the Secret and the webhook configurations hold.
    ///
    /// A leaf is signed by what is stored, never by what is only about to be:
    /// another replica may be faster. What is stored is judged by the API
    /// server's clock, and left alone where ours says something else.
    pub(super) fn advance(&mut self, seen: Observed<'_>, now: Moment) -> Result<Decision, CaError> {
        let Observed { secret, bundles, since, clock } = seen;
        self.clock = Some(clock);
        let comparison = clock.compare(now);
        let time = clock.now(now);
        let stored = secret.map(|it| self.read(it)).unwrap_or_default();
        let bundle = stored.bundle();
        let published = bundles.is_some_and(|it| it.iter().all(|it| *it == bundle.as_bytes()));
        let next = stored.next.as_ref().filter(|_| published).map(|it| &it.certificate);
        let published_for = self.published_for(next, since, now.steady);
        let dates = self.dates(&stored, published_for);
        let step = next_step(&dates, time, &self.lifetimes);
        let is_wrong = matches!(step, Step::Create | Step::Restore);
        // Others put it right; if they put something else there instead, that counts.
        let is_for_others = !comparison.verdict.is_enough();
        let signs_as_stored = (!is_wrong || (is_for_others && published))
            && dates.current.is_some_and(|it| it.holds(time));
        match &stored.current {
            Some(authority) if signs_as_stored => {
                self.sign(&Arc::clone(authority), clock.span(now))?;
            }
            _ => self.renew(now)?,
        }
        let trusted =
            self.served.as_ref().is_some_and(|it| stored.holds(&it.authority.certificate));
        let ca_ends = stored.current.as_ref().map(|it| it.certificate.validity().not_after);
        let store = match step {
            Step::Rest => None,
            _ if is_for_others => None,
            step => {
                let served = self.served.as_ref().map(|it| &it.authority);
                let is_over = |it| is_over(it, time, &self.lifetimes);
                let fresh = || CertificateAuthority::create(time, self.lifetimes.ca_lifetime);
                let stored = stored.after(step, served, is_over, fresh)?;
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

    /// Renews the leaf from memory when its time has come: all that can be
    /// done while the API server is away.
    pub(super) fn renew(&mut self, now: Moment) -> Result<(), CaError> {
        match (&self.served, self.clock) {
            (Some(Served { authority, .. }), Some(clock))
                if authority.certificate.validity().holds(clock.now(now)) =>
            {
                self.sign(&Arc::clone(authority), clock.span(now))
            }
            _ => Ok(()),
        }
    }

    /// Trying out what is stored takes signatures: once is enough.
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

    /// Serves a leaf of the authority, a new one unless the old will do by
    /// whichever clock.
    fn sign(&mut self, authority: &Arc<CertificateAuthority>, now: Span) -> Result<(), CaError> {
        let validity = authority.certificate.validity();
        let same = self.served.as_ref().filter(|it| {
            it.authority.certificate == authority.certificate
                && !leaf_is_due(it.leaf, validity, now, &self.lifetimes)
        });
        if same.is_some() {
            return Ok(());
        }
        let end = leaf_end(validity, now.late, &self.lifetimes);
        let leaf = authority.issue(&self.names, now.early, end)?;
        self.current.renew(leaf.identity);
        self.served = Some(Served { authority: Arc::clone(authority), leaf: leaf.validity });
        tracing::info!("serving certificate signed");
        Ok(())
    }

    /// How long the successor has been published at least: from when it was
    /// known to be, until the time that is being judged.
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
                validity: validity(&it.authority),
                stored: stored.holds(&it.authority.certificate),
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
mod tests;
#[cfg(test)]
mod world;
