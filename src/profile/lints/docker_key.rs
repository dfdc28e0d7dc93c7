#![doc = include_str!("docker-key.md")]

use std::collections::BTreeMap;

use super::{
    Anchor, Check, Lint, Reading, Remark, Severity, Shape,
    remark::{listed, quoted},
};
use crate::profile::{
    action::Action,
    document::Syscall,
    json::{Content, Value, same_key},
};

/// L2: containerd drops the keys that Docker and Podman add to the format, which
/// changes the meaning of the profile.
pub(super) const LINT: Lint = Lint {
    id: "docker-key",
    severity: Severity::Error,
    page: include_str!("docker-key.md"),
    check: Check::Profile(check),
};

/// A key that Docker or Podman adds.
struct Extension {
    key: &'static str,
    shape: Shape,
    /// What happens if the key is ignored.
    becomes: fn(&Ignored<'_>) -> String,
    hint: fn(&Ignored<'_>) -> Option<String>,
}

const EXTENSIONS: &[Extension] = &[
    Extension {
        key: "archMap",
        shape: Shape::Profile,
        becomes: arch_map,
        hint: |_| Some("list them in \"architectures\"".to_owned()),
    },
    Extension {
        key: "defaultErrno",
        shape: Shape::Profile,
        becomes: |_| "the error is EPERM".to_owned(),
        hint: |_| Some("give the number as \"defaultErrnoRet\"".to_owned()),
    },
    Extension {
        key: "name",
        shape: Shape::Rule,
        becomes: name,
        hint: |it| match it.places[0].content() {
            Content::String(name) if it.are_nameless() => {
                Some(format!("write \"names\": [{}]", quoted(name)))
            }
            Content::String(name) => Some(format!("add {} to \"names\"", quoted(name))),
            _ => None,
        },
    },
    Extension {
        key: "includes",
        shape: Shape::Rule,
        becomes: |it| it.apply("always, whatever the capabilities, architecture and kernel"),
        hint: |_| None,
    },
    Extension {
        key: "excludes",
        shape: Shape::Rule,
        becomes: |it| it.apply("without exception"),
        hint: |_| None,
    },
    Extension {
        key: "minKernel",
        shape: Shape::Rule,
        becomes: |it| it.apply("on every kernel"),
        hint: |_| None,
    },
    Extension {
        key: "errno",
        shape: Shape::Rule,
        becomes: |_| "the error is EPERM".to_owned(),
        hint: |_| Some("give the number as \"errnoRet\"".to_owned()),
    },
];

/// The key of Docker or Podman that `key` is, without regard to case.
pub(super) fn named(shape: Shape, key: &str) -> Option<&'static str> {
    let mut known = EXTENSIONS.iter().filter(|it| it.shape == shape).map(|it| it.key);
    known.find(|it| same_key(key, it))
}

/// The occurrences of one key, and the rules that have it.
struct Ignored<'a> {
    reading: &'a Reading<'a>,
    places: Vec<Value<'a>>,
    rules: Vec<&'a Syscall>,
}

/// Reports each key once, since Docker's files have it in many rules.
fn check(reading: &Reading<'_>) -> Vec<Remark> {
    if reading.target.resolves_keys {
        return Vec::new();
    }
    let rules: BTreeMap<_, _> = reading.rules().map(|it| (it.node, &it.it)).collect();
    let mut found: BTreeMap<&str, Ignored<'_>> = BTreeMap::new();
    for object in reading.objects() {
        for (key, value) in object.value.members() {
            let rule = rules.get(&object.value.node).copied();
            let Some(key) = named(object.shape, key) else { continue };
            if says_something(value) && !is_said(key, rule, reading) {
                let none = || Ignored { reading, places: Vec::new(), rules: Vec::new() };
                let ignored = found.entry(key).or_insert_with(none);
                ignored.places.push(value);
                ignored.rules.extend(rule);
            }
        }
    }
    let says = |it: &Extension| {
        let ignored = found.get(it.key)?;
        let message = format!("containerd ignores {:?}: {}", it.key, (it.becomes)(ignored));
        let mut places = ignored.places.iter().map(|it| Anchor::Key(it.node));
        let remark = Remark { hint: (it.hint)(ignored), ..Remark::new(places.next()?, message) };
        Some(remark.also(places))
    };
    EXTENSIONS.iter().filter_map(says).collect()
}

/// Whether the value is not empty: Docker writes `"includes": {}`.
fn says_something(value: Value<'_>) -> bool {
    match value.content() {
        Content::Null => false,
        Content::String(text) => !text.is_empty(),
        Content::Object => value.members().next().is_some(),
        Content::Array => value.elements().next().is_some(),
        Content::Bool | Content::Number(_) => true,
    }
}

/// Whether the number is present too, which takes effect: Podman writes both.
fn is_said(key: &str, rule: Option<&Syscall>, reading: &Reading<'_>) -> bool {
    match key {
        "errno" => rule.is_some_and(|it| it.errno.is_some()),
        "defaultErrno" => reading.document.default_errno.is_some(),
        _ => false,
    }
}

impl Ignored<'_> {
    fn are_nameless(&self) -> bool {
        self.rules.iter().all(|it| it.names.is_empty())
    }

    fn apply(&self, how: &str) -> String {
        let calls = self.rules.iter().flat_map(|it| &it.names).map(|it| it.as_str());
        let calls = listed(calls, 4);
        match self.places.len() {
            1 => format!("the rule applies {how} ({calls})"),
            many => format!("{many} rules apply {how} ({calls})"),
        }
    }
}

fn arch_map(ignored: &Ignored<'_>) -> String {
    if ignored.reading.document.architectures.is_empty() {
        "programs of any but the native architecture are killed".to_owned()
    } else {
        "only \"architectures\" counts, and CRI-O and Docker refuse a profile with both".to_owned()
    }
}

fn name(ignored: &Ignored<'_>) -> String {
    if !ignored.are_nameless() {
        return "only \"names\" counts, and CRI-O and Docker refuse a rule with both".to_owned();
    }
    let denies = |it: &&Syscall| Action::parse(&it.action).is_some_and(|it| !it.lets_through());
    let lets_through = ignored.reading.default().is_some_and(Action::lets_through);
    let rules = match ignored.places.len() {
        1 => "the rule has no effect".to_owned(),
        many => format!("{many} rules have no effect"),
    };
    if lets_through && ignored.rules.iter().any(denies) {
        format!("{rules}, and what was to be denied is let through")
    } else {
        rules
    }
}
