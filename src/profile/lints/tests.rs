use std::{collections::BTreeSet, fs};

use super::*;

#[test]
fn ids_are_unique_kebab_case_words() {
    let mut seen = BTreeSet::new();
    for Lint { id, .. } in LINTS {
        assert!(seen.insert(id), "lint {id} is registered twice");
        assert!(id.chars().all(|it| it.is_ascii_lowercase() || it == '-'), "{id}");
    }
}

#[test]
fn every_lint_has_its_file_and_a_table_of_cases() {
    for Lint { id, .. } in LINTS {
        let code = format!("src/profile/lints/{}.rs", id.replace('-', "_"));
        for file in [code, format!("tests/lints/{id}.yaml")] {
            assert!(fs::exists(&file).unwrap(), "lint {id} has no {file}");
        }
    }
}

#[test]
fn every_page_belongs_to_a_lint() {
    for entry in fs::read_dir("src/profile/lints").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "md") {
            let id = path.file_stem().unwrap().to_str().unwrap();
            assert!(LINTS.iter().any(|it| it.id == id), "{id} is not registered");
        }
    }
}

#[test]
fn every_page_has_its_headings() {
    for Lint { id, page, .. } in LINTS {
        assert!(page.starts_with(&format!("# {id}\n")), "{id}");
        let headings: Vec<_> = page.lines().filter_map(|it| it.strip_prefix("## ")).collect();
        assert_eq!(headings, ["What it finds", "Why it matters", "Example", "How to fix"], "{id}");
    }
}

#[test]
fn every_page_has_an_example_that_its_lint_finds() {
    for Lint { id, page, .. } in LINTS {
        let example = page.split("\n```json\n").nth(1).expect("a page has an example");
        let (example, _) = example.split_once("\n```").expect("a page ends its example");
        // The page cannot hold as many rules as this lint needs.
        let rules = vec![r#"{"names":["read"],"action":"SCMP_ACT_ALLOW"}"#; 5_000].join(",");
        let many = example.replace("\"syscalls\": []", &format!("\"syscalls\": [{rules}]"));
        let found = lint(if *id == "too-large" { many.as_bytes() } else { example.as_bytes() });
        let ids: Vec<_> = found.iter().map(|it| it.lint.id).collect();
        assert!(ids.contains(id), "{id}: {ids:?}");
    }
}

#[test]
fn findings_come_in_the_order_of_the_text() {
    let text =
        br#"{ "sycalls": 1, "syscalls": [{ "action": "", "names": [""] }], "flags": ["X"] }"#;
    let found = lint(text);
    let starts: Vec<_> =
        found.iter().filter_map(|it| it.location.span).map(|it| it.start).collect();
    assert_eq!(starts.len(), found.len());
    assert!(starts.len() > 4 && starts.is_sorted(), "{found:#?}");
}
