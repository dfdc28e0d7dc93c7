//! Decides what to do with the files of a node. Pure.

use std::{collections::BTreeMap, time::Duration};

use super::name::Name;
use crate::profile::Digest;

/// What exists under the name of a profile's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Present {
    /// A file as the agent writes them, with that content; `None` if it was not read.
    File(Option<Digest>),
    /// A file with another mode or owner.
    Altered,
    /// A link, a directory or a pipe, which the agent never creates.
    Foreign,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Write(Name),
    Remove(Name),
}

/// The changes to make now, and what to remember for later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// The files of deleted profiles that stay for now, and how long each has been kept.
    pub released: Released,
}

/// How long the files of deleted profiles have been kept.
///
/// Each is a sum of times in which an agent ran, not a date, so a clock that is wrong or set cannot
/// make it longer.
pub type Released = BTreeMap<Name, Duration>;

/// Compares the wanted files with those that exist.
///
/// `wanted` has no digest for a profile whose file stays as it is. The file of a deleted profile is
/// kept for `keep`, since a container that restarts reads it again (AG1); `released` holds how long
/// it has been kept.
pub fn plan(
    wanted: &BTreeMap<Name, Option<Digest>>,
    present: &BTreeMap<Name, Present>,
    released: &Released,
    keep: Duration,
) -> Plan {
    let mut plan = Plan::default();
    for (name, digest) in wanted {
        let is_there = present.get(name) == Some(&Present::File(*digest));
        if digest.is_some() && !is_there {
            plan.steps.push(Step::Write(name.clone()));
        }
    }
    for (name, present) in present.iter().filter(|(name, _)| !wanted.contains_key(*name)) {
        let age = released.get(name).copied().unwrap_or_default();
        match present {
            Present::Foreign => {}
            _ if age >= keep => plan.steps.push(Step::Remove(name.clone())),
            _ => {
                plan.released.insert(name.clone(), age);
            }
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const KEEP: Duration = Duration::from_secs(100);

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn digest(number: u8) -> Digest {
        Digest::of(&[number])
    }

    fn of<T>(it: Option<T>) -> BTreeMap<Name, T> {
        it.into_iter().map(|it| (name("web"), it)).collect()
    }

    #[rstest]
    #[case::nothing_wanted_nothing_there(None, None, None, "")]
    #[case::new(Some("1"), None, None, "write")]
    #[case::there(Some("1"), Some("1"), None, "")]
    #[case::changed(Some("1"), Some("2"), None, "write")]
    #[case::too_large_to_be_read(Some("1"), Some("unread"), None, "write")]
    #[case::of_another_mode(Some("1"), Some("altered"), None, "write")]
    #[case::a_link_in_its_place(Some("1"), Some("foreign"), None, "write")]
    #[case::wanted_again(Some("1"), Some("1"), Some(99), "")]
    #[case::wanted_again_at_the_last_moment(Some("1"), Some("1"), Some(100), "")]
    #[case::refused_and_not_there(Some("as it is"), None, None, "")]
    #[case::refused_and_there(Some("as it is"), Some("2"), None, "")]
    #[case::refused_and_unread(Some("as it is"), Some("unread"), Some(100), "")]
    #[case::just_released(None, Some("1"), None, "kept 0")]
    #[case::released_some_time_ago(None, Some("1"), Some(99), "kept 99")]
    #[case::released_and_changed(None, Some("unread"), Some(99), "kept 99")]
    #[case::released_long_enough(None, Some("1"), Some(100), "remove")]
    #[case::released_and_of_another_mode(None, Some("altered"), Some(101), "remove")]
    #[case::a_link_of_somebody_else(None, Some("foreign"), Some(101), "")]
    #[case::removed_by_somebody_else(None, None, Some(50), "")]
    fn table(
        #[case] wanted: Option<&str>,
        #[case] present: Option<&str>,
        #[case] released: Option<u64>,
        #[case] expected: &str,
    ) {
        let present = present.map(|it| match it {
            "altered" => Present::Altered,
            "foreign" => Present::Foreign,
            it => Present::File(it.parse().ok().map(digest)),
        });
        let wanted = of(wanted.map(|it| it.parse().ok().map(digest)));
        let released = of(released.map(Duration::from_secs));
        let Plan { steps, released } = plan(&wanted, &of(present), &released, KEEP);
        let steps = steps.iter().map(|it| match it {
            Step::Write(_) => "write".to_owned(),
            Step::Remove(_) => "remove".to_owned(),
        });
        let kept = released.values().map(|it| format!("kept {}", it.as_secs()));
        assert_eq!(steps.chain(kept).collect::<Vec<_>>().join(", "), expected);
    }

    fn any_name() -> impl Strategy<Value = Name> {
        "[ab][cd]?".prop_map(|it| name(&it))
    }

    fn any_present() -> impl Strategy<Value = Present> {
        prop_oneof![
            any::<Option<bool>>().prop_map(|it| Present::File(it.map(|it| digest(it.into())))),
            Just(Present::Altered),
            Just(Present::Foreign),
        ]
    }

    proptest! {
        #[test]
        fn what_is_planned_leads_to_what_is_wanted_and_to_rest(
            wanted in prop::collection::btree_map(any_name(), any::<Option<bool>>(), 0..6),
            present in prop::collection::btree_map(any_name(), any_present(), 0..6),
            ages in prop::collection::btree_map(any_name(), 0_u64..120, 0..6),
        ) {
            let wanted: BTreeMap<_, _> =
                wanted.into_iter().map(|(name, it)| (name, it.map(|it| digest(it.into())))).collect();
            let ages: Released =
                ages.into_iter().map(|(name, it)| (name, Duration::from_secs(it))).collect();
            let (mut now, mut released) = (present.clone(), ages.clone());
            for round in 0..3 {
                let Plan { steps, released: kept } = plan(&wanted, &now, &released, KEEP);
                prop_assert!(round == 0 || round == 2 || steps.is_empty(), "{steps:?}");
                for step in steps {
                    match step {
                        Step::Write(name) => {
                            now.insert(name.clone(), Present::File(wanted[&name]));
                        }
                        Step::Remove(name) => {
                            prop_assert!(!wanted.contains_key(&name));
                            prop_assert_ne!(now[&name], Present::Foreign);
                            prop_assert!(released[&name] >= KEEP);
                            now.remove(&name);
                        }
                    }
                }
                released = kept;
                if round == 1 {
                    for it in released.values_mut() {
                        *it += KEEP;
                    }
                }
            }
            for (name, digest) in &wanted {
                if digest.is_some() {
                    prop_assert_eq!(now[name], Present::File(*digest));
                } else {
                    prop_assert_eq!(now.get(name), present.get(name));
                }
            }
            for (name, it) in &now {
                prop_assert!(wanted.contains_key(name) || *it == Present::Foreign);
            }
        }
    }
}
