//! One replica's part in the rotation: what it serves, and what it has seen.

use std::{
    error::Error,
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::{
    Current,
    authority::{Authority, AuthorityError, check},
    certificate::Certificate,
    clock::{Comparison, Moment, Reading, Span},
    rotation::{
        Authorities, Serving, Step, Successor, Term, is_over, leaf_end, leaf_is_due, next_step,
    },
    stored::{Data, Stored},
    times::{BadTimes, Times},
};

/// Signs this replica's leaf by the authority that all replicas share.
///
/// It makes up its mind from what it is told of the Secret and of the webhook
/// configurations, and touches neither. Every replica has one, and none leads:
/// whoever writes first wins, the others see what he wrote (design, section 6).
pub struct Keychain {
    times: Times,
    names: Vec<String>,
    current: Arc<Current>,
    /// The Secret as it was last, and what was read from it.
    last: Option<(Data, Stored)>,
    served: Option<Served>,
    /// Since when the successor has been in every configuration without a break.
    seen: Option<(Certificate, Instant)>,
    /// What the API server's clock showed last.
    clock: Option<Reading>,
}

struct Served {
    authority: Arc<Authority>,
    leaf: Term,
}

/// What a replica was told of the cluster.
///
/// The bundles must have been read *before* the Secret: then a bundle that
/// was not changed since is no newer than what replaces it.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    pub secret: Option<&'a Data>,
    /// What every webhook of ours trusts, unless some could not be read.
    pub bundles: Option<&'a [Vec<u8>]>,
    /// When reading began.
    pub since: Instant,
    /// The clock of the API server that answered.
    pub clock: Reading,
}

/// Why there is no keychain of these times and names.
#[derive(Debug, thiserror::Error)]
pub enum KeychainError {
    #[error(transparent)]
    Times(#[from] BadTimes),
    #[error(transparent)]
    Names(#[from] AuthorityError),
}

/// What follows from what a replica was told.
pub struct Advice {
    /// What the Secret should hold instead of what it held, and why.
    pub store: Option<(&'static str, Data)>,
    /// What every webhook of ours should trust, unless others have to say so.
    pub bundle: Option<String>,
    /// Whether they all do, and with it trust what is served here.
    pub published: bool,
    /// When the authority that signs ends.
    pub authority_ends: Option<SystemTime>,
    /// Whether our clock can be believed. If not, there is nothing to store.
    pub clock: Comparison,
}

impl Keychain {
    /// A keychain that serves by `current`, under the names of the service and `names`.
    ///
    /// A name that is none is an error at once: later it would look as if the
    /// stored authority could not sign, and was to be replaced.
    pub fn new(
        times: Times,
        names: Vec<String>,
        current: Arc<Current>,
    ) -> Result<Self, KeychainError> {
        check(&names)?;
        let times = times.check()?;
        Ok(Self { times, names, current, last: None, served: None, seen: None, clock: None })
    }

    /// When the leaf ends that is served.
    pub fn leaf_ends(&self) -> Option<SystemTime> {
        self.served.as_ref().map(|it| it.leaf.not_after)
    }

    /// Decides by what the Secret and the webhook configurations hold.
    ///
    /// A leaf is signed by what is stored, never by what is only about to be:
    /// another replica may be faster. What is stored is judged by the API
    /// server's clock, and left alone where ours says something else.
    pub fn advance(&mut self, seen: Seen<'_>, now: Moment) -> Result<Advice, AuthorityError> {
        let Seen { secret, bundles, since, clock } = seen;
        self.clock = Some(clock);
        let comparison = clock.compare(now);
        let time = clock.now(now);
        let stored = secret.map(|it| self.read(it)).unwrap_or_default();
        let bundle = stored.bundle();
        let published = bundles.is_some_and(|it| it.iter().all(|it| *it == bundle.as_bytes()));
        let next = stored.next.as_ref().filter(|_| published).map(|it| &it.certificate);
        let published_for = self.published_for(next, since, now.steady);
        let dates = self.dates(&stored, published_for);
        let step = next_step(&dates, time, &self.times);
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
        let authority_ends = stored.current.as_ref().map(|it| it.certificate.term().not_after);
        let store = match step {
            Step::Rest => None,
            _ if is_for_others => None,
            step => {
                let served = self.served.as_ref().map(|it| &it.authority);
                let is_over = |it| is_over(it, time, &self.times);
                let fresh = || Authority::create(time, self.times.ca_lifetime);
                let stored = stored.after(step, served, is_over, fresh)?;
                let (data, left_out) = stored.write();
                if left_out > 0 {
                    tracing::warn!(left_out, "the Secret is full: what is not ours was dropped");
                }
                Some((step.into(), data))
            }
        };
        let published = published && trusted;
        let bundle = Some(bundle).filter(|_| !(is_wrong && is_for_others));
        Ok(Advice { store, bundle, published, authority_ends, clock: comparison })
    }

    /// Renews the leaf from memory when its time has come: all that can be
    /// done while the API server is away.
    pub fn renew(&mut self, now: Moment) -> Result<(), AuthorityError> {
        match (&self.served, self.clock) {
            (Some(Served { authority, .. }), Some(clock))
                if authority.certificate.term().holds(clock.now(now)) =>
            {
                self.sign(&Arc::clone(authority), clock.span(now))
            }
            _ => Ok(()),
        }
    }

    /// Trying out what is stored takes signatures: once is enough.
    fn read(&mut self, data: &Data) -> Stored {
        let last = self.last.take().filter(|(it, _)| it == data);
        let (data, stored) = last.unwrap_or_else(|| {
            let stored = Stored::read(data, &self.names);
            if let Some(trouble) = &stored.trouble {
                let error: &(dyn Error + 'static) = trouble;
                tracing::warn!(error, "the stored authority is of no use");
            }
            (data.clone(), stored)
        });
        self.last = Some((data, stored.clone()));
        stored
    }

    /// Serves a leaf of the authority, a new one unless the old will do by
    /// whichever clock.
    fn sign(&mut self, authority: &Arc<Authority>, now: Span) -> Result<(), AuthorityError> {
        let term = authority.certificate.term();
        let same = self.served.as_ref().filter(|it| {
            it.authority.certificate == authority.certificate
                && !leaf_is_due(it.leaf, term, now, &self.times)
        });
        if same.is_some() {
            return Ok(());
        }
        let end = leaf_end(term, now.late, &self.times);
        let leaf = authority.issue(&self.names, now.early, end)?;
        self.current.renew(leaf.identity);
        self.served = Some(Served { authority: Arc::clone(authority), leaf: leaf.term });
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

    fn dates(&self, stored: &Stored, published: Option<Duration>) -> Authorities {
        let term = |it: &Arc<Authority>| it.certificate.term();
        Authorities {
            current: stored.current.as_ref().map(term),
            next: stored.next.as_ref().map(|it| Successor { term: term(it), published }),
            previous: stored.previous.iter().map(Certificate::term).collect(),
            serving: self.served.as_ref().map(|it| Serving {
                term: term(&it.authority),
                stored: stored.holds(&it.authority.certificate),
            }),
        }
    }
}

impl fmt::Debug for Keychain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { times, names, .. } = self;
        f.debug_struct("Keychain")
            .field("times", times)
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
