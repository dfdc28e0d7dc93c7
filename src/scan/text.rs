//! The overview for people.

use std::fmt::Write as _;

use super::{
    DenialTotals, Grade, Overview, Safety, SeenContainer, SeenDenial, SeenTotals,
    overview::{FindingOverview, NamespaceOverview, OwnerOverview},
};
use crate::{
    denials::DeniedCall,
    report::counted,
    witness::{Extent, Place, Unfiltered},
};

const INFALLIBLE: &str = "a string takes everything";

/// The overview in lines: what was not read, then each namespace.
pub fn text(overview: &Overview) -> String {
    let mut text = String::new();
    if let Some(why) = &overview.stopped {
        writeln!(text, "incomplete: {why}\n").expect(INFALLIBLE);
    }
    for it in &overview.unread {
        writeln!(text, "not read: {}: {}", it.resource, it.why).expect(INFALLIBLE);
    }
    if let Some(it) = &overview.seen {
        seen(&mut text, it);
    }
    if let Some(it) = &overview.denials {
        denials(&mut text, it);
    }
    if !overview.unread.is_empty() || overview.seen.is_some() || overview.denials.is_some() {
        text.push('\n');
    }
    for it in &overview.namespaces {
        namespace(&mut text, it);
    }
    text
}

/// The totals, in one line.
pub fn summary(overview: &Overview) -> String {
    let it = &overview.totals;
    let (pods, workloads) = (counted(it.pods, "pod"), counted(it.workloads, "workload"));
    let namespaces = counted(it.namespaces, "namespace");
    format!(
        "scanned {pods} and {workloads} in {namespaces}: {} safe to enforce, {} not, {} unknown",
        it.safe, it.not_safe, it.unknown
    )
}

fn namespace(text: &mut String, it: &NamespaceOverview) {
    let safe = match (it.safe, it.is_enforced) {
        (Safety::Yes, true) => "enforced",
        (Safety::Yes, false) => "safe to enforce",
        (Safety::No, true) => "enforced, and not safe",
        (Safety::No, false) => "not safe to enforce",
        (Safety::Unknown, true) => "enforced, and safety unknown",
        (Safety::Unknown, false) => "unknown whether it is safe to enforce",
    };
    let reasons = it.reasons.join("; ");
    let colon = if reasons.is_empty() { "" } else { ": " };
    writeln!(text, "{}: {safe}{colon}{reasons}", it.name).expect(INFALLIBLE);
    let runs: Vec<_> =
        it.pods.runs_under.iter().map(|(it, count)| format!("{count} {it}")).collect();
    if !runs.is_empty() {
        let pods = counted(it.pods.all, "pod");
        writeln!(text, "  {pods}: {}", runs.join(", ")).expect(INFALLIBLE);
    }
    if it.pods.of_kubelets > 0 {
        let pods = counted(it.pods.of_kubelets, "static pod");
        writeln!(text, "  {pods} of kubelets, which callgate does not judge").expect(INFALLIBLE);
    }
    unfiltered(text, &it.unfiltered);
    denied(text, &it.denials);
    for it in &it.owners {
        owner(text, it);
    }
    if it.is_left_out {
        text.push_str("  the webhook configurations leave this namespace out\n");
    }
    if let Some(command) = &it.command {
        writeln!(text, "  next: {command}").expect(INFALLIBLE);
    }
    text.push('\n');
}

/// What runs on the nodes, beside what is declared.
fn seen(text: &mut String, it: &SeenTotals) {
    let nodes = counted(it.nodes, "node");
    let SeenTotals { filter, none, strict, unknown, unlisted, .. } = *it;
    let strict = if strict > 0 { format!(", {strict} in strict mode") } else { String::new() };
    let unknown = if unknown > 0 { format!(", {unknown} unknown") } else { String::new() };
    let rest = if unlisted > 0 { format!(" ({unlisted} not listed)") } else { String::new() };
    writeln!(
        text,
        "by the kernel of {nodes}: {filter} of the containers under a filter, \
         {none} without one{rest}{strict}{unknown}"
    )
    .expect(INFALLIBLE);
}

fn unfiltered(text: &mut String, all: &[SeenContainer]) {
    if all.is_empty() {
        return;
    }
    let containers = counted(all.len(), "container");
    writeln!(text, "  by the kernel, without a filter: {containers}").expect(INFALLIBLE);
    for SeenContainer { node, container } in all.iter().filter(|it| it.is_contradiction()) {
        let Unfiltered { place, processes, .. } = container;
        let Place { pod, container, declared, .. } = place;
        let some = if *processes == Extent::Some { ", some of its processes" } else { "" };
        writeln!(
            text,
            "    although {declared} is declared: pod {pod:?}, container {container:?}, \
             on node {node:?}{some}"
        )
        .expect(INFALLIBLE);
    }
}

/// What filters denied on the nodes.
fn denials(text: &mut String, it: &DenialTotals) {
    let DenialTotals { nodes, denied, logged, is_lower_bound } = *it;
    let nodes = counted(nodes, "node");
    let least = if is_lower_bound { "at least " } else { "" };
    let calls = counted(denied, "call");
    let logged = if logged > 0 { format!(", {logged} logged") } else { String::new() };
    writeln!(text, "by audit records of {nodes}: {least}{calls} denied in containers{logged}")
        .expect(INFALLIBLE);
}

fn denied(text: &mut String, all: &[SeenDenial]) {
    if all.is_empty() {
        return;
    }
    text.push_str("  by audit records:\n");
    for SeenDenial { node, call } in all {
        let DeniedCall { place: Place { pod, container, .. }, syscall, count, last, .. } = call;
        let times = counted(*count, "time");
        let (what, filter) = (if call.was_stopped() { "denied" } else { "logged" }, call.filter());
        writeln!(
            text,
            "    {syscall:?} {what} {times} by {filter}: pod {pod:?}, container {container:?}, \
             on node {node:?}, last at {last:.0}"
        )
        .expect(INFALLIBLE);
    }
}

fn owner(text: &mut String, it: &OwnerOverview) {
    let pods = counted(it.pods, "pod");
    let made_by = it.made_by.as_ref().map(|it| format!(", made by {}", it.title()));
    let title = it.owner.title();
    let is_pod = it.owner.kind == "Pod";
    let pods = if is_pod { String::new() } else { format!(", {pods}") };
    writeln!(text, "  {title}{pods}{}", made_by.unwrap_or_default()).expect(INFALLIBLE);
    if let Some(why) = &it.unreadable {
        writeln!(text, "    denied: it cannot be read: {why}").expect(INFALLIBLE);
    }
    if let Some(change) = &it.change {
        writeln!(text, "    changed: callgate would {change}").expect(INFALLIBLE);
    }
    for it in it.findings.iter().filter(|it| it.grade > Grade::Recorded) {
        finding(text, it, is_pod);
    }
    if it.more > 0 {
        writeln!(text, "    and {}", counted(it.more, "more finding")).expect(INFALLIBLE);
    }
}

fn finding(text: &mut String, it: &FindingOverview, is_pod: bool) {
    let grade = match it.grade {
        Grade::Denied => "denied",
        Grade::Unknown => "unknown",
        Grade::Warned => "warned",
        Grade::Recorded => "recorded",
    };
    let FindingOverview { field, message, rule, .. } = it;
    let fix = it.fix.as_deref().map(|it| format!("; {it}")).unwrap_or_default();
    let only = if it.in_template || is_pod {
        String::new()
    } else {
        format!(" (in {}: {})", counted(it.pods, "pod"), it.names.join(", "))
    };
    writeln!(text, "    {grade}: {field}: {message}{fix} [{rule}]{only}").expect(INFALLIBLE);
}
