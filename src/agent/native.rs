//! Evaluates profiles for the architecture of this node, which is the one that this program was
//! built for.

use crate::profile::{Architecture, DecodedProfile, Defect, Document};

/// The defect of a profile on this node.
pub(super) fn defect(document: &Document) -> Option<Defect> {
    match Architecture::of_this_machine() {
        Some(native) => document.defect_on(native),
        None => document.defect(),
    }
}

/// The same, of a profile that no runtime may be able to decode.
pub(super) fn inspect(profile: &DecodedProfile) -> Option<Defect> {
    match profile.document() {
        Ok(document) => defect(document),
        Err(broken) => Some(broken.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_of_another_architecture_stops_nothing_here() {
        let denies = |call: &str| {
            format!(
                r#"{{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                    {{ "names": ["{call}"], "action": "SCMP_ACT_ERRNO" }}] }}"#
            )
        };
        let inspect = |text: String| inspect(&DecodedProfile::parse(text.as_bytes()).unwrap());
        let everywhere = inspect(denies("mkdirat"));
        assert_eq!(everywhere, None);
        let is_s390x = cfg!(target_arch = "s390x");
        let elsewhere = if is_s390x { "riscv_flush_icache" } else { "s390_pci_mmio_read" };
        let defect = inspect(denies(elsewhere)).expect("it stops nothing");
        assert!(matches!(defect, Defect::Hollow(_)), "{defect}");
    }

    #[test]
    fn the_architecture_of_this_machine_is_one_of_nodes() {
        assert!(Architecture::of_this_machine().is_some());
    }
}
