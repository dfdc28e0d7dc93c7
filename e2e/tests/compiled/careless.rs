//! Compilations that look right, and are not.

use callgate::policy::Mode;
use serde_json::{Value, json};

use crate::tests::compiled::{
    law::{Damage, Group},
    pairs::{pods, table_of},
};

/// A policy in which everything matters.
fn spec() -> Value {
    let binding = |path: &str, selector: Value| {
        let profile = json!({ "type": "Localhost", "localhostProfile": path });
        json!({ "podSelector": selector, "profile": profile })
    };
    json!({
        "default": { "type": "RuntimeDefault" },
        "bindings": [
            binding("first.json", json!({ "matchLabels": { "app": "web" } })),
            binding("second.json", json!({ "matchExpressions": [
                { "key": "app", "operator": "Exists" },
                { "key": "tier", "operator": "NotIn", "values": ["back"] },
            ] })),
        ],
        "exemptions": [{
            "name": "agent", "reason": "r", "owner": "o", "rules": ["unset"],
            "match": { "containers": ["agent"] },
        }],
    })
}

/// The name of each mistake, and a group with that mistake.
pub(super) fn all() -> Vec<(&'static str, Group)> {
    const MISTAKES: &[(&str, Damage)] = &[
        ("an own profile is overwritten", |it| {
            replaced(&it, "!has(object.spec.securityContext.seccompProfile)\"", "true\"")
        }),
        ("has() is left out", |it| {
            let has = "!has(it.securityContext) || !has(it.securityContext.seccompProfile))\",\"name\":\"a-";
            let less = "it.securityContext.seccompProfile == null)\",\"name\":\"a-";
            replaced(&it, has, less)
        }),
        ("init containers are forgotten", |it| {
            let all = "(object.spec.containers + object.spec.?initContainers.orValue([])).exists";
            replaced(&it, all, "object.spec.containers.exists")
        }),
        ("Windows is forgotten", |it| replaced(&it, "!= 'windows'", "!= 'win'")),
        ("mirror pods are forgotten", |it| {
            replaced(&it, "key == 'kubernetes.io/config.mirror' || ", "")
        }),
        ("annotations are forgotten", |it| {
            replaced(&it, "key.contains('seccomp.security.alpha.kubernetes.io/')", "false")
        }),
        ("bindings are in the wrong order", |it| {
            let it = replaced(&it, "'first.json'", "'third.json'");
            replaced(
                &replaced(&it, "'second.json'", "'first.json'"),
                "'third.json'",
                "'second.json'",
            )
        }),
        ("NotIn wants the label to be there", |it| {
            let tier = "!('tier' in variables.labels && variables.labels['tier'] in ['back'])";
            replaced(&it, tier, "!(variables.labels[?'tier'].orValue('back') in ['back'])")
        }),
        ("exemptions are forgotten", |it| replaced(&it, "variables.exempt ? {} : ", "")),
        ("the wrong containers are exempt", |it| {
            replaced(&it, "it.name in ['agent']", "it.name in ['log']")
        }),
    ];
    let group = |name: &str, mode: Mode, damage: Damage| Group {
        name: name.to_owned(),
        table: table_of("careless", &spec()),
        policy: "careless".to_owned(),
        mode,
        cases: {
            let mut cases = pods();
            for it in &mut cases {
                "careless".clone_into(&mut it.policy);
                if mode == Mode::Warn {
                    it.mode = Some(support::table::CaseMode::Warn);
                }
            }
            cases
        },
        is_largest: false,
        damage,
    };
    let mistakes =
        MISTAKES.iter().map(|(name, damage)| (*name, group(name, Mode::Enforce, *damage)));
    let mode = "the mode is forgotten";
    let without_mode: Damage = |it| it.replace("[\"warn\",\"audit\"]", "[\"x\"]");
    mistakes.chain([(mode, group(mode, Mode::Warn, without_mode))]).collect()
}

/// The text with the mistake, where it is the text of a policy.
fn replaced(text: &str, right: &str, wrong: &str) -> String {
    let is_policy = text.contains("\"kind\":\"MutatingAdmissionPolicy\"");
    assert!(!is_policy || text.contains(right), "{right} is not in {text}");
    text.replace(right, wrong)
}
