//! A pod gets from a compiled policy what the patch of `/mutate` makes of it, or nothing.

use std::collections::{BTreeMap, BTreeSet};

use callgate::{
    compile::{backstop, compile},
    pod::{Effective, Kind, Pod, Seccomp},
    policy::{Builtin, Exemption, Match, Mode, Placement, Policy, Profile},
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use support::{
    e2e::api::Reply,
    harness::patched,
    table::{Asked, Case, Judging, NAMESPACE, Table},
};

use crate::{
    tests::{
        compiled::{activate, cluster, component, remove},
        every_table::{prepare, submit},
    },
    trial::Test,
};

/// A change to the text of an object.
pub(super) type Damage = fn(String) -> String;

/// A policy, and pods of a namespace that it governs.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) table: Table,
    /// The policy, of the table or built in.
    pub(super) policy: String,
    pub(super) mode: Mode,
    pub(super) cases: Vec<Case>,
    pub(super) is_largest: bool,
    /// What is done to its compiled objects.
    pub(super) damage: Damage,
}

/// How the API server is told what to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// By a policy of its own, as `callgate compile` prints it.
    Policies,
    /// By the object that the policy of the component `in-process` reads.
    Data,
    /// By a policy that denies, as `callgate compile --backstop` prints it.
    Backstop,
}

/// Why a pod may be left to the webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// For no reason.
    Plain,
    /// The same, of a policy as large as a cluster takes.
    Largest,
    Annotated,
    /// An exemption from `unset` may apply to it.
    Exempt,
    /// The policy may pin it.
    Pinned,
    /// Its namespace is in another mode than enforce.
    OtherMode,
    Template,
    /// New debug containers, or images.
    Update,
}

/// What became of the objects of a class.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// The compiled policy set what `/mutate` sets.
    pub(super) injected: usize,
    /// Neither changes anything.
    pub(super) unchanged: usize,
    /// Only `/mutate` changes something.
    pub(super) left: usize,
    /// The API server itself rejects the object.
    pub(super) refused: usize,
}

/// How many requests are made at a time.
pub(super) const AT_ONCE: usize = 8;

/// A case: its group, its number among all cases, and the object as `/mutate` patches it.
struct Trial<'a> {
    group: &'a Group,
    namespace: &'a str,
    number: usize,
    case: &'a Case,
    patched: Option<Case>,
}

/// The cases in which the law does not hold, and what became of all others.
pub(super) async fn wrong(
    it: &Test,
    groups: Vec<Group>,
    form: Form,
) -> (Vec<String>, BTreeMap<Class, Tally>) {
    let plain = it.plain_namespace().await;
    let mut objects = Vec::new();
    let mut namespaces = Vec::new();
    for group in &groups {
        let (namespace, compiled) = stage(it, group, form).await;
        namespaces.push((namespace, !compiled.is_empty()));
        objects.extend(compiled);
    }
    let (mut wrong, mut tally) = (Vec::new(), BTreeMap::<Class, Tally>::new());
    let mut trials = Vec::new();
    for (group, (namespace, is_compiled)) in groups.iter().zip(&namespaces) {
        for case in group.cases.iter().filter(|it| !it.is_unasked()) {
            if !is_compiled {
                of_no_object(group, case, &mut wrong, &mut tally);
                continue;
            }
            let number = trials.len();
            let patched = patched_by_mutate(&group.table, case);
            trials.push(Trial { group, namespace, number, case, patched });
        }
    }
    for trial in trials.iter().filter(|it| it.case.old.is_some()) {
        for namespace in [trial.namespace, &plain] {
            prepare(it, namespace, trial.number, trial.case).await;
        }
    }
    // Without a policy: as the case has it, and as patched.
    let mut outcomes = BTreeMap::new();
    let cases = trials.iter().flat_map(|it| {
        let patched = it.patched.as_ref().map(|case| (it.number, case));
        [(it.number, it.case)].into_iter().chain(patched)
    });
    let mut wanted = BTreeMap::new();
    for (number, case) in cases {
        wanted.entry(key(number, case)).or_insert((number, case));
    }
    let wanted: Vec<_> = wanted.into_iter().collect();
    for some in wanted.chunks(AT_ONCE) {
        let replies =
            join_all(some.iter().map(|(_, (number, case))| submit(it, &plain, *number, case)));
        for ((key, _), reply) in some.iter().zip(replies.await) {
            outcomes.insert(key.clone(), outcome(reply));
        }
    }
    activate(it, &objects, form).await;
    for some in trials.chunks(AT_ONCE) {
        let replies = join_all(
            some.iter().map(|trial| submit(it, trial.namespace, trial.number, trial.case)),
        );
        for (trial, reply) in some.iter().zip(replies.await) {
            let actual = outcome(reply);
            let Trial { group, number, case, patched, .. } = trial;
            let class = class(group, case);
            let tally = tally.entry(class).or_default();
            let bare = &outcomes[&key(*number, case)];
            let expected = &outcomes[&key(*number, patched.as_ref().unwrap_or(case))];
            let is_same = |it: &Result<Value, String>| match (&actual, it) {
                (Ok(actual), Ok(it)) => actual == it,
                (Err(_), Err(_)) => true,
                _ => false,
            };
            match (is_same(expected), is_same(bare), patched) {
                (true, ..) if actual.is_err() => tally.refused += 1,
                (true, _, Some(_)) => tally.injected += 1,
                (true, _, None) => tally.unchanged += 1,
                (false, true, _) if !matches!(class, Class::Plain | Class::Largest) => {
                    tally.left += 1;
                }
                _ => wrong.push(format!(
                    "{}: {}: expected {}, not {}",
                    group.name,
                    case.name,
                    shown(expected),
                    shown(&actual)
                )),
            }
        }
    }
    remove(it.api(), &objects).await;
    for namespace in namespaces.iter().map(|it| &it.0).chain([&plain]) {
        it.api().delete(&format!("/api/v1/namespaces/{namespace}")).await;
    }
    (wrong, tally)
}

/// The case with the object that the patch of `/mutate` makes; `None` if there is no patch.
pub(super) fn patched_by_mutate(table: &Table, case: &Case) -> Option<Case> {
    let text = case.object().to_string();
    let mut json = serde_json::Deserializer::from_str(&text);
    let subject = case.kind().read(&mut json).expect("cases can be read");
    // The table asks the function, which is not asked about mirror pods (S22).
    if subject.is_some_and(|it| it.pod.is_mirror()) {
        return None;
    }
    let patch = table.judge(case, &case.object()).patch;
    (!patch.is_empty()).then(|| Case { object: patched(&case.object(), &patch), ..case.clone() })
}

/// A policy that is compiled to nothing changes no pod, so no request is sent for its cases.
fn of_no_object(
    group: &Group,
    case: &Case,
    wrong: &mut Vec<String>,
    tally: &mut BTreeMap<Class, Tally>,
) {
    let class = class(group, case);
    let tally = tally.entry(class).or_default();
    if patched_by_mutate(&group.table, case).is_none() {
        tally.unchanged += 1;
    } else if matches!(class, Class::Plain | Class::Largest) {
        wrong.push(format!("{}: {}: nothing is compiled", group.name, case.name));
    } else {
        tally.left += 1;
    }
}

fn shown(outcome: &Result<Value, String>) -> String {
    outcome.as_ref().map_or_else(Clone::clone, Value::to_string)
}

/// Makes the namespace of a group, and compiles its policy for it. The labels have another prefix,
/// so that no webhook is called.
pub(super) async fn stage(it: &Test, group: &Group, form: Form) -> (String, Vec<Value>) {
    const PREFIX: &str = "law.example.com/";
    // The name of its policy is that of its namespace, which the next one made has.
    let namespace = it.world.namespace("law", &json!({})).await;
    let mode = match group.mode {
        Mode::Enforce => Value::Null,
        other => json!(other.as_str()),
    };
    let labels = json!({
        format!("{PREFIX}policy"): namespace, format!("{PREFIX}mode"): mode,
    });
    let path = format!("/api/v1/namespaces/{namespace}");
    it.api().merge(&path, &json!({ "metadata": { "labels": labels } })).await.expect_ok("labels");
    let builtin = || Builtin::named(&group.policy).map(|it| it.yaml.to_owned());
    let text = group.table.policy_file(&group.policy).or_else(builtin).expect("a policy");
    let mut manifest: Value = serde_saphyr::from_str(&text).expect("YAML");
    manifest["metadata"]["name"] = json!(namespace);
    // Exemptions may name the namespace of the cases.
    let text =
        manifest.to_string().replace(&format!("\"{NAMESPACE}\""), &format!("\"{namespace}\""));
    let policy = Policy::parse(&text).expect("a policy");
    let objects = match form {
        Form::Policies => compile(&policy, &cluster()).objects,
        Form::Data => component::of(&policy, &namespace),
        Form::Backstop => backstop(&policy, &cluster()).objects,
    };
    let damaged = |it: &Value| {
        let text = ["policy", "mode"].iter().fold(it.to_string(), |text, label| {
            text.replace(&format!("callgate.dev/{label}"), &format!("{PREFIX}{label}"))
        });
        serde_json::from_str(&(group.damage)(text)).expect("the damage leaves JSON")
    };
    (namespace, objects.iter().map(damaged).collect())
}

fn class(group: &Group, case: &Case) -> Class {
    let Group { table, policy, mode, is_largest, .. } = group;
    if case.kind() != Kind::Pod {
        return Class::Template;
    }
    if case.old.is_some() {
        return Class::Update;
    }
    let policy = table.policy(policy);
    let text = case.object().to_string();
    let pod: Pod<'_> = serde_json::from_str(&text).expect("a pod");
    if *mode != Mode::Enforce {
        Class::OtherMode
    } else if *is_largest {
        Class::Largest
    } else if pod.legacy_annotations().next().is_some() {
        Class::Annotated
    } else if policy.exemptions().iter().any(|it| may_apply(it, &pod)) {
        Class::Exempt
    } else if may_be_pinned(&policy, &pod) {
        Class::Pinned
    } else {
        Class::Plain
    }
}

/// Whether an exemption is about a container without a profile, whatever its image is.
fn may_apply(exemption: &Exemption, pod: &Pod<'_>) -> bool {
    let Match { namespaces, service_accounts, containers, images } = exemption.scope();
    let allows =
        |set: &Option<BTreeSet<String>>, it: &str| set.as_ref().is_none_or(|set| set.contains(it));
    let is_about_all = containers.is_none() && images.is_none();
    exemption.is_from("unset")
        && allows(namespaces, NAMESPACE)
        && allows(service_accounts, pod.service_account())
        && (is_about_all
            || pod
                .containers()
                .any(|it| it.effective == Effective::Unset && allows(containers, it.name)))
}

/// Whether the patch may add a node affinity.
fn may_be_pinned(policy: &Policy, pod: &Pod<'_>) -> bool {
    let is_local = |it: Seccomp<'_>| matches!(it, Seccomp::Localhost(_));
    let gets_local = matches!(
        policy.profile_for(pod),
        Some(Profile::Localhost(path)) if path.node_label().is_some()
    );
    policy.placement() == Placement::Pin
        && (gets_local
            || pod.containers().any(|it| match it.effective {
                Effective::Own(it) | Effective::Inherited(it) => is_local(it),
                Effective::Unset => false,
            }))
}

/// Cases with the same key have the same outcome without a policy.
fn key(number: usize, case: &Case) -> String {
    let number = case.old.is_some().then_some(number);
    format!("{number:?} {} {}", case.kind, case.object)
}

/// The object without what differs each time; or why it is rejected.
pub(crate) fn outcome(reply: Reply) -> Result<Value, String> {
    if !reply.is_ok() {
        return Err(format!("{} {}", reply.status, reply.message()));
    }
    let mut object = reply.body;
    let uid = object["metadata"]["uid"].as_str().map(str::to_owned);
    // The scheduler may have written it.
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for key in ["uid", "creationTimestamp", "managedFields", "namespace", "resourceVersion"] {
            metadata.remove(key);
        }
        if metadata.contains_key("generateName") {
            metadata.remove("name");
        }
    }
    // Labels of a Job name its uid.
    let text = uid.map_or_else(|| object.to_string(), |it| object.to_string().replace(&it, "uid"));
    // The volume of the service account's token has a random name.
    let mut parts = text.split("kube-api-access-");
    let mut same = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        same.push_str("kube-api-access");
        same.push_str(part.get(5..).unwrap_or_default());
    }
    Ok(serde_json::from_str(&same).expect("it was JSON"))
}
