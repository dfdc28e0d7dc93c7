//! What the backstop denies, the webhook denies too.

use std::collections::BTreeMap;

use callgate::{pod::Kind, policy::Mode};
use futures_util::future::join_all;
use serde_json::json;
use support::{
    e2e::{api::Reply, instance::Setup},
    harness::TODAY,
    table::{self, Asked, Case, Changes, Judging},
    wait::eventually,
};

use crate::{
    tests::{
        compiled::{
            Form, activate,
            law::{AT_ONCE, Damage, Group, patched_by_mutate, stage},
            pairs, remove,
        },
        every_table::{prepare, submit},
        on_nodes::define_classes,
    },
    trial::{Test, trials},
};

trials![
    what_the_backstop_denies_the_webhook_denies_too,
    a_backstop_that_denies_more_is_found_out,
    users_see_the_message_of_the_backstop_which_comes_first,
];

/// How many objects were denied, by the rule of the first finding; and how many were not judged.
type Tally = BTreeMap<&'static str, usize>;

/// For every case of the tables, and generated pairs; without webhooks.
async fn what_the_backstop_denies_the_webhook_denies_too(it: Test) {
    let mut groups = pairs::of_tables();
    groups.extend(pairs::generated(30, 10));
    let (wrong, tally) = wrong(&it, groups).await;
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    let at = |it: &str| tally.get(it).copied().unwrap_or_default();
    assert!(at("privileged") > 20 && at("unconfined") > 20 && at("debug") >= 4, "{tally:?}");
    assert!(at("accepted") > 300, "{tally:?}");
}

/// Verifies that the law can fail.
async fn a_backstop_that_denies_more_is_found_out(it: Test) {
    const MISTAKES: &[(&str, Damage)] = &[
        ("a profile of the node is denied", |it| it.replace("== 'Unconfined'", "== 'Localhost'")),
        ("any privileged is denied", |it| {
            it.replace("privileged.orValue(false)", "privileged.hasValue()")
        }),
        ("old debug containers are judged", |it| {
            it.replace("!(it.name in variables.known)", "true")
        }),
    ];
    let mut groups = Vec::new();
    for (name, damage) in MISTAKES {
        let all = pairs::of_tables().into_iter();
        let rules = ["privileged", "unconfined", "missing-profile"];
        let some = all.filter(|it| {
            let is_of = |rule: &&str| it.name.starts_with(&format!("{rule}, restricted "));
            it.mode == Mode::Enforce && rules.iter().any(is_of)
        });
        groups.extend(some.map(|it| Group { name: (*name).to_owned(), damage: *damage, ..it }));
    }
    let (wrong, tally) = wrong(&it, groups).await;
    for (name, _) in MISTAKES {
        let found = wrong.iter().any(|it| it.starts_with(&format!("{name}: ")));
        assert!(found, "{name} is not found out; {tally:?}\n{}", wrong.join("\n"));
    }
}

async fn wrong(it: &Test, groups: Vec<Group>) -> (Vec<String>, Tally) {
    let (mut wrong, mut tally) = (Vec::new(), Tally::new());
    let (mut staged, mut objects) = (Vec::new(), Vec::new());
    for group in &groups {
        let (namespace, compiled) = stage(it, group, Form::Backstop).await;
        if compiled.is_empty() {
            it.api().delete(&format!("/api/v1/namespaces/{namespace}")).await;
            continue;
        }
        staged.push((group, namespace));
        objects.extend(compiled);
    }
    for (_, table) in table::all(TODAY) {
        define_classes(it, &table).await;
    }
    let mut number = 0;
    let mut trials = Vec::new();
    for (group, namespace) in &staged {
        for case in group.cases.iter().filter(|it| !it.is_unasked()) {
            prepare(it, namespace, number, case).await;
            trials.push((*group, namespace, number, case));
            number += 1;
        }
    }
    activate(it, &objects, Form::Backstop).await;
    for some in trials.chunks(AT_ONCE) {
        let patched: Vec<_> =
            some.iter().map(|(group, _, _, case)| patched_by_mutate(&group.table, case)).collect();
        let cases: Vec<_> = some
            .iter()
            .zip(&patched)
            .map(|((.., case), patched)| patched.as_ref().unwrap_or(case))
            .collect();
        let replies = join_all(
            some.iter()
                .zip(&cases)
                .map(|((_, namespace, number, _), case)| submit(it, namespace, *number, case)),
        );
        for (((group, ..), case), reply) in some.iter().zip(&cases).zip(replies.await) {
            if let Err(why) = check(group, case, &reply, &mut tally) {
                wrong.push(format!("{}: {}: {why}", group.name, case.name));
            }
        }
    }
    remove(it.api(), &objects).await;
    for (_, namespace) in &staged {
        it.api().delete(&format!("/api/v1/namespaces/{namespace}")).await;
    }
    (wrong, tally)
}

fn check(group: &Group, case: &Case, reply: &Reply, tally: &mut Tally) -> Result<(), String> {
    let denied = group.table.judge(case, &case.object()).denied;
    let said = reply.message();
    let by_backstop = said.contains("ValidatingAdmissionPolicy ");
    let policy = group.table.policy(&group.policy);
    let certain: Vec<_> = denied
        .iter()
        .filter(|line| {
            ["privileged", "unconfined"].iter().any(|rule| {
                let is_exempt = policy.exemptions().iter().any(|it| it.is_from(rule));
                line.ends_with(&format!("[{rule}]")) && !is_exempt
            })
        })
        .collect();
    let is_judged =
        case.kind() == Kind::Pod && case.changes != Changes::Pod && group.mode == Mode::Enforce;
    let key = match (by_backstop, reply.is_ok()) {
        (true, _) if case.old.is_some() => "debug",
        (true, _) if certain.first().is_some_and(|it| it.ends_with("[privileged]")) => "privileged",
        (true, _) => "unconfined",
        (false, true) => "accepted",
        (false, false) => "refused",
    };
    *tally.entry(key).or_default() += 1;
    if by_backstop {
        if denied.is_empty() {
            return Err(format!("the webhook does not deny it: {said}"));
        }
        if reply.status != 403 {
            return Err(format!("{}", reply.status));
        }
        if let [line] = &certain[..]
            && !said.ends_with(line.as_str())
        {
            return Err(format!("expected {line:?} at the end, not {said}"));
        }
        return Ok(());
    }
    if is_judged && !certain.is_empty() && reply.is_ok() {
        return Err(format!("it is not denied, and the webhook says {denied:?}"));
    }
    Ok(())
}

/// The API server asks its own policies before webhooks, and the first one that denies is heard.
async fn users_see_the_message_of_the_backstop_which_comes_first(it: Test) {
    let namespace = it.plain_namespace().await;
    let setup = Setup {
        policy: "restricted".to_owned(),
        namespaces: vec![namespace.clone()],
        ..Setup::default()
    };
    let _instance = it.instance("behind-backstop", setup).await;
    let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
    let container = |name: &str| json!({ "name": name, "image": "app", "securityContext": { "privileged": true } });
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web" },
        "spec": { "containers": [container("app"), container("log")] },
    });
    let line = |at: usize, name: &str| {
        format!(
            "spec.containers[{at}] {name:?}: privileged turns seccomp off; remove it, or ask for an \
         exemption [privileged]"
        )
    };
    let message = async || it.api().post(&path, &pod).await.message().to_owned();
    let of_webhook = format!(
        "admission webhook \"validate.callgate.dev\" denied the request: policy \"restricted\" \
         denies pod \"web\" in namespace {namespace:?}:\n  {}\n  {}\n  more: callgate explain privileged",
        line(0, "app"),
        line(1, "log"),
    );
    assert_eq!(message().await, of_webhook);
    let mut objects = super::restricted(&namespace, Form::Backstop);
    activate(&it, &objects, Form::Backstop).await;
    let of_backstop = format!(
        "pods \"web\" is forbidden: ValidatingAdmissionPolicy {namespace:?} with binding \
         {namespace:?} denied request: policy \"restricted\" denies pod \"web\" in namespace \
         {namespace:?}: {}, and 1 more",
        line(0, "app")
    );
    let of_backstop = of_backstop.replace(
        &format!("{namespace:?} with binding {namespace:?}"),
        &format!("'{namespace}' with binding '{namespace}'"),
    );
    assert_eq!(message().await, of_backstop);
    objects.reverse();
    remove(it.api(), &objects).await;
    eventually("the webhook is heard again", async || {
        (message().await == of_webhook).then_some(())
    })
    .await;
}
