//! Compiled policies; e2e/tests/compiled has the API server run them.

use std::collections::BTreeMap;

use rstest::rstest;
use serde_json::{Value, json};

use super::{cel::literal, *};
use crate::{
    group::{MODE_LABEL, POLICY_LABEL},
    pod::Pod,
    policy::{Builtin, Governed, Labels, PolicyIndex, Selector},
};

fn cluster() -> Cluster {
    Cluster {
        default_policy: None,
        default_mode: Mode::Enforce,
        excluded_namespaces: vec!["callgate-system".to_owned(), "kube-system".to_owned()],
    }
}

fn policy(spec: &Value) -> Policy {
    let object = json!({
        "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
        "metadata": { "name": "shop" }, "spec": spec,
    });
    Policy::parse(&object.to_string()).expect("a policy")
}

fn compiled(spec: &Value) -> Compiled {
    compile(&policy(spec), &cluster())
}

/// The expression of the profile, with the variables that it uses written before it.
fn variables(spec: &Value) -> Vec<String> {
    let objects = compiled(spec).objects;
    let variables = objects[0]["spec"]["variables"].as_array().expect("a list").iter();
    let text = |it: &Value| it.as_str().expect("a text").to_owned();
    variables.map(|it| format!("{}: {}", text(&it["name"]), text(&it["expression"]))).collect()
}

const LABELS: &str = "labels: object.metadata.?labels.orValue({})";

#[test]
fn restricted_is_compiled_to_these_objects() {
    let policy = Builtin::named("restricted").expect("it is built in").policy();
    let Compiled { objects, left } = compile(&policy, &cluster());
    let expected: Vec<Value> = serde_saphyr::from_multiple(
        "
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata:
  name: callgate-policy-restricted
  labels:
    app.kubernetes.io/name: callgate
    app.kubernetes.io/part-of: callgate
    app.kubernetes.io/component: in-process
spec:
  failurePolicy: Ignore
  reinvocationPolicy: IfNeeded
  matchConstraints:
    resourceRules:
      - apiGroups: ['']
        apiVersions: [v1]
        operations: [CREATE]
        resources: [pods]
        scope: Namespaced
  matchConditions:
    - name: mutate-would-set-one-profile-and-nothing-else
      expression: >-
        (!has(object.spec.securityContext) || !has(object.spec.securityContext.seccompProfile)) &&
        (!has(object.spec.os) || object.spec.os.name != 'windows') &&
        (!has(object.metadata.annotations) || !object.metadata.annotations.exists(key,
        key == 'kubernetes.io/config.mirror' ||
        key.contains('seccomp.security.alpha.kubernetes.io/'))) &&
        (object.spec.containers.exists(it,
        !has(it.securityContext) || !has(it.securityContext.seccompProfile)) ||
        (has(object.spec.initContainers) && object.spec.initContainers.exists(it,
        !has(it.securityContext) || !has(it.securityContext.seccompProfile))))
  variables:
    - name: profile
      expression: \"{'type': 'RuntimeDefault'}\"
  mutations:
    - patchType: JSONPatch
      jsonPatch:
        expression: >-
          size(variables.profile) == 0 ? [] :
          has(object.spec.securityContext) ?
          [JSONPatch{op: 'add', path: '/spec/securityContext/seccompProfile', value: variables.profile}] :
          [JSONPatch{op: 'add', path: '/spec/securityContext', value: {'seccompProfile': variables.profile}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata:
  name: callgate-policy-restricted
  labels:
    app.kubernetes.io/name: callgate
    app.kubernetes.io/part-of: callgate
    app.kubernetes.io/component: in-process
spec:
  policyName: callgate-policy-restricted
  matchResources:
    namespaceSelector:
      matchExpressions:
        - { key: callgate.dev/policy, operator: In, values: [restricted] }
        - { key: callgate.dev/mode, operator: NotIn, values: [warn, audit] }
        - { key: kubernetes.io/metadata.name, operator: NotIn, values: [callgate-system, kube-system] }
",
    )
    .expect("YAML");
    assert_eq!((objects, left), (expected, Vec::<String>::new()));
}

/// A policy that injects nothing, or whose findings are not fixed, changes no pod.
#[rstest]
#[case::no_profile(json!({}))]
#[case::off(json!({ "default": { "type": "RuntimeDefault" }, "rules": { "unset": "Off" } }))]
#[case::audited(json!({ "default": { "type": "RuntimeDefault" }, "rules": { "unset": "Audit" } }))]
fn a_policy_that_sets_nothing_is_compiled_to_nothing(#[case] spec: Value) {
    assert_eq!(compiled(&spec), Compiled::default());
    assert!(!sets_profiles(&policy(&spec)));
}

#[test]
fn bindings_are_tried_in_their_order_and_the_default_last() {
    let spec = json!({
        "default": { "type": "RuntimeDefault" },
        "bindings": [
            {
                "podSelector": { "matchLabels": { "app": "web", "tier": "" } },
                "profile": { "type": "Localhost", "localhostProfile": "callgate/web.json" },
            },
            {
                "podSelector": { "matchExpressions": [
                    { "key": "app", "operator": "In", "values": ["db", "it's"] },
                    { "key": "team", "operator": "NotIn", "values": ["x"] },
                    { "key": "a", "operator": "Exists" },
                    { "key": "b", "operator": "DoesNotExist" },
                ] },
                "profile": { "type": "RuntimeDefault" },
            },
        ],
    });
    let expected = "profile: \
        variables.labels[?'app'] == optional.of('web') && variables.labels[?'tier'] == optional.of('') \
        ? {'type': 'Localhost', 'localhostProfile': 'callgate/web.json'} : \
        ('app' in variables.labels && variables.labels['app'] in ['db', 'it\\'s']) && \
        !('team' in variables.labels && variables.labels['team'] in ['x']) && \
        'a' in variables.labels && !('b' in variables.labels) \
        ? {'type': 'RuntimeDefault'} : {'type': 'RuntimeDefault'}";
    assert_eq!(variables(&spec), [LABELS, expected]);
}

/// A selector without requirements selects every pod, so nothing after it counts.
#[test]
fn nothing_counts_after_a_binding_for_every_pod() {
    let spec = json!({
        "default": { "type": "Localhost", "localhostProfile": "late.json" },
        "bindings": [{ "podSelector": {}, "profile": { "type": "RuntimeDefault" } }],
    });
    assert_eq!(variables(&spec), ["profile: {'type': 'RuntimeDefault'}"]);
}

#[test]
fn pods_that_no_choice_selects_are_left() {
    let spec = json!({ "bindings": [{
        "podSelector": { "matchLabels": { "app": "web" } },
        "profile": { "type": "RuntimeDefault" },
    }] });
    let expected = "profile: variables.labels[?'app'] == optional.of('web') \
        ? {'type': 'RuntimeDefault'} : {}";
    assert_eq!(variables(&spec), [LABELS, expected]);
}

#[test]
fn pods_that_an_exemption_may_apply_to_are_left_to_the_webhook() {
    let exemption = |name: &str, rule: &str, scope: Value| json!({ "name": name, "reason": "r", "owner": "o", "rules": [rule], "match": scope });
    let spec = json!({
        "default": { "type": "RuntimeDefault" },
        "exemptions": [
            exemption("other", "privileged", json!({ "containers": ["app"] })),
            exemption("a", "unset", json!({ "namespaces": ["shop"], "serviceAccounts": ["robot"] })),
            exemption("b", "unset", json!({
                "containers": ["agent"], "images": ["r.io/*/agent@*", "exact", "*", "*:debug"],
            })),
        ],
    });
    let expected = [
        "unset: (object.spec.containers + object.spec.?initContainers.orValue([])).filter(it, \
         !has(it.securityContext) || !has(it.securityContext.seccompProfile))",
        "exemption0: request.namespace in ['shop'] && \
         object.spec.?serviceAccountName.orValue('default') in ['robot']",
        "exemption1: variables.unset.exists(it, it.name in ['agent'] && \
         ((it.?image.orValue('').startsWith('r.io/') && it.?image.orValue('').contains('/agent@')) || \
         it.?image.orValue('') == 'exact' || true || (it.?image.orValue('').endsWith(':debug'))))",
        "exempt: variables.exemption0 || variables.exemption1",
        "profile: variables.exempt ? {} : {'type': 'RuntimeDefault'}",
    ];
    assert_eq!(variables(&spec), expected);
    let left = [
        "exemption \"a\" from unset: pods that it may apply to",
        "exemption \"b\" from unset: pods that it may apply to",
    ];
    assert_eq!(compiled(&spec).left, left);
}

#[test]
fn pods_that_get_a_profile_and_a_node_affinity_are_left_to_the_webhook() {
    let localhost = |path: &str| json!({ "type": "Localhost", "localhostProfile": path });
    let web = json!({ "matchLabels": { "app": "web" } });
    let spec = json!({
        "placement": "Pin",
        "default": localhost("own.json"),
        "bindings": [{ "podSelector": web, "profile": localhost("callgate/web.json") }],
    });
    let expected = "profile: variables.labels[?'app'] == optional.of('web') ? {} : \
        {'type': 'Localhost', 'localhostProfile': 'own.json'}";
    assert_eq!(variables(&spec), [LABELS, expected]);
    let Compiled { objects, left } = compiled(&spec);
    let said = "spec.bindings[0], Localhost \"callgate/web.json\": under placement Pin its pods \
        also get a node affinity";
    assert_eq!(left, [said]);
    let conditions = objects[0]["spec"]["matchConditions"].as_array().expect("a list");
    assert_eq!(conditions[1]["name"], "no-container-has-a-localhost-profile");

    let all = json!({ "placement": "Pin", "default": localhost("callgate/web.json") });
    let Compiled { objects, left } = compiled(&all);
    let said = "spec.default, Localhost \"callgate/web.json\": under placement Pin its pods also \
        get a node affinity";
    assert_eq!((objects, left), (Vec::new(), vec![said.to_owned()]));
}

#[rstest]
#[case::plain("callgate/web.json", "'callgate/web.json'")]
#[case::quote("' || true || '", r"'\' || true || \''")]
#[case::backslash(r"a\", r"'a\\'")]
#[case::escaped_quote(r"\'", r"'\\\''")]
#[case::line("a\nb\u{7f}", r"'a\U0000000ab\U0000007f'")]
#[case::separator("\u{2028}", r"'\U00002028'")]
#[case::beyond_ascii("ä💥", "'ä💥'")]
fn a_text_of_a_policy_stays_a_text(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(literal(text), expected);
}

/// By the number of bindings that a cluster takes, and far more.
#[rstest]
#[case(256, 3)]
#[case(5000, 50)]
fn no_expression_is_too_long_or_too_deep_for_the_api_server(
    #[case] bindings: usize,
    #[case] chunks: usize,
) {
    let binding = |at: usize| {
        json!({
            "podSelector": { "matchLabels": { "app": format!("web-{at}") } },
            "profile": { "type": "Localhost", "localhostProfile": format!("callgate/{at}.json") },
        })
    };
    let spec = json!({ "bindings": (0..bindings).map(binding).collect::<Vec<_>>() });
    let variables = variables(&spec);
    assert_eq!(variables.len(), 1 + chunks);
    for it in &variables {
        assert!(it.len() < 60_000 && it.matches(" ? ").count() <= 100, "{it}");
    }
}

#[test]
fn what_is_too_long_for_the_api_server_is_left_to_the_webhook_as_a_whole() {
    let values: Vec<_> = (0..20_000).map(|it| it.to_string()).collect();
    let selector =
        json!({ "matchExpressions": [{ "key": "a", "operator": "In", "values": values }] });
    let profile = json!({ "type": "RuntimeDefault" });
    let spec = json!({
        "default": profile, "bindings": [{ "podSelector": selector, "profile": profile }],
    });
    let Compiled { objects, left } = compiled(&spec);
    let said = "all pods: spec.bindings[0] is 168976 characters long as CEL, more than 50000";
    assert_eq!((objects, left), (Vec::new(), vec![said.to_owned()]));
}

#[test]
fn every_policy_is_compiled_to_the_same_mutation() {
    let pins = json!({ "placement": "Pin", "default": { "type": "RuntimeDefault" } });
    let binds = json!({ "bindings": [{
        "podSelector": {}, "profile": { "type": "Localhost", "localhostProfile": "a.json" },
    }] });
    for spec in [pins, binds] {
        let mutations = &compiled(&spec).objects[0]["spec"]["mutations"];
        let expected =
            json!([{ "patchType": "JSONPatch", "jsonPatch": { "expression": MUTATION } }]);
        assert_eq!(*mutations, expected);
    }
}

/// Each namespace, by its labels, is selected by one binding if the policy governs it in mode
/// enforce, and else by none.
#[test]
fn bindings_select_the_namespaces_that_the_policy_governs_in_mode_enforce() {
    let defaults = [None, Some("shop"), Some("baseline")];
    let policies = [None, Some("shop"), Some("baseline"), Some("lost"), Some("")];
    let modes = [None, Some("enforce"), Some("warn"), Some("audit"), Some("loud"), Some("")];
    let text = |it: Option<&str>| it.map(str::to_owned);
    let shop = policy(&json!({ "default": { "type": "RuntimeDefault" } }));
    let mut selected = 0;
    for (default_policy, default_mode) in
        defaults.iter().flat_map(|it| Mode::ALL.map(|mode| (*it, mode)))
    {
        let index = PolicyIndex::of_cluster([shop.clone()], BTreeMap::new(), text(default_policy))
            .with_default_mode(default_mode);
        let cluster = Cluster { default_policy: text(default_policy), default_mode, ..cluster() };
        let Compiled { objects, .. } = compile(&shop, &cluster);
        let selector = |it: &Value| {
            let selector = &it["spec"]["matchResources"]["namespaceSelector"];
            serde_json::from_value::<Selector>(selector.clone()).expect("a selector")
        };
        let selectors: Vec<_> = objects[1..].iter().map(selector).collect();
        for (policy, mode) in policies.iter().flat_map(|it| modes.map(|mode| (*it, mode))) {
            let labels = [
                (POLICY_LABEL, policy),
                (MODE_LABEL, mode),
                ("kubernetes.io/metadata.name", Some("web")),
            ];
            let map: BTreeMap<_, _> =
                labels.iter().filter_map(|(key, value)| Some((*key, (*value)?))).collect();
            let namespace = json!({ "metadata": { "labels": map } }).to_string();
            let namespace: Pod<'_> = serde_json::from_str(&namespace).expect("labels");
            let count = selectors.iter().filter(|it| it.selects(&namespace)).count();
            let labels = Labels { policy: text(policy), mode: text(mode) };
            let governed = index.governing_by(&labels);
            let is_changed =
                matches!(governed, Governed::By(it, Mode::Enforce) if it.name() == "shop");
            let what = format!("{map:?} by default {default_policy:?} in mode {default_mode:?}");
            assert_eq!(count, usize::from(is_changed), "{what}");
            selected += count;
        }
    }
    assert!(selected > 20, "only {selected}");
}

/// The rules that the backstop of a policy is about.
fn of_backstop(spec: &Value) -> (Vec<&'static str>, Vec<String>) {
    let Compiled { objects, left } = backstop(&policy(spec), &cluster());
    let text = objects.first().map(Value::to_string).unwrap_or_default();
    let rules = ["privileged", "unconfined"].into_iter();
    (rules.filter(|it| text.contains(&format!("[{it}]"))).collect(), left)
}

#[rstest]
#[case::by_default(json!({}), &["privileged", "unconfined"])]
#[case::of_one_rule(json!({ "rules": { "unconfined": "Warn" } }), &["privileged"])]
#[case::of_none(json!({ "rules": { "unconfined": "Audit", "privileged": "Off" } }), &[])]
fn the_backstop_is_about_what_the_policy_denies(#[case] spec: Value, #[case] rules: &[&str]) {
    assert_eq!(of_backstop(&spec), (rules.to_vec(), Vec::new()));
}

#[test]
fn a_rule_with_exemptions_is_left_to_the_webhook() {
    let exemption = |name: &str, rules: &[&str]| {
        json!({
            "name": name, "reason": "r", "owner": "o", "rules": rules,
            "match": { "containers": ["agent"] },
        })
    };
    let spec = json!({ "exemptions": [
        exemption("cni", &["privileged"]), exemption("csi", &["unset", "privileged"]),
    ] });
    let left = "rule privileged, from which there are exemptions: \"cni\", \"csi\"";
    assert_eq!(of_backstop(&spec), (vec!["unconfined"], vec![left.to_owned()]));
}

#[test]
fn the_backstop_is_bound_to_the_same_namespaces() {
    let cluster = Cluster { default_policy: Some("shop".to_owned()), ..cluster() };
    let shop = policy(&json!({ "default": { "type": "RuntimeDefault" } }));
    let selectors = |objects: &[Value]| {
        let of = |it: &Value| it["spec"]["matchResources"]["namespaceSelector"].clone();
        objects[1..].iter().map(of).collect::<Vec<_>>()
    };
    let denying = backstop(&shop, &cluster).objects;
    assert_eq!(selectors(&denying), selectors(&compile(&shop, &cluster).objects));
    assert_eq!(denying.len(), 3);
    for it in &denying[1..] {
        assert_eq!(it["spec"]["validationActions"], json!(["Deny"]));
    }
}

#[test]
fn static_objects_have_names_that_no_object_of_the_api_has() {
    let cluster = Cluster { default_policy: Some("shop".to_owned()), ..cluster() };
    let shop = policy(&json!({ "default": { "type": "RuntimeDefault" } }));
    let objects = as_static(compile(&shop, &cluster).objects);
    let names = objects.iter().map(|it| (&it["metadata"]["name"], &it["spec"]["policyName"]));
    let policy = &json!("callgate-policy-shop.static.k8s.io");
    let default = &json!("callgate-policy-shop.default.static.k8s.io");
    assert_eq!(
        names.collect::<Vec<_>>(),
        [(policy, &Value::Null), (policy, policy), (default, policy)]
    );
}
