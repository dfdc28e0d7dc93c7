//! Two agents on one node, as there are when one does not hear that it is to end.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::node::{NEW, NOTHING, Node, OLD, reconciler, wanted};

/// Longer than any test takes that finds something, and as long as this one does if nothing is wrong.
const TIME: Duration = Duration::from_secs(3);

#[test]
fn two_agents_on_one_node_never_mix_what_they_write() {
    let (other_old, other_new) = (OLD.replace("mkdir", "chdir"), NEW.replace("rmdir", "chmod"));
    let mut node = Node::new();
    node.pass(&wanted([("db", OLD), ("web", &other_old)]));
    let (over, root) = (AtomicBool::new(false), node.root());
    let passes = [AtomicU64::new(0), AtomicU64::new(0)];
    thread::scope(|scope| {
        let (root, over, passes) = (&root, &over, &passes);
        let (other_old, other_new) = (other_old.as_str(), other_new.as_str());
        // Each has another idea of one of the two profiles at any moment, so that what
        // it writes first is now the one and now the other.
        let agent = |at: usize, all: [[(&'static str, &str); 2]; 2]| {
            let all = all.map(wanted);
            scope.spawn(move || {
                let mut reconciler = reconciler(root.clone());
                for wanted in all.iter().cycle() {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    reconciler.pass(Some(wanted), NOTHING);
                    passes[at].fetch_add(1, Ordering::Relaxed);
                }
            });
        };
        agent(0, [[("db", OLD), ("web", other_old)], [("db", NEW), ("web", other_old)]]);
        agent(1, [[("db", OLD), ("web", other_old)], [("db", OLD), ("web", other_new)]]);
        let end = Instant::now() + TIME;
        let torn = scope.spawn(move || {
            while Instant::now() < end || passes.iter().any(|it| it.load(Ordering::Relaxed) < 20) {
                for (name, texts) in [("db", [OLD, NEW]), ("web", [other_old, other_new])] {
                    let text = node.text(name);
                    if !texts.contains(&text.as_str()) {
                        return Some(format!("{name} is {text:?}"));
                    }
                }
            }
            None
        });
        let torn = torn.join();
        over.store(true, Ordering::Relaxed);
        assert_eq!(torn.expect("every profile can be read"), None);
    });
}
