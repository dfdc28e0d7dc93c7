//! Compares callgate's rights in a cluster with the calls that it makes.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::kustomize;

/// A right, and the code that needs it.
struct Right {
    /// Whose it is.
    account: &'static str,
    /// In the whole cluster, or in our own namespace.
    role: &'static str,
    group: &'static str,
    resource: &'static str,
    /// The only object that it is about.
    name: Option<&'static str>,
    verb: &'static str,
    /// Only for callgate's own CA, which it does not have with cert-manager.
    for_ca: bool,
    /// Only with the component in-process.
    in_process: bool,
    /// Only with this flag.
    with: Option<&'static str>,
    because: &'static str,
}

const fn right(
    role: &'static str,
    group: &'static str,
    resource: &'static str,
    verb: &'static str,
    because: &'static str,
) -> Right {
    Right {
        account: WEBHOOK,
        role,
        group,
        resource,
        name: None,
        verb,
        for_ca: false,
        in_process: false,
        with: None,
        because,
    }
}

const fn of_agent(
    group: &'static str,
    resource: &'static str,
    verb: &'static str,
    because: &'static str,
) -> Right {
    Right { account: AGENT, ..right(CLUSTER, group, resource, verb, because) }
}

const fn of_witness(verb: &'static str, because: &'static str) -> Right {
    Right { with: Some("--witness"), ..of_agent("", "pods", verb, because) }
}

const fn of_denials(
    group: &'static str,
    resource: &'static str,
    verb: &'static str,
    because: &'static str,
) -> Right {
    Right { account: DENIALS, ..right(CLUSTER, group, resource, verb, because) }
}

const fn in_process(
    name: Option<&'static str>,
    verb: &'static str,
    because: &'static str,
) -> Right {
    let right = right(CLUSTER, "callgate.dev", "compiledpolicies", verb, because);
    Right { name, in_process: true, ..right }
}

const fn evidence(
    resource: &'static str,
    name: Option<&'static str>,
    verb: &'static str,
    because: &'static str,
) -> Right {
    let with = Some("--evidence");
    Right { name, with, ..right(CLUSTER, "callgate.dev", resource, verb, because) }
}

const fn open_report(
    name: Option<&'static str>,
    verb: &'static str,
    because: &'static str,
) -> Right {
    let with = Some("--open-reports");
    Right { name, with, ..right(CLUSTER, "openreports.io", "reports", verb, because) }
}

const fn of_ca(
    role: &'static str,
    group: &'static str,
    (resource, name): (&'static str, Option<&'static str>),
    verb: &'static str,
    because: &'static str,
) -> Right {
    Right { name, for_ca: true, ..right(role, group, resource, verb, because) }
}

const WEBHOOK: &str = "callgate";
const AGENT: &str = "callgate-agent";
const DENIALS: &str = "callgate-denials";
/// The name of every object that callgate keeps.
const OF_US: Option<&str> = Some("callgate");

const CLUSTER: &str = "ClusterRole";
const OWN: &str = "Role";
const HOOKS: &str = "admissionregistration.k8s.io";
const MUTATING: (&str, Option<&str>) = ("mutatingwebhookconfigurations", Some("callgate"));
const VALIDATING: (&str, Option<&str>) = ("validatingwebhookconfigurations", Some("callgate"));
const CA: (&str, Option<&str>) = ("secrets", Some("callgate-ca"));
const ANY_SECRET: (&str, Option<&str>) = ("secrets", None);

/// All rights that we grant. Rights that every user has, such as to read `/version`, are not among them.
#[rustfmt::skip]
const RIGHTS: &[Right] = &[
    right(CLUSTER, "", "namespaces", "get", "cluster/find.rs looks up one that no watch has reported yet"),
    right(CLUSTER, "", "namespaces", "list", "cluster/watch.rs begins with all of them"),
    right(CLUSTER, "", "namespaces", "watch", "cluster/watch.rs watches their labels"),
    right(CLUSTER, "", "nodes", "list", "cluster/watch.rs begins with all of them"),
    right(CLUSTER, "", "nodes", "watch", "cluster/watch.rs watches their labels and taints"),
    right(CLUSTER, "callgate.dev", "seccompnodes", "list", "cluster/watch.rs begins with all of them"),
    right(CLUSTER, "callgate.dev", "seccompnodes", "watch", "cluster/watch.rs watches the reports of agents"),
    right(CLUSTER, "callgate.dev", "seccomppolicies", "list", "cluster/watch.rs begins with all of them"),
    right(CLUSTER, "callgate.dev", "seccomppolicies", "watch", "cluster/watch.rs watches them"),
    right(CLUSTER, "callgate.dev", "seccompprofiles", "list", "cluster/watch.rs begins with all of them"),
    right(CLUSTER, "callgate.dev", "seccompprofiles", "watch", "cluster/watch.rs watches them"),
    right(CLUSTER, "node.k8s.io", "runtimeclasses", "list", "cluster/watch.rs begins with all of them"),
    right(CLUSTER, "node.k8s.io", "runtimeclasses", "watch", "cluster/watch.rs watches them"),
    right(CLUSTER, "events.k8s.io", "events", "create", "cluster/events writes an Event on the owner of a denied pod, in any namespace"),
    right(CLUSTER, "events.k8s.io", "events", "patch", "cluster/events updates the count instead of writing another one"),
    right(CLUSTER, "callgate.dev", "seccomppolicies/status", "patch", "cluster/conditions applies the conditions Accepted and Compiled"),
    right(CLUSTER, "callgate.dev", "seccompprofiles/status", "patch", "cluster/conditions applies the condition Accepted"),
    of_ca(CLUSTER, HOOKS, MUTATING, "get", "a replica is ready once its CA is in the caBundle"),
    of_ca(CLUSTER, HOOKS, MUTATING, "list", "a watch of one object begins with a list of it"),
    of_ca(CLUSTER, HOOKS, MUTATING, "watch", "a write of another client over the caBundle is seen at once"),
    of_ca(CLUSTER, HOOKS, MUTATING, "patch", "the caBundle is written by server-side apply"),
    of_ca(CLUSTER, HOOKS, VALIDATING, "get", "a replica is ready once its CA is in the caBundle"),
    of_ca(CLUSTER, HOOKS, VALIDATING, "list", "a watch of one object begins with a list of it"),
    of_ca(CLUSTER, HOOKS, VALIDATING, "watch", "a write of another client over the caBundle is seen at once"),
    of_ca(CLUSTER, HOOKS, VALIDATING, "patch", "the caBundle is written by server-side apply"),
    of_ca(OWN, "", CA, "get", "the CA is read before it is changed"),
    of_ca(OWN, "", CA, "list", "a watch of one object begins with a list of it"),
    of_ca(OWN, "", CA, "update", "a new CA replaces the old one, by compare-and-swap"),
    of_ca(OWN, "", CA, "delete", "an immutable one is recreated"),
    of_ca(OWN, "", CA, "watch", "a write of another replica is seen at once"),
    of_ca(OWN, "", ANY_SECRET, "create", "the first replica creates it; create cannot be restricted by name"),
    in_process(OF_US, "list", "a watch of one object begins with a list of it"),
    in_process(OF_US, "watch", "a write of another client over it is seen at once"),
    in_process(OF_US, "patch", "in_process applies what the API server is to set"),
    in_process(None, "create", "the first replica creates it; create cannot be restricted by name"),
    evidence("seccompevidences", OF_US, "get", "what is stored is read before it is added to"),
    evidence("seccompevidences", OF_US, "list", "which namespaces have one"),
    evidence("seccompevidences", None, "create", "one in each namespace; create cannot be restricted by name"),
    evidence("seccompevidences/status", OF_US, "patch", "what was found"),
    open_report(OF_US, "patch", "cluster/evidence applies the report"),
    open_report(None, "create", "the first report of a namespace; create cannot be restricted by name"),
    of_agent("callgate.dev", "seccompprofiles", "get", "a text that is not kept in memory is read when its file is written"),
    of_agent("callgate.dev", "seccompprofiles", "list", "agent/watch.rs begins with all of them"),
    of_agent("callgate.dev", "seccompprofiles", "watch", "agent/watch.rs watches them"),
    of_agent("callgate.dev", "seccompnodes", "get", "the last report is read before it is replaced"),
    of_agent("callgate.dev", "seccompnodes", "list", "a watch of one object begins with a list of it"),
    of_agent("callgate.dev", "seccompnodes", "watch", "a deleted report is written again at once"),
    of_agent("callgate.dev", "seccompnodes", "create", "the first report"),
    of_agent("callgate.dev", "seccompnodes", "patch", "a recreated node becomes its owner"),
    of_agent("callgate.dev", "seccompnodes/status", "patch", "the report"),
    of_agent("", "nodes", "get", "its labels, taints and condition are read before they are changed"),
    of_agent("", "nodes", "list", "a watch of one node begins with a list of it"),
    of_agent("", "nodes", "watch", "the files of a recreated node are reported at once"),
    of_agent("", "nodes", "patch", "labels, and the start-up taint"),
    of_agent("", "nodes/status", "patch", "the condition SeccompProfilesReady"),
    of_witness("list", "agent/witness.rs begins with all pods of the node"),
    of_witness("watch", "agent/witness.rs watches them, to name the containers of processes"),
    of_denials("callgate.dev", "seccompnodes/status", "patch", "agent/denials/report.rs applies what was denied"),
    of_denials("events.k8s.io", "events", "create", "cluster/events writes an Event on the pod of a denied call, in any namespace"),
    of_denials("events.k8s.io", "events", "patch", "cluster/events updates the count instead of writing another one"),
    of_denials("", "pods", "list", "agent/witness.rs begins with all pods of the node"),
    of_denials("", "pods", "watch", "agent/witness.rs watches them, to name the containers of processes"),
    Right { account: AGENT, ..right(OWN, "", "pods", "delete", "its own, when the seccomp directory was replaced") },
];

#[test]
fn the_rights_are_exactly_those_that_are_needed() {
    let Some(built) = kustomize::all() else { return };
    assert!(RIGHTS.iter().all(|it| !it.because.is_empty()));
    for (name, objects) in built.iter() {
        let by_itself = !objects.iter().any(|it| it.to_string().contains("--tls-cert="));
        let in_process = objects.iter().any(|it| it.to_string().contains("\"--in-process\""));
        let has_flag =
            |flag: &str| objects.iter().any(|it| it.to_string().contains(&format!("{flag:?}")));
        let runs = |name: &str| {
            objects.iter().any(|it| is(it, &["DaemonSet"]) && it["metadata"]["name"] == name)
        };
        let needed: BTreeSet<_> = RIGHTS
            .iter()
            .filter(|it| by_itself || !it.for_ca)
            .filter(|it| it.account == WEBHOOK || runs(it.account))
            .filter(|it| in_process || !it.in_process)
            .filter(|it| it.with.is_none_or(has_flag))
            .map(Right::written)
            .collect();
        let given: BTreeSet<_> = objects.iter().flat_map(given).collect();
        assert_eq!(given, needed, "{name}");
    }
}

#[test]
fn only_our_own_service_accounts_have_these_rights() {
    let Some(built) = kustomize::all() else { return };
    for (name, objects) in built.iter() {
        let roles = || objects.iter().filter(|it| is(it, &["Role", "ClusterRole"]));
        let bindings = objects.iter().filter(|it| is(it, &["RoleBinding", "ClusterRoleBinding"]));
        let mut bound = 0;
        for binding in bindings {
            bound += 1;
            let (role, subjects) = (&binding["roleRef"], &binding["subjects"]);
            let there = roles()
                .any(|it| it["kind"] == role["kind"] && it["metadata"]["name"] == role["name"]);
            assert!(there, "{name}: {role}");
            let account = role["name"].as_str().expect("a name");
            let on_nodes = account == AGENT || account == DENIALS;
            let namespace = if on_nodes { "callgate-agent" } else { "callgate-system" };
            assert_eq!(
                *subjects,
                serde_json::json!([{
                    "kind": "ServiceAccount", "name": account, "namespace": namespace,
                }])
            );
        }
        assert_eq!(bound, roles().count(), "{name}");
    }
}

impl Right {
    fn written(&self) -> String {
        let Self { account, role, group, resource, name, verb, .. } = self;
        write(account, role, group, resource, *name, verb)
    }
}

fn write(
    account: &str,
    role: &str,
    group: &str,
    resource: &str,
    name: Option<&str>,
    verb: &str,
) -> String {
    format!("{account} by {role}: {verb} {resource}.{group} {}", name.unwrap_or("*"))
}

/// Every right that a role gives, one by one.
fn given(role: &Value) -> Vec<String> {
    let mut given = Vec::new();
    if !is(role, &["Role", "ClusterRole"]) {
        return given;
    }
    let kind = role["kind"].as_str().expect("a kind");
    // A role is called as the account that it is for (`only_our_own_service_accounts_have_these_rights`).
    let account = role["metadata"]["name"].as_str().expect("a name");
    for rule in role["rules"].as_array().expect("rules") {
        assert!(rule.get("nonResourceURLs").is_none(), "{rule}");
        let names = strings(&rule["resourceNames"]);
        let names =
            if names.is_empty() { vec![None] } else { names.into_iter().map(Some).collect() };
        for group in strings(&rule["apiGroups"]) {
            for resource in strings(&rule["resources"]) {
                for verb in strings(&rule["verbs"]) {
                    let write = |it: &Option<_>| write(account, kind, group, resource, *it, verb);
                    given.extend(names.iter().map(write));
                }
            }
        }
    }
    given
}

fn strings(list: &Value) -> Vec<&str> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().map(|it| it.as_str().expect("a string")).collect()
}

fn is(object: &Value, kinds: &[&str]) -> bool {
    kinds.iter().any(|it| object["kind"] == *it)
}
