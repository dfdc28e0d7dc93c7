//! What the object is to hold.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    compile::{data, left, with_source},
    policy::{BUILTIN, Builtin, Mode, Revision, Stored},
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
        policies.extend(
            data(&policy).map(|it| (policy.name().to_owned(), Entry { text: it.text, revision })),
        );
    }
    leave_out_what_is_too_large(&mut policies, LARGEST);
    let policies: BTreeMap<_, _> = policies.iter().map(|(name, it)| (name, it.written())).collect();
    let mut wanted = json!({ "defaultMode": default_mode.as_str(), "policies": policies });
    if let Some(it) = default_policy {
        wanted["defaultPolicy"] = json!(it);
    }
    wanted
}

/// What the object has of a policy.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    text: String,
    /// None: it is built in.
    revision: Option<Revision>,
}

impl Entry {
    fn written(&self) -> String {
        let Self { text, revision } = self;
        revision.as_ref().map_or_else(|| text.clone(), |it| with_source(text, it))
    }

    /// In the JSON of the object.
    fn size(&self) -> usize {
        json!(self.written()).to_string().len()
    }
}

/// Leaves the largest policies to the webhook, until the others fit.
fn leave_out_what_is_too_large(policies: &mut BTreeMap<String, Entry>, largest: usize) {
    let mut sizes: Vec<_> =
        policies.iter().map(|(name, it)| (it.size() + name.len(), name.clone())).collect();
    let mut total: usize = sizes.iter().map(|it| it.0).sum();
    sizes.sort();
    while total > largest
        && let Some((size, name)) = sizes.pop()
        && let Some(entry) = policies.get_mut(&name)
    {
        entry.text = left(&format!(
            "all policies together have {total} bytes, more than {largest}, and this is the largest"
        ));
        total = total - size + entry.size();
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
        let revision = Revision { uid: "0e2a44b1-5c1f".to_owned(), generation };
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
        let expected = json!({
            "defaultMode": "audit",
            "policies": {
                "restricted": "* => RuntimeDefault",
                "shop": "app=web,!tier=back,team,!old => Localhost web.json\n\
                    * => RuntimeDefault\n\
                    generation 7 of 0e2a44b1",
                "spared": "exempt namespaces * serviceAccounts * containers agent \
                    images r.io/*/a@*,exact\n\
                    pin\n\
                    * => webhook\n\
                    generation 1 of 0e2a44b1",
            },
        });
        assert_eq!(wanted(all.iter(), None, Mode::Audit), expected);
        let mut expected = expected;
        expected["defaultPolicy"] = json!("shop");
        assert_eq!(wanted(all.iter(), Some("shop"), Mode::Audit), expected);
    }

    #[test]
    fn the_largest_policies_are_left_to_the_webhook_until_all_others_fit() {
        let revision = Revision { uid: "u".to_owned(), generation: 2 };
        let of = |size: usize| Entry { text: "x".repeat(size), revision: Some(revision.clone()) };
        let mut policies: BTreeMap<_, _> = [("a", 1000), ("b", 3000), ("c", 2000)]
            .map(|(name, size)| (name.to_owned(), of(size)))
            .into();
        leave_out_what_is_too_large(&mut policies, 4000);
        assert_eq!((&policies["a"], &policies["c"]), (&of(1000), &of(2000)));
        let left = "left to the webhook: all policies together have 6066 bytes, more than 4000, and \
            this is the largest\ngeneration 2 of u";
        assert_eq!(policies["b"].written(), left);
    }
}
