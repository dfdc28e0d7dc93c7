//! Compilations that look right, and are not.

use callgate::policy::Mode;
use serde_json::{Value, json};

use crate::tests::compiled::{
    law::{Damage, Form, Group},
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
                { "key": "tier", "operator": "NotIn", "values": ["back", ""] },
            ] })),
        ],
        "exemptions": [{
            "name": "agent", "reason": "r", "owner": "o", "rules": ["unset"],
            "match": { "containers": ["agent"] },
        }],
    })
}

/// In the condition, which all policies have.
const IN_CONDITION: &[(&str, Damage)] = &[
    ("an own profile is overwritten", |it| {
        replaced(&it, "!has(object.spec.securityContext.seccompProfile)) &&", "true) &&")
    }),
    ("has() is left out", |it| {
        let has = "!has(it.securityContext) || !has(it.securityContext.seccompProfile)) || \
            (has(object.spec.initContainers)";
        let less = "it.securityContext.seccompProfile == null) || (has(object.spec.initContainers)";
        replaced(&it, has, less)
    }),
    ("init containers are forgotten", |it| {
        replaced(&it, "has(object.spec.initContainers) &&", "false &&")
    }),
    ("Windows is forgotten", |it| replaced(&it, "!= 'windows'", "!= 'win'")),
    ("mirror pods are forgotten", |it| {
        replaced(&it, "key == 'kubernetes.io/config.mirror' || ", "")
    }),
    ("annotations are forgotten", |it| {
        replaced(&it, "key.contains('seccomp.security.alpha.kubernetes.io/')", "false")
    }),
];

/// In a policy that was compiled.
const IN_POLICIES: &[(&str, Damage)] = &[
    ("bindings are in the wrong order", |it| {
        let it = replaced(&it, "'first.json'", "'third.json'");
        replaced(&replaced(&it, "'second.json'", "'first.json'"), "'third.json'", "'second.json'")
    }),
    ("NotIn wants the label to be there", |it| {
        let tier = "!('tier' in variables.labels && variables.labels['tier'] in ['back', ''])";
        replaced(&it, tier, "!(variables.labels[?'tier'].orValue('back') in ['back', ''])")
    }),
    ("exemptions are forgotten", |it| replaced(&it, "variables.exempt ? {} : ", "")),
    ("the wrong containers are exempt", |it| {
        replaced(&it, "it.name in ['agent']", "it.name in ['log']")
    }),
];

/// In the policy of the component.
const IN_COMPONENT: &[(&str, Damage)] = &[
    ("the last binding is chosen", |it| {
        replaced(&it, "variables.applying[0]", "variables.applying[size(variables.applying) - 1]")
    }),
    ("none of some labels means not the first", |it| {
        let none = "!requirement.substring(1).split('|').exists(label, label in";
        replaced(&it, none, "!requirement.substring(1).split('|').all(label, label in")
    }),
    ("NotIn wants the label to be there", |it| {
        let none =
            "!requirement.substring(1).split('|').exists(label, label in variables.keysAndPairs)";
        let there = format!("requirement.substring(1).split('=')[0] in variables.labels && {none}");
        replaced(&it, none, &there)
    }),
    ("one requirement of several is enough", |it| {
        replaced(&it, ".split(',').all(requirement", ".split(',').exists(requirement")
    }),
    ("Exists means nothing", |it| {
        replaced(&it, "variables.labels.map(key, key) + ", "['app', 'tier'] + ")
    }),
    ("exemptions are forgotten", |it| {
        replaced(
            &it,
            "line.startsWith('exempt namespaces ') ?",
            "line.startsWith('exempt ') ? false &&",
        )
    }),
    ("the wrong containers are exempt", |it| {
        replaced(&it, "it.name in word[6]", "!(it.name in word[6]")
            .replace(".split(',')) && (word[8]", ".split(','))) && (word[8]")
    }),
    ("another policy is obeyed", |it| {
        let label = "namespaceObject.metadata.?labels[?'law.example.com/policy'].orValue( \
            params.spec.?defaultPolicy.orValue(''))";
        replaced(&it, label, "'restricted'")
    }),
];

/// The name of each mistake, and a group with that mistake.
pub(super) fn all(form: Form) -> Vec<(&'static str, Group)> {
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
    let others = if form == Form::Policies { IN_POLICIES } else { IN_COMPONENT };
    let all = IN_CONDITION.iter().chain(others);
    let mistakes = all.map(|(name, damage)| (*name, group(name, Mode::Enforce, *damage)));
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
