#![doc = include_str!("hollow-profile.md")]

use crate::{
    pod::Seccomp,
    policy::{Check, Context, Finding, Level, Rule, landing::Landing},
    profile::{Defect, ProfilePath},
};

/// L1, L3: to whoever looks at the pod alone it seems confined.
pub(super) const RULE: Rule = Rule {
    id: "hollow-profile",
    level: Level::Deny,
    page: include_str!("hollow-profile.md"),
    check: Check::Profile(check),
};

fn check(declared: Seccomp<'_>, context: &Context<'_>) -> Option<Finding> {
    let Seccomp::Localhost(Some(path)) = declared else {
        return None;
    };
    let parsed: ProfilePath = path.parse().ok()?;
    if let Some(Some(Defect::Hollow(hollow))) = context.facts.catalog.get(&parsed) {
        return Some(Finding::new(format!("profile {path:?} filters nothing: {hollow}")));
    }
    let told = |landing: Landing<'_>, when: &str| {
        let hollow = landing.hollow();
        let on = landing.of_nodes(hollow);
        (hollow > 0)
            .then(|| Finding::new(format!("profile {path:?} filters nothing on {on}{when}")))
    };
    // Of tolerations that are added to a pod which is there already nobody tells us.
    context.landing(&parsed).and_then(|it| told(it, "")).or_else(|| {
        let landing = context.hollow_on_reachable_nodes(&parsed)?;
        told(landing, " once it is given more tolerations")
    })
}
