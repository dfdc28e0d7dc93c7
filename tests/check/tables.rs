//! The tables of rules, through `check`: it finds what the webhook denies.

use callgate::{
    check::{Checker, Collected, World},
    pod::Kind,
    policy::{Builtin, RULES, cut},
    profile::Catalog,
    report::{Diagnostic, Severity},
};
use serde_json::Value;
use support::{
    harness::TODAY,
    table::{self, Case, Judging, Table},
};

/// Of a pod, `check` says what `/validate` denies once `/mutate` has changed it; of a template,
/// what it denies of its pods.
#[test]
fn check_finds_what_the_webhook_denies() {
    let mut wrong = Vec::new();
    let mut findings = 0;
    for (rule, table) in table::all(TODAY) {
        for case in table.cases.iter().filter(|it| it.old.is_none()) {
            let expected = denied(&table, case);
            let actual = found(&table, case);
            findings += actual.len();
            if actual != expected {
                let name = &case.name;
                wrong.push(format!("{rule}: {name}\n  webhook {expected:#?}\n  check {actual:#?}"));
            }
        }
    }
    assert!(findings > 50, "only {findings}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The lines of the denial of the pod, or of a pod that the template makes.
fn denied(table: &Table, case: &Case) -> Vec<String> {
    let kind = case.kind();
    let pointer = format!("/{}", kind.prefix().replace('.', "/"));
    let Some(pod) = case.object().pointer(pointer.trim_end_matches('/')).cloned() else {
        return Vec::new();
    };
    let case = Case { kind: "Pod".to_owned(), object: pod, ..case.clone() };
    let mut pod = case.object();
    let is_mirror = !pod["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_null();
    if !is_mirror {
        let patch = Value::from(table.judge(&case, &pod).patch);
        let patch: json_patch::Patch = serde_json::from_value(patch).expect("it is a patch");
        json_patch::patch(&mut pod, &patch).expect("it applies");
    }
    table.judge(&case, &pod).denied
}

/// What `check` would deny, in the words of a denial about a pod.
fn found(table: &Table, case: &Case) -> Vec<String> {
    let snapshot = table.snapshot(case);
    let restricted = Builtin::named("restricted").expect("it is built in").policy();
    let world = World {
        policy: Some(table.policy(&case.policy)),
        mode: case.mode(),
        fallback: restricted,
        collected: Collected::default(),
        catalog: known(&snapshot.catalog),
        nodes: snapshot.nodes.clone(),
        classes: snapshot.classes.clone(),
        namespace: table::NAMESPACE.to_owned(),
        kinds: Vec::new(),
        today: table.today(),
    };
    let checked = Checker::new(&world).check("object.json", case.object().to_string().as_bytes());
    let all = checked.iter().flat_map(|it| &it.found);
    all.filter(|it| is_denied(it)).map(|it| line(it, case.kind())).collect()
}

/// Misspelt keys are no matter of rules.
fn is_denied(found: &Diagnostic) -> bool {
    found.severity == Severity::Error && RULES.iter().any(|it| it.id == found.topic.id)
}

/// Where nothing is known of profiles, `check` does not say that one is missing.
fn known(catalog: &Catalog) -> Catalog {
    if catalog.is_empty() {
        let path = "nothing/that/any/case/names.json".parse().expect("it is a path");
        return [(path, None)].into_iter().collect();
    }
    catalog.clone()
}

fn line(found: &Diagnostic, kind: Kind) -> String {
    let Diagnostic { field, message, help, topic, .. } = found;
    let field = field.strip_prefix(kind.prefix()).unwrap_or(field);
    let help = help.join("; ").replace(&format!("set {}", kind.prefix()), "set ");
    let help = if help.is_empty() { help } else { format!("; {help}") };
    format!("{}{help} [{}]", cut(format!("{field}: {message}")), topic.id)
}
