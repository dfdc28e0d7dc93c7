use std::collections::BTreeMap;

use jiff::civil::date;

use super::{Answer, Around, Case, Suite, compare};
use crate::report::Source;

fn suite(text: &str) -> Suite {
    let suite = Suite::parse(text, date(2027, 3, 1)).unwrap();
    suite.complete(text, Around::default(), &BTreeMap::new()).unwrap()
}

fn differing(denied: &[&str], actual: &[&str]) -> bool {
    let owned = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let case = Case { denied: owned(denied), ..Case::default() };
    let answer = Answer { denied: owned(actual), ..Answer::default() };
    !compare::differences(&case, answer).unwrap().is_empty()
}

#[test]
fn a_rule_stands_for_all_of_its_lines_and_for_one_at_least() {
    let lines = ["a: x [unset]", "b: x [unset]", "c: y [privileged]"];
    for expected in [
        &lines[..],
        &["unset", "privileged"],
        &["privileged", "unset"],
        &["a: x [unset]", "unset", "privileged"],
        &["unset", "c: y [privileged]"],
    ] {
        assert!(!differing(expected, &lines), "{expected:?}");
    }
    for wrong in [
        &[][..],
        &["unset"],
        &["unset", "privileged", "unconfined"],
        &["unset", "c: z [privileged]"],
        &["unset", "c: y [privileged]", "privileged"],
        &["b: x [unset]", "a: x [unset]", "c: y [privileged]"],
        &["b: x [unset]", "a: x [unset]", "privileged"],
    ] {
        assert!(differing(wrong, &lines), "{wrong:?}");
    }
    assert!(differing(&["unset"], &[]));
}

#[test]
fn days_stand_by_their_distance_from_the_day_of_the_test() {
    let text = "
policies:
  own:
    rules: { privileged: Deny }
    exemptions:
      - { name: past, reason: r, owner: o, expires: <yesterday>, rules: [privileged], match: { namespaces: [past] } }
      - { name: now, reason: r, owner: o, expires: <today>, rules: [privileged], match: { namespaces: [now] } }
cases:
  - { name: a, namespace: now, unmutated: true, object: &pod { spec: { securityContext: { seccompProfile: { type: RuntimeDefault } }, containers: [{ name: app, securityContext: { privileged: true } }] } } }
  - { name: b, namespace: past, unmutated: true, object: *pod, denied: [privileged] }
";
    for text in [text.to_owned(), format!("day: 2020-02-29{text}")] {
        let suite = suite(&text);
        let found = suite.run(&Source::new("a.test.yaml", text.as_bytes()), false);
        assert!(found.iter().all(|it| it.found.is_empty()), "{found:#?}");
    }
}

#[test]
fn the_only_policy_governs_where_no_label_names_one() {
    let text = "
policies: { own: {} }
namespaces: { shop: { callgate.dev/policy: baseline, callgate.dev/mode: audit } }
cases:
  - { name: a, object: {} }
  - { name: b, namespace: shop, object: {} }
  - { name: c, namespace: shop, policy: restricted, object: {} }
  - { name: d, namespace: shop, mode: warn, object: {} }
";
    let suite = suite(text);
    let governing: Vec<_> =
        suite.cases.iter().map(|it| (it.policy.as_str(), it.mode().as_str())).collect();
    let expected =
        [("own", "enforce"), ("baseline", "audit"), ("restricted", "audit"), ("baseline", "warn")];
    assert_eq!(governing, expected);
}
