//! What the object is to hold.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    compile::data,
    policy::{BUILTIN, Builtin, Mode, Policy, Revision, Stored},
};

/// The `spec` of the object.
pub type Wanted = Value;

/// The largest object in bytes: etcd takes 1.5 MiB, with the metadata that the API server adds.
const LARGEST: usize = 1024 * 1024;

/// What the API server sets by the built-in policies and by those of the cluster.
///
/// `source` of a policy is the version of the object that it was read from. The defaults are those
/// of namespaces without labels.
pub fn wanted<'a>(
    stored: impl Iterator<Item = &'a Stored>,
    default_policy: Option<&str>,
    default_mode: Mode,
) -> Wanted {
    let builtin = BUILTIN.iter().map(|it| (it.policy(), None));
    let own = stored
        .filter(|it| Builtin::named(it.policy.name()).is_none())
        .map(|it| (it.policy.clone(), Some(it.revision.clone())));
    let mut policies = BTreeMap::new();
    for (policy, revision) in builtin.chain(own) {
        policies.extend(entry(&policy, revision).map(|it| (policy.name().to_owned(), it)));
    }
    leave_out_what_is_too_large(&mut policies, LARGEST);
    let mut wanted = json!({ "defaultMode": default_mode.as_str(), "policies": policies });
    if let Some(it) = default_policy {
        wanted["defaultPolicy"] = json!(it);
    }
    wanted
}

fn entry(policy: &Policy, revision: Option<Revision>) -> Option<Value> {
    let mut entry = data(policy)?;
    if let Some(Revision { uid, generation }) = revision {
        entry["source"] = json!({ "uid": uid, "generation": generation });
    }
    Some(entry)
}

/// Leaves the largest policies to the webhook, until the others fit.
fn leave_out_what_is_too_large(policies: &mut BTreeMap<String, Value>, largest: usize) {
    let mut sizes: Vec<_> = policies
        .iter()
        .map(|(name, it)| (it.to_string().len() + name.len(), name.clone()))
        .collect();
    let mut total: usize = sizes.iter().map(|it| it.0).sum();
    sizes.sort();
    while total > largest
        && let Some((size, name)) = sizes.pop()
        && let Some(entry) = policies.get_mut(&name)
    {
        let source = entry.get("source").cloned();
        *entry = json!({
            "choices": [], "exemptions": [], "pins": false,
            "left": [format!(
                "all pods: all policies together have {total} bytes, more than {largest}, \
                 and this is the largest"
            )],
        });
        if let Some(source) = source {
            entry["source"] = source;
        }
        total = total - size + entry.to_string().len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(name: &str, generation: i64, spec: &Value) -> Stored {
        let object = json!({
            "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
            "metadata": { "name": name }, "spec": spec,
        });
        let revision = Revision { uid: "u".to_owned(), generation };
        Stored { revision, ..Stored::read(&object).expect("a policy") }
    }

    #[test]
    fn built_in_policies_and_those_of_the_cluster_that_set_profiles_are_there() {
        let all = [
            stored(
                "shop",
                7,
                &json!({ "default": { "type": "RuntimeDefault" }, "bindings": [{
                "podSelector": {
                    "matchLabels": { "app": "web" },
                    "matchExpressions": [
                        { "key": "tier", "operator": "NotIn", "values": ["back"] },
                        { "key": "team", "operator": "Exists" },
                        { "key": "old", "operator": "DoesNotExist" },
                    ],
                },
                "profile": { "type": "Localhost", "localhostProfile": "web.json" },
            }] }),
            ),
            stored("nothing", 1, &json!({})),
            stored(
                "spared",
                1,
                &json!({
                    "placement": "Pin",
                    "default": { "type": "Localhost", "localhostProfile": "callgate/web.json" },
                    "exemptions": [{
                        "name": "agent", "reason": "r", "owner": "o", "rules": ["unset"],
                        "match": { "containers": ["agent"], "images": ["r.io/*/a@*", "exact"] },
                    }],
                }),
            ),
        ];
        let runtime = json!({ "requirements": [], "profile": { "type": "RuntimeDefault" } });
        let expected = json!({
            "defaultMode": "audit",
            "policies": {
                "restricted": { "choices": [runtime], "exemptions": [], "pins": false, "left": [] },
                "shop": {
                    "source": { "uid": "u", "generation": 7 },
                    "choices": [
                        {
                            "requirements": [
                                { "key": "app", "operator": "In", "values": ["web"] },
                                { "key": "tier", "operator": "NotIn", "values": ["back"] },
                                { "key": "team", "operator": "Exists" },
                                { "key": "old", "operator": "DoesNotExist" },
                            ],
                            "profile": { "type": "Localhost", "localhostProfile": "web.json" },
                        },
                        runtime,
                    ],
                    "exemptions": [], "pins": false, "left": [],
                },
                "spared": {
                    "source": { "uid": "u", "generation": 1 },
                    "choices": [{ "requirements": [] }],
                    "exemptions": [{ "containers": ["agent"], "images": [
                        { "prefix": "r.io/", "contains": ["/a@"], "suffix": "" },
                        { "prefix": "exact", "contains": [], "suffix": "exact" },
                    ] }],
                    "pins": true,
                    "left": [
                        "spec.default, Localhost \"callgate/web.json\": under placement Pin its \
                         pods also get a node affinity",
                        "exemption \"agent\" from unset: pods that it may apply to",
                    ],
                },
            },
        });
        assert_eq!(wanted(all.iter(), None, Mode::Audit), expected);
        let mut expected = expected;
        expected["defaultPolicy"] = json!("shop");
        assert_eq!(wanted(all.iter(), Some("shop"), Mode::Audit), expected);
    }

    #[test]
    fn the_largest_policies_are_left_to_the_webhook_until_all_others_fit() {
        let of = |size: usize| json!({ "choices": ["x".repeat(size)], "source": { "uid": "u" } });
        let mut policies: BTreeMap<_, _> = [("a", 1000), ("b", 3000), ("c", 2000)]
            .map(|(name, size)| (name.to_owned(), of(size)))
            .into();
        leave_out_what_is_too_large(&mut policies, 4000);
        assert_eq!((&policies["a"], &policies["c"]), (&of(1000), &of(2000)));
        let left = "all pods: all policies together have 6114 bytes, more than 4000, and this is the \
            largest";
        let expected = json!({
            "choices": [], "exemptions": [], "pins": false, "left": [left], "source": { "uid": "u" },
        });
        assert_eq!(policies["b"], expected);
    }
}
