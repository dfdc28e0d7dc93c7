//! The history for people.

use std::fmt::Write as _;

use super::{
    History,
    history::{Counts, NamespaceHistory, OwnerHistory},
};
use crate::{report::counted, scan::Grade};

const INFALLIBLE: &str = "a string takes everything";

/// The history in lines: what could not be read, then each namespace.
pub fn text(history: &History) -> String {
    let mut text = String::new();
    for it in &history.broken {
        writeln!(text, "broken: {it}").expect(INFALLIBLE);
    }
    if !history.broken.is_empty() {
        text.push('\n');
    }
    for it in &history.namespaces {
        namespace(&mut text, it);
    }
    text
}

/// The totals, in one line.
pub fn summary(history: &History) -> String {
    let it = &history.totals;
    let mut parts = vec![format!("{} skipped", it.skipped)];
    let others = [
        (it.not_stored, "rejected or dry runs"),
        (it.pod_updates, "updates of pods, which are not judged"),
        (it.broken, "broken"),
    ];
    parts
        .extend(others.iter().filter(|it| it.0 > 0).map(|(count, what)| format!("{count} {what}")));
    format!(
        "replayed {} and {} of {}: {}",
        counted(it.pods.all, "pod"),
        counted(it.templates.all, "template"),
        counted(it.lines, "line"),
        parts.join(", ")
    )
}

fn namespace(text: &mut String, it: &NamespaceHistory) {
    let NamespaceHistory { name, first, last, .. } = it;
    writeln!(text, "{name}: {}, {first} to {last}", written(&it.pods, &it.templates))
        .expect(INFALLIBLE);
    if it.without_object > 0 {
        let count = it.without_object;
        writeln!(text, "  unknown: the log does not have the objects of {count}")
            .expect(INFALLIBLE);
    }
    for it in &it.owners {
        owner(text, it);
    }
    if it.others > 0 {
        writeln!(text, "  {} of further owners are not listed", it.others).expect(INFALLIBLE);
    }
    text.push('\n');
}

fn owner(text: &mut String, it: &OwnerHistory) {
    let title = it.owner.title();
    writeln!(text, "  {title}: {}", written(&it.pods, &it.templates)).expect(INFALLIBLE);
    for it in it.findings.iter().filter(|it| it.grade > Grade::Recorded) {
        let grade = match it.grade {
            Grade::Denied => "denied",
            Grade::Unknown => "unknown",
            Grade::Warned => "warned",
            Grade::Recorded => "recorded",
        };
        let fix = it.fix.as_deref().map(|it| format!("; {it}")).unwrap_or_default();
        let colon = if it.field.is_empty() { "" } else { ": " };
        let times = counted(it.times, "time");
        writeln!(
            text,
            "    {grade} {times}: {}{colon}{}{fix} [{}] {} to {}",
            it.field, it.message, it.rule, it.first, it.last
        )
        .expect(INFALLIBLE);
    }
    if it.more > 0 {
        writeln!(text, "    and {}", counted(it.more, "further finding")).expect(INFALLIBLE);
    }
}

/// How many were written, and what would have become of them.
fn written(pods: &Counts, templates: &Counts) -> String {
    let of = |it: &Counts, noun: &str| {
        let effects = [
            (it.changed, "changed"),
            (it.warned, "warned"),
            (it.unknown, "unknown"),
            (it.denied, "denied"),
        ];
        let effects: Vec<_> = effects
            .iter()
            .filter(|it| it.0 > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let effects =
            if effects.is_empty() { String::new() } else { format!(" ({})", effects.join(", ")) };
        format!("{}{effects}", counted(it.all, noun))
    };
    let all = [(pods, "pod"), (templates, "template")];
    let all: Vec<_> = all.iter().filter(|it| it.0.all > 0).map(|(it, noun)| of(it, noun)).collect();
    all.join(" and ")
}
