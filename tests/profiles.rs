//! Runs the table of profile files, `tests/profiles.yaml`. `e2e/oracle` compares
//! its `go` with Go.

use std::fs;

use base64::prelude::{BASE64_STANDARD, Engine};
use callgate::profile::{Defect, Document};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    text: Option<String>,
    /// The file, where it is no text.
    base64: Option<String>,
    #[serde(default)]
    sound: bool,
    hollow: Option<String>,
    broken: Option<String>,
    go: Go,
    /// Why a file that Go accepts counts as broken.
    stricter: Option<String>,
}

/// The result of Go for the file.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Go {
    Refuses,
    Disables,
    Loads,
}

fn table() -> Vec<Case> {
    let table = fs::read_to_string("tests/profiles.yaml").expect("the table is there");
    serde_saphyr::from_str(&table).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_profile_of_the_table_is_judged_as_expected() {
    let mut wrong = Vec::new();
    for case in table() {
        let expected = (case.sound, case.hollow.clone(), case.broken.clone());
        let actual = match Document::inspect(&case.bytes()) {
            None | Some(Defect::Doubtful(_)) => (true, None, None),
            Some(Defect::Hollow(why)) => (false, Some(why.to_string()), None),
            Some(Defect::Broken(why)) => (false, None, Some(why.to_string())),
        };
        if actual != expected {
            let Case { name, .. } = case;
            wrong.push(format!("{name}\n  expected {expected:?}\n  actual   {actual:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// If the two disagree, ours must be the stricter verdict.
#[test]
fn nothing_is_sound_that_go_rejects_or_disables() {
    for Case { name, hollow, broken, go, stricter, .. } in table() {
        match go {
            Go::Refuses => assert!(broken.is_some(), "{name}"),
            Go::Disables => assert!(hollow.is_some(), "{name}"),
            Go::Loads => assert!(stricter.is_none() || broken.is_some(), "{name}"),
        }
    }
}

#[test]
fn a_profile_nested_too_deeply_counts_as_broken_and_crashes_nothing() {
    let text = "[".repeat(100_000);
    let why = Document::inspect(text.as_bytes()).expect("it is broken").to_string();
    let deepest = "invalid character '[' exceeded max depth at line 1 column 10001";
    assert_eq!(why, format!("it is not JSON: {deepest}"));
}

impl Case {
    fn bytes(&self) -> Vec<u8> {
        match (&self.text, &self.base64) {
            (Some(text), None) => text.clone().into_bytes(),
            (None, Some(base64)) => BASE64_STANDARD.decode(base64).expect("it is base64"),
            _ => panic!("{}: give text or base64", self.name),
        }
    }
}
