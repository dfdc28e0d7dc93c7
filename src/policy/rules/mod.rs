//! Every rule, one file each, in the order findings are reported.

mod faulty_profile;
mod hollow_profile;
mod invalid_path;
mod legacy_annotation;
mod missing_profile;
mod partial_profile;
mod privileged;
mod runtime_class;
mod unconfined;
mod unknown_type;
mod unset;

use crate::{pod::Seccomp, policy::Rule, profile::ProfilePath};

/// All rules.
pub const RULES: &[Rule] = &[
    privileged::RULE,
    unset::RULE,
    unconfined::RULE,
    unknown_type::RULE,
    invalid_path::RULE,
    missing_profile::RULE,
    partial_profile::RULE,
    hollow_profile::RULE,
    faulty_profile::RULE,
    runtime_class::RULE,
    legacy_annotation::RULE,
];

/// The profile that type `Localhost` names; `None` for other types, and for a path that
/// `invalid-path` reports.
fn localhost(declared: Seccomp<'_>) -> Option<ProfilePath> {
    match declared {
        Seccomp::Localhost(path) => path?.parse().ok(),
        Seccomp::RuntimeDefault
        | Seccomp::Unconfined
        | Seccomp::Unrecognised(_)
        | Seccomp::Contradictory { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;
    use crate::policy::Level;

    #[test]
    fn ids_are_unique_kebab_case_words() {
        let mut seen = BTreeSet::new();
        for Rule { id, .. } in RULES {
            assert!(seen.insert(id), "rule {id} is registered twice");
            assert!(id.chars().all(|it| it.is_ascii_lowercase() || it == '-'), "{id}");
        }
    }

    #[test]
    fn every_rule_has_its_file_and_a_table_of_cases() {
        for Rule { id, .. } in RULES {
            let code = format!("src/policy/rules/{}.rs", id.replace('-', "_"));
            for file in [code, format!("tests/cases/{id}.yaml")] {
                assert!(fs::exists(&file).unwrap(), "rule {id} has no {file}");
            }
        }
    }

    #[test]
    fn every_page_has_its_headings() {
        for Rule { id, page, .. } in RULES {
            assert!(page.starts_with(&format!("# {id}\n")), "{id}");
            let headings: Vec<_> = page.lines().filter_map(|it| it.strip_prefix("## ")).collect();
            let expected =
                ["What it finds", "Why it matters", "Example", "How to fix", "How to turn it off"];
            assert_eq!(headings, expected, "{id}");
            let start = format!("# {id}\n\n## What it finds\n\n- Restricted fields: `");
            assert!(page.starts_with(&start) && page.contains("\n- Allowed values: "), "{id}");
        }
    }

    #[test]
    fn no_rule_is_off_by_itself() {
        for Rule { id, level, .. } in RULES {
            assert_ne!(*level, Level::Off, "{id}");
        }
    }
}
