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
    denials::Totals,
    pod::Kind,
    policy::{Builtin, Mode, Policy, PolicyIndex, RULES, Rule},
    standalone::{Facts, Sources},
    telemetry::{AgentMetrics, DenialMetrics, Metrics, Profiles},
};
use serde_json::{Value, json};
use support::{
    harness::{self, Reply, patch_of, patched, post},
    page::blocks,
};

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

/// A workload with the finding that docs/check.md shows.
const WEB: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - name: app
          image: registry.example.com/web:2.7
          securityContext:
            privileged: yes
      # The profile of the runtime.
      securityContext: { seccompProfile: { type: RuntimeDefault } }
";

/// The programs beside callgate, each of which prints the workload; callgate as a plugin of kubectl.
const PROGRAMS: &str = "
kustomize() { cat deploy/web.yaml; }
helm() { cat deploy/web.yaml; }
kubectl() { shift; callgate \"$@\"; }
set -uo pipefail
";

/// What a line of a document does in `folder`: the exit code, and what is printed.
fn run_line(line: &str, folder: &std::path::Path) -> (Option<i32>, String) {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_callgate"));
    let path = format!("{}:/usr/bin:/bin", program.parent().expect("a folder").display());
    let output = std::process::Command::new("bash")
        .args(["-c", &format!("{PROGRAMS}\n{line}")])
        .env_clear()
        .env("PATH", path)
        .env("HOME", folder)
        .current_dir(folder)
        .output()
        .expect("bash starts");
    (output.status.code(), String::from_utf8(output.stdout).expect("it is text"))
}

#[test]
fn the_commands_of_docs_check_do_what_the_page_says() {
    let document = "docs/check.md";
    let directory = tempfile::tempdir().expect("there is room");
    let folder = directory.path();
    for it in ["deploy", ".local/bin"] {
        fs::create_dir_all(folder.join(it)).expect("the directory is ours");
    }
    fs::write(folder.join("deploy/web.yaml"), WEB).expect("the directory is ours");
    let commands = blocks(document, "sh").concat();
    let codes: Vec<_> = commands.lines().map(|it| (it, run_line(it, folder).0)).collect();
    let expected = [
        ("callgate check deploy/", Some(1)),
        ("kustomize build overlays/prod | callgate check -", Some(1)),
        ("helm template shop ./chart | callgate check - --namespace shop", Some(1)),
        // The finding is known from here on.
        ("callgate check deploy/ --baseline known.yaml --write-baseline   # once", Some(0)),
        ("callgate check deploy/ --baseline known.yaml                    # in CI", Some(0)),
        ("kubectl callgate completions kubectl >~/.local/bin/kubectl_complete-callgate", Some(0)),
        ("chmod +x ~/.local/bin/kubectl_complete-callgate", Some(0)),
    ];
    assert_eq!(codes, expected);
    let known = fs::read_to_string(folder.join("known.yaml")).expect("it was written");
    let shown = blocks(document, "yaml").into_iter().find(|it| it.contains("expires:"));
    let entry = |it: &str| {
        it.lines().filter(|it| it.contains(": ")).take(3).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(known.contains("apps/Deployment/shop/web"), "{known}");
    assert_eq!(entry(&known), entry(&shown.expect("an entry is shown")));
    assert_eq!(run_line("callgate check deploy/", folder).1, blocks(document, "text")[0]);
}

/// The program as krew installs it, and what kubectl runs to complete its commands.
#[test]
fn it_works_as_a_plugin_of_kubectl() {
    let directory = tempfile::tempdir().expect("there is room");
    let folder = directory.path();
    let plugin = folder.join("kubectl-callgate");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_callgate"), plugin).expect("it is ours");
    let run = |line: &str| run_line(&format!("PATH=$PWD:$PATH; {line}"), folder);
    let (code, help) = run("kubectl-callgate check --help");
    assert_eq!(code, Some(0));
    assert!(help.contains("Usage: kubectl callgate check [OPTIONS] <PATH>..."), "{help}");
    let made = run("kubectl-callgate completions kubectl >kubectl_complete-callgate && \
                    chmod +x kubectl_complete-callgate && kubectl_complete-callgate che");
    let expected =
        "check\tJudge manifests in files, as the webhook would judge them in a cluster\n:4\n";
    assert_eq!(made, (Some(0), expected.to_owned()));
}

#[test]
fn every_shell_has_a_script_that_completes_commands() {
    let directory = tempfile::tempdir().expect("there is room");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (code, script) = run_line(&format!("callgate completions {shell}"), directory.path());
        assert!(code == Some(0) && script.contains("fail-on"), "{shell}");
    }
    // bash reads its own.
    let line = "source <(callgate completions bash); COMP_WORDS=(callgate che); COMP_CWORD=1; \
                _callgate callgate che callgate; echo \"${COMPREPLY[@]}\"";
    assert_eq!(run_line(line, directory.path()), (Some(0), "check\n".to_owned()));
}

#[test]
fn every_command_has_a_man_page() {
    let directory = tempfile::tempdir().expect("there is room");
    assert_eq!(run_line("callgate man .", directory.path()).0, Some(0));
    for name in ["callgate", "callgate-check", "callgate-test", "callgate-profile-lint"] {
        let page = fs::read_to_string(directory.path().join(format!("{name}.1"))).expect(name);
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
    }
    assert!(!directory.path().join("callgate-__complete.1").exists());
}

/// A hook names a command and the files that it takes.
#[test]
fn the_hooks_for_pre_commit_run_commands_that_exist() {
    let text = fs::read_to_string(".pre-commit-hooks.yaml").expect("it is there");
    let hooks: Vec<Value> = serde_saphyr::from_str(&text).expect("it is YAML");
    let directory = tempfile::tempdir().expect("there is room");
    fs::write(directory.path().join("web.yaml"), WEB).expect("the directory is ours");
    let suite = "cases: [{ name: a, object: { spec: { containers: [{ name: app }] } } }]";
    fs::write(directory.path().join("a.test.yaml"), suite).expect("the directory is ours");
    let codes = hooks.iter().map(|it| {
        let entry = it["entry"].as_str().expect("a command");
        let files = if it["id"] == "callgate-test" { "a.test.yaml" } else { "web.yaml" };
        run_line(&format!("{entry} {files}"), directory.path()).0
    });
    assert_eq!(codes.collect::<Vec<_>>(), [Some(1), Some(1)]);
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
    agent.containers(&[("filter", 0)], 0);
    agent.failed("io");
    agent.reported(SystemTime::UNIX_EPOCH);
    let denials = DenialMetrics::new("0.0.0");
    denials.set(&Totals { by_action: [("SCMP_ACT_ERRNO", 1)].into(), ..Totals::default() });
    denials.event("written");
    denials.failed("report");
    let page = metrics.render() + &agent.render() + &denials.render();
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
