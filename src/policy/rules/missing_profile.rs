#![doc = include_str!("missing-profile.md")]

use crate::{
    pod::Seccomp,
    policy::{Check, Context, Finding, Fix, Hint, Level, Rule, pin::Pinning, rules::localhost},
    profile::{Defect, ProfilePath},
};

/// 1.9: the runtime reads the file only when it creates the container.
pub(super) const RULE: Rule = Rule {
    id: "missing-profile",
    level: Level::Deny,
    page: include_str!("missing-profile.md"),
    check: Check::Profile(check),
};

fn check(declared: Seccomp<'_>, context: &Context<'_>) -> Option<Finding> {
    let path = localhost(declared)?;
    let catalog = context.facts.catalog;
    let broken = match catalog.get(&path) {
        Some(Some(Defect::Broken(broken))) => Some(broken),
        _ => None,
    };
    if let Some(broken) = broken {
        let message = if broken.is_of_the_runtime() {
            format!("no container runtime can load profile {:?}: {broken}", path.as_str())
        } else {
            format!("callgate cannot judge profile {:?}: {broken}", path.as_str())
        };
        return Some(
            Finding::new(message).way_out(Hint::SimilarProfile(path, "repair or replace it")),
        );
    }
    let pinning = context.pinning(&path);
    // The scheduler waits until a node has it.
    if pinning == Some(Pinning::Done) {
        return None;
    }
    let finding = Finding::new(missing(&path, context)?);
    if pinning == Some(Pinning::Wanted) {
        return Some(finding.fix(Fix::Pin(path)));
    }
    if catalog.is_managed(&path) {
        return Some(finding.hint("callgate is delivering it to the nodes, retry in a moment"));
    }
    let otherwise = match context.landing(&path) {
        Some(landing) if landing.broken() > 0 => "repair or replace it",
        Some(landing) if landing.unknown() == 0 => "deliver it by a SeccompProfile",
        _ => "name a profile that exists",
    };
    Some(finding.way_out(Hint::SimilarProfile(path, otherwise)))
}

/// Why there is no such profile; `None` if there is one, or may be one.
pub(super) fn missing(path: &ProfilePath, context: &Context<'_>) -> Option<String> {
    let is_known = context.facts.catalog.get(path).is_some();
    let nowhere = || format!("profile {:?} does not exist", path.as_str());
    let Some(landing) = context.landing(path) else {
        return (!is_known).then(nowhere);
    };
    match (landing.having(), landing.unknown()) {
        (0, 0) => Some(landing.of_none(path.as_str())),
        // If it is in the catalog, a node that has not reported may have it.
        (0, _) => (!is_known).then(nowhere),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{
        placement::Nodes,
        pod::{Kind, Pod, Scope},
        policy::{Builtin, Facts, MOST_LINES, Mode, RuntimeClasses, Verdict},
        profile::Catalog,
    };

    /// A pod has room for tens of thousands of them.
    #[test]
    fn similar_profiles_are_searched_for_reported_findings_alone() {
        let container = |number| {
            let path = format!("apps-{number}/web.json");
            let profile = json!({ "type": "Localhost", "localhostProfile": path });
            json!({ "name": "app", "securityContext": { "seccompProfile": profile } })
        };
        let containers: Vec<_> = (0..MOST_LINES + 2).map(container).collect();
        let text = json!({ "spec": { "containers": containers } }).to_string();
        let pod: Pod<'_> = serde_json::from_str(&text).unwrap();
        let catalog: Catalog = [("web.json".parse().unwrap(), None)].into_iter().collect();
        let facts = Facts {
            policy: &Builtin::named("restricted").unwrap().policy(),
            catalog: &catalog,
            nodes: &Nodes::default(),
            classes: &RuntimeClasses::default(),
            namespace: "shop",
            today: jiff::civil::date(2026, 11, 24),
        };
        let verdict = Verdict::of(Kind::Pod, &pod, &Scope::Whole, facts, Mode::Enforce);
        let hints: Vec<_> = verdict.judged().iter().map(|it| verdict.hint(it)).collect();
        let hint = Some("did you mean \"web.json\"?".to_owned());
        assert_eq!(hints, vec![hint; MOST_LINES + 1]);
    }
}
