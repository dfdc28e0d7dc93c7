//! An agent that is killed at any moment leaves nothing torn.

use std::{
    env, fs,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::node::{NEW, NOTHING, Node, OLD, reconciler, wanted};

/// Where the child writes; it is the same program, asked for one test.
const ROOT: &str = "CALLGATE_TEST_ROOT";

/// For how long at least, in seconds.
const TIME: &str = "CALLGATE_KILL_SECONDS";

fn seconds() -> u64 {
    env::var(TIME).ok().and_then(|it| it.parse().ok()).unwrap_or(5)
}

/// Not a test of its own: writes the old and the new by turns until it is killed.
#[test]
#[ignore = "the other half of another test"]
fn writes_endlessly() {
    let root = env::var_os(ROOT).expect("the other test says where");
    let mut reconciler = reconciler(root.into());
    for text in [OLD, NEW].iter().cycle() {
        reconciler.pass(Some(&wanted([("db", text), ("web", text)])), NOTHING);
    }
}

fn start(root: &Path) -> Child {
    Command::new(env::current_exe().expect("it runs"))
        .args(["--exact", "killed::writes_endlessly", "--ignored", "--nocapture"])
        .env(ROOT, root)
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts again")
}

#[test]
fn a_reader_sees_the_old_or_the_new_file_while_agents_are_killed() {
    let mut node = Node::new();
    node.pass(&wanted([("db", OLD), ("web", OLD)]));
    let (over, root) = (AtomicBool::new(false), node.root());
    let end = Instant::now() + Duration::from_secs(seconds());
    let reads = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = [0_u64; 2];
            while !over.load(Ordering::Relaxed) {
                for name in ["db", "web"] {
                    match node.text(name).as_str() {
                        OLD => reads[0] += 1,
                        NEW => reads[1] += 1,
                        torn => panic!("{name} is torn: {torn:?}"),
                    }
                }
            }
            reads
        });
        let mut kills = 0_u64;
        while Instant::now() < end && !reader.is_finished() {
            let mut child = start(&root);
            // Long enough to have begun, and every time another moment.
            thread::sleep(Duration::from_micros(20_000 + kills * 7_919 % 60_000));
            child.kill().expect("it is ours");
            child.wait().expect("it is ours");
            kills += 1;
        }
        over.store(true, Ordering::Relaxed);
        assert!(kills > 10, "{kills}");
        reader.join().expect("it saw nothing torn")
    });
    assert!(reads.iter().all(|it| *it > 10), "{reads:?}");
    // The next agent repairs everything that the last one left behind.
    node.restart();
    node.pass(&wanted([("db", NEW), ("web", NEW)]));
    assert_eq!(node.names(), ["db.json", "web.json"]);
    assert!(fs::read_to_string(node.file("db")).is_ok_and(|it| it == NEW));
}
