//! What a case is judged by: its policy, and what is known of profiles and nodes.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Case, CaseFile, CaseTaint, Suite};
use crate::{
    group::{API_VERSION, MODE_LABEL, POLICY, POLICY_LABEL},
    placement::{Node, Nodes, Taint},
    policy::{Builtin, Governed, Labels, Mode, Policy, PolicyIndex, RuntimeClasses},
    profile::{
        Catalog, DecodedProfile, Digest, Document, Doubt, File, Inventory, Managed, Problem,
        ProfilePath,
    },
};

/// Which policy applies where.
pub(super) struct Governing {
    index: PolicyIndex,
    namespaces: BTreeMap<String, Labels>,
    /// The policy where no label names one.
    only: String,
}

impl Governing {
    /// Decides which policy applies to a case, and in which mode.
    pub(super) fn govern(&self, case: &mut Case) -> Result<(), String> {
        let (policy, mode) = match self.index.governing(&case.namespace) {
            _ if !case.policy.is_empty() => {
                let named = &case.policy;
                if !self.index.iter().any(|it| it.name() == named) {
                    return Err(format!("there is no policy {named:?}"));
                }
                let own = self.namespaces.get(&case.namespace).and_then(|it| it.mode.as_deref());
                (named.as_str(), own.and_then(Mode::parse).unwrap_or_default())
            }
            Governed::By(policy, mode) => (policy.name(), mode),
            Governed::UnknownPolicy(name) => return Err(self.index.no_such_policy(name)),
            Governed::Ungoverned | Governed::Unknown => (self.only.as_str(), Mode::default()),
        };
        (case.policy, case.mode) = (policy.to_owned(), case.mode.or(Some(mode.into())));
        Ok(())
    }
}

impl Suite {
    /// The policy of that name, as a file would hold it; `None` if it is not written here.
    pub fn policy_file(&self, name: &str) -> Option<String> {
        let spec = self.policies.get(name)?;
        let manifest = json!({
            "apiVersion": API_VERSION,
            "kind": POLICY.kind,
            "metadata": { "name": name },
            "spec": spec,
        });
        Some(manifest.to_string())
    }

    /// # Errors
    /// Why there is no such policy.
    pub fn policy_named(&self, name: &str) -> Result<Policy, String> {
        if let Some(text) = self.policy_file(name) {
            return Policy::parse(&text).map_err(|it| it.message);
        }
        let collected = &self.around.collected;
        if let Some(why) = collected.unreadable.get(name) {
            return Err(why.clone());
        }
        let of_file = collected.policies.get(name).cloned();
        let builtin = || Builtin::named(name).map(Builtin::policy);
        of_file.or_else(builtin).ok_or_else(|| format!("there is no policy {name:?}"))
    }

    /// Which policy governs which namespace.
    pub(super) fn governing(&self) -> Result<Governing, String> {
        let mut policies = self.around.collected.policies.clone();
        for name in self.policies.keys() {
            policies.insert(name.clone(), self.policy_named(name)?);
        }
        let only = match &policies.keys().collect::<Vec<_>>()[..] {
            [only] => (*only).clone(),
            _ => "restricted".to_owned(),
        };
        let mut namespaces = self.around.collected.namespaces.clone();
        namespaces.extend(self.namespaces.iter().map(|(name, labels)| {
            let label = |key: &str| labels.get(key).cloned();
            let labels = Labels { policy: label(POLICY_LABEL), mode: label(MODE_LABEL) };
            (name.clone(), labels)
        }));
        let index = PolicyIndex::of_cluster(policies.into_values(), namespaces.clone(), None);
        Ok(Governing { index, namespaces, only })
    }

    /// The facts about profiles: from files, from objects, and from reports of nodes.
    pub fn catalog(&self, case: &Case) -> Catalog {
        let inspect = |text: &String| Document::appraise(text.as_bytes());
        let nodes = self.nodes(case);
        let on_nodes = nodes.paths().into_iter().filter(|(_, is_sound)| *is_sound);
        let on_nodes = on_nodes.map(|(path, _)| (path.clone(), None));
        let directory = self.around.catalog.iter();
        let directory = directory.map(|(path, defect)| (path.clone(), defect.cloned()));
        let files = self.profiles.iter().map(|(path, text)| (path.clone(), inspect(text)));
        let objects = self.around.collected.profiles.clone().into_iter();
        let own = self.managed.iter().filter_map(|(name, text)| {
            Some((ProfilePath::of_object(name).ok()?, managed_of(text)))
        });
        on_nodes.chain(directory).chain(files).collect::<Catalog>().with_managed(objects.chain(own))
    }

    /// The nodes of a case; those of files if it has none.
    pub fn nodes(&self, case: &Case) -> Nodes {
        if case.nodes.is_empty() {
            return self.around.nodes.clone();
        }
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
        let of_object = self.around.collected.profiles.get(path).and_then(|it| it.digest);
        let is_at = |it: &&String| ProfilePath::of_object(it).is_ok_and(|it| it == *path);
        let own = self.managed.iter().find(|(name, _)| is_at(name));
        let own = own.and_then(|(_, text)| managed_of(text).digest);
        own.or(of_object).map(|it| it.to_string())
    }

    /// What no agent would report.
    pub(super) fn check_nodes(&self, case: &Case) -> Result<(), String> {
        for (path, file) in case.nodes.values().filter_map(|it| it.profiles.as_ref()).flatten() {
            if let Some(why) = self.mistake_in(path, file) {
                return Err(format!("the file {:?} on a node: {why}", path.as_str()));
            }
        }
        Ok(())
    }

    fn mistake_in(&self, path: &ProfilePath, file: &CaseFile) -> Option<String> {
        let digest = self.digest(path, file);
        if file.digest.is_some() && digest.is_none() {
            return Some("\"current\" is the digest of a profile that is managed".to_owned());
        }
        if digest.is_some_and(|it| it.parse::<Digest>().is_err()) {
            return Some("a digest has up to 64 digits, 0 to 9 and a to f".to_owned());
        }
        let doubt = file.doubt.as_deref().filter(|it| Doubt::parse(it).is_none())?;
        Some(format!("agents report no doubt {doubt:?}"))
    }

    pub fn runtime_classes(&self) -> RuntimeClasses {
        let classes: BTreeMap<_, _> =
            self.around.classes.clone().into_iter().chain(self.classes.clone()).collect();
        if classes.is_empty() {
            return RuntimeClasses::default();
        }
        RuntimeClasses::of_cluster(classes)
    }
}

impl CaseFile {
    fn read(&self, digest: Option<&str>) -> File {
        let digest = digest.and_then(|it| it.parse::<Digest>().ok());
        let problem = self.problem.as_deref().map(Problem::parse);
        let doubt = self.doubt.as_deref().and_then(Doubt::parse);
        File { digest, problem, doubt: doubt.filter(|_| problem.is_none()) }
    }
}

/// What a cluster has of a profile with this text for its `spec`.
fn managed_of(text: &str) -> Managed {
    match serde_json::from_str(text) {
        Ok(spec) => DecodedProfile::of_spec(spec).managed(),
        Err(error) => Managed::unreadable(error.to_string()),
    }
}
