//! Doubts: faults of a profile that the runtime loads and that filters.

/// Why a profile that filters probably does not do what its author wants. Its
/// names are those in the status of a `SeccompNode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Doubt {
    /// L7: the runtime starts the program of the container by `execve`.
    #[error("no container starts under it: it denies execve")]
    NoStart,
    /// L2: without the dropped keys the profile has another meaning.
    #[error("containerd drops some of its keys, which only Docker and Podman know")]
    DockerKeys,
}

impl Doubt {
    const ALL: [Self; 2] = [Self::NoStart, Self::DockerKeys];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoStart => "no-start",
            Self::DockerKeys => "docker-keys",
        }
    }

    /// Returns `None` for a name that only a later version knows. A doubt only
    /// leads to a warning, so it may be ignored.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::DecodedProfile;

    #[test]
    fn every_doubt_has_its_own_name() {
        for doubt in Doubt::ALL {
            assert_eq!(Doubt::parse(doubt.as_str()), Some(doubt));
        }
        assert_eq!(Doubt::parse("haunted"), None);
    }

    #[test]
    fn a_denied_execve_is_more_severe_than_a_dropped_key() {
        let of = |text: &str| DecodedProfile::parse(text.as_bytes()).unwrap().doubt();
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
