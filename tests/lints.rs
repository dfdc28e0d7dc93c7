//! Runs every table of profiles, `tests/lints/<lint>.yaml`, against the linter.

use std::{collections::BTreeMap, fs};

use callgate::{
    position::Position,
    profile::{
        DecodedProfile, Defect, Document, Finding, Hollow, Json, LINTS, Severity, SourceLocation,
        lint,
    },
};
use serde::Deserialize;
use support::profiles::{self, ProfileFile};

/// A profile, and the findings of the table's lint.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    text: String,
    /// `line:column path: message; hint`, and where else.
    #[serde(default)]
    found: Vec<String>,
}

fn tables() -> BTreeMap<String, Vec<Case>> {
    let files = fs::read_dir("tests/lints").expect("there are tables");
    let table = |entry: fs::DirEntry| {
        let path = entry.path();
        let id = path.file_stem().and_then(|it| it.to_str()).expect("a lint's id").to_owned();
        let text = fs::read_to_string(&path).expect("tables are text");
        let cases = serde_saphyr::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (id, cases)
    };
    files.map(|it| table(it.expect("the source tree is readable"))).collect()
}

#[test]
fn every_case_of_every_table_holds() {
    let mut wrong = Vec::new();
    for (id, cases) in tables() {
        for Case { name, text, found } in cases {
            let all = lint(text.as_bytes());
            let ours = all.iter().filter(|it| it.lint.id == id);
            let actual: Vec<_> = ours.map(|it| line(it, &text)).collect();
            if actual != found {
                wrong.push(format!("{id}: {name}\n  expected {found:#?}\n  actual   {actual:#?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_table_is_about_a_lint_and_finds_something_and_nothing() {
    for (id, cases) in tables() {
        assert!(LINTS.iter().any(|it| it.id == id), "{id} is no lint");
        assert!(cases.iter().any(|it| !it.found.is_empty()), "{id}: no case finds anything");
        assert!(cases.iter().any(|it| it.found.is_empty()), "{id}: every case finds something");
    }
}

/// An object of the API server gets the same findings as its text.
#[test]
fn a_profile_without_text_is_linted_alike() {
    for Case { name, text, .. } in tables().into_values().flatten() {
        // A repeated key exists in a text alone.
        let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) else { continue };
        let of_text = lint(value.to_string().as_bytes());
        let of_tree = DecodedProfile::of(Json::from(&value)).findings();
        assert!(of_tree.iter().all(|it| it.location.span.is_none()), "{name}");
        let words = |all: &[Finding]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(words(&of_text), words(&of_tree), "{name}");
    }
}

/// The linter is never milder than the rules for pods.
#[test]
fn the_linter_finds_every_defect_for_which_pods_are_judged() {
    for ProfileFile { name, bytes: file, .. } in profiles::cases("tests/profiles.yaml") {
        let found = lint(&file);
        let error = found.iter().any(|it| it.lint.severity == Severity::Error);
        match Document::inspect(&file) {
            None => {}
            Some(Defect::Hollow(Hollow::Permissive { .. })) => {
                assert!(found.iter().any(|it| it.lint.id == "permissive"), "{name}: {found:#?}");
            }
            Some(_) => assert!(error, "{name}: {found:#?}"),
        }
    }
}

#[test]
fn the_profiles_of_the_repository_have_no_lint_findings() {
    let lines = |file: &str| {
        let text = fs::read_to_string(file).expect("the profile is there");
        lint(text.as_bytes()).iter().map(|it| line(it, &text)).collect::<Vec<_>>()
    };
    assert_eq!(lines("profiles/block-mkdir.json"), [""; 0]);
}

fn line(finding: &Finding, text: &str) -> String {
    let position = |it: &SourceLocation| {
        let start = it.span.expect("there is a text").start;
        let Position { line, column } = Position::of(start, text.as_bytes());
        format!("{line}:{column}")
    };
    let tag = format!(" [{}]", finding.lint.id);
    let words = finding.to_string();
    let words = words.strip_suffix(&tag).expect("a finding names its lint");
    let mut line = format!("{} {words}", position(&finding.location));
    if !finding.also.is_empty() {
        let also: Vec<_> = finding.also.iter().map(position).collect();
        line = format!("{line} (also {})", also.join(", "));
    }
    line
}
