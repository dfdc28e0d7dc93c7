//! Looks at the processes of a made-up `/proc`, as large as that of a full node.

use std::{fs, path::Path, time::Instant};

use callgate::{
    agent::Lookout,
    witness::{PodOnNode, Pods},
};
use serde_json::json;
use support::report::report_details;

const PODS: usize = 250;
const CONTAINERS: usize = 2;
const PROCESSES: usize = 4;

/// Kernel threads and services.
const OTHERS: usize = 500;

fn process(proc: &Path, pid: usize, cgroup: &str, seccomp: u8) {
    let folder = proc.join(pid.to_string());
    fs::create_dir(&folder).expect("it is ours");
    fs::write(folder.join("cgroup"), format!("0::{cgroup}\n")).expect("it is ours");
    // About as long as a real one.
    let rest = "Field:\t0000000000000000\n".repeat(40);
    let status = format!(
        "Name:\tapp\nState:\tS (sleeping)\nPid:\t{pid}\n{rest}\
         NoNewPrivs:\t0\nSeccomp:\t{seccomp}\nSeccomp_filters:\t1\n"
    );
    fs::write(folder.join("status"), status).expect("it is ours");
}

fn pod(number: usize) -> PodOnNode {
    let name = |at: usize| format!("c{at}");
    let containers: Vec<_> = (0..CONTAINERS).map(|at| json!({ "name": name(at) })).collect();
    let spec = json!({
        "securityContext": { "seccompProfile": { "type": "RuntimeDefault" } },
        "containers": containers,
    });
    let status = |at: usize| {
        let id = format!("containerd://{}", id(number, at));
        json!({ "name": name(at), "containerID": id, "state": { "running": {} } })
    };
    let statuses: Vec<_> = (0..CONTAINERS).map(status).collect();
    let status = json!({ "containerStatuses": statuses });
    let name = format!("pod-{number}");
    PodOnNode::read(("shop", &name, "u"), None, &spec.to_string(), &status.to_string())
        .expect("a pod")
}

fn id(pod: usize, container: usize) -> String {
    format!("{:064x}", pod * CONTAINERS + container)
}

#[test]
fn a_full_node_is_looked_at() {
    let proc = tempfile::tempdir().unwrap();
    let (mut pods, mut pid) = (Pods::default(), 0);
    let mut next = || {
        pid += 1;
        pid
    };
    for number in 0..PODS {
        pods.put(format!("shop/pod-{number}"), pod(number));
        for container in 0..CONTAINERS {
            let cgroup = format!(
                "/kubepods.slice/kubepods-pod{number}.slice/cri-containerd-{}.scope",
                id(number, container)
            );
            for at in 0..PROCESSES {
                // One process of one container has no filter.
                let is_open = (number, container, at) == (7, 1, 3);
                process(proc.path(), next(), &cgroup, if is_open { 0 } else { 2 });
            }
        }
    }
    for _ in 0..OTHERS {
        process(proc.path(), next(), "/", 0);
    }
    // Not everything there is a process.
    fs::write(proc.path().join("meminfo"), "MemTotal: 1 kB\n").unwrap();

    let mut lookout = Lookout::new(proc.path().to_owned());
    assert_eq!(lookout.look_now(&pods), None);
    let start = Instant::now();
    let found = lookout.look_now(&pods).expect("the second look is sure");
    let all = PODS * CONTAINERS * PROCESSES + OTHERS;
    report_details(&format!("a look at {all} processes took {:?}", start.elapsed()));
    let all = PODS * CONTAINERS;
    assert_eq!((found.filter, found.none, found.strict, found.unknown), (all - 1, 1, 0, 0));
    let named: Vec<_> =
        found.unfiltered.iter().map(|it| (&*it.place.pod, &*it.place.container)).collect();
    assert_eq!(named, [("pod-7", "c1")]);

    // The one without a filter cannot hide behind its name.
    let status = proc.path().join(format!("{}/status", (7 * CONTAINERS + 1) * PROCESSES + 4));
    let mut text = b"Name:\t\xff\n".to_vec();
    text.extend(fs::read(&status).unwrap());
    fs::write(&status, text).unwrap();
    assert_eq!(lookout.look_now(&pods), Some(found.clone()));

    // Processes end while they are looked at.
    fs::remove_file(proc.path().join("1/status")).unwrap();
    fs::remove_dir_all(proc.path().join("2")).unwrap();
    assert_eq!(lookout.look_now(&pods), Some(found));
}
