//! The profile of a `SeccompProfile`: its defect and the digest of its file.

use crate::profile::{Broken, Defect, Digest};

/// A profile that agents install on every node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Managed {
    pub defect: Option<Defect>,
    /// The digest of the file that agents write; `None` if the profile cannot be decoded.
    pub digest: Option<Digest>,
}

impl Managed {
    /// An object that cannot be read.
    pub fn unreadable(why: String) -> Self {
        Self { defect: Some(Defect::Broken(Broken::Unreadable(why))), digest: None }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::profile::DecodedProfile;

    /// Agents and replicas of two versions compare digests, so the text of a
    /// file never changes: `sha256sum` of the text that is spelled out in
    /// `it_is_written_in_the_order_of_the_specification_and_ends_with_a_line_feed`.
    #[test]
    fn the_digest_is_that_of_the_file_which_agents_write() {
        let object = json!({ "spec": {
            "syscalls": [
                { "action": "SCMP_ACT_ERRNO", "names": ["mkdir", "mkdirat"], "errnoRet": 0 },
                { "names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [{
                    "op": "SCMP_CMP_MASKED_EQ", "valueTwo": "18446744073709551615",
                    "value": "9223372036854775809", "index": 0,
                }] },
            ],
            "flags": ["SECCOMP_FILTER_FLAG_LOG"], "defaultAction": "SCMP_ACT_ALLOW",
        } });
        let digest = DecodedProfile::of_object(&object).managed().digest.unwrap().to_string();
        assert_eq!(
            digest,
            "sha256:3fa23503c37ae090d6cdb8843146890541f6985401bc352d53b9bbee73584367"
        );
    }

    #[test]
    fn of_what_no_agent_can_write_there_is_no_digest() {
        let broken =
            DecodedProfile::of_object(&json!({ "spec": { "defaultAction": 7 } })).managed();
        assert!(matches!(broken.defect, Some(Defect::Broken(_))));
        assert_eq!(broken.digest, None);
        assert_eq!(Managed::unreadable("it is gone".to_owned()).digest, None);
    }
}
