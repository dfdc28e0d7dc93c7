//! Logs and counts every answer.

use std::sync::Arc;

use crate::{
    admission::{DeniedPod, Outcome, Owner, ReviewRecord, Webhook},
    ca::CaEvent,
    cluster::events::{self, Refusal},
    server::{Event, Readiness},
    telemetry::Metrics,
    tls::Reload,
};

/// The queue for denials of new pods, which never blocks.
pub(super) type Tell = Box<dyn Fn(Refusal) + Send + Sync>;

/// Records one counter, one observation and one line per verdict; and, in a
/// cluster, an Event for the owner of a denied pod.
///
/// What is let through without a finding, or repaired, is a line for debugging:
/// there are many, and the API server's audit log has them too.
pub(super) fn reviews(
    metrics: Arc<Metrics>,
    tell: Option<Tell>,
) -> Arc<dyn Fn(&ReviewRecord<'_>) + Send + Sync> {
    Arc::new(move |record| {
        let ReviewRecord { webhook, operation, outcome, counts, elapsed, denied, .. } = record;
        metrics.review(webhook.as_str(), operation.as_str(), outcome.as_str(), *elapsed);
        if *webhook == Webhook::Validate {
            for ((rule, level), count) in *counts {
                metrics.findings(rule, level.as_str(), *count);
            }
        }
        if let (Some(tell), Some(denied)) = (&tell, denied) {
            tell(refusal(record.namespace, denied));
        }
        match (webhook, outcome) {
            (_, Outcome::Unreadable | Outcome::Denied) => log::<true>(record),
            (Webhook::Validate, _) if !counts.is_empty() => log::<true>(record),
            _ => log::<false>(record),
        }
    })
}

fn refusal(namespace: &str, DeniedPod { owner, why }: &DeniedPod<'_>) -> Refusal {
    let Owner { api_version, kind, name, uid } = owner;
    let owner = events::Owner {
        api_version: api_version.to_string(),
        kind: kind.to_string(),
        name: name.to_string(),
        uid: uid.to_string(),
    };
    Refusal { namespace: namespace.to_owned(), owner, why: why.clone() }
}

/// Logs names only, never a part of the object, which may hold secrets.
fn log<const LOUD: bool>(record: &ReviewRecord<'_>) {
    let ReviewRecord {
        webhook, operation, outcome, resource, namespace, name, uid, dry_run, ..
    } = *record;
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                webhook = webhook.as_str(),
                verdict = outcome.as_str(),
                operation = operation.as_str(),
                resource,
                namespace,
                name = name.unwrap_or_default(),
                uid,
                dry_run,
                rules = rules(record),
                duration_us = u64::try_from(record.elapsed.as_micros()).unwrap_or(u64::MAX),
                "reviewed"
            )
        };
    }
    if LOUD { line!(info) } else { line!(debug) }
}

fn rules(record: &ReviewRecord<'_>) -> String {
    let mut rules: Vec<_> = record.counts.keys().map(|(rule, _)| *rule).collect();
    rules.dedup();
    rules.join(",")
}

/// Counts what happens to connections.
pub(super) fn events(metrics: Arc<Metrics>) -> Arc<dyn Fn(Event) + Send + Sync> {
    Arc::new(move |event| {
        let traffic = metrics.traffic();
        match event {
            Event::Opened => traffic.opened(),
            Event::Closed => traffic.closed(),
            Event::Refused => traffic.refused(),
            Event::Replaced => traffic.replaced(),
            Event::Shed => traffic.request_shed(),
            Event::NoRoom => traffic.body_shed(),
        }
    })
}

/// Counts what happens to files of certificates.
pub(super) fn reloads(metrics: Arc<Metrics>) -> impl Fn(Reload) + Clone + Send + Sync + 'static {
    move |reload| match reload {
        Reload::Renewed { not_after } => metrics.certificate_expires(not_after),
        Reload::Clients => {}
        Reload::Failed => metrics.certificate_reload_failed(),
    }
}

/// Counts the events of the shared CA, and makes the replica ready once it presents a certificate
/// that the API server trusts.
pub(super) fn ca(
    metrics: Arc<Metrics>,
    readiness: &Readiness,
) -> impl Fn(CaEvent) + Clone + Send + Sync + 'static {
    let served = readiness.condition("certificate");
    let trusted = readiness.condition("webhook configurations that trust it");
    let near = readiness.condition("a clock like the API server's");
    move |event| match event {
        CaEvent::Leaf { not_after } => {
            metrics.certificate_expires(not_after);
            served.met();
        }
        CaEvent::Ca { not_after } => metrics.authority_expires(not_after),
        // For good: that somebody overwrote a bundle is no reason to take all replicas away.
        CaEvent::Trusted(true) => trusted.met(),
        // What was written has been logged by whoever wrote it.
        CaEvent::Trusted(false) | CaEvent::Stored(_) | CaEvent::Published => {}
        CaEvent::PutBack(configuration) => metrics.bundle_put_back(configuration),
        // Not for good: nobody knows what else is wrong where a clock is.
        CaEvent::Clock { ahead, is_near } => {
            metrics.clock_is_ahead(ahead);
            if is_near { near.met() } else { near.unmet() }
        }
        CaEvent::Failed => metrics.authority_failed(),
    }
}
