//! Adds what a program needs to the text of a profile; every other byte stays as it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use serde_json::{Value as Written, json};

use crate::profile::{
    DecodedProfile, Filter, NodeId, Span,
    architecture::Architecture,
    document::{Spanned, Syscall},
    evaluate::Reason,
    json::{Value, same_key},
};

/// A system call that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Observed {
    pub(crate) architecture: Architecture,
    pub(crate) number: u32,
    pub(crate) arguments: [u64; 6],
}

/// A profile with more calls.
pub(crate) struct Amended {
    pub(crate) text: Vec<u8>,
    /// What it still may deny, since a condition of some rule does.
    pub(crate) left: Vec<Observed>,
}

/// The most changes of a text; each allows a call at least.
const MOST_CHANGES: usize = 2000;

/// A change of a text.
struct Change {
    range: Range<usize>,
    with: String,
}

/// Allows the calls in a profile and, where the profile has conditions on the arguments of a call, with
/// those arguments alone.
pub(crate) fn amended<'a>(
    text: &[u8],
    native: Architecture,
    observed: impl Iterator<Item = &'a Observed>,
) -> Amended {
    let observed: Vec<_> = observed.copied().collect();
    let mut text = text.to_vec();
    let mut left = observed.clone();
    for _ in 0..MOST_CHANGES {
        let Ok(profile) = DecodedProfile::parse(&text) else { break };
        let Some(filter) = profile.document.filter(native) else { break };
        left = observed.iter().filter(|it| is_denied(&filter, it)).copied().collect();
        let Some(Change { range, with }) = change(&text, &profile, &filter, native, &left) else {
            break;
        };
        text.splice(range, with.into_bytes());
    }
    Amended { text, left }
}

fn is_denied(filter: &Filter<'_>, it: &Observed) -> bool {
    let (outcome, _) = filter.explain_number(it.architecture, it.number, &it.arguments);
    outcome.effects().any(|it| !it.lets_through())
}

/// The next change: an architecture first, then a name that is denied, then all that are only not
/// allowed.
fn change(
    text: &[u8],
    profile: &DecodedProfile,
    filter: &Filter<'_>,
    native: Architecture,
    left: &[Observed],
) -> Option<Change> {
    let mut missing = BTreeMap::new();
    for it in left {
        match filter.explain_number(it.architecture, it.number, &it.arguments).1 {
            Reason::NotCovered => return architecture(profile, native, it.architecture),
            Reason::Rules(rules) => {
                let call = it.architecture.call(it.number)?;
                if let Some(found) =
                    rules.iter().find_map(|rule| denial(text, profile, *rule, call))
                {
                    return Some(found);
                }
            }
            Reason::Default | Reason::Newer => {
                let Some(call) = it.architecture.call(it.number) else { continue };
                let depends = filter.depends_on(it.architecture, it.number);
                let fixed: Vec<_> = (0_u64..)
                    .zip(depends)
                    .zip(it.arguments)
                    .filter_map(|((index, depends), value)| depends.then_some((index, value)))
                    .collect();
                missing.entry(fixed).or_insert_with(BTreeSet::new).insert(call);
            }
        }
    }
    if missing.is_empty() { None } else { added(text, profile, &missing) }
}

/// Adds an architecture to those of the profile.
fn architecture(
    profile: &DecodedProfile,
    native: Architecture,
    it: Architecture,
) -> Option<Change> {
    let name = |it: Architecture| json!(it.seccomp()).to_string();
    if let Some(last) = profile.document.architectures.last() {
        let Span { end, .. } = profile.json.location(last.node).span?;
        return Some(Change { range: end..end, with: format!(", {}", name(it)) });
    }
    let Span { end, .. } = profile.json.location(profile.document.default_action.node).span?;
    let with = format!(",\n  \"architectures\": [{}, {}]", name(native), name(it));
    let has_key = profile.json.root().members().any(|it| same_key(it.0, "architectures"));
    (!has_key).then_some(Change { range: end..end, with })
}

/// Takes the name out of a rule that denies the call whatever its arguments are.
fn denial(text: &[u8], profile: &DecodedProfile, rule: NodeId, call: &str) -> Option<Change> {
    let is_it = |it: &&Spanned<Syscall>| it.node == rule && it.args.is_empty();
    let rule = profile.document.syscalls.iter().find(is_it)?;
    let span = |node| profile.json.location(node).span;
    let named: Vec<_> = rule.names.iter().filter(|it| it.it == call).collect();
    let all = named.len() == rule.names.len();
    let Span { start, end } = span(if all { rule.node } else { named.first()?.node })?;
    Some(Change { range: with_comma(text, start..end), with: String::new() })
}

/// An element of a list with the comma that separates it from others.
fn with_comma(text: &[u8], Range { start, end }: Range<usize>) -> Range<usize> {
    let is_space = |it: &u8| it.is_ascii_whitespace();
    let after = text[end..].iter().take_while(|it| is_space(it)).count();
    let before = text[..start].iter().rev().take_while(|it| is_space(it)).count();
    if start > before && text[start - before - 1] == b',' {
        return start - before - 1..end;
    }
    if text.get(end + after) == Some(&b',') {
        let behind = end + after + 1;
        return start..behind + text[behind..].iter().take_while(|it| is_space(it)).count();
    }
    start..end
}

/// Adds a rule for each set of arguments, behind all others.
fn added(
    text: &[u8],
    profile: &DecodedProfile,
    missing: &BTreeMap<Vec<(u64, u64)>, BTreeSet<&str>>,
) -> Option<Change> {
    let rules: Vec<_> = missing.iter().map(|(fixed, names)| rule(fixed, names)).collect();
    let root = profile.json.root();
    let present = root.members().filter(|it| same_key(it.0, "syscalls")).last();
    let span = |it: Value<'_>| profile.json.location(it.node).span;
    let Some((_, list)) = present else {
        let Span { end, .. } = span(profile.json.value(profile.document.default_action.node))?;
        let with = format!(",\n  \"syscalls\": [\n    {}\n  ]", rules.join(",\n    "));
        return Some(Change { range: end..end, with });
    };
    let Some(final_rule) = list.elements().last() else {
        let Span { start, end } = span(list)?;
        let with = format!("[\n    {}\n  ]", rules.join(",\n    "));
        return Some(Change { range: start..end, with });
    };
    let Span { start, end } = span(final_rule)?;
    let line = text[..start].iter().rev().take_while(|it| **it != b'\n').count();
    let is_space = |it: &&u8| **it == b' ' || **it == b'\t';
    let indent: Vec<_> = text[start - line..].iter().take_while(is_space).copied().collect();
    let begins_line = indent.len() == line && line < start;
    let between = if begins_line {
        format!(",\n{}", String::from_utf8_lossy(&indent))
    } else {
        ", ".to_owned()
    };
    let with = [String::new()].into_iter().chain(rules).collect::<Vec<_>>().join(&between);
    Some(Change { range: end..end, with })
}

fn rule(fixed: &[(u64, u64)], names: &BTreeSet<&str>) -> String {
    let names: Vec<_> = names.iter().map(|it| json!(it).to_string()).collect();
    let names = names.join(", ");
    if fixed.is_empty() {
        return format!("{{ \"names\": [{names}], \"action\": \"SCMP_ACT_ALLOW\" }}");
    }
    let arg = |(index, value): &(u64, u64)| {
        let (index, value): (Written, Written) = (json!(index), json!(value));
        format!("{{ \"index\": {index}, \"value\": {value}, \"op\": \"SCMP_CMP_EQ\" }}")
    };
    let args: Vec<_> = fixed.iter().map(arg).collect();
    let args = args.join(", ");
    format!("{{ \"names\": [{names}], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{args}] }}")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn observed(call: &str, arguments: [u64; 6]) -> Observed {
        let architecture = Architecture::of_node("amd64").unwrap();
        let number = (0..500).find(|it| architecture.call(*it) == Some(call)).unwrap();
        Observed { architecture, number, arguments }
    }

    #[rstest]
    #[case::names_are_added_sorted(
        "{\n  \"defaultAction\": \"SCMP_ACT_ERRNO\",\n  \"syscalls\": [\n    { \"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\" }\n  ]\n}\n",
        &[observed("write", [1; 6]), observed("close", [2; 6])],
        "{\n  \"defaultAction\": \"SCMP_ACT_ERRNO\",\n  \"syscalls\": [\n    { \"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\" },\n    { \"names\": [\"close\", \"write\"], \"action\": \"SCMP_ACT_ALLOW\" }\n  ]\n}\n"
    )]
    #[case::arguments_that_decide_stay_narrow(
        r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"}]}]}"#,
        &[observed("socket", [2, 1, 0, 0, 0, 0]), observed("socket", [10, 2, 0, 0, 0, 0])],
        r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"}]}, { "names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{ "index": 0, "value": 2, "op": "SCMP_CMP_EQ" }] }, { "names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{ "index": 0, "value": 10, "op": "SCMP_CMP_EQ" }] }]}"#
    )]
    #[case::a_name_is_taken_out_of_a_rule_that_denies(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir", "swapon"],"action":"SCMP_ACT_ERRNO"}]}"#,
        &[observed("mkdir", [0; 6])],
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["swapon"],"action":"SCMP_ACT_ERRNO"}]}"#
    )]
    #[case::the_rule_goes_with_its_last_name(
        r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"}, {"names":["clone3"],"action":"SCMP_ACT_ERRNO","errnoRet":38}]}"#,
        &[observed("clone3", [0; 6])],
        r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"}, { "names": ["clone3"], "action": "SCMP_ACT_ALLOW" }]}"#
    )]
    #[case::there_are_no_rules(
        r#"{"defaultAction":"SCMP_ACT_ERRNO"}"#,
        &[observed("read", [0; 6])],
        "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\n  \"syscalls\": [\n    { \"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\" }\n  ]}"
    )]
    #[case::another_architecture(
        r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#,
        &[Observed {
            architecture: Architecture::named("SCMP_ARCH_X86").unwrap(),
            number: 4,
            arguments: [0; 6],
        }],
        "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\n  \"architectures\": [\"SCMP_ARCH_X86_64\", \"SCMP_ARCH_X86\"]}"
    )]
    fn a_profile_is_amended(
        #[case] text: &str,
        #[case] calls: &[Observed],
        #[case] expected: &str,
    ) {
        let native = Architecture::of_node("amd64").unwrap();
        let Amended { text, left } = amended(text.as_bytes(), native, calls.iter());
        assert_eq!(String::from_utf8(text).unwrap(), expected);
        assert_eq!(left, []);
    }

    #[test]
    fn what_a_condition_denies_is_left() {
        let text = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["clone"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":268435456,"valueTwo":268435456,"op":"SCMP_CMP_MASKED_EQ"}]}]}"#;
        let native = Architecture::of_node("amd64").unwrap();
        let call = observed("clone", [0x1000_0011, 0, 0, 0, 0, 0]);
        let amended = amended(text.as_bytes(), native, [call].iter());
        assert_eq!(String::from_utf8(amended.text).unwrap(), text);
        assert_eq!(amended.left, [call]);
    }
}
