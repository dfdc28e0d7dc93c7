//! Checks that README, docs and examples show what really happens.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use axum::Router;
use callgate::{
    admission::Snapshot,
    convert::{self, Node},
    pod::Kind,
    policy::{Builtin, Mode, Policy, PolicyIndex, RULES, Rule},
    standalone::{Facts, Sources},
    telemetry::{AgentMetrics, Metrics, Profiles},
};
use serde_json::{Value, json};
use support::harness::{self, Reply, patch_of, patched, post};

#[tokio::test]
async fn every_example_gets_the_verdict_in_its_head() {
    let mut wrong = Vec::new();
    for path in examples() {
        let text = fs::read_to_string(&path).expect("examples are text");
        let expected: Vec<_> = said(&text, "verdict").collect();
        let policy = said(&text, "policy").next().unwrap_or("restricted");
        let object = serde_saphyr::from_str(&text).expect("examples are single objects");
        let actual = verdict(policy, &object).await;
        if actual != expected {
            wrong.push(format!(
                "{}\n  expected {expected:#?}\n  actual {actual:#?}",
                path.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The files in `examples/` that hold a pod or what makes pods.
fn examples() -> Vec<PathBuf> {
    let entries = fs::read_dir("examples").expect("there are examples");
    let mut paths: Vec<_> = entries.map(|it| it.expect("the tree is readable").path()).collect();
    paths
        .retain(|it| it.extension().is_some_and(|it| it == "yaml") && !it.ends_with("policy.yaml"));
    paths.sort();
    assert!(paths.len() > 10, "{paths:?}");
    paths
}

/// What follows `# key: ` in the comments of a file.
fn said<'a>(text: &'a str, key: &str) -> impl Iterator<Item = &'a str> {
    let start = format!("# {key}: ");
    text.lines().filter_map(move |it| it.strip_prefix(&start))
}

/// The verdict on an object that is created, as an API server would get it.
async fn verdict(policy: &str, object: &Value) -> Vec<String> {
    let router = router_obeying(policy);
    let mutation = post(&router, "/mutate", review(object).to_string()).await;
    let object = patched(object, &patch_of(&mutation.response()));
    let validation = post(&router, "/validate", review(&object).to_string()).await;

    let injected = note(&mutation, "injected").map(|it| format!("injected: {it}"));
    let exempted = note(&validation, "exempted").map(|it| format!("exempted: {it}"));
    let warnings = [warnings(&mutation), warnings(&validation)].concat();
    let warned = warnings.iter().map(|it| format!("warned: {it}"));
    injected.into_iter().chain(exempted).chain(warned).chain(decision(&validation)).collect()
}

/// A callgate with the profiles of `profiles/`.
fn router_obeying(policy: &str) -> Router {
    let sources = Sources {
        policy: policy.to_owned(),
        mode: Mode::Enforce,
        profiles: Some(PathBuf::from("profiles")),
    };
    let Facts { policy, catalog } = sources.read().expect("policy and profiles can be read");
    harness::router(Snapshot::without_nodes(PolicyIndex::of_one(policy, Mode::Enforce), catalog))
}

fn decision(validation: &Reply) -> Vec<String> {
    let response = validation.response();
    if response["allowed"] == true {
        return vec!["accepted".to_owned()];
    }
    let message = response["status"]["message"].as_str().expect("a denial has a message");
    harness::split_denial(message).1.iter().map(|it| format!("denied: {it}")).collect()
}

fn note(reply: &Reply, key: &str) -> Option<String> {
    Some(reply.response()["auditAnnotations"].get(key)?.as_str()?.to_owned())
}

fn warnings(reply: &Reply) -> Vec<String> {
    serde_json::from_value(reply.response()["warnings"].clone()).unwrap_or_default()
}

fn review(object: &Value) -> Value {
    let kind = object["kind"].as_str().expect("an object has a kind");
    let noun = kind.to_lowercase();
    let found = Kind::ALL.into_iter().find(|it| it.noun() == noun).expect("it holds a pod spec");
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u-1", "operation": "CREATE", "userInfo": {},
            "namespace": object["metadata"]["namespace"].as_str().unwrap_or("shop"),
            "name": object["metadata"]["name"],
            "kind": { "group": found.group(), "version": "v1", "kind": kind },
            "resource": { "group": found.group(), "version": "v1", "resource": found.resource() },
            "object": object,
        },
    })
}

#[test]
fn every_policy_in_the_docs_and_examples_is_valid() {
    let example = fs::read_to_string("examples/policy.yaml").expect("it is there");
    let shown = blocks("docs/policy.md", "yaml");
    let shown = shown.iter().filter(|it| it.contains("SeccompPolicy"));
    let all: Vec<_> = shown.chain([&example]).collect();
    assert!(all.len() > 1, "only {}", all.len());
    for text in all {
        if let Err(error) = Policy::parse(text) {
            panic!("{error}\n{text}");
        }
    }
}

#[tokio::test]
async fn the_denial_of_the_readme_is_what_make_run_shows() {
    let review = fs::read_to_string("examples/reviews/misspelt-profile.json").expect("it is there");
    let router = router_obeying("restricted");
    let reply = post(&router, "/validate", review).await;
    let message = reply.response()["status"]["message"].clone();
    let message = message.as_str().expect("a denial has a message");
    assert_eq!(blocks("README.md", "text"), [format!("{message}\n")]);
}

#[test]
fn the_wrapped_profile_of_the_docs_is_the_output_of_wrap() {
    let document = "docs/profiles.md";
    let text = fs::read_to_string(document).expect("it is there");
    let words = text.split('`').find(|it| it.starts_with("callgate profile wrap shop.json"));
    let words = words.expect("there is a command").split(' ').skip(1);
    let directory = tempfile::tempdir().expect("there is room");
    let [file] = &blocks(document, "json")[..] else { panic!("one file is shown") };
    fs::write(directory.path().join("shop.json"), file).expect("the directory is ours");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_callgate"))
        .args(words)
        .env_clear()
        .current_dir(&directory)
        .output()
        .expect("the binary starts");
    let printed = |it: Vec<u8>| vec![String::from_utf8(it).expect("it is text")];
    // The last blocks of the page; tests/profile.rs compares what other commands print.
    for (output, language) in [(output.stderr, "text"), (output.stdout, "yaml")] {
        let shown = blocks(document, language);
        assert_eq!(printed(output), shown[shown.len() - 1..]);
    }
}

#[test]
fn the_tests_of_the_docs_print_what_is_shown() {
    let document = "docs/testing-policies.md";
    let files = blocks(document, "yaml");
    let directory = tempfile::tempdir().expect("there is room");
    for (name, text) in ["shop.yaml", "shop.test.yaml"].into_iter().zip(&files) {
        fs::write(directory.path().join(name), text).expect("the directory is ours");
    }
    let commands = blocks(document, "sh");
    let words = commands[0].trim().strip_prefix("callgate ").expect("it is a command");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_callgate"))
        .args(words.split(' '))
        .env_clear()
        .current_dir(&directory)
        .output()
        .expect("the binary starts");
    let printed = String::from_utf8(output.stdout).expect("it is text");
    assert_eq!((printed, output.status.code()), (blocks(document, "text")[0].clone(), Some(1)));
}

#[test]
fn the_tests_of_the_examples_hold() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_callgate"))
        .args(["test", "examples"])
        .env_clear()
        .output()
        .expect("the binary starts");
    let printed = String::from_utf8(output.stdout).expect("it is text");
    assert_eq!((printed.as_str(), output.status.code()), ("", Some(0)));
}

#[test]
fn the_profile_of_the_docs_is_made_of_its_file() {
    let shown = blocks("docs/profiles.md", "yaml");
    let shown = shown.iter().find(|it| it.contains("SeccompProfile")).expect("there is one");
    let file = fs::read("profiles/block-mkdir.json").expect("it is there");
    let converted = convert::convert(&file, Node::default()).expect("it is the same on every node");
    let name = "block-mkdir".parse().expect("it is a name");
    let spec = converted.spec.expect("it is sound");
    let object = convert::object(&name, &spec);
    let shown: Value = serde_saphyr::from_str(shown).expect("it is YAML");
    assert_eq!(serde_json::to_value(object).expect("it is plain data"), shown);
}

/// The fenced blocks of a document in a language.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let text = fs::read_to_string(document).expect("documents are text");
    let fence = format!("```{language}\n");
    let starts = text.split(&fence).skip(1);
    starts.map(|it| it.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_docs_list_every_rule_with_its_levels() {
    let text = fs::read_to_string("docs/policy.md").expect("it is there");
    let baseline = Builtin::named("baseline").expect("it is built in").policy();
    let rows: Vec<_> = text.lines().filter(|it| it.starts_with("| `")).collect();
    for rule in RULES {
        let Rule { id, level, .. } = rule;
        let row = rows.iter().find(|it| it.starts_with(&format!("| `{id}` |")));
        let row = row.unwrap_or_else(|| panic!("no row for {id}"));
        let levels = format!("| {level:?} | {:?} |", baseline.level(rule));
        assert!(row.ends_with(&levels), "{row}");
    }
}

#[test]
fn every_metric_is_documented_and_every_documented_one_exists() {
    let metrics = Metrics::new("0.0.0");
    metrics.review("mutate", "create", "patched", Duration::ZERO);
    metrics.finding("unset", "deny");
    metrics.reported("event", "written");
    metrics.watches().confirmed("nodes", SystemTime::UNIX_EPOCH);
    metrics.watches().unreadable("nodes", 0);
    let agent = AgentMetrics::new("0.0.0");
    agent.profiles(Profiles::default());
    agent.failed("io");
    agent.reported(SystemTime::UNIX_EPOCH);
    let page = metrics.render() + &agent.render();
    let names = page.lines().filter_map(|it| it.strip_prefix("callgate_"));
    let names = names.filter_map(|it| it.split(['{', ' ']).next());
    let histogram = ["_sum", "_count", "_bucket"];
    let plain = |it: &str| {
        let stem = histogram.iter().find_map(|end| it.strip_suffix(end)).unwrap_or(it);
        format!("callgate_{stem}")
    };
    let rendered: BTreeSet<_> = names.map(plain).collect();
    let text = fs::read_to_string("docs/logging.md").expect("it is there");
    let rows = text.lines().filter_map(|it| it.strip_prefix("| `callgate_"));
    let described: BTreeSet<_> =
        rows.filter_map(|it| Some(format!("callgate_{}", it.split('`').next()?))).collect();
    assert_eq!(rendered, described);
}

/// A word in code with more than one `_` is a test, a text in “quotes” a case of a table.
#[test]
fn every_test_that_a_document_names_exists() {
    let tree = ["src", "tests", "e2e"].map(PathBuf::from).into_iter();
    let all: String = tree.flat_map(texts).collect();
    let manifest = fs::read_to_string("Cargo.toml").expect("it is there");
    // Neither a command nor an environment variable nor a lint of the manifest.
    let is_name = |it: &str| it.starts_with(char::is_lowercase) && !it.contains(' ');
    let is_test = |it: &&str| it.matches('_').count() > 1 && is_name(it) && !manifest.contains(*it);
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"] {
        let text = fs::read_to_string(document).expect("it is there");
        let words = text.split('`').skip(1).step_by(2);
        let tests: Vec<_> = words.filter(is_test).collect();
        assert!(tests.len() > 5, "{document}: {tests:?}");
        for name in tests {
            assert!(all.contains(&format!("fn {name}(")), "{document}: there is no test {name}");
        }
        for case in text.split(['“', '”']).skip(1).step_by(2) {
            let there = all.contains(&format!("name: {case}\n"));
            assert!(there, "{document}: no table has a case {case:?}");
        }
    }
}

/// What is written in every file of code or of cases below a folder.
fn texts(folder: PathBuf) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the tree is readable") {
        let path = entry.expect("the tree is readable").path();
        if path.is_dir() {
            found.extend(texts(path));
        } else if path.extension().is_some_and(|it| it == "rs" || it == "yaml") {
            found.push(fs::read_to_string(path).expect("it is text"));
        }
    }
    found
}
