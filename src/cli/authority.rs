//! The certificate of a replica in a cluster, which needs nobody's attention.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use clap::Args;
use kube::Client;

use crate::{
    cluster::authority::{self as cluster, Kept, Objects, Order},
    tls::{
        Advice, Agreement, Comparison, Current, Keychain, KeychainError, Moment, Reading, Seen,
        Times,
    },
};

/// What a replica is told to keep, and for how long.
#[derive(Args, Clone, Debug)]
pub struct Authority {
    #[command(flatten)]
    pub objects: Objects,

    #[command(flatten)]
    pub service: Service,

    #[command(flatten)]
    pub times: Times,
}

/// As whom the API server verifies a replica.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Service by which the API server calls callgate: the serving certificate is for its DNS name
    #[arg(long, value_name = "NAME", default_value = "callgate", env = "CALLGATE_SERVICE")]
    pub service: String,

    /// Namespace of that Service; if unset, the namespace of the pod
    #[arg(long, value_name = "NAMESPACE", env = "CALLGATE_SERVICE_NAMESPACE")]
    pub service_namespace: Option<String>,
}

/// What a replica has to tell about its certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// A new certificate is served, until then. With the first, there is one.
    Leaf { not_after: SystemTime },
    /// The authority that signs ends then.
    Authority { not_after: SystemTime },
    /// Whether all our webhooks trust what is served.
    ///
    /// Once they did, a replica should call itself ready for good: that
    /// somebody overwrote the bundle is no reason to take all replicas away.
    Published(bool),
    /// By how many seconds our clock is ahead of the API server's, and whether
    /// that is near enough for a replica to be ready.
    Clock { ahead: i64, is_near: bool },
    /// The Secret was written, by the step of this name.
    Stored(&'static str),
    /// Somebody else had overwritten the bundle in a configuration of this
    /// kind; it was put back.
    PutBack(&'static str),
    /// Something could not be read or written; it is in the log, and tried again.
    Failed,
}

/// Keeps `current` served by the authority that all replicas share, and that
/// authority in the Secret and in the webhook configurations (design, section
/// 6). Never returns.
///
/// Every replica runs it; none leads. `current` has no certificate until the
/// Secret has been read or written for the first time. `names` are added to
/// those of the Service, `clock` says what time it is, and `report` hears
/// only what changed, but of [`News::Failed`], [`News::Stored`] and
/// [`News::PutBack`] each.
///
/// ```no_run
/// # use std::{sync::Arc, time::SystemTime};
/// # use callgate::{cli::authority::{self, Authority}, tls};
/// # async fn serve(flags: Authority) -> anyhow::Result<()> {
/// let client = kube::Client::try_default().await?;
/// let current = Arc::new(tls::Current::default());
/// let config = tls::server_config(Arc::clone(&current), None)?;
/// let keep = authority::keep(client, flags, vec![], current, SystemTime::now, |_| ())?;
/// tokio::spawn(keep);
/// # Ok(())
/// # }
/// ```
pub fn keep(
    client: Client,
    flags: Authority,
    mut names: Vec<String>,
    current: Arc<Current>,
    clock: impl Fn() -> SystemTime + Send + 'static,
    report: impl Fn(News) + Clone + Send + Sync + 'static,
) -> Result<impl Future<Output = ()> + Send, KeychainError> {
    let Authority { objects, service, times } = flags;
    names.extend(service.names(client.default_namespace()));
    let mut keychain = Keychain::new(times, names, current)?;
    let mut told = Told::default();
    let news = report.clone();
    let decide = move |seen: Option<cluster::Seen<'_>>| {
        let now = Moment { wall: clock(), steady: Instant::now() };
        let order = match seen {
            None => keychain.renew(now).map(|()| None)?,
            Some(cluster::Seen { secret, bundles, since, clock }) => {
                let cluster::Reading { date, sent, received } = clock;
                let clock = Reading { date, sent, received };
                let advice = keychain.advance(Seen { secret, bundles, since, clock }, now)?;
                let Advice { store, bundle, published, authority_ends, clock } = advice;
                told.clock(clock, &news);
                told.authority(authority_ends, &news);
                told.published(published, &news);
                bundle.map(|bundle| Order { store, bundle })
            }
        };
        told.leaf(keychain.leaf_ends(), &news);
        Ok(order)
    };
    let kept = move |it| match it {
        Kept::Stored(step) => report(News::Stored(step)),
        Kept::PutBack(kind) => report(News::PutBack(kind)),
        Kept::Failed => report(News::Failed),
        // Seen by the next look, by which it may be gone again.
        Kept::Published => {}
    };
    Ok(async move { cluster::keep(client, &objects, times.pulse(), decide, kept).await })
}

impl Service {
    /// The host names that it is called by. The API server verifies the first
    /// (`ServerNameFor` in its `webhook` package), whatever `own` namespace the
    /// manifests were moved to.
    fn names(&self, own: &str) -> [String; 2] {
        let Self { service, service_namespace } = self;
        let namespace = service_namespace.as_deref().unwrap_or(own);
        ["svc", "svc.cluster.local"].map(|it| format!("{service}.{namespace}.{it}"))
    }
}

/// What was told last.
#[derive(Default)]
struct Told {
    leaf: Option<SystemTime>,
    authority: Option<SystemTime>,
    published: Option<bool>,
    clock: Option<Comparison>,
}

impl Told {
    fn clock(&mut self, clock: Comparison, news: impl Fn(News)) {
        let before = self.clock.map(|it| it.verdict);
        let Some(Comparison { ahead, verdict }) = changed(&mut self.clock, Some(clock)) else {
            return;
        };
        news(News::Clock { ahead, is_near: verdict.is_enough() });
        match verdict {
            it if before == Some(it) => {}
            Agreement::Agrees if before.is_none() => {}
            Agreement::Agrees => tracing::info!("the clock agrees with the API server's again"),
            Agreement::Apart => {
                tracing::warn!(ahead_s = ahead, "the clock is not the API server's");
            }
            Agreement::Differs => tracing::error!(
                ahead_s = ahead,
                "the clock or the API server's is wrong: not ready, and the Secret is left alone"
            ),
        }
    }

    fn leaf(&mut self, ends: Option<SystemTime>, news: impl Fn(News)) {
        if let Some(not_after) = changed(&mut self.leaf, ends) {
            news(News::Leaf { not_after });
        }
    }

    fn authority(&mut self, ends: Option<SystemTime>, news: impl Fn(News)) {
        if let Some(not_after) = changed(&mut self.authority, ends) {
            news(News::Authority { not_after });
        }
    }

    fn published(&mut self, published: bool, news: impl Fn(News)) {
        if let Some(published) = changed(&mut self.published, Some(published)) {
            news(News::Published(published));
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

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        service: Service,
    }

    #[rstest]
    #[case::as_it_comes("", "callgate.here.svc")]
    #[case::another_service("--service=gate", "gate.here.svc")]
    #[case::somewhere_else("--service-namespace=there", "callgate.there.svc")]
    fn the_api_server_verifies(#[case] flags: &str, #[case] expected: &str) {
        let words = ["callgate"].into_iter().chain(flags.split_whitespace());
        let Flags { service } = Flags::try_parse_from(words).unwrap();
        assert_eq!(
            service.names("here"),
            [expected.to_owned(), format!("{expected}.cluster.local")]
        );
    }
}
