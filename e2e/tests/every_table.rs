//! Every case of every table once more, decided by a real API server.

use std::{collections::BTreeMap, sync::Arc};

use callgate::pod::Kind;
use jiff::{
    Timestamp,
    civil::{Date, date},
    tz::TimeZone,
};
use serde_json::{Value, json};
use support::{
    e2e::{api::Reply, instance::Setup},
    harness::{format_denial, patched},
    table::{self, Asked, Case, Changes, Judging, NAMESPACE, Outcome, Server, Table},
};

use crate::{
    tests::on_nodes::Stage,
    trial::{Entry, Test},
};

/// One test for each table, and one on other days.
pub(crate) fn trials() -> Vec<Entry> {
    let own = Entry {
        name: "exemptions_end_by_the_clock_of_the_replica".to_owned(),
        run: Arc::new(|it| Box::pin(exemptions_end_by_the_clock_of_the_replica(it))),
    };
    table::rules()
        .into_iter()
        .map(|rule| Entry {
            name: format!("the_table_of_{}_holds", rule.replace('-', "_")),
            run: Arc::new(move |it| Box::pin(run(it, rule.clone()))),
        })
        .chain([own])
        .collect()
}

/// Cases that the same webhook decides.
type Group<'a> = BTreeMap<(&'a str, &'static str), Vec<(usize, &'a Case)>>;

async fn run(it: Test, rule: String) {
    loop {
        let table = table::of(&rule, today());
        let wrong = wrong(&it, &table, None).await;
        // The webhook has the clock of this machine, whose day may have ended meanwhile.
        if wrong.is_empty() || table.today() == today() {
            assert!(wrong.is_empty(), "{}", wrong.join("\n"));
            return;
        }
    }
}

/// The cases that depend on the day, on days that are years from this one.
async fn exemptions_end_by_the_clock_of_the_replica(it: Test) {
    for day in [date(2020, 2, 29), date(2035, 1, 1)] {
        let mut judged = 0;
        for rule in table::rules() {
            let mut table = table::of(&rule, day);
            let cases = std::mem::take(&mut table.cases);
            let ends = |it: &Case| {
                let policy = table.policies.get(&it.policy);
                policy.is_some_and(|it| it.to_string().contains("expires"))
            };
            let ends = |it: &Case| ends(it) && !it.is_about_a_cluster(&table);
            let cases: Vec<_> = cases.into_iter().filter(ends).collect();
            judged += cases.len();
            table.cases = cases;
            let wrong = wrong(&it, &table, Some(day)).await;
            assert!(wrong.is_empty(), "on {day}: {}", wrong.join("\n"));
        }
        assert!(judged > 10, "only {judged} cases");
    }
}

/// The message of each case that fails, with webhooks that start on that day.
async fn wrong(it: &Test, table: &Table, day: Option<Date>) -> Vec<String> {
    let (mut groups, mut on_nodes) = (Group::new(), Group::new());
    for (number, case) in table.cases.iter().enumerate() {
        let key = (case.policy.as_str(), case.mode().as_str());
        let groups = if case.is_about_a_cluster(table) { &mut on_nodes } else { &mut groups };
        groups.entry(key).or_default().push((number, case));
    }
    let mut wrong = Vec::new();
    for ((policy, mode), cases) in on_nodes {
        let stage = Stage::set(it, table, policy, mode, &cases).await;
        for (number, case) in &stage.cases {
            if let Err(why) = attempt(it, &stage.table, &stage.namespace, *number, case).await {
                wrong.push(format!("{}: {why}", case.name));
            }
        }
        stage.clear(it).await;
    }
    for ((policy, mode), cases) in groups {
        let namespace = it.plain_namespace().await;
        for (number, case) in cases.iter().filter(|(_, it)| !it.is_unasked()) {
            prepare(it, &namespace, *number, case).await;
        }
        let file = table.policy_file(policy).unwrap_or_else(|| policy.to_owned());
        let setup = Setup {
            // Exemptions may name the namespace of the cases.
            policy: file.replace(&format!("\"{NAMESPACE}\""), &format!("\"{namespace}\"")),
            mode: mode.to_owned(),
            profiles: table
                .profiles
                .iter()
                .map(|(path, text)| (path.to_string(), text.clone()))
                .collect(),
            namespaces: vec![namespace.clone()],
            day,
            ..Setup::default()
        };
        let _instance = it.instance(&format!("{policy}-{mode}"), setup).await;
        for (number, case) in cases.into_iter().filter(|(_, it)| !it.is_unasked()) {
            if let Err(why) = attempt(it, table, &namespace, number, case).await {
                wrong.push(format!("{}: {why}", case.name));
            }
        }
    }
    wrong
}

/// The day of the webhook.
fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

/// Creates the pod to which a debug container will be added, before a policy applies.
pub(super) async fn prepare(it: &Test, namespace: &str, number: usize, case: &Case) {
    let Some(old) = case.old() else { return };
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let mut bare = renamed(&old, namespace, number);
    let debug = bare["spec"].as_object_mut().and_then(|it| it.remove("ephemeralContainers"));
    let mut stored = it.api().post(&path, &bare).await.expect_ok(&case.name);
    if let Some(debug) = debug.filter(|it| !it.is_null()) {
        stored["spec"]["ephemeralContainers"] = debug;
        stored["metadata"]["resourceVersion"] = json!(null);
        let path = format!("{path}/{}/ephemeralcontainers", name(number));
        it.api().put(&path, &stored).await.expect_ok(&case.name);
    }
}

async fn attempt(
    it: &Test,
    table: &Table,
    namespace: &str,
    number: usize,
    case: &Case,
) -> Result<(), String> {
    let reply = submit(it, namespace, number, case).await;
    if let Some(Server::Refuses(fragment)) = &case.server {
        let by_itself = !reply.message().contains("denied the request");
        let says_so = !reply.is_ok() && by_itself && reply.message().contains(fragment.as_str());
        return if says_so { Ok(()) } else { Err(told(&reply)) };
    }
    let Outcome { denied, warned, .. } = expected(table, case);
    if denied.is_empty() {
        accepted(case, &warned, &reply)
    } else {
        refused(namespace, number, case, &denied, &reply)
    }
}

/// As written in the table; or, where `/mutate` changes the object, what the
/// function says of the object that the table's patch makes of it.
fn expected(table: &Table, case: &Case) -> Outcome {
    if case.patch.is_empty() {
        let (denied, warned) = (case.denied.clone(), case.warned.clone());
        return Outcome { denied, warned, patch: Vec::new() };
    }
    table.judge(case, &patched(&case.object(), &case.patch))
}

fn accepted(case: &Case, warned: &[String], reply: &Reply) -> Result<(), String> {
    if !reply.is_ok() {
        return Err(told(reply));
    }
    // The API server adds its own warnings, and /mutate reports what it removed.
    let ours = |it: &&String| it.starts_with("policy ") && !it.ends_with(", removed");
    let actual: Vec<_> = reply.warnings.iter().filter(ours).collect();
    if actual != warned.iter().collect::<Vec<_>>() {
        return Err(format!("expected the warnings {warned:?}, not {actual:?}"));
    }
    let removals = case.patch.iter().filter(|it| it["op"] == "remove").count();
    if reply.warnings.iter().filter(|it| it.ends_with(", removed")).count() != removals {
        return Err(format!("{removals} removals are not reported: {:?}", reply.warnings));
    }
    for step in &case.patch {
        let path = step["path"].as_str().unwrap_or_default();
        let stored = match path.strip_suffix("/-") {
            // One of the list, since their order is not defined.
            Some(list) => reply
                .body
                .pointer(list)
                .and_then(Value::as_array)
                .and_then(|it| it.iter().find(|it| **it == step["value"])),
            None => reply.body.pointer(path),
        };
        let holds = match step["op"].as_str() {
            Some("add") => stored == Some(&step["value"]),
            _ => stored.is_none(),
        };
        if !holds {
            return Err(format!("{step} was not applied: {stored:?}"));
        }
    }
    Ok(())
}

fn refused(
    namespace: &str,
    number: usize,
    case: &Case,
    lines: &[String],
    reply: &Reply,
) -> Result<(), String> {
    let webhook = if case.kind().is_template() { "templates" } else { "validate" };
    let name = if case.old.is_some() { name(number) } else { "web".to_owned() };
    let headline = format!(
        "admission webhook \"{webhook}.callgate.dev\" denied the request: \
         policy \"{}\" denies {} \"{name}\" in namespace \"{namespace}\":",
        case.policy,
        case.refused(),
    );
    let expected = format_denial(&headline, lines);
    if reply.message() == expected { Ok(()) } else { Err(told(reply)) }
}

pub(super) async fn submit(it: &Test, namespace: &str, number: usize, case: &Case) -> Reply {
    let api = it.api();
    if case.old.is_some() {
        let path = format!("/api/v1/namespaces/{namespace}/pods/{}", name(number));
        let mut stored = it.api().get(&path).await.expect_ok(&case.name);
        stored["metadata"]["resourceVersion"] = json!(null);
        if case.changes == Changes::Pod {
            change(&mut stored, &case.object());
            return api.put(&format!("{path}?dryRun=All"), &stored).await;
        }
        stored["spec"]["ephemeralContainers"] =
            case.object()["spec"]["ephemeralContainers"].clone();
        return api.put(&format!("{path}/ephemeralcontainers?dryRun=All"), &stored).await;
    }
    let mut object = case.object();
    object["metadata"]["namespace"] = json!(namespace);
    api.post(&format!("{}?dryRun=All", collection(case.kind(), namespace)), &object).await
}

/// Changes of a pod what an update can change of it here: its labels, and images.
fn change(stored: &mut Value, to: &Value) {
    stored["metadata"]["labels"] = to["metadata"]["labels"].clone();
    for list in ["initContainers", "containers"] {
        let images = to["spec"][list].as_array().into_iter().flatten().map(|it| &it["image"]);
        let containers = stored["spec"][list].as_array_mut().into_iter().flatten();
        for (container, image) in containers.zip(images) {
            container["image"] = image.clone();
        }
    }
}

fn collection(kind: Kind, namespace: &str) -> String {
    let root = match kind.group() {
        "" => "/api/v1".to_owned(),
        group => format!("/apis/{group}/v1"),
    };
    format!("{root}/namespaces/{namespace}/{}", kind.resource())
}

fn renamed(object: &Value, namespace: &str, number: usize) -> Value {
    let mut object = object.clone();
    object["metadata"]["name"] = json!(name(number));
    object["metadata"]["namespace"] = json!(namespace);
    object
}

fn name(number: usize) -> String {
    format!("web-{number}")
}

fn told(reply: &Reply) -> String {
    format!("{} {:?} {:?}", reply.status, reply.message(), reply.warnings)
}
