use jiff::civil::date;
use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::{
    check::{Collected, World},
    placement::Nodes,
    policy::{Builtin, Mode, Policy, RuntimeClasses},
    profile::Catalog,
};

fn world(policy: Policy) -> World {
    World {
        policy: Some(policy),
        mode: Mode::Enforce,
        fallback: Builtin::named("restricted").unwrap().policy(),
        collected: Collected::default(),
        catalog: Catalog::default(),
        nodes: Nodes::default(),
        classes: RuntimeClasses::default(),
        namespace: "default".to_owned(),
        kinds: Vec::new(),
        today: date(2026, 11, 27),
    }
}

fn fixed(text: &str) -> Fixed {
    let world = world(Builtin::named("restricted").unwrap().policy());
    Checker::new(&world).fix(text)
}

#[rstest]
#[case::before_the_only_field_and_its_comment(
    "kind: Pod\napiVersion: v1\nspec:\n  # the app\n  containers:\n  - name: app\n",
    "kind: Pod\napiVersion: v1\nspec:\n  securityContext:\n    seccompProfile:\n      type: RuntimeDefault\n  # the app\n  containers:\n  - name: app\n"
)]
#[case::behind_a_field_of_one_line(
    "kind: Pod\napiVersion: v1\nspec:\n  containers:\n  - name: app\n  hostNetwork: true # why\n  # last\n  nodeName: a\n",
    "kind: Pod\napiVersion: v1\nspec:\n  containers:\n  - name: app\n  hostNetwork: true # why\n  securityContext:\n    seccompProfile:\n      type: RuntimeDefault\n  # last\n  nodeName: a\n"
)]
#[case::into_a_context(
    "kind: Pod\r\napiVersion: v1\r\nspec:\r\n  securityContext:\r\n    runAsUser: 1\r\n  containers: [{name: app}]\r\n",
    "kind: Pod\r\napiVersion: v1\r\nspec:\r\n  securityContext:\r\n    runAsUser: 1\r\n    seccompProfile:\r\n      type: RuntimeDefault\r\n  containers: [{name: app}]\r\n"
)]
#[case::into_flow_style(
    "{kind: Pod, apiVersion: v1, spec: { containers: [{name: app}] }}",
    "{kind: Pod, apiVersion: v1, spec: { securityContext: { seccompProfile: { type: RuntimeDefault } }, containers: [{name: app}] }}"
)]
#[case::into_json(
    "{\n  \"kind\": \"Pod\", \"apiVersion\": \"v1\",\n  \"spec\": {\n    \"containers\": []\n  },\n  \"x\": 1\n}",
    "{\n  \"kind\": \"Pod\", \"apiVersion\": \"v1\",\n  \"spec\": {\n    \"containers\": []\n  },\n  \"x\": 1\n}"
)]
#[case::into_json_with_a_container(
    "{\n  \"kind\": \"Pod\", \"apiVersion\": \"v1\",\n  \"spec\": {\n    \"containers\": [{\"name\": \"a\"}]\n  }\n}",
    "{\n  \"kind\": \"Pod\", \"apiVersion\": \"v1\",\n  \"spec\": {\n    \"securityContext\": {\"seccompProfile\": {\"type\": \"RuntimeDefault\"}},\n    \"containers\": [{\"name\": \"a\"}]\n  }\n}"
)]
#[case::an_empty_context(
    "kind: Pod\napiVersion: v1\nspec:\n  securityContext: {}\n  containers: [{name: app}]\n",
    "kind: Pod\napiVersion: v1\nspec:\n  securityContext: {seccompProfile: { type: RuntimeDefault }}\n  containers: [{name: app}]\n"
)]
#[case::a_context_without_a_value(
    "kind: Pod\napiVersion: v1\nspec:\n  securityContext:\n  containers: [{name: app}]\n",
    "kind: Pod\napiVersion: v1\nspec:\n  securityContext: { seccompProfile: { type: RuntimeDefault } }\n  containers: [{name: app}]\n"
)]
#[case::a_template_and_the_document_behind_it(
    "# a\n---\nkind: Job\napiVersion: batch/v1\nspec: {template: {spec: {containers: [{name: a}]}}}\n--- # b\nkind: ConfigMap\n",
    "# a\n---\nkind: Job\napiVersion: batch/v1\nspec: {template: {spec: {securityContext: { seccompProfile: { type: RuntimeDefault } }, containers: [{name: a}]}}}\n--- # b\nkind: ConfigMap\n"
)]
#[case::a_legacy_annotation_goes(
    "kind: Pod\napiVersion: v1\nmetadata:\n  annotations:\n    a: b\n    seccomp.security.alpha.kubernetes.io/pod: unconfined\nspec: {containers: [{name: a}]}\n",
    "kind: Pod\napiVersion: v1\nmetadata:\n  annotations:\n    a: b\nspec: {securityContext: { seccompProfile: { type: RuntimeDefault } }, containers: [{name: a}]}\n"
)]
fn is_written(#[case] before: &str, #[case] expected: &str) {
    let fixed = fixed(before);
    assert_eq!(fixed.text, expected, "{:?}", fixed.left);
    assert_eq!(fixed.left, Vec::<String>::new());
    assert_eq!(self::fixed(expected).changed, Vec::<String>::new(), "a second run changes nothing");
}

#[test]
fn what_several_pods_share_is_left_alone() {
    let text = "kind: List\nitems:\n- {kind: Pod, apiVersion: v1, metadata: {name: a}, spec: &s {containers: [{name: x}]}}\n- {kind: Pod, apiVersion: v1, metadata: {name: b}, spec: *s}\n";
    let fixed = fixed(text);
    assert_eq!(fixed.text, text);
    assert_eq!(fixed.changed, Vec::<String>::new());
    assert_eq!(fixed.left.len(), 1, "{fixed:?}");
}

/// Pods in different styles; what is written in them is what the webhook sets.
fn pods() -> impl Strategy<Value = String> {
    let context = prop_oneof![
        Just(String::new()),
        Just("  securityContext: {}\n".to_owned()),
        Just("  securityContext:\n".to_owned()),
        Just("  securityContext: ~ # none\n".to_owned()),
        Just("  securityContext:\n    # root\n    runAsUser: 0\n".to_owned()),
        Just("  securityContext: { runAsUser: 0 }\n".to_owned()),
        Just("  securityContext: {\n    \"runAsUser\": 0 }\n".to_owned()),
    ];
    let containers = prop_oneof![
        Just("  containers: [{name: a}]\n".to_owned()),
        Just("  containers:\n  - name: a\n    image: b\n".to_owned()),
        Just("  # all\n  containers:\n    - name: 'a'\n      args:\n        - |\n          x: 1\n\n".to_owned()),
        Just("  containers:\n    -\n      # c\n      securityContext: {privileged: false}\n      name: \"a\"\n".to_owned()),
    ];
    let others = prop_oneof![
        Just(String::new()),
        Just("  nodeName: x   # y\n".to_owned()),
        Just("  nodeSelector:\n    a: b\n".to_owned()),
        Just("  hostname: >-\n    folded\n    text\n".to_owned()),
    ];
    let annotations = prop_oneof![
        Just(String::new()),
        Just("  annotations: {seccomp.security.alpha.kubernetes.io/pod: unconfined}\n".to_owned()),
        Just(
            "  annotations:\n    seccomp.security.alpha.kubernetes.io/pod: unconfined # old\n"
                .to_owned()
        ),
        Just(
            "  annotations: {a: b, seccomp.security.alpha.kubernetes.io/pod: unconfined, c: d}\n"
                .to_owned()
        ),
    ];
    (context, containers, others, annotations, any::<bool>(), any::<bool>()).prop_map(
        |(context, containers, others, annotations, is_first, is_windows)| {
            let spec =
                if is_first { others + &context + &containers } else { containers + &others + &context };
            let text = format!(
                "# head\napiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n{annotations}spec:\n{spec}"
            );
            if is_windows { text.replace('\n', "\r\n") } else { text }
        },
    )
}

proptest! {
    #[test]
    fn the_file_has_what_the_webhook_sets_and_all_that_it_had(
        files in proptest::collection::vec(pods(), 1..3)
    ) {
        let text = files.join("---\n");
        let fixed = fixed(&text);
        prop_assert_eq!(&fixed.left, &Vec::<String>::new(), "{}", text);
        // What is there in addition can be taken away, and nothing is left out but annotations.
        let gone = "seccomp.security.alpha.kubernetes.io/pod";
        let mut rest = fixed.text.chars();
        let kept = text.lines().filter(|it| !it.contains(gone) && !it.contains('~'));
        for expected in kept.collect::<Vec<_>>().join("\n").chars().filter(|it| !it.is_whitespace()) {
            prop_assert!(rest.any(|it| it == expected), "{}\n{}", text, fixed.text);
        }
        let again = self::fixed(&fixed.text);
        prop_assert_eq!(&again.text, &fixed.text);
        prop_assert_eq!(again.changed, Vec::<String>::new());
    }
}
