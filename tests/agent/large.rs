//! Many and large files, within little memory.

use std::{
    env, fs,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use callgate::agent::{Content, Name, Reconciler, Want, Wanted};

use crate::node::{KEEP, NEW, NOTHING, Node, lines, name, say, wanted};

/// As the `DaemonSet` has it.
const MEMORY: &str = "--data=67108864";

/// Where the child works; it is the same program, asked for one test.
const ROOT: &str = "CALLGATE_TEST_ROOT";

/// How many profiles and files of others there are; by default few, as a debug
/// build takes its time.
const COUNT: &str = "CALLGATE_LARGE_FILES";

fn count() -> usize {
    env::var(COUNT).ok().and_then(|it| it.parse().ok()).unwrap_or(200)
}

/// A profile as large as one may be, another for each name.
fn largest(name: &Name) -> Content {
    let start = NEW.replace("rmdir", name.as_str());
    Content::sound(format!("{start}{}", " ".repeat(256 * 1024 - start.len())))
}

/// Profiles whose texts are not in memory.
fn unkept(count: usize) -> Wanted {
    let want = |it: Name| {
        let content = Content { text: None, ..largest(&it) };
        (it, Want::Install(content))
    };
    (0..count).map(|it| want(name(&format!("p{it}")))).collect()
}

#[test]
fn a_profile_not_kept_in_memory_is_fetched_when_its_file_is_written() {
    let mut node = Node::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let fetch = move |name: &Name| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(Want::Install(largest(name)))
    };
    node.reconciler = Reconciler::new(node.root(), KEEP, Box::new(fetch));
    let wanted = unkept(20);
    assert_eq!(node.pass(&wanted).written.len(), 20);
    assert_eq!(asked.load(Ordering::Relaxed), 20);
    fs::remove_file(node.file("p7")).unwrap();
    assert_eq!(node.pass(&wanted).written, [name("p7")]);
    assert_eq!(asked.load(Ordering::Relaxed), 21, "what is there is not asked for");
}

#[test]
fn a_fetch_that_fails_is_tried_once_a_pass_and_other_files_are_written() {
    let mut node = Node::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let fetch = move |_: &Name| {
        count.fetch_add(1, Ordering::Relaxed);
        Err("no answer within 30 s".to_owned())
    };
    node.reconciler = Reconciler::new(node.root(), KEEP, Box::new(fetch));
    let mut all = unkept(3);
    all.extend(wanted([("web", NEW)]));
    let found = node.reconciler.pass(Some(&all), NOTHING);
    assert_eq!(found.written, [name("web")]);
    let why = |it: &str| {
        let why = format!("cannot read profile {it:?} from the API server: no answer within 30 s");
        ("fetch", why)
    };
    let told: Vec<_> = found.failures.iter().map(|it| (it.kind, it.why.clone())).collect();
    assert_eq!(told, [why("p0"), why("p1"), why("p2")]);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[test]
fn a_profile_that_changed_while_it_was_fetched_is_left_to_the_watch() {
    let mut node = Node::new();
    let fetch = |_: &Name| Ok(Want::Install(Content::sound(NEW.to_owned())));
    node.reconciler = Reconciler::new(node.root(), KEEP, Box::new(fetch));
    let found = node.reconciler.pass(Some(&unkept(1)), NOTHING);
    assert_eq!(found.failures[0].kind, "fetch");
    assert_eq!(node.names(), [""; 0]);
}

#[test]
fn a_file_of_very_many_values_is_not_parsed() {
    let mut node = Node::new();
    fs::write(node.root().join("many.json"), format!("[0{}]", ",0".repeat(500_000))).unwrap();
    fs::write(node.root().join("some.json"), format!("[0{}]", ",0".repeat(1000))).unwrap();
    let found = node.pass(&Wanted::new());
    assert_eq!(lines(&found), ["many.json node too-large", "some.json node wrong-type"]);
}

/// Not a test of its own: makes two passes over many large files.
#[test]
#[ignore = "the other half of another test"]
fn passes_over_many_large_files() {
    let root = env::var_os(ROOT).expect("the other test says where");
    let fetch = |name: &Name| Ok(Want::Install(largest(name)));
    let mut reconciler = Reconciler::new(root.into(), KEEP, Box::new(fetch));
    let wanted = unkept(count());
    assert_eq!(reconciler.pass(Some(&wanted), NOTHING).written.len(), count());
    let found = reconciler.pass(Some(&wanted), NOTHING);
    assert!(found.is_ready() && found.usable.len() == count());
}

/// Sixty-four mebibytes are less than any of these would take at once.
#[test]
fn an_agent_stays_within_its_memory_limit_with_many_large_files() {
    if !Command::new("prlimit").arg("--version").output().is_ok_and(|it| it.status.success()) {
        return say("skipped: there is no prlimit");
    }
    let node = Node::new();
    let names = vec!["\"read\"".to_owned(); 130_000].join(",");
    let rule = format!("{{\"names\":[{names}],\"action\":\"SCMP_ACT_ALLOW\"}}");
    let most = |text: String| text.chars().take(1024 * 1024).collect::<String>();
    let worst = [
        most(format!("{{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{rule}]}}")),
        most("[".repeat(1024 * 1024)),
        most(format!("[0{}]", ",0".repeat(520_000))),
        most(format!("[\"{}\"]", "\\u0061".repeat(170_000))),
        most(format!("[{}]", vec!["\"0123456789abc\""; 60_000].join(","))),
        conflicting(),
    ];
    for (number, text) in worst.iter().cycle().take(count() / 10).enumerate() {
        fs::write(node.root().join(format!("{number:04}.json")), text).unwrap();
    }
    let status = run_within_limit(&node.root());
    assert!(status, "it has run out of memory, or worse");
}

/// Four thousand rules, of which each conflicts with all others or names a call a thousand times.
fn conflicting() -> String {
    const READ: &str = "{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}";
    let one = |it| {
        let second = format!("{{\"index\":1,\"value\":{it},\"op\":\"SCMP_CMP_EQ\"}}");
        let args = format!("[{READ},{second}]");
        format!("{{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":{args}}}")
    };
    let names = vec!["\"read\""; 1000].join(",");
    let other = format!("{{\"names\":[{names}],\"action\":\"SCMP_ACT_KILL\",\"args\":[{READ}]}}");
    let rules: Vec<_> = (0..3000).map(one).chain(vec![other; 20]).collect();
    format!("{{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{}]}}", rules.join(","))
}

fn run_within_limit(root: &Path) -> bool {
    let status = Command::new("prlimit")
        .arg(MEMORY)
        .arg(env::current_exe().expect("it runs"))
        .args(["--exact", "large::passes_over_many_large_files", "--ignored"])
        .env(ROOT, root)
        .status();
    status.expect("prlimit starts").success()
}
