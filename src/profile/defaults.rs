//! The default profiles of container runtimes, by name and version.

use std::{fmt, str::FromStr};

/// A default profile of a runtime: what `RuntimeDefault` is under it. defaults/README.md says where
/// the files come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuntimeDefault {
    runtime: &'static str,
    version: &'static str,
    pub(crate) text: &'static str,
}

macro_rules! defaults {
    ($($runtime:literal $version:literal,)+) => {
        &[$(RuntimeDefault {
            runtime: $runtime,
            version: $version,
            text: include_str!(concat!("defaults/", $runtime, "-", $version, ".json")),
        },)+]
    };
}

/// Of each runtime the newest last.
const ALL: &[RuntimeDefault] = defaults![
    "containerd" "2.0.14",
    "containerd" "2.1.9",
    "containerd" "2.2.9",
    "containerd" "2.3.7",
    "containerd" "2.4.1",
    "containerd" "2.4.2",
    "docker" "25.0.6",
    "moby" "0.1.0",
    "moby" "0.2.3",
    "moby" "0.2.4",
    "moby" "0.3.0",
];

impl RuntimeDefault {
    /// The names of all, such as `containerd@2.4.2`.
    #[cfg(test)]
    pub(crate) fn names() -> impl Iterator<Item = String> {
        ALL.iter().map(ToString::to_string)
    }

    /// Whether a word is the name of a default profile, whether it exists or not: a runtime and a
    /// version, such as `containerd@2.4`.
    pub(crate) fn is_name(word: &str) -> bool {
        word.split_once('@').is_some_and(|(runtime, _)| ALL.iter().any(|it| it.runtime == runtime))
    }
}

/// Of a version that is not complete, the newest counts.
impl FromStr for RuntimeDefault {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let (runtime, version) = name.split_once('@').unwrap_or((name, ""));
        let matches = |it: &&Self| {
            let rest = it.version.strip_prefix(version);
            it.runtime == runtime
                && (version.is_empty()
                    || rest.is_some_and(|it| it.is_empty() || it.starts_with('.')))
        };
        ALL.iter().rev().find(matches).copied().ok_or_else(|| {
            let known: Vec<_> = ALL.iter().map(ToString::to_string).collect();
            format!("there is no default profile {name:?}, only {}", known.join(", "))
        })
    }
}

impl fmt::Display for RuntimeDefault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.runtime, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Document, lint};

    fn named(name: &str) -> String {
        name.parse::<RuntimeDefault>().map_or_else(|it| it, |it| it.to_string())
    }

    #[test]
    fn the_newest_of_a_version_counts() {
        assert_eq!(named("containerd@2.4"), "containerd@2.4.2");
        assert_eq!(named("containerd@2.4.1"), "containerd@2.4.1");
        assert_eq!(named("containerd@2"), "containerd@2.4.2");
        assert_eq!(named("moby@"), "moby@0.3.0");
    }

    #[test]
    fn another_version_leads_to_the_list() {
        let known = "containerd@2.0.14, containerd@2.1.9, containerd@2.2.9, containerd@2.3.7, \
            containerd@2.4.1, containerd@2.4.2, docker@25.0.6, moby@0.1.0, moby@0.2.3, moby@0.2.4, \
            moby@0.3.0";
        let expected = format!("there is no default profile \"containerd@2.4.\", only {known}");
        assert_eq!(named("containerd@2.4."), expected);
        let expected = format!("there is no default profile \"podman@5\", only {known}");
        assert_eq!(named("podman@5"), expected);
    }

    #[test]
    fn every_default_profile_loads_and_denies_something() {
        for it in ALL {
            assert_eq!(Document::inspect(it.text.as_bytes()), None, "{it}");
            let errors = crate::profile::errors(&lint(it.text.as_bytes()), 1);
            assert_eq!(errors, None, "{it}");
        }
    }

    /// `open-upper-half.md` says which.
    #[test]
    fn some_default_profiles_let_a_denied_family_of_sockets_pass() {
        let finds = |it: &&RuntimeDefault| {
            lint(it.text.as_bytes()).iter().any(|it| it.lint.id == "open-upper-half")
        };
        let open: Vec<_> = ALL.iter().filter(finds).map(ToString::to_string).collect();
        let expected = [
            "containerd@2.1.9",
            "containerd@2.2.9",
            "containerd@2.4.1",
            "docker@25.0.6",
            "moby@0.1.0",
            "moby@0.2.3",
        ];
        assert_eq!(open, expected);
    }
}
