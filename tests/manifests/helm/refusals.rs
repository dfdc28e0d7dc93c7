//! Values that are refused, and what Helm says.

use support::helm;

use super::{CHART, programs, run};

/// What is set, and a part of the message of both versions.
const WRONG: &[(&str, &str)] = &[(
    r#"inProcess={"enabled":true},webhooks={"mutate":{"matchConditions":[{"name":"a","expression":"true"}]}}"#,
    "inProcess.enabled excludes conditions of webhooks.mutate",
)];

#[test]
fn wrong_values_are_refused_with_their_place_and_reason() {
    let Some(_) = programs() else { return };
    for (value, reason) in WRONG {
        for version in helm::VERSIONS {
            let words =
                ["template", "callgate", CHART, "-n", "callgate-system", "--set-json", value];
            let error = run(version, &words).expect_err(value);
            assert!(error.contains(reason), "{version}, {value}: {error}");
        }
    }
}
