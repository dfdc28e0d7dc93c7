//! `callgate compile`: prints policies as `MutatingAdmissionPolicy` objects.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::Path,
};

use anyhow::{Context, anyhow, bail};
use clap::Args;

use crate::{
    cli::{
        Outcome,
        file::{self, shown},
    },
    compile::{Cluster, Compiled, compile, sets_profiles},
    group::POLICY,
    policy::{Builtin, Mode, Policy, PolicyError},
    position::Position,
    yaml::{Document, NodeId, documents},
};

/// Print policies as `MutatingAdmissionPolicy` objects, by which the API server sets profiles itself
///
/// The objects set the profile that the webhook would set, or leave a pod to the webhook. What they
/// leave to it is reported on standard error, and leads to exit code 1.
#[derive(Args, Debug)]
pub(super) struct Compile {
    /// Name of a built-in policy (baseline, restricted), or path of a file with `SeccompPolicy`
    /// objects; `-` is standard input
    #[arg(value_name = "POLICY", required = true)]
    policies: Vec<String>,

    /// The --default-policy of `callgate serve`: it also applies in namespaces without the label
    /// callgate.dev/policy
    #[arg(long, env = "CALLGATE_DEFAULT_POLICY", value_name = "NAME")]
    default_policy: Option<String>,

    /// The --default-mode of `callgate serve`: the mode of namespaces without the label
    /// callgate.dev/mode
    #[arg(long, env = "CALLGATE_DEFAULT_MODE", value_name = "MODE", default_value = "enforce", value_parser = Mode::of_flag)]
    default_mode: Mode,

    /// Namespace whose pods are never changed, as in the webhook configurations
    #[arg(
        long,
        env = "CALLGATE_EXCLUDED_NAMESPACE",
        value_name = "NAME",
        value_delimiter = ',',
        default_value = "callgate-system,kube-system"
    )]
    excluded_namespace: Vec<String>,
}

/// The largest text in bytes: `kubectl get` prints all policies of a cluster as one.
const LARGEST: u64 = 64 * 1024 * 1024;

impl Compile {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let Self { policies, default_policy, default_mode, excluded_namespace } = self;
        let cluster =
            Cluster { default_policy, default_mode, excluded_namespaces: excluded_namespace };
        let mut all = Vec::new();
        for it in &policies {
            all.extend(read(it)?);
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = all.iter().find(|it| !names.insert(it.name())) {
            bail!("there are two policies {:?}", twice.name());
        }
        let mut text =
            String::from("# The output of `callgate compile`: change the policy instead.\n");
        let mut remarks = Vec::new();
        let mut outcome = Outcome::Success;
        for policy in &all {
            let name = policy.name();
            let Compiled { objects, left } = compile(policy, &cluster);
            for object in objects {
                text.push_str("---\n");
                text.push_str(&serde_saphyr::to_string(&object).context("cannot write YAML")?);
            }
            if !sets_profiles(policy) {
                remarks.push(format!("policy {name:?} sets no profile: nothing to compile\n"));
            }
            for it in left {
                outcome = Outcome::Errors;
                remarks.push(format!("policy {name:?}: left to the webhook: {it}\n"));
            }
        }
        // Standard error may be closed.
        let _ = io::stderr().write_all(remarks.concat().as_bytes());
        io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")?;
        Ok(outcome)
    }
}

/// The policies of a file, or a built-in one.
fn read(name_or_path: &str) -> anyhow::Result<Vec<Policy>> {
    if let Some(builtin) = Builtin::named(name_or_path) {
        return Ok(vec![builtin.policy()]);
    }
    let path = Path::new(name_or_path);
    let file = shown(path);
    let read = file::read(path, LARGEST)
        .and_then(|it| it.map(|it| io::read_to_string(it.as_slice())).transpose());
    let read = read.with_context(|| {
        format!("cannot read policy {file:?} (built in are baseline and restricted)")
    })?;
    let Some(text) = read else {
        bail!("{file:?} is larger than {LARGEST} bytes");
    };
    let at = |offset: usize| Position::of(offset, text.as_bytes());
    let mut policies = Vec::new();
    for document in documents(&text) {
        let document = document.map_err(|it| {
            let Position { line, column } = at(it.span.start);
            anyhow!("{file}:{line}:{column}: {}", it.message)
        })?;
        let first_line = at(document.range.start).line;
        of_document(&document, &text, first_line, &mut policies).map_err(|error| {
            anyhow!("{file}:{}{error}", if error.position.is_none() { " " } else { "" })
        })?;
    }
    if policies.is_empty() {
        bail!("{file:?} holds no {}", POLICY.kind);
    }
    Ok(policies)
}

/// Reads the policies of a document; objects of other kinds are skipped.
fn of_document(
    document: &Document<'_>,
    text: &str,
    first_line: usize,
    policies: &mut Vec<Policy>,
) -> Result<(), PolicyError> {
    let kind = |it: NodeId| document.at(it, &["kind"]).and_then(|it| document.text(it));
    let root = document.root();
    match kind(root) {
        Some(it) if it == POLICY.kind => {
            let mut policy = Policy::parse(&text[document.range.clone()]);
            if let Err(PolicyError { position: Some((line, _)), .. }) = &mut policy {
                *line += first_line as u64 - 1;
            }
            policies.push(policy?);
        }
        // As `kubectl get` prints several objects.
        Some("List") => {
            let items = document.at(root, &["items"]);
            let items = items.into_iter().flat_map(|it| document.items(it));
            for it in items.filter(|it| kind(**it) == Some(POLICY.kind)) {
                policies.push(of_item(&document.json(*it))?);
            }
        }
        _ => {}
    }
    Ok(())
}

fn of_item(json: &str) -> Result<Policy, PolicyError> {
    let policy = Policy::read(&mut serde_json::Deserializer::from_str(json));
    let error = |message: String| PolicyError { position: None, message };
    let policy = policy.map_err(|it| error(format!("a policy cannot be read: {it}")))?;
    match Builtin::reserves(policy.name()) {
        Some(why) => Err(error(why)),
        None => Ok(policy),
    }
}
