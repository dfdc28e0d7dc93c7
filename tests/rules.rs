//! Runs every case of every table against the function that decides.

use std::fs;

use callgate::policy::RULES;
use jiff::civil::{Date, date};
use support::table::{self, Case, Judging, Outcome};

/// The tables hold on any day; the last of these is a leap day.
const DAYS: [Date; 3] = [date(2026, 11, 24), date(2027, 1, 1), date(2028, 2, 29)];

#[test]
fn every_case_of_every_table_holds() {
    let mut wrong = Vec::new();
    for (rule, table) in DAYS.into_iter().flat_map(table::all) {
        for case in &table.cases {
            let actual = table.judge(case, &case.object());
            let expected = Outcome {
                denied: case.denied.clone(),
                warned: case.warned.clone(),
                patch: case.patch.clone(),
            };
            if actual != expected {
                wrong.push(format!(
                    "{rule}: {} on {}\n  expected {expected:#?}\n  actual   {actual:#?}",
                    case.name,
                    table.today()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The suite on the API server goes by the real clock: any day would pass.
#[test]
fn no_table_contains_a_fixed_date() {
    for rule in table::rules() {
        let text = fs::read_to_string(format!("tests/cases/{rule}.yaml")).expect("it is text");
        let words = text.split(|it: char| !it.is_ascii_digit() && it != '-');
        let days: Vec<_> = words.filter(|it| it.parse::<Date>().is_ok()).collect();
        assert!(days.is_empty(), "{rule}: write <today> and the like, not {days:?}");
    }
}

#[test]
fn every_table_is_about_a_rule_and_finds_something_and_nothing() {
    for (rule, table) in table::all(DAYS[0]) {
        assert!(RULES.iter().any(|it| it.id == rule), "{rule} is no rule");
        let tag = format!("[{rule}]");
        let says =
            |case: &Case| case.denied.iter().chain(&case.warned).any(|it| it.ends_with(&tag));
        assert!(table.cases.iter().any(says), "{rule}: no case finds anything");
        assert!(!table.cases.iter().all(says), "{rule}: every case finds something");
    }
}
