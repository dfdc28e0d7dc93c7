//! Runs the table of policy files, `tests/policies.yaml`.

use std::fs;

use callgate::policy::{BUILTIN, Policy};
use serde::Deserialize;

/// The lines above `spec`, for a text of which the table gives only that.
const HEAD: &str = "\
apiVersion: callgate.dev/v1alpha1
kind: SeccompPolicy
metadata: { name: shop }
spec:
";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// The whole file.
    text: Option<String>,
    /// The lines below `spec:`, which are indented by two columns.
    spec: Option<String>,
    /// The error. None: it is a valid policy.
    error: Option<String>,
}

#[test]
fn every_text_of_the_table_is_a_policy_or_an_error_with_its_place() {
    let table = fs::read_to_string("tests/policies.yaml").expect("the table is there");
    let cases: Vec<Case> = serde_saphyr::from_str(&table).expect("it is a table");
    let mut wrong = Vec::new();
    for case in &cases {
        let actual = Policy::parse(&case.text()).err().map(|it| it.to_string());
        if actual != case.error {
            let Case { name, error, .. } = case;
            wrong.push(format!("{name}\n  expected {error:?}\n  actual   {actual:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_built_in_policy_can_be_copied_under_another_name() {
    for it in BUILTIN {
        let renamed = it.yaml.replace(&format!("name: {}", it.name), "name: shop");
        assert_eq!(Policy::parse(&renamed).expect("it is a policy").name(), "shop");
    }
}

#[test]
fn a_policy_nested_too_deeply_is_an_error_and_crashes_nothing() {
    let text = format!("metadata:\n  annotations: {}", "[".repeat(100_000));
    let error = Policy::parse(&text).expect_err("it is no policy").to_string();
    assert_eq!(error, "2:271: recursion limit exceeded");
}

impl Case {
    fn text(&self) -> String {
        match (&self.text, &self.spec) {
            (Some(text), None) => text.clone(),
            (None, Some(spec)) => {
                let below = spec.lines().map(|it| format!("  {it}\n"));
                HEAD.to_owned() + &below.collect::<String>()
            }
            _ => panic!("{}: give text or spec", self.name),
        }
    }
}
