//! The policy as an operator writes it, and the policy that is enforced.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny},
};

use crate::{
    pod::Pod,
    policy::{
        Builtin, Exemption, Level, Placement, PolicyError, RULES, Rule, runtime::Handlers,
        selector::Selector,
    },
    profile::{ProfilePath, is_label},
    spelling,
};

/// The policy that is enforced: it has a level for every rule, and no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    name: String,
    default: Option<Profile>,
    bindings: Vec<Binding>,
    levels: BTreeMap<&'static str, Level>,
    placement: Placement,
    runtime_handlers: Handlers,
    templates: Templates,
    exemptions: Vec<Exemption>,
}

/// A profile that a policy injects.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawProfile")]
pub enum Profile {
    RuntimeDefault,
    Localhost(ProfilePath),
}

/// How a finding in a pod template is reported where it would deny a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Templates {
    #[default]
    Warn,
    Deny,
    Ignore,
}

impl Templates {
    /// The same for an update that leaves a template as it was: it is never denied.
    #[must_use]
    pub fn of_unchanged(self) -> Self {
        match self {
            Self::Deny | Self::Warn => Self::Warn,
            Self::Ignore => Self::Ignore,
        }
    }
}

/// The id of an existing rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RuleName(&'static str);

/// A policy file: the same object as in a cluster.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Manifest {
    #[serde(rename = "apiVersion")]
    _api_version: ApiVersion,
    #[serde(rename = "kind")]
    _kind: Kind,
    metadata: Metadata,
    spec: Spec,
    /// Written by callgate's controllers, and ignored here.
    #[serde(default, rename = "status")]
    _status: IgnoredAny,
}

#[derive(Deserialize)]
enum ApiVersion {
    #[serde(rename = "callgate.dev/v1alpha1")]
    V1alpha1,
}

#[derive(Deserialize)]
enum Kind {
    SeccompPolicy,
}

/// Other metadata fields are ignored.
#[derive(Deserialize)]
struct Metadata {
    name: Name,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Name(String);

/// The policy as written: any rule may be left out.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    default: Option<Profile>,
    #[serde(default)]
    bindings: Vec<Binding>,
    #[serde(default)]
    placement: Placement,
    #[serde(default)]
    runtime_handlers: Handlers,
    #[serde(default)]
    templates: Templates,
    #[serde(default)]
    rules: BTreeMap<RuleName, Level>,
    #[serde(default, deserialize_with = "distinct")]
    exemptions: Vec<Exemption>,
}

/// A profile for the pods that a selector selects.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Binding {
    pub pod_selector: Selector,
    pub profile: Profile,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawProfile {
    #[serde(rename = "type")]
    kind: ProfileType,
    localhost_profile: Option<ProfilePath>,
}

#[derive(Deserialize)]
enum ProfileType {
    RuntimeDefault,
    Localhost,
}

// === impl Policy ===

impl Policy {
    /// Reads a policy from YAML or JSON.
    ///
    /// # Errors
    /// The first mistake, with its line and column. A policy with a mistake is rejected as a whole.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let policy = Self::parse_any(text)?;
        match Builtin::reserves(&policy.name) {
            Some(message) => Err(PolicyError { position: None, message }),
            None => Ok(policy),
        }
    }

    pub(super) fn parse_any(text: &str) -> Result<Self, PolicyError> {
        Ok(Self::of(serde_saphyr::from_str(text)?))
    }

    /// Reads an object of a cluster. Unlike files, objects are checked for reserved names by the
    /// caller.
    pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Manifest::deserialize(deserializer).map(Self::of)
    }

    fn of(Manifest { metadata, spec, .. }: Manifest) -> Self {
        let Spec { default, bindings, placement, runtime_handlers, templates, rules, exemptions } =
            spec;
        let level = |rule: &Rule| rules.get(&RuleName(rule.id)).copied().unwrap_or(rule.level);
        let levels = RULES.iter().map(|it| (it.id, level(it))).collect();
        let name = metadata.name.0;
        Self { name, default, bindings, levels, placement, runtime_handlers, templates, exemptions }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn level(&self, rule: &Rule) -> Level {
        self.levels[rule.id]
    }

    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// Whether the policy lists this handler as one that applies seccomp profiles.
    pub(super) fn vouches_for(&self, handler: &str) -> bool {
        self.runtime_handlers.contains(handler)
    }

    pub fn templates(&self) -> Templates {
        self.templates
    }

    pub fn exemptions(&self) -> &[Exemption] {
        &self.exemptions
    }

    /// The profile to inject into `pod` where none is set: that of the first binding that selects
    /// the pod, else the default.
    pub fn profile_for(&self, pod: &Pod<'_>) -> Option<&Profile> {
        let bound = self.bindings.iter().find(|it| it.pod_selector.selects(pod));
        bound.map(|it| &it.profile).or(self.default.as_ref())
    }

    /// The profile for pods that no binding selects.
    pub fn default_profile(&self) -> Option<&Profile> {
        self.default.as_ref()
    }

    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// Every Localhost profile that the policy may inject.
    pub fn injected_paths(&self) -> impl Iterator<Item = &ProfilePath> {
        let all = self.bindings.iter().map(|it| &it.profile).chain(&self.default);
        all.filter_map(|it| match it {
            Profile::RuntimeDefault => None,
            Profile::Localhost(path) => Some(path),
        })
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RuntimeDefault => f.write_str("RuntimeDefault"),
            Self::Localhost(path) => write!(f, "Localhost {:?}", path.as_str()),
        }
    }
}

impl TryFrom<RawProfile> for Profile {
    type Error = &'static str;

    fn try_from(raw: RawProfile) -> Result<Self, Self::Error> {
        match (raw.kind, raw.localhost_profile) {
            (ProfileType::RuntimeDefault, None) => Ok(Self::RuntimeDefault),
            (ProfileType::Localhost, Some(path)) => Ok(Self::Localhost(path)),
            (ProfileType::RuntimeDefault, Some(_)) => {
                Err("localhostProfile is only for type Localhost")
            }
            (ProfileType::Localhost, None) => Err("type Localhost needs a localhostProfile"),
        }
    }
}

impl RuleName {
    pub(super) fn as_str(self) -> &'static str {
        self.0
    }
}

impl<'de> Deserialize<'de> for RuleName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        if let Some(rule) = RULES.iter().find(|it| it.id == name) {
            return Ok(Self(rule.id));
        }
        let near = spelling::nearest(&name, RULES.iter().map(|it| it.id));
        let hint = near.map(|it| format!(", did you mean {it:?}?")).unwrap_or_default();
        Err(de::Error::custom(format!("there is no rule {name:?}{hint}")))
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    /// The name is the value of a namespace label, so it is a DNS label (RFC 1123).
    fn try_from(name: String) -> Result<Self, String> {
        if is_label(&name) {
            return Ok(Self(name));
        }
        Err(format!(
            "{name:?} is no name for a policy: at most 63 lower case letters, digits and hyphens"
        ))
    }
}

fn distinct<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Exemption>, D::Error> {
    let exemptions = Vec::<Exemption>::deserialize(deserializer)?;
    let mut names = BTreeSet::new();
    match exemptions.iter().find(|it| !names.insert(&it.name)) {
        None => Ok(exemptions),
        Some(twice) => {
            Err(de::Error::custom(format!("there are two exemptions {:?}", twice.name.as_str())))
        }
    }
}
