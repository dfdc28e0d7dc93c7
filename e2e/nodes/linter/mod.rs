//! What the linter says of every profile of the tests, and of generated ones, against what a node does.

mod page;
mod said;
mod seen;

use std::{collections::BTreeMap, fs, process::Command, sync::Arc};

use callgate::profile::STARTUP_CALLS;
use serde_json::json;
use support::{
    profiles::{self, ProfileFile},
    report::report,
};
use tokio::task::spawn_blocking;

use self::{
    page::{Versions, written_for},
    said::Said,
    seen::{Question, Seen, ask},
};
use crate::{
    deployment::{Deployment, SECCOMP_ROOT},
    tests::{Entry, entries},
};

pub(crate) const ALL: &[Entry] = entries![what_the_linter_says_of_a_profile_is_what_a_node_does];

/// Where the profiles are written.
const NODE: &str = "node-b";

/// The profiles that are generated.
const SEED: u64 = 1;
const GENERATED: usize = 300;

/// A profile and what has become of a container under it.
struct Judged {
    profile: ProfileFile,
    said: Said,
    seen: Seen,
}

/// A call that the linter counts among those of a start, and a container whose profile allows all but this one.
struct Start {
    call: &'static str,
    seen: Seen,
    /// With `allowPrivilegeEscalation: false`.
    seen_without_privileges: Seen,
}

async fn what_the_linter_says_of_a_profile_is_what_a_node_does(it: Arc<Deployment>) {
    let mut profiles = profiles::all();
    profiles.extend(generated());
    let starts = STARTUP_CALLS.iter().map(|it| all_but(it)).collect::<Vec<_>>();
    // Many tables have the same profile.
    let texts = profiles.iter().map(|it| (it.bytes.clone(), false));
    let texts = texts.chain(starts.iter().flat_map(|it| [(it.clone(), false), (it.clone(), true)]));
    let mut containers: BTreeMap<(Vec<u8>, bool), Option<Seen>> =
        texts.map(|it| (it, None)).collect();

    let folder = it.seccomp_root(NODE).join("linter");
    fs::create_dir_all(&folder).expect("we are root");
    let mut questions = Vec::new();
    for (number, (bytes, no_new_privileges)) in containers.keys().enumerate() {
        let name = format!("{number}.json");
        fs::write(folder.join(&name), bytes).expect("we are root");
        let profile = format!("{SECCOMP_ROOT}/linter/{name}");
        questions.push(Question { profile, no_new_privileges: *no_new_privileges });
    }
    let (programs, root, cgroup) =
        (it.directory().join("bin"), it.root_of(NODE), it.cgroup_of(NODE));
    // It would remove containers that it has not created.
    it.end_on(NODE, "kubelet").await;
    let seen = spawn_blocking(move || {
        ask(programs.join("containers"), root, &format!("{cgroup}/linter"), &questions)
    });
    let seen = seen.await.expect("it does not panic");
    it.begin_on(NODE, "kubelet").await;
    fs::remove_dir_all(&folder).expect("we are root");
    for (container, seen) in containers.values_mut().zip(seen) {
        *container = Some(seen);
    }

    let became = |bytes: &[u8], no_new_privileges| {
        containers[&(bytes.to_owned(), no_new_privileges)].clone().expect("each has an answer")
    };
    let judge = |profile: ProfileFile| Judged {
        said: Said::of(&profile.bytes),
        seen: became(&profile.bytes, false),
        profile,
    };
    let judged: Vec<_> = profiles.into_iter().map(judge).collect();
    let start = |(call, text): (&&'static str, &Vec<u8>)| Start {
        call,
        seen: became(text, false),
        seen_without_privileges: became(text, true),
    };
    let starts: Vec<_> = STARTUP_CALLS.iter().zip(&starts).map(start).collect();
    let versions = Versions::of(&it).await;
    let page = page::text(&versions, &judged, &starts);

    let differs = |it: &&Judged| !it.said.agrees(&it.seen) && !it.profile.is_stricter;
    let wrong = judged.iter().filter(differs).map(|it| {
        let Judged { profile: ProfileFile { source, name, bytes, .. }, said, seen } = it;
        format!("{source}: {name}: {said:?}, {seen:?}\n  {}", String::from_utf8_lossy(bytes))
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), judged.len(), wrong.join("\n"));
    if written_for(&versions) {
        page::assert_current(&page);
    } else {
        report(&format!("{} is not compared: it was written for other versions", page::PATH));
    }
}

/// As `e2e/oracle/filters` generates them.
fn generated() -> Vec<ProfileFile> {
    let mut command = Command::new("go");
    command.args(["run", "./profiles", &SEED.to_string(), &GENERATED.to_string()]);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/oracle")).env("CGO_ENABLED", "0");
    let output = command.output().expect("Go has built the cluster");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("it is JSON");
    let file = |(number, line): (usize, &str)| {
        ProfileFile::new("generated", number.to_string(), line.as_bytes().to_owned())
    };
    text.lines().enumerate().map(file).collect()
}

/// A profile that allows what the linter says a start needs, except for one call.
fn all_but(call: &str) -> Vec<u8> {
    let others = STARTUP_CALLS.iter().filter(|it| **it != call);
    let names: Vec<_> = others.chain(&["execve"]).collect();
    let rule = json!({ "names": names, "action": "SCMP_ACT_ALLOW" });
    json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule] }).to_string().into_bytes()
}
