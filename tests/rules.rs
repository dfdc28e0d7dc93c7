//! Runs every case of every table against the function that decides.

#[allow(dead_code, reason = "each test target uses its part")]
mod table;

use callgate::policy::RULES;
use table::{Case, Outcome};

#[test]
fn every_case_of_every_table_holds() {
    let mut wrong = Vec::new();
    for (rule, table) in table::all() {
        for case in &table.cases {
            let actual = table.judge(case, &case.object());
            let expected = Outcome {
                denied: case.denied.clone(),
                warned: case.warned.clone(),
                patch: case.patch.clone(),
            };
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
