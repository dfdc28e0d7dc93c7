//! The built-in policies.

use crate::policy::Policy;

/// A policy that is compiled in. Its name is reserved.
pub struct Builtin {
    pub name: &'static str,
    /// Its text, to start a policy from.
    pub yaml: &'static str,
}

pub const BUILTIN: &[Builtin] = &[
    Builtin { name: "baseline", yaml: include_str!("baseline.yaml") },
    Builtin { name: "restricted", yaml: include_str!("restricted.yaml") },
];

impl Builtin {
    pub fn named(name: &str) -> Option<&'static Self> {
        BUILTIN.iter().find(|it| it.name == name)
    }

    /// Why no other policy may have this name, or `None`.
    pub fn reserves(name: &str) -> Option<String> {
        Self::named(name).map(|_| format!("the name {name:?} is that of a built-in policy"))
    }

    /// # Panics
    /// Never: a test reads every one.
    pub fn policy(&self) -> Policy {
        Policy::parse_any(self.yaml).expect("a test parses every built-in policy")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::RULES;

    #[test]
    fn each_can_be_read_and_bears_its_name() {
        for builtin in BUILTIN {
            assert_eq!(builtin.policy().name(), builtin.name);
        }
    }

    /// The text lists every rule, for operators who start from it.
    #[test]
    fn each_spells_out_every_rule() {
        for builtin in BUILTIN {
            for rule in RULES {
                assert!(builtin.yaml.contains(&format!("    {}: ", rule.id)), "{}", rule.id);
            }
        }
    }

    #[test]
    fn restricted_takes_every_rule_at_its_own_level() {
        let restricted = Builtin::named("restricted").unwrap().policy();
        for rule in RULES {
            assert_eq!(restricted.level(rule), rule.level, "{}", rule.id);
        }
    }
}
