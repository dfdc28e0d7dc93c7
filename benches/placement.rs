//! The cost of holding 5,000 nodes with 50 profiles each.
//!
//! `cargo bench --bench placement`; docs/performance.md explains the figures.

use std::{
    collections::BTreeMap,
    fs,
    hint::black_box,
    io::{self, Write, stdout},
    time::Instant,
};

use callgate::{
    placement::{Node, Nodes, Taint},
    pod::Pod,
    profile::{Digest, File, Inventory, ProfilePath},
};
use clap::Parser;

#[derive(Debug, Parser)]
struct Flags {
    /// Said by `cargo bench`; without it all is tried with few nodes, and nothing said
    #[arg(long)]
    bench: bool,

    #[arg(long, default_value_t = 5_000)]
    nodes: usize,

    /// How many profiles are on each node
    #[arg(long, default_value_t = 50)]
    profiles: usize,

    /// Let no two nodes agree on any file
    #[arg(long)]
    all_different: bool,
}

/// A pod with every kind of scheduling constraint: most nodes meet them, so that
/// no node is ruled out early.
const POD: &str = r#"
{"spec":{"nodeSelector":{"kubernetes.io/os":"linux","kubernetes.io/arch":"amd64"},
"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[
{"matchExpressions":[{"key":"topology.kubernetes.io/zone","operator":"In","values":["zone-7"]},
{"key":"node.example.com/gpu","operator":"Exists"}]},
{"matchExpressions":[
{"key":"topology.kubernetes.io/zone","operator":"In","values":["zone-0","zone-1","zone-2"]},
{"key":"node.kubernetes.io/instance-type","operator":"NotIn","values":["tiny","small"]},
{"key":"node.example.com/cores","operator":"Gt","values":["3"]},
{"key":"profile.callgate.dev/profile-7","operator":"Exists"},
{"key":"node.example.com/gpu","operator":"DoesNotExist"}]}]}}},
"tolerations":[
{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute","tolerationSeconds":300},
{"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute","tolerationSeconds":300},
{"key":"dedicated","operator":"Equal","value":"shop","effect":"NoSchedule"},
{"key":"spot","operator":"Exists"}]}}
"#;

/// The labels of a node in a cloud, where `<k>` is its number and `<m>` one of three.
const LABELS: [(&str, &str); 20] = [
    ("beta.kubernetes.io/arch", "amd64"),
    ("beta.kubernetes.io/instance-type", "large-<m>"),
    ("beta.kubernetes.io/os", "linux"),
    ("cloud.example.com/instance-id", "i-0123456789abcd<k>"),
    ("cloud.example.com/nodepool", "pool-<m>"),
    ("failure-domain.beta.kubernetes.io/region", "region-1"),
    ("failure-domain.beta.kubernetes.io/zone", "zone-<m>"),
    ("kubernetes.io/arch", "amd64"),
    ("kubernetes.io/hostname", "node-<k>"),
    ("kubernetes.io/os", "linux"),
    ("node.example.com/boot", "2026-11-<m>T10:<k>"),
    ("node.example.com/capacity-type", "on-demand"),
    ("node.example.com/cores", "<m>6"),
    ("node.example.com/image", "image-2026-11-0<m>"),
    ("node.example.com/memory", "131072"),
    ("node.kubernetes.io/instance-type", "large-<m>"),
    ("team", "platform"),
    ("topology.ebs.csi.example.com/zone", "zone-<m>"),
    ("topology.kubernetes.io/region", "region-1"),
    ("topology.kubernetes.io/zone", "zone-<m>"),
];

fn main() -> io::Result<()> {
    let mut flags = Flags::parse();
    if !flags.bench {
        (flags.nodes, flags.profiles) = (30, 5);
    }
    let before = resident();
    let mut nodes = Nodes::default();
    for number in 0..flags.nodes {
        fill(&mut nodes, number, &flags);
    }
    let mib = |kib: u64| std::time::Duration::from_secs(kib).as_secs_f64() / 1024.0;
    let size = mib(resident().saturating_sub(before));

    let pod: Pod<'_> = serde_json::from_str(POD).expect("a pod");
    let bound = r#"{"spec":{"nodeName":"node-7"}}"#;
    let bound: Pod<'_> = serde_json::from_str(bound).expect("a pod");
    let path: ProfilePath = "callgate/profile-3.json".parse().expect("a path");
    let absent: ProfilePath = "callgate/profile-x.json".parse().expect("a path");
    let distribution = nodes.distribution(&pod, &path);
    // All but the cordoned.
    let expected = (0..flags.nodes).filter(|it| it % 50 > 0).count();
    assert_eq!(
        (distribution.eligible, distribution.unknown, distribution.lacking),
        (expected, 0, 0)
    );
    assert_eq!(distribution.found.iter().map(|it| it.nodes).sum::<usize>(), expected);

    let eligible = nodes.eligible(&pod);
    let repeat = if flags.bench { 300 } else { 2 };
    let next = flags.nodes;
    let mut times = vec![
        Times::of("distribution, a pod with every demand", repeat, |_| {
            nodes.distribution(&pod, &path).eligible
        }),
        Times::of("distribution, one profile more of that pod", repeat, |_| {
            eligible.distribution(&path, None).eligible
        }),
        Times::of("distribution, a bound pod", repeat, |_| {
            nodes.distribution(&bound, &path).eligible
        }),
        Times::of("find, a profile that is nowhere", repeat, |_| nodes.find(&absent)),
        Times::of("paths", repeat, |_| nodes.paths().len()),
        Times::of("clone", repeat, |_| nodes.clone()),
    ];
    // Each change as in production: of a copy, while the one before is still in use.
    times.push(Times::of("a change: one file of one node", repeat, |turn| {
        let mut new = nodes.clone();
        let mut inventory = inventory(7, &flags);
        let file = File { digest: Some(digest(usize::MAX - turn)), problem: None, doubt: None };
        inventory.files.insert(path.clone(), file);
        new.report("node-7", Some(inventory));
        nodes = new;
    }));
    times.push(Times::of("a change: one node by another", repeat * 20, |turn| {
        let mut new = nodes.clone();
        new.gone(&name(turn));
        fill(&mut new, next + turn, &flags);
        nodes = new;
    }));
    if !flags.bench {
        return Ok(());
    }
    writeln!(
        stdout(),
        "{} nodes with {} profiles: {size:.1} MiB\n\n\
         | µs | best | median | worst |\n| --- | ---: | ---: | ---: |",
        flags.nodes,
        flags.profiles,
    )?;
    for Times { what, best, median, worst } in times {
        writeln!(stdout(), "| {what} | {best:.0} | {median:.0} | {worst:.0} |")?;
    }
    writeln!(stdout(), "\nAfter all this: {:.1} MiB", mib(resident().saturating_sub(before)))
}

/// Microseconds.
struct Times {
    what: &'static str,
    best: f64,
    median: f64,
    worst: f64,
}

impl Times {
    fn of<T>(what: &'static str, count: usize, mut run: impl FnMut(usize) -> T) -> Self {
        let once = |turn| {
            let started = Instant::now();
            black_box(run(turn));
            started.elapsed().as_secs_f64() * 1e6
        };
        let mut all: Vec<_> = (0..count).map(once).collect();
        all.sort_by(f64::total_cmp);
        Self { what, best: all[0], median: all[count / 2], worst: all[count - 1] }
    }
}

fn name(number: usize) -> String {
    format!("node-{number}")
}

fn fill(nodes: &mut Nodes, number: usize, flags: &Flags) {
    nodes.put(&name(number), node(number, flags));
    nodes.report(&name(number), Some(inventory(number, flags)));
}

fn node(number: usize, flags: &Flags) -> Node {
    let part =
        |it: &str| it.replace("<k>", &number.to_string()).replace("<m>", &(number % 3).to_string());
    let mut labels: BTreeMap<_, _> =
        LABELS.iter().map(|(key, value)| ((*key).to_owned(), part(value))).collect();
    labels.extend(
        (0..flags.profiles)
            .map(|it| (format!("profile.callgate.dev/profile-{it}"), digest(it).short())),
    );
    let taint = |key: &str, value: &str, effect: &str| Taint {
        key: key.to_owned(),
        value: value.to_owned(),
        effect: effect.to_owned(),
    };
    let mut taints = vec![taint("spot", "true", "NoSchedule")];
    if number.is_multiple_of(2) {
        taints.push(taint("dedicated", "shop", "NoSchedule"));
    }
    Node { labels, taints, unschedulable: number.is_multiple_of(50) }
}

fn inventory(number: usize, flags: &Flags) -> Inventory {
    let own = if flags.all_different { (number + 1) * 1_000 } else { 0 };
    let file = |it| {
        let path = format!("callgate/profile-{it}.json").parse().expect("a path");
        (path, File { digest: Some(digest(own + it)), problem: None, doubt: None })
    };
    Inventory { files: (0..flags.profiles).map(file).collect(), is_cut: false }
}

fn digest(number: usize) -> Digest {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Digest::from(bytes)
}

/// Resident memory of this process in KiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    let number = line.and_then(|it| it.split_whitespace().next());
    number.and_then(|it| it.parse().ok()).expect("it is a number")
}
