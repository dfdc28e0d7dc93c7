//! What is hardly meant of a profile that the runtime loads.

use crate::profile::lints;

/// Why a profile that filters is hardly the one that its author wanted. Its
/// words are those of a `SeccompNode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Doubt {
    /// L7: by that call the runtime starts the program.
    #[error("no container starts under it: it denies execve")]
    NoStart,
    /// L2: what is left of such a profile means something else.
    #[error("containerd drops some of its keys, which only Docker and Podman know")]
    DockerKeys,
}

impl Doubt {
    const ALL: [Self; 2] = [Self::NoStart, Self::DockerKeys];

    /// The gravest that there is about a profile file in which nothing else is wrong.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        lints::doubt(bytes)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoStart => "no-start",
            Self::DockerKeys => "docker-keys",
        }
    }

    /// None for a word that is not known, which is that of a later version: it
    /// would only be warned about.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_doubt_has_a_word_of_its_own() {
        for doubt in Doubt::ALL {
            assert_eq!(Doubt::parse(doubt.as_str()), Some(doubt));
        }
        assert_eq!(Doubt::parse("haunted"), None);
    }

    #[test]
    fn what_prevents_the_start_is_graver_than_a_key_that_is_dropped() {
        let of = |text: &str| Doubt::of(text.as_bytes());
        assert_eq!(
            of(r#"{ "defaultAction": "SCMP_ACT_ERRNO", "archMap": [{}] }"#),
            Some(Doubt::NoStart)
        );
        assert_eq!(
            of(r#"{ "defaultAction": "SCMP_ACT_ALLOW", "archMap": [{}], "syscalls": [
                { "names": ["mkdir"], "action": "SCMP_ACT_ERRNO" }] }"#),
            Some(Doubt::DockerKeys)
        );
        assert_eq!(
            of(r#"{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                { "names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "includes": {} }] }"#),
            None
        );
    }
}
