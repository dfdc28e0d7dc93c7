//! `callgate compile`: prints policies as objects that the API server itself evaluates.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    cli::{
        Outcome,
        file::{self, shown},
    },
    compile::{Cluster, Compiled, as_static, backstop, compile},
    group::POLICY,
    policy::{Builtin, Mode, Policy, PolicyError},
    position::Position,
    yaml::{Document, NodeId, documents},
};

/// Print policies as objects by which the API server sets profiles itself, or denies pods
///
/// The objects set the profile that the webhook would set, or leave a pod to the webhook; with
/// --backstop they deny what is wrong for certain. What they leave to the webhook is reported on
/// standard error, and leads to exit code 1.
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

    /// Print `ValidatingAdmissionPolicy` objects instead, by which the API server itself denies
    /// privileged containers and the type Unconfined, as far as the policy does without exemptions
    #[arg(long, env = "CALLGATE_BACKSTOP")]
    backstop: bool,

    /// Write both kinds of objects to this folder instead, for the static admission of Kubernetes
    /// 1.37, with the configuration of the API server; the path is that on its machine
    #[arg(
        long = "static",
        env = "CALLGATE_STATIC",
        value_name = "FOLDER",
        conflicts_with = "backstop"
    )]
    static_folder: Option<PathBuf>,
}

/// The largest text in bytes: `kubectl get` prints all policies of a cluster as one.
const LARGEST: u64 = 64 * 1024 * 1024;

impl Compile {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let Self {
            policies,
            default_policy,
            default_mode,
            excluded_namespace,
            backstop: is_backstop,
            static_folder: folder,
        } = self;
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
        let mut remarks = Vec::new();
        let (mut mutating, mut validating) = (Vec::new(), Vec::new());
        if folder.is_some() || !is_backstop {
            mutating = each(&all, |it| compile(it, &cluster), MUTATING, &mut remarks);
        }
        if folder.is_some() || is_backstop {
            validating = each(&all, |it| backstop(it, &cluster), VALIDATING, &mut remarks);
        }
        let outcome =
            if remarks.iter().any(|it| it.is_left) { Outcome::Errors } else { Outcome::Success };
        let remarks: String = remarks.into_iter().map(|it| it.line).collect();
        // Standard error may be closed.
        let _ = io::stderr().write_all(remarks.as_bytes());
        if let Some(folder) = folder {
            write_static(&folder, mutating, validating)?;
            return Ok(outcome);
        }
        mutating.append(&mut validating);
        let text = text(&mutating)?;
        io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")?;
        Ok(outcome)
    }
}

/// A line for standard error.
struct Remark {
    line: String,
    /// Whether something is left to the webhook, rather than not decided by the policy at all.
    is_left: bool,
}

/// What a policy does that has nothing to compile.
const MUTATING: &str = "sets no profile";
const VALIDATING: &str = "denies nothing by privileged or unconfined without exemptions";

fn each(
    policies: &[Policy],
    compile: impl Fn(&Policy) -> Compiled,
    nothing: &str,
    remarks: &mut Vec<Remark>,
) -> Vec<Value> {
    let mut all = Vec::new();
    for policy in policies {
        let name = policy.name();
        let Compiled { objects, left } = compile(policy);
        if objects.is_empty() && left.is_empty() {
            let line = format!("policy {name:?} {nothing}: nothing to compile\n");
            remarks.push(Remark { line, is_left: false });
        }
        remarks.extend(left.into_iter().map(|it| Remark {
            line: format!("policy {name:?}: left to the webhook: {it}\n"),
            is_left: true,
        }));
        all.extend(objects);
    }
    all
}

/// The API server reads a document that is nothing but a comment as an object without a kind. So the
/// comment is part of the first one, and without an object there is no text.
fn text(objects: &[Value]) -> anyhow::Result<String> {
    let mut text = String::new();
    for object in objects {
        text.push_str(if text.is_empty() { COMMENT } else { "---\n" });
        text.push_str(&serde_saphyr::to_string(object).context("cannot write YAML")?);
    }
    Ok(text)
}

const COMMENT: &str = "# The output of `callgate compile`: change the policy instead.\n";

/// Writes what static admission reads: a folder for each of its two plugins, and their
/// configuration.
fn write_static(folder: &Path, mutating: Vec<Value>, validating: Vec<Value>) -> anyhow::Result<()> {
    if !folder.is_absolute() {
        bail!("--static needs an absolute path, as the configuration of the API server does");
    }
    let plugins = [
        ("MutatingAdmissionPolicy", "mutating", mutating),
        ("ValidatingAdmissionPolicy", "validating", validating),
    ];
    let mut configured = Vec::new();
    for (plugin, name, objects) in plugins {
        let own = folder.join(name);
        fs::create_dir_all(&own).with_context(|| format!("cannot create {:?}", shown(&own)))?;
        write(&own.join("callgate.yaml"), &text(&as_static(objects))?)?;
        configured.push(json!({ "name": plugin, "configuration": {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": format!("{plugin}Configuration"),
            "staticManifestsDir": own,
        }}));
    }
    let configuration = json!({
        "apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration",
        "plugins": configured,
    });
    write(&folder.join("admission.yaml"), &text(&[configuration])?)
}

/// Written beside it and renamed: the API server may read the file at any moment.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    let written = fs::write(&new, text).and_then(|()| fs::rename(&new, path));
    written.with_context(|| format!("cannot write {:?}", shown(path)))
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
