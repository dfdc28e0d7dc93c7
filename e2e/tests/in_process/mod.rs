//! The component `in-process`: the object that replicas keep.

pub(super) mod removed;
pub(super) mod rights;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use callgate::compile::source;
use futures_util::future::join_all;
use serde_json::{Value, json};
use support::{
    e2e::{
        api::Api,
        instance::{Instance, Setup},
        manifests::{manifests, path_of},
    },
    report::report,
    wait::eventually,
};

use crate::{
    tests::compiled::{component, is_served},
    trial::{Test, trials},
};

trials![
    an_edited_policy_is_obeyed_in_process_and_no_pod_gets_another_profile,
    a_namespace_without_a_label_obeys_the_default_policy_in_process,
    what_an_earlier_version_has_written_leaves_pods_to_the_webhook,
];

const POLICIES: &str = "/apis/callgate.dev/v1alpha1/seccomppolicies";
const OBJECT: &str = "/apis/callgate.dev/v1alpha1/compiledpolicies/callgate";

/// How often the policy is edited while pods are created.
const EDITS: usize = 10;

pub(super) fn seccomp_policy(name: &str, profile: &Value) -> Value {
    json!({
        "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
        "metadata": { "name": name },
        "spec": { "default": profile, "placement": "Ignore" },
    })
}

fn bare() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "generateName": "web-" },
        "spec": { "containers": [{ "name": "app", "image": "app" }] },
    })
}

/// A replica that keeps the object, and serves no reviews.
pub(super) async fn keeper(it: &Test, name: &str) -> Instance {
    let setup = Setup { flags: vec!["--in-process".to_owned()], ..Setup::default() };
    let name = format!("{name}-{}", &it.namespace[it.namespace.len() - 8..]);
    Instance::spawn(&it.world.site, &name, &setup).await
}

/// Installs the policy of the component under the name of the test, for these namespaces.
async fn install(it: &Test, namespaces: &[&str]) -> [Value; 2] {
    component::define(it).await;
    let [policy, mut binding] = component::policy(&it.namespace);
    let expressions =
        &mut binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"];
    let own =
        json!({ "key": "kubernetes.io/metadata.name", "operator": "In", "values": namespaces });
    expressions.as_array_mut().expect("a list").push(own);
    for object in [&policy, &binding] {
        it.api().apply(&path_of(object), object).await.expect_ok("the policy of the component");
    }
    [policy, binding]
}

async fn uninstall(it: &Test, objects: &[Value]) {
    for object in objects.iter().rev() {
        it.api().delete(&path_of(object)).await;
    }
}

/// Creates pods until it is stopped, and returns what became of those that got no such profile.
async fn create(
    api: Api,
    pods: String,
    profiles: [Value; 2],
    stop: Arc<AtomicBool>,
    created: Arc<AtomicUsize>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let reply = api.post(&pods, &bare()).await;
        let profile = &reply.body["spec"]["securityContext"]["seccompProfile"];
        if !reply.is_ok() || !profiles.contains(profile) {
            wrong.push(format!("{} {} {profile}", reply.status, reply.message()));
        }
        created.fetch_add(1, Ordering::Relaxed);
    }
    wrong
}

/// Two replicas keep the object while a policy is edited and pods are created in its namespace; the
/// webhook is there too. Each pod gets one of the two profiles between which the policy changes, and
/// soon after an edit all get the new one. When the policy is deleted nothing is left of it.
async fn an_edited_policy_is_obeyed_in_process_and_no_pod_gets_another_profile(it: Test) {
    if !is_served(&it).await {
        return;
    }
    let name = it.namespace.clone();
    let profiles = [
        json!({ "type": "RuntimeDefault" }),
        json!({ "type": "Localhost", "localhostProfile": "block-mkdir.json" }),
    ];
    let path = format!("{POLICIES}/{name}");
    it.api().apply(&path, &seccomp_policy(&name, &profiles[0])).await.expect_ok("the policy");
    let namespace = it.world.namespace("edited", &json!({ "callgate.dev/policy": name })).await;
    let objects = install(&it, &[&namespace]).await;
    let mut keepers = [keeper(&it, "keeper-a").await, keeper(&it, "keeper-b").await];
    let generation = async || {
        let object = it.api().get(OBJECT).await.body;
        let of_policy = object["spec"]["policies"][&name].as_str().and_then(source);
        of_policy
            .map(|it| it.1)
            .map(|it| (it, object["metadata"]["generation"].as_i64().unwrap_or_default()))
    };
    let (_, first) = eventually("the object has the policy", generation).await;

    let stop = Arc::new(AtomicBool::new(false));
    let created = Arc::new(AtomicUsize::new(0));
    let pods = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
    eventually("the webhook knows the policy", async || {
        it.api().post(&pods, &bare()).await.is_ok().then_some(())
    })
    .await;
    let writers = (0..4).map(|_| {
        let (stop, created) = (Arc::clone(&stop), Arc::clone(&created));
        tokio::spawn(create(it.api().clone(), pods.clone(), profiles.clone(), stop, created))
    });
    let writers: Vec<_> = writers.collect();
    let mut longest = Duration::ZERO;
    for edit in 1..=EDITS {
        let profile = &profiles[edit % 2];
        let edited = it.api().apply(&path, &seccomp_policy(&name, profile)).await;
        let wanted = edited.expect_ok("the edit")["metadata"]["generation"].as_i64();
        let start = Instant::now();
        eventually("the object has the edited policy", async || {
            generation().await.filter(|it| Some(it.0) == wanted)
        })
        .await;
        eventually("the new profile is set", async || {
            let pod = it.api().post(&pods, &bare()).await.expect_ok("a pod");
            (pod["spec"]["securityContext"]["seccompProfile"] == *profile).then_some(())
        })
        .await;
        longest = longest.max(start.elapsed());
    }
    stop.store(true, Ordering::Relaxed);
    let wrong: Vec<_> =
        join_all(writers).await.into_iter().flat_map(|it| it.expect("no panic")).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let created = created.load(Ordering::Relaxed);
    assert!(created > EDITS, "only {created}");
    let (_, last) = generation().await.expect("it is there");
    report(&format!(
        "{created} pods during {EDITS} edits, each obeyed within {longest:?}; {} writes",
        last - first
    ));
    // Other tests make policies too; two replicas that fought would write without end.
    assert!(last - first < 20 * i64::try_from(EDITS).expect("it is small"), "{first} {last}");

    // The API server has set the profile, else the webhook would have been called for it.
    let asked = || {
        let log = fs::read_to_string(it.world.webhook.log()).expect("a log");
        log.lines().filter(|it| it.contains(&namespace)).count()
    };
    eventually("the webhook is not called", async || {
        let before = asked();
        let pod = it.api().post(&pods, &bare()).await.expect_ok("a pod");
        let is_set = pod["spec"]["securityContext"]["seccompProfile"] == profiles[0];
        // For this one /validate is called.
        let mut other = bare();
        other["spec"]["securityContext"] = json!({ "seccompProfile": { "type": "Unconfined" } });
        it.api().post(&pods, &other).await;
        // The line of a review may be written after its answer, and in the order of the reviews.
        eventually("the review of the other pod is logged", async || {
            (asked() > before).then_some(())
        })
        .await;
        (is_set && asked() == before + 1).then_some(())
    })
    .await;

    // A policy that is deleted while no replica runs.
    for keeper in &mut keepers {
        keeper.kill();
    }
    let label = json!({ "metadata": { "labels": { "callgate.dev/policy": null } } });
    let path_of_namespace = format!("/api/v1/namespaces/{namespace}");
    it.api().merge(&path_of_namespace, &label).await.expect_ok("the label");
    it.api().delete(&path).await.expect_ok("the policy");
    let _keeper = keeper(&it, "keeper-c").await;
    eventually("nothing is left of the policy", async || {
        let object = it.api().get(OBJECT).await.body;
        let policies = object["spec"]["policies"].as_object()?;
        (policies.contains_key("restricted") && !policies.contains_key(&name)).then_some(())
    })
    .await;
    uninstall(&it, &objects).await;
}

/// With the component `everywhere`. The webhook of the suite is called only for namespaces with the
/// label.
async fn a_namespace_without_a_label_obeys_the_default_policy_in_process(it: Test) {
    if !is_served(&it).await {
        return;
    }
    component::define(&it).await;
    let [unlabelled, labelled] = [
        it.plain_namespace().await,
        it.world.namespace("named", &json!({ "callgate.dev/policy": "restricted" })).await,
    ];
    let name = it.namespace.clone();
    let localhost = json!({ "type": "Localhost", "localhostProfile": "block-mkdir.json" });
    let default = json!({ "type": "RuntimeDefault" });
    let object = json!({
        "apiVersion": "callgate.dev/v1alpha1", "kind": "CompiledPolicies",
        "metadata": { "name": name },
        "spec": {
            "defaultMode": "enforce", "defaultPolicy": "other",
            "policies": {
                "other": "* => Localhost block-mkdir.json", "restricted": "* => RuntimeDefault",
            },
        },
    });
    let [policy, mut binding] = component::policy(&name);
    binding["spec"]["paramRef"]["name"] = json!(name);
    let expressions =
        &mut binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"];
    let expressions = expressions.as_array_mut().expect("a list");
    // As the component everywhere does.
    assert_eq!(expressions.remove(0)["key"], "callgate.dev/policy");
    expressions.push(json!({
        "key": "kubernetes.io/metadata.name", "operator": "In", "values": [unlabelled, labelled],
    }));
    let objects = [object, policy, binding];
    for object in &objects {
        it.api().apply(&path_of(object), object).await.expect_ok("an object of the component");
    }
    for (namespace, profile) in [(&unlabelled, &localhost), (&labelled, &default)] {
        let pods = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
        eventually("the profile of its policy is set", async || {
            let pod = it.api().post(&pods, &bare()).await;
            (pod.body["spec"]["securityContext"]["seccompProfile"] == *profile).then_some(())
        })
        .await;
    }
    uninstall(&it, &objects).await;
}

/// The same for one that a later version writes, as far as this one does not understand it. In copies
/// of the type, which takes any value.
async fn what_an_earlier_version_has_written_leaves_pods_to_the_webhook(it: Test) {
    if !is_served(&it).await {
        return;
    }
    let (name, namespace) = (it.namespace.clone(), it.plain_namespace().await);
    let group = format!("{name}.example.com");
    let [definition] = &mut manifests("../components/in-process/definition")[..] else {
        panic!("one definition")
    };
    definition["metadata"]["name"] = json!(format!("compiledpolicies.{group}"));
    definition["spec"]["group"] = json!(group);
    let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    schema["spec"] = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    it.api().apply(&path_of(definition), definition).await.expect_ok("the definition");
    let earlier = json!({
        "source": { "uid": "u", "generation": 1 },
        "choices": [{ "requirements": [], "profile": { "type": "RuntimeDefault" } }],
        "exemptions": [], "pins": false, "left": [],
    });
    let object = |entry: &Value| {
        json!({
            "apiVersion": format!("{group}/v1alpha1"), "kind": "CompiledPolicies",
            "metadata": { "name": name },
            "spec": {
                "defaultMode": "enforce", "defaultPolicy": "x", "policies": { "x": entry },
            },
        })
    };
    let set = async |entry: &Value| {
        let object = object(entry);
        let path = format!("/apis/{group}/v1alpha1/compiledpolicies/{name}");
        eventually("the object is stored", async || {
            it.api().apply(&path, &object).await.is_ok().then_some(())
        })
        .await;
    };
    set(&json!("* => RuntimeDefault")).await;
    let [mut policy, mut binding] = component::policy(&name);
    policy["spec"]["paramKind"]["apiVersion"] = json!(format!("{group}/v1alpha1"));
    component::without_labels(&mut binding, &namespace);
    binding["spec"]["paramRef"]["name"] = json!(name);
    let objects = [policy, binding];
    for object in &objects {
        it.api().apply(&path_of(object), object).await.expect_ok("the policy of the component");
    }
    let pods = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
    let is_set = async |expected: bool| {
        eventually("the API server goes by the object", async || {
            let pod = it.api().post(&pods, &bare()).await.expect_ok("a pod");
            let context = &pod["spec"]["securityContext"];
            (context.get("seccompProfile").is_some() == expected).then_some(())
        })
        .await;
    };
    is_set(true).await;
    for entry in [earlier, json!(["* => RuntimeDefault"]), json!(7)] {
        set(&entry).await;
        is_set(false).await;
        set(&json!("* => RuntimeDefault")).await;
        is_set(true).await;
    }
    uninstall(&it, &objects).await;
    it.api().delete(&path_of(definition)).await;
}
