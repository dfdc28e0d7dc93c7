//! Runs the CA of a replica: reads, decides, writes, and reports what changed.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use kube::Client;

use super::{
    CaEvent, CaFlags, SignerError,
    reconcile::reconcile,
    signer::{Decision, Observed, ReplicaSigner},
};
use crate::{
    clock::{ClockSkew, LocalTime, SkewLog},
    tls::Current,
};

/// Keeps `current` signed by the CA that all replicas share, and that CA in the Secret and in the
/// webhook configurations. Never returns.
///
/// `current` has no certificate until the Secret has been read or written for the first time.
/// `names` are added to the DNS names of the Service, `clock` is the wall clock. `report` is
/// called with what changed, and with each [`CaEvent::Failed`], [`CaEvent::Stored`],
/// [`CaEvent::Published`] and [`CaEvent::PutBack`].
///
/// # Errors
/// Lifetimes by which no CA can follow another, and names that are none.
///
/// ```no_run
/// # use std::{sync::Arc, time::SystemTime};
/// # use callgate::{ca::{self, CaFlags}, tls};
/// # async fn serve(flags: CaFlags) -> anyhow::Result<()> {
/// let client = kube::Client::try_default().await?;
/// let current = Arc::new(tls::Current::default());
/// let config = tls::server_config(Arc::clone(&current), None)?;
/// let ca = ca::run(client, flags, vec![], current, SystemTime::now, |_| ())?;
/// tokio::spawn(ca);
/// # Ok(())
/// # }
/// ```
pub fn run(
    client: Client,
    flags: CaFlags,
    mut names: Vec<String>,
    current: Arc<Current>,
    clock: impl Fn() -> SystemTime + Send + 'static,
    report: impl Fn(CaEvent) + Clone + Send + Sync + 'static,
) -> Result<impl Future<Output = ()> + Send, SignerError> {
    let CaFlags { objects, service, lifetimes } = flags;
    names.extend(service.names(client.default_namespace()));
    let mut signer = ReplicaSigner::new(lifetimes, names, current)?;
    let mut reported = Reported::default();
    let changed = report.clone();
    let decide = move |observed: Option<Observed<'_>>| {
        let now = LocalTime { wall: clock(), monotonic: Instant::now() };
        let write = match observed {
            None => signer.renew(now).map(|()| None)?,
            Some(observed) => {
                let Decision { write, published, ca_ends, clock } =
                    signer.advance(observed, now)?;
                reported.clock(clock, &changed);
                reported.ca(ca_ends, &changed);
                reported.trusted(published, &changed);
                write
            }
        };
        reported.leaf(signer.leaf_ends(), &changed);
        Ok(write)
    };
    Ok(async move { reconcile(client, &objects, lifetimes.pulse(), decide, report).await })
}

/// What was reported last.
#[derive(Default)]
struct Reported {
    leaf: Option<SystemTime>,
    ca: Option<SystemTime>,
    trusted: Option<bool>,
    clock: Option<ClockSkew>,
    skew_log: SkewLog,
}

impl Reported {
    fn clock(&mut self, clock: ClockSkew, report: impl Fn(CaEvent)) {
        if let Some(ClockSkew { ahead, verdict }) = changed(&mut self.clock, Some(clock)) {
            report(CaEvent::Clock { ahead, is_near: verdict.is_enough() });
        }
        self.skew_log.log(clock, |ahead| {
            tracing::error!(
                ahead_s = ahead,
                "the clock or the API server's is wrong: not ready, and the Secret is left alone"
            );
        });
    }

    fn leaf(&mut self, ends: Option<SystemTime>, report: impl Fn(CaEvent)) {
        if let Some(not_after) = changed(&mut self.leaf, ends) {
            report(CaEvent::Leaf { not_after });
        }
    }

    fn ca(&mut self, ends: Option<SystemTime>, report: impl Fn(CaEvent)) {
        if let Some(not_after) = changed(&mut self.ca, ends) {
            report(CaEvent::Ca { not_after });
        }
    }

    fn trusted(&mut self, trusted: bool, report: impl Fn(CaEvent)) {
        if let Some(trusted) = changed(&mut self.trusted, Some(trusted)) {
            report(CaEvent::Trusted(trusted));
        }
    }
}

fn changed<T: Copy + PartialEq>(last: &mut Option<T>, now: Option<T>) -> Option<T> {
    if now == *last {
        return None;
    }
    *last = now;
    now
}
