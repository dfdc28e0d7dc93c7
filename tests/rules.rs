//! Runs every case of every table against the function that decides.

#[allow(dead_code, reason = "each test target uses its part")]
mod table;

use std::collections::BTreeSet;

use callgate::{
    pod::{Container, List, Scope, Subject},
    policy::{Facts, Level, RULES, Verdict},
};
use jiff::civil::date;
use serde_json::Value;
use table::{Case, NAMESPACE, Table};

#[test]
fn every_case_of_every_table_holds() {
    let mut wrong = Vec::new();
    for (rule, table) in table::all() {
        for case in &table.cases {
            let actual = judge(&table, case);
            let expected = (case.denied.clone(), case.warned.clone(), case.patch.clone());
            if actual != expected {
                wrong.push(format!(
                    "{rule}: {}\n  expected {expected:#?}\n  actual   {actual:#?}",
                    case.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_table_is_about_a_rule_and_finds_something_and_nothing() {
    for (rule, table) in table::all() {
        assert!(RULES.iter().any(|it| it.id == rule), "{rule} is no rule");
        let tag = format!("[{rule}]");
        let says =
            |case: &Case| case.denied.iter().chain(&case.warned).any(|it| it.ends_with(&tag));
        assert!(table.cases.iter().any(says), "{rule}: no case finds anything");
        assert!(!table.cases.iter().all(says), "{rule}: every case finds something");
    }
}

type Outcome = (Vec<String>, Vec<String>, Vec<Value>);

fn judge(table: &Table, case: &Case) -> Outcome {
    let snapshot = table.snapshot(case);
    let text = case.object().to_string();
    let kind = case.kind();
    let Subject { pod, .. } = kind
        .read(&mut serde_json::Deserializer::from_str(&text))
        .expect("cases can be read")
        .expect("cases hold a pod");
    let facts = Facts {
        policy: &snapshot.policy,
        catalog: &snapshot.catalog,
        namespace: NAMESPACE,
        today: date(2026, 11, 24),
    };
    let scope = scope(case);
    let verdict = Verdict::of(kind, &pod, &scope, facts, snapshot.mode);
    let lines = |level| {
        let at = verdict.judged().iter().filter(move |it| it.level == level);
        at.map(|it| it.line(kind)).collect::<Vec<_>>()
    };
    let denied = lines(Level::Deny);
    let warned = if denied.is_empty() { verdict.warnings() } else { Vec::new() };
    let patch = verdict.patch(&pod, &scope).operations;
    let patch = patch.iter().map(|it| serde_json::to_value(it).expect("JSON")).collect();
    (denied, warned, patch)
}

fn scope(case: &Case) -> Scope {
    let Some(old) = case.old() else {
        return Scope::Whole;
    };
    let text = old.to_string();
    let old: callgate::pod::Pod<'_> = serde_json::from_str(&text).expect("cases can be read");
    let ephemeral = |it: &Container<'_>| it.list == List::Ephemeral;
    let known: BTreeSet<_> =
        old.containers().filter(ephemeral).map(|it| it.name.to_owned()).collect();
    Scope::AddedTo { known }
}
