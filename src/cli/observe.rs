//! Logs and counts every answer.

use std::sync::Arc;

use crate::{
    admission::{DeniedPod, Outcome, Owner, RefusedPod, ReviewRecord, Webhook},
    api::EvidenceOwner,
    ca::CaEvent,
    cluster::{
        events::Denial,
        evidence::{Evidence, Refused},
    },
    pod, scan,
    server::{Event, Readiness},
    telemetry::Metrics,
    tls::Reload,
};

/// Queues the denial of a new pod for an Event, without blocking.
pub(super) type ReportDenial = Box<dyn Fn(Denial) + Send + Sync>;

/// Records each verdict: a counter, an observation, a log line and, in a cluster, an Event for the
/// owner of a denied pod, and evidence.
///
/// A review that was allowed without a finding, or repaired, is logged at debug level: there are
/// many, and the API server's audit log has them too.
pub(super) fn reviews(
    metrics: Arc<Metrics>,
    report: Option<ReportDenial>,
    evidence: Option<Evidence>,
) -> Arc<dyn Fn(&ReviewRecord<'_>) + Send + Sync> {
    Arc::new(move |record| {
        let ReviewRecord { webhook, operation, outcome, counts, elapsed, denied, .. } = record;
        metrics.review(webhook.as_str(), operation.as_str(), outcome.as_str(), *elapsed);
        if *webhook == Webhook::Validate {
            for ((rule, level), count) in *counts {
                metrics.findings(rule, level.as_str(), *count);
            }
        }
        if let (Some(report), Some(denied)) = (&report, denied) {
            report(denial(record.namespace, denied));
        }
        if let (Some(evidence), Some(it)) = (&evidence, &record.refused) {
            evidence.note(refused(record.namespace, it));
        }
        match (webhook, outcome) {
            (_, Outcome::Unreadable | Outcome::Denied) => log::<true>(record),
            (Webhook::Validate, _) if !counts.is_empty() => log::<true>(record),
            _ => log::<false>(record),
        }
    })
}

fn denial(namespace: &str, DeniedPod { owner, why }: &DeniedPod<'_>) -> Denial {
    let Owner { api_version, kind, name, uid } = owner;
    let owner = pod::Owner {
        api_version: api_version.to_string(),
        kind: kind.to_string(),
        name: name.to_string(),
        uid: uid.to_string(),
    };
    Denial { namespace: namespace.to_owned(), owner, why: why.clone(), times: 1 }
}

fn refused(namespace: &str, pod: &RefusedPod<'_>) -> Refused {
    let RefusedPod { policy, owner, findings } = pod;
    let scan::Owner { api_version, kind, name } = owner.clone();
    let findings = findings.iter().map(|it| (it.rule, it.field.to_string(), it.message.clone()));
    Refused {
        namespace: namespace.to_owned(),
        policy: (*policy).to_owned(),
        owner: EvidenceOwner { api_version, kind, name },
        findings: findings.collect(),
    }
}

/// Logs only names, and no other part of the object, since it may hold secrets.
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

/// Counts the events of connections.
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

/// Counts the reloads of certificate files.
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
        // Never unmet again: an overwritten bundle is no reason to make all replicas unready.
        CaEvent::Trusted(true) => trusted.met(),
        // These have been logged where they were written.
        CaEvent::Trusted(false) | CaEvent::Stored(_) | CaEvent::Published => {}
        CaEvent::PutBack(configuration) => metrics.bundle_put_back(configuration),
        // May become unmet again: a wrong clock may have further effects.
        CaEvent::Clock { ahead, is_near } => {
            metrics.clock_is_ahead(ahead);
            if is_near { near.met() } else { near.unmet() }
        }
        CaEvent::Failed => metrics.authority_failed(),
    }
}
