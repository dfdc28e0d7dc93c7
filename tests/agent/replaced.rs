//! The seccomp directory of the node is no longer the one that the agent has mounted.

use std::{fs, path::PathBuf, process::Command};

use callgate::agent::{PassResult, Published, Write, writes};

use crate::node::{Mount, NEW, NOTHING, Node, OLD, bind, mount, reconciler, wanted};

/// A node whose directory the agent has mounted elsewhere, as in its pod.
struct Pod {
    node: Node,
    view: PathBuf,
    /// In this order they can be taken away.
    _mounts: [Mount; 2],
}

impl Pod {
    /// None, where this user may not mount.
    fn new() -> Option<Self> {
        let mut node = Node::new();
        let view = node.directory.path().join("view");
        fs::create_dir(&view).expect("it is not there yet");
        let outer = bind(&node.root(), &view)?;
        let inner = bind(&node.own(), &view.join("callgate"))?;
        node.reconciler = reconciler(view.clone());
        node.pass(&wanted([("web", OLD)]));
        assert_eq!(node.text("web"), OLD);
        Some(Self { node, view, _mounts: [inner, outer] })
    }

    /// A pass after the profile has changed, which has to notice.
    fn notices(&mut self, why: &str) -> PassResult {
        let found = self.node.reconciler.pass(Some(&wanted([("web", NEW)])), NOTHING);
        assert!(found.is_replaced && !found.is_ready());
        let expected = format!(
            "the seccomp directory is not the one that the kubelet reads any more, and the \
             agent's pod has to be made anew: {why}"
        );
        let told: Vec<_> = found.failures.iter().map(|it| (it.kind, it.why.clone())).collect();
        assert_eq!(told, [("replaced", expected)]);
        assert!(found.usable.is_empty() && found.written.is_empty());
        let report = writes(&found, &Published::default(), false);
        assert!(report.iter().any(|it| matches!(it, Write::Condition(it) if it.status == "False")));
        found
    }
}

fn shell(line: &str) {
    let status = Command::new("sh").args(["-c", line]).status();
    assert!(status.expect("there is a shell").success(), "{line}");
}

#[test]
fn a_directory_that_is_replaced_by_its_copy_is_noticed_and_the_old_one_left_alone() {
    let Some(mut pod) = Pod::new() else { return };
    let root = pod.node.root();
    let text = root.display();
    shell(&format!("mv {text} {text}.old && cp -a {text}.old {text}"));
    pod.notices(&format!(
        "it was {:?} and is {:?} now",
        path_in_file_system(&pod, ""),
        path_in_file_system(&pod, ".old")
    ));
    assert_eq!(fs::read_to_string(format!("{text}.old/callgate/web.json")).unwrap(), OLD);
    // A new agent, which has the new directory mounted.
    let mut next = reconciler(root);
    let found = next.pass(Some(&wanted([("web", NEW)])), NOTHING);
    assert!(found.is_ready(), "{:?}", found.failures);
    assert_eq!(pod.node.text("web"), NEW);
}

/// Where the directory lies as the kernel names it.
fn path_in_file_system(pod: &Pod, suffix: &str) -> String {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("there is one");
    let view = pod.view.canonicalize().expect("it is there");
    let is_view = |it: &&str| it.split(' ').nth(4).is_some_and(|it| it == view.to_string_lossy());
    let line = table.lines().find(is_view).expect("it is mounted");
    let root = line.split(' ').nth(3).expect("it leads somewhere");
    format!("{}{suffix}", root.trim_end_matches(".old"))
}

#[test]
fn a_mount_over_the_directory_is_noticed() {
    let Some(mut pod) = Pod::new() else { return };
    let Some(over) = mount("size=64k", &pod.view) else { return };
    fs::create_dir(pod.view.join("callgate")).unwrap();
    pod.notices("another file system was mounted over it");
    drop(over);
    pod.node.pass(&wanted([("web", NEW)]));
}

#[test]
fn our_directory_in_it_that_is_replaced_is_noticed() {
    let Some(mut pod) = Pod::new() else { return };
    let Some(over) = mount("size=64k", &pod.view.join("callgate")) else { return };
    pod.notices("\"callgate\" in it is another directory now");
    drop(over);
    pod.node.pass(&wanted([("web", NEW)]));
}

#[test]
fn a_directory_that_is_deleted_and_recreated_is_noticed() {
    let node = Node::new();
    let view = node.directory.path().join("view");
    fs::create_dir(&view).unwrap();
    let Some(_mount) = bind(&node.root(), &view) else { return };
    let mut reconciler = reconciler(view);
    assert!(reconciler.pass(Some(&wanted([("web", OLD)])), NOTHING).is_ready());
    fs::remove_dir_all(node.root()).unwrap();
    fs::create_dir(node.root()).unwrap();
    let found = reconciler.pass(Some(&wanted([("web", OLD)])), NOTHING);
    assert!(found.is_replaced);
    assert!(found.failures[0].why.contains("it was deleted"), "{:?}", found.failures);
}

/// The node has a file system of its own there, and the pod's mount receives the
/// mounts and unmounts of it, as with `HostToContainer`.
#[test]
fn what_is_unmounted_on_the_node_is_noticed() {
    let node = Node::new();
    let base = node.directory.path();
    let Some(_base) = mount("size=256k", base) else { return };
    // A copy in another mount namespace would stay in the peer group.
    shell(&format!("mount --make-private {}", base.display()));
    let (root, view) = (base.join("seccomp"), base.join("view"));
    fs::create_dir(&root).unwrap();
    fs::create_dir(&view).unwrap();
    let on_node = mount("size=128k", &root).expect("the first was mounted as well");
    shell(&format!("mount --make-shared {}", root.display()));
    fs::create_dir(root.join("callgate")).unwrap();
    let _view = bind(&root, &view).expect("the first was mounted as well");
    shell(&format!("mount --make-slave {}", view.display()));
    let mut reconciler = reconciler(view);
    assert!(reconciler.pass(Some(&wanted([("web", OLD)])), NOTHING).is_ready());
    drop(on_node);
    let found = reconciler.pass(Some(&wanted([("web", NEW)])), NOTHING);
    assert!(found.is_replaced && found.written.is_empty());
    assert!(found.failures[0].why.ends_with("it was unmounted on the node"), "{found:?}");
}
