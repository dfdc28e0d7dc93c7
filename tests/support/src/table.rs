//! The tables in `tests/cases/`, one for each rule: files of tests as users write them.
//!
//! They name days only in relation to the day on which they are run: `<today>`,
//! `<yesterday>`, `<a year ago>` and `<in a year>`.

use std::{collections::BTreeMap, fs, path::PathBuf};

use callgate::{
    admission::Snapshot,
    policy::{Policy, PolicyIndex},
    suite::{Around, Suite},
};
use jiff::civil::Date;
use serde_json::{Value, json};

pub use callgate::suite::{
    Answer as Outcome, Case, CaseFile, CaseMode, CaseNode, CaseTaint, Changes, Server,
    Suite as Table,
};

/// The namespace of every case.
pub const NAMESPACE: &str = "shop";

/// Every table as it is on that day, with the rule it is about.
pub fn all(today: Date) -> Vec<(String, Table)> {
    rules().into_iter().map(|rule| (rule.clone(), of(&rule, today))).collect()
}

/// The rules that have a table.
pub fn rules() -> Vec<String> {
    let mut paths: Vec<PathBuf> = fs::read_dir("tests/cases")
        .expect("there are tables")
        .map(|it| it.expect("the source tree is readable").path())
        .collect();
    paths.sort();
    let rule = |it: &PathBuf| it.file_stem().and_then(|it| it.to_str()).map(str::to_owned);
    paths.iter().map(|it| rule(it).expect("a rule's id")).collect()
}

/// The table of a rule, as it is on that day.
pub fn of(rule: &str, today: Date) -> Table {
    let text = fs::read_to_string(format!("tests/cases/{rule}.yaml")).expect("it has a table");
    read(&text, today).unwrap_or_else(|error| panic!("{rule}: {error}"))
}

fn read(text: &str, today: Date) -> Result<Table, callgate::suite::Mistake> {
    Suite::parse(text, today)?.complete(text, Around::default(), &BTreeMap::new())
}

/// What tests do with a table.
pub trait Judging {
    fn today(&self) -> Date;
    fn policy(&self, name: &str) -> Policy;
    fn snapshot(&self, case: &Case) -> Snapshot;
    /// The verdict of the function on `object`, in place of the case's own.
    fn judge(&self, case: &Case, object: &Value) -> Outcome;
}

impl Judging for Table {
    fn today(&self) -> Date {
        self.around.today
    }

    fn policy(&self, name: &str) -> Policy {
        self.policy_named(name).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn snapshot(&self, case: &Case) -> Snapshot {
        Snapshot {
            policies: PolicyIndex::of_one(self.policy(&case.policy), case.mode()).into(),
            catalog: self.catalog(case).into(),
            nodes: self.nodes(case),
            classes: self.runtime_classes(),
        }
    }

    fn judge(&self, case: &Case, object: &Value) -> Outcome {
        self.verdict_on(case, object).expect("cases can be read")
    }
}

/// What tests ask of a case.
pub trait Asked {
    /// Whether it needs objects of a cluster: nodes, profiles that agents write to
    /// them, runtime classes.
    fn is_about_a_cluster(&self, table: &Table) -> bool;
    /// Whether no API server can decide it.
    fn is_unasked(&self) -> bool;
    /// The object that a denial names.
    fn refused(&self) -> String;
    /// The review that the API server would send.
    fn review(&self) -> Value;
}

impl Asked for Case {
    fn is_about_a_cluster(&self, table: &Table) -> bool {
        let policy = table.policies.get(&self.policy).map(Value::to_string).unwrap_or_default();
        let text = self.object.to_string() + &policy;
        let names = |it: &String| text.contains(&format!("callgate/{it}.json"));
        !self.nodes.is_empty() || !table.classes.is_empty() || table.managed.keys().any(names)
    }

    fn is_unasked(&self) -> bool {
        matches!(self.server, Some(Server::Unasked(_)))
    }

    fn refused(&self) -> String {
        let is_of_images = self.old.is_some() && self.changes == Changes::Pod;
        let what = if is_of_images { "the new image of " } else { "" };
        format!("{what}{}", self.kind().noun())
    }

    fn review(&self) -> Value {
        let kind = self.kind();
        let is_of_debug = self.old.is_some() && self.changes == Changes::Debug;
        let sub_resource = if is_of_debug { "ephemeralcontainers" } else { "" };
        json!({
            "kind": "AdmissionReview",
            "apiVersion": "admission.k8s.io/v1",
            "request": {
                "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
                "kind": { "group": kind.group(), "version": "v1", "kind": self.kind },
                "resource": { "group": kind.group(), "version": "v1", "resource": kind.resource() },
                "subResource": sub_resource,
                "name": "web",
                "namespace": NAMESPACE,
                "operation": if self.old.is_some() { "UPDATE" } else { "CREATE" },
                "userInfo": { "username": "jane", "groups": [] },
                "object": self.object(),
                "oldObject": self.old(),
                "dryRun": false,
            },
        })
    }
}
