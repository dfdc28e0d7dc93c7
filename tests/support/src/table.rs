//! The tables in `tests/cases/`, one for each rule: their format and how to read them.
//!
//! They name days only in relation to the day on which they are run: `<today>`,
//! `<yesterday>`, `<a year ago>` and `<in a year>`.

use std::{collections::BTreeMap, fs, path::PathBuf};

use callgate::{
    admission::Snapshot,
    placement::{Node, Nodes, Taint},
    pod::{Kind, List, Pod, Scope, Subject},
    policy::{Builtin, Facts, Level, Mode, Policy, PolicyIndex, RuntimeClasses, Verdict},
    profile::{
        Catalog, DecodedProfile, Digest, Document, Doubt, File, Inventory, Managed, Problem,
        ProfilePath,
    },
};
use jiff::{ToSpan, civil::Date};
use serde::Deserialize;
use serde_json::{Value, json};

/// One table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The files under the seccomp directory, by path.
    #[serde(default)]
    pub profiles: BTreeMap<ProfilePath, String>,
    /// The profiles that agents write to the nodes, by the name of their object.
    #[serde(default)]
    pub managed: BTreeMap<String, String>,
    /// The handler of each runtime class of the cluster; none: there is no cluster.
    #[serde(default)]
    pub classes: BTreeMap<String, String>,
    /// Policies that cases name, by the name; the built-in ones are there anyway.
    #[serde(default)]
    pub policies: BTreeMap<String, Value>,
    pub cases: Vec<Case>,
    /// The day on which it is run.
    #[serde(skip)]
    pub today: Date,
}

/// One object, and the verdict on it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    #[serde(default = "restricted")]
    pub policy: String,
    #[serde(default)]
    pub mode: CaseMode,
    /// The nodes there are, by name.
    #[serde(default)]
    pub nodes: BTreeMap<String, CaseNode>,
    /// The kind of `object`.
    #[serde(default = "pod")]
    pub kind: String,
    pub object: Value,
    /// The object before an update.
    #[serde(default)]
    pub old: Option<Value>,
    /// What the update changes.
    #[serde(default)]
    pub changes: Changes,
    /// The groups of the user.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The lines of the denial by `/validate`, if it gets the object as it is
    /// written here. None: it is allowed.
    #[serde(default)]
    pub denied: Vec<String>,
    /// The warnings of `/validate`, likewise.
    #[serde(default)]
    pub warned: Vec<String>,
    /// The JSON Patch of `/mutate`.
    #[serde(default)]
    pub patch: Vec<Value>,
    /// What a real API server does with it, if that does not follow from the
    /// rest: `/validate` gets the object that `/mutate` has changed.
    #[serde(default)]
    pub server: Option<Server>,
}

/// The part of a pod that an update changes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Changes {
    /// Debug containers, by `pods/ephemeralcontainers`.
    #[default]
    Debug,
    /// Images, or metadata, by `pods`.
    Pod,
}

/// A node, and the report of its agent.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseNode {
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub taints: Vec<CaseTaint>,
    /// Cordoned.
    #[serde(default)]
    pub unschedulable: bool,
    /// None: there is no agent.
    #[serde(default)]
    pub profiles: Option<BTreeMap<ProfilePath, CaseFile>>,
    /// How many files there are beside these.
    #[serde(default)]
    pub unlisted: usize,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseTaint {
    pub key: String,
    #[serde(default)]
    pub value: String,
    pub effect: String,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// The first twelve digits; the others are zeros. Or `current`: the digest of
    /// the file that agents write for the profile of that name.
    #[serde(default)]
    digest: Option<String>,
    #[serde(default)]
    pub problem: Option<String>,
    #[serde(default)]
    pub doubt: Option<String>,
}

/// The verdict on an object: the lines of the denial, the warnings, the patch.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    pub denied: Vec<String>,
    pub warned: Vec<String>,
    pub patch: Vec<Value>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaseMode {
    #[default]
    Enforce,
    Warn,
    Audit,
}

/// What a real API server does, if that does not follow from `denied`.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Server {
    /// It rejects the object by its own validation, with a message that contains this.
    Refuses(String),
    /// It cannot decide the case, for the given reason.
    Unasked(String),
}

fn restricted() -> String {
    "restricted".to_owned()
}

fn pod() -> String {
    "Pod".to_owned()
}

/// Every table as it is on that day, with the rule it is about.
pub fn all(today: Date) -> Vec<(String, Table)> {
    rules().into_iter().map(|rule| (rule.clone(), of(&rule, today))).collect()
}

/// The rules that have a table.
pub fn rules() -> Vec<String> {
    let mut paths: Vec<PathBuf> = fs::read_dir("tests/cases")
        .expect("there are tables")
        .map(|it| it.expect("the source tree is readable").path())
        .collect();
    paths.sort();
    let rule = |it: &PathBuf| it.file_stem().and_then(|it| it.to_str()).map(str::to_owned);
    paths.iter().map(|it| rule(it).expect("a rule's id")).collect()
}

/// The table of a rule, as it is on that day.
pub fn of(rule: &str, today: Date) -> Table {
    let mut text = fs::read_to_string(format!("tests/cases/{rule}.yaml")).expect("it has a table");
    let days = [
        ("<today>", today),
        ("<yesterday>", today - 1.day()),
        ("<a year ago>", today - 1.year()),
        ("<in a year>", today + 1.year()),
    ];
    for (name, day) in days {
        text = text.replace(name, &day.to_string());
    }
    let table = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{rule}: {error}"));
    Table { today, ..table }
}

impl Table {
    /// The facts about profiles: from files, from objects, and from reports of nodes.
    pub fn catalog(&self, case: &Case) -> Catalog {
        let inspect = |text: &String| Document::appraise(text.as_bytes());
        let nodes = self.nodes(case);
        let on_nodes = nodes.paths().into_iter().filter(|(_, is_sound)| *is_sound);
        let on_nodes = on_nodes.map(|(path, _)| (path.clone(), None));
        let files = self.profiles.iter().map(|(path, text)| (path.clone(), inspect(text)));
        let objects = self.managed.iter().map(|(name, text)| (path_of(name), managed_of(text)));
        on_nodes.chain(files).collect::<Catalog>().with_managed(objects)
    }

    /// The policy of that name, as a file would hold it; `None` for a built-in one.
    pub fn policy_file(&self, name: &str) -> Option<String> {
        let spec = self.policies.get(name)?;
        let manifest = json!({
            "apiVersion": "callgate.dev/v1alpha1",
            "kind": "SeccompPolicy",
            "metadata": { "name": name },
            "spec": spec,
        });
        Some(manifest.to_string())
    }

    pub fn policy(&self, name: &str) -> Policy {
        match self.policy_file(name) {
            Some(text) => Policy::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}")),
            None => Builtin::named(name).unwrap_or_else(|| panic!("no policy {name}")).policy(),
        }
    }

    pub fn snapshot(&self, case: &Case) -> Snapshot {
        Snapshot {
            policies: PolicyIndex::of_one(self.policy(&case.policy), case.mode.into()).into(),
            catalog: self.catalog(case).into(),
            nodes: self.nodes(case),
            classes: self.classes(),
        }
    }

    fn nodes(&self, case: &Case) -> Nodes {
        let mut nodes = Nodes::default();
        for (name, it) in &case.nodes {
            let taint = |CaseTaint { key, value, effect }: &CaseTaint| Taint {
                key: key.clone(),
                value: value.clone(),
                effect: effect.clone(),
            };
            let taints = it.taints.iter().map(taint).collect();
            let (labels, unschedulable) = (it.labels.clone(), it.unschedulable);
            nodes.put(name, Node { labels, taints, unschedulable });
            let Some(profiles) = &it.profiles else { continue };
            let file = |(path, it): (&ProfilePath, &CaseFile)| {
                let digest = self.digest(path, it);
                (path.clone(), it.read(digest.as_deref()))
            };
            let files = profiles.iter().map(file).collect();
            nodes.report(name, Some(Inventory { files, is_cut: it.unlisted > 0 }));
        }
        nodes
    }

    /// The digest of a file, as its agent writes it.
    pub fn digest(&self, path: &ProfilePath, file: &CaseFile) -> Option<String> {
        let digest = file.digest.as_deref()?;
        if digest != "current" {
            return Some(format!("sha256:{digest:0<64}"));
        }
        let (_, text) =
            self.managed.iter().find(|it| path_of(it.0) == *path).expect("it is managed");
        Some(managed_of(text).digest.expect("it is sound").to_string())
    }

    fn classes(&self) -> RuntimeClasses {
        if self.classes.is_empty() {
            return RuntimeClasses::default();
        }
        RuntimeClasses::of_cluster(self.classes.clone())
    }

    /// The verdict of the function on `object`, in place of the case's own.
    pub fn judge(&self, case: &Case, object: &Value) -> Outcome {
        let text = object.to_string();
        let kind = case.kind();
        let Subject { pod, .. } = kind
            .read(&mut serde_json::Deserializer::from_str(&text))
            .expect("cases can be read")
            .expect("cases hold a pod");
        let facts = Facts {
            policy: &self.policy(&case.policy),
            catalog: &self.catalog(case),
            nodes: &self.nodes(case),
            classes: &self.classes(),
            namespace: NAMESPACE,
            today: self.today,
        };
        let scope = case.scope();
        let verdict = Verdict::of(kind, &pod, &scope, facts, case.mode.into());
        let denied = verdict.judged().iter().filter(|it| it.level == Level::Deny);
        let denied: Vec<_> = denied.map(|it| it.line(kind)).collect();
        let warned = if denied.is_empty() { verdict.warnings() } else { Vec::new() };
        let patch = verdict.patch(&pod, &scope).operations;
        let patch = patch.iter().map(|it| serde_json::to_value(it).expect("JSON")).collect();
        Outcome { denied, warned, patch }
    }
}

impl Case {
    /// Whether it needs objects of a cluster: nodes, profiles that agents write to
    /// them, runtime classes.
    pub fn is_about_a_cluster(&self, table: &Table) -> bool {
        let policy = table.policies.get(&self.policy).map(Value::to_string).unwrap_or_default();
        let text = self.object.to_string() + &policy;
        let names = |it: &String| text.contains(&format!("callgate/{it}.json"));
        !self.nodes.is_empty() || !table.classes.is_empty() || table.managed.keys().any(names)
    }

    /// Whether no API server can decide it.
    pub fn is_unasked(&self) -> bool {
        matches!(self.server, Some(Server::Unasked(_)))
    }

    fn scope(&self) -> Scope {
        let Some(old) = self.old() else {
            return Scope::Whole;
        };
        let text = old.to_string();
        let old: Pod<'_> = serde_json::from_str(&text).expect("cases can be read");
        if self.changes == Changes::Pod {
            let known = old.containers().map(|it| (it.name.to_owned(), it.image.to_owned()));
            return Scope::ImagesChanged { known: known.collect() };
        }
        let ephemeral = old.containers().filter(|it| it.list == List::Ephemeral);
        Scope::AddedTo { known: ephemeral.map(|it| it.name.to_owned()).collect() }
    }

    /// The object that a denial names.
    pub fn refused(&self) -> String {
        let is_of_images = self.old.is_some() && self.changes == Changes::Pod;
        let what = if is_of_images { "the new image of " } else { "" };
        format!("{what}{}", self.kind().noun())
    }

    pub fn kind(&self) -> Kind {
        let noun = self.kind.to_lowercase();
        *Kind::ALL.iter().find(|it| it.noun() == noun).expect("a kind that holds a pod spec")
    }

    /// The object with what every object has.
    pub fn object(&self) -> Value {
        dressed(self.kind(), &self.kind, &self.object)
    }

    pub fn old(&self) -> Option<Value> {
        Some(dressed(self.kind(), &self.kind, self.old.as_ref()?))
    }

    /// The review that the API server would send.
    pub fn review(&self) -> Value {
        let kind = self.kind();
        let is_of_debug = self.old.is_some() && self.changes == Changes::Debug;
        let sub_resource = if is_of_debug { "ephemeralcontainers" } else { "" };
        json!({
            "kind": "AdmissionReview",
            "apiVersion": "admission.k8s.io/v1",
            "request": {
                "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
                "kind": { "group": kind.group(), "version": "v1", "kind": self.kind },
                "resource": { "group": kind.group(), "version": "v1", "resource": kind.resource() },
                "subResource": sub_resource,
                "name": "web",
                "namespace": NAMESPACE,
                "operation": if self.old.is_some() { "UPDATE" } else { "CREATE" },
                "userInfo": { "username": "jane", "groups": self.groups },
                "object": self.object(),
                "oldObject": self.old(),
                "dryRun": false,
            },
        })
    }
}

impl CaseFile {
    fn read(&self, digest: Option<&str>) -> File {
        let digest = digest.map(|it| it.parse::<Digest>().expect("twelve digits"));
        let problem = self.problem.as_deref().map(Problem::parse);
        let doubt = self.doubt.as_deref().map(|it| Doubt::parse(it).expect("a doubt"));
        File { digest, problem, doubt: doubt.filter(|_| problem.is_none()) }
    }
}

/// Where agents put the profile of that name.
fn path_of(name: &str) -> ProfilePath {
    ProfilePath::of_object(name).expect("a name")
}

/// The namespace of every case.
pub const NAMESPACE: &str = "shop";

fn dressed(kind: Kind, name: &str, object: &Value) -> Value {
    let mut object = object.clone();
    let group = kind.group();
    let version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
    object["apiVersion"] = json!(version);
    object["kind"] = json!(name);
    if object["metadata"]["generateName"].is_null() {
        object["metadata"]["name"] = json!("web");
    }
    object["metadata"]["namespace"] = json!(NAMESPACE);
    object
}

impl From<CaseMode> for Mode {
    fn from(mode: CaseMode) -> Self {
        match mode {
            CaseMode::Enforce => Self::Enforce,
            CaseMode::Warn => Self::Warn,
            CaseMode::Audit => Self::Audit,
        }
    }
}

/// What a cluster has of a profile with this text for its `spec`.
fn managed_of(text: &str) -> Managed {
    match serde_json::from_str(text) {
        Ok(spec) => DecodedProfile::of_spec(spec).managed(),
        Err(error) => Managed::unreadable(error.to_string()),
    }
}
