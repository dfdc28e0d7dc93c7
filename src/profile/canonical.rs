//! The canonical text of a profile, which agents write to nodes.

use serde::Serialize;

use crate::profile::document::{Arg, Document, Syscall};

/// The fields of the runtime specification's `LinuxSeccomp`, in its order and
/// under its names; empty values are omitted, as in Go.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    default_action: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_errno_ret: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    architectures: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flags: Vec<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    listener_path: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    listener_metadata: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    syscalls: Vec<WrittenSyscall<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenSyscall<'a> {
    names: Vec<&'a str>,
    action: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno_ret: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<WrittenArg<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenArg<'a> {
    index: u64,
    value: u64,
    #[serde(skip_serializing_if = "is_zero")]
    value_two: u64,
    op: &'a str,
}

impl Document {
    /// The canonical file of this profile: the same text for all equal profiles,
    /// with exact numbers and one line feed at the end.
    ///
    /// Agents write this text, never the bytes of a user (L5). It lacks what the
    /// runtime drops: unknown keys, repeated keys, keys in another case.
    #[expect(clippy::missing_panics_doc, reason = "strings and numbers have a JSON form")]
    pub fn canonical(&self) -> String {
        let mut text = serde_json::to_string_pretty(&Written::of(self))
            .expect("strings and numbers have a JSON form");
        text.push('\n');
        text
    }
}

impl<'a> Written<'a> {
    fn of(document: &'a Document) -> Self {
        Self {
            default_action: &document.default_action,
            default_errno_ret: document.default_errno.as_deref().copied(),
            architectures: document.architectures.iter().map(|it| it.as_str()).collect(),
            flags: document.flags.iter().map(|it| it.as_str()).collect(),
            listener_path: &document.listener_path,
            listener_metadata: &document.listener_metadata,
            syscalls: document.syscalls.iter().map(|it| WrittenSyscall::of(it)).collect(),
        }
    }
}

impl<'a> WrittenSyscall<'a> {
    fn of(syscall: &'a Syscall) -> Self {
        Self {
            names: syscall.names.iter().map(|it| it.as_str()).collect(),
            action: &syscall.action,
            errno_ret: syscall.errno.as_deref().copied(),
            args: syscall.args.iter().map(|it| WrittenArg::of(it)).collect(),
        }
    }
}

impl<'a> WrittenArg<'a> {
    fn of(arg: &'a Arg) -> Self {
        Self { index: *arg.index, value: *arg.value, value_two: *arg.value_two, op: &arg.op }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::profile::document::Spanned;

    /// A document without the nodes of its values.
    fn plain(document: &Document) -> Document {
        fn bare<T: Clone>(it: &Spanned<T>) -> Spanned<T> {
            Spanned { it: it.it.clone(), node: <_>::default() }
        }
        fn all<T: Clone>(list: &[Spanned<T>]) -> Vec<Spanned<T>> {
            list.iter().map(bare).collect()
        }
        let arg = |it: &Spanned<Arg>| Arg {
            index: bare(&it.index),
            value: bare(&it.value),
            value_two: bare(&it.value_two),
            op: bare(&it.op),
        };
        let unplaced = |it| Spanned { it, node: <_>::default() };
        let syscall = |it: &Spanned<Syscall>| Syscall {
            names: all(&it.names),
            action: bare(&it.action),
            errno: it.errno.as_ref().map(bare),
            args: it.args.iter().map(|it| Spanned { it: arg(it), node: <_>::default() }).collect(),
        };
        Document {
            default_action: bare(&document.default_action),
            default_errno: document.default_errno.as_ref().map(bare),
            architectures: all(&document.architectures),
            flags: all(&document.flags),
            listener_path: bare(&document.listener_path),
            listener_metadata: bare(&document.listener_metadata),
            syscalls: document.syscalls.iter().map(|it| unplaced(syscall(it))).collect(),
            unknown_keys: Vec::new(),
        }
    }

    fn parse(text: &str) -> Document {
        Document::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn it_is_written_in_the_order_of_the_specification_and_ends_with_a_line_feed() {
        let text = r#"{
            "syscalls": [
                {"action": "SCMP_ACT_ERRNO", "names": ["mkdir", "mkdirat"], "errnoRet": 0},
                {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [
                    {"op": "SCMP_CMP_MASKED_EQ", "valueTwo": 18446744073709551615,
                     "value": 9223372036854775809, "index": 0}
                ]}
            ],
            "comment": "gone", "FLAGS": ["SECCOMP_FILTER_FLAG_LOG"], "defaultErrnoRet": null,
            "defaultAction": "SCMP_ACT_ALLOW", "architectures": []
        }"#;
        assert_eq!(
            parse(text).canonical(),
            r#"{
  "defaultAction": "SCMP_ACT_ALLOW",
  "flags": [
    "SECCOMP_FILTER_FLAG_LOG"
  ],
  "syscalls": [
    {
      "names": [
        "mkdir",
        "mkdirat"
      ],
      "action": "SCMP_ACT_ERRNO",
      "errnoRet": 0
    },
    {
      "names": [
        "clone"
      ],
      "action": "SCMP_ACT_ALLOW",
      "args": [
        {
          "index": 0,
          "value": 9223372036854775809,
          "valueTwo": 18446744073709551615,
          "op": "SCMP_CMP_MASKED_EQ"
        }
      ]
    }
  ]
}
"#
        );
    }

    #[test]
    fn an_errno_of_zero_is_another_thing_than_none() {
        for number in [r#", "defaultErrnoRet": 0"#, ""] {
            let text = format!(r#"{{"defaultAction": "SCMP_ACT_ERRNO"{number}}}"#);
            let document = parse(&text);
            assert_eq!(parse(&document.canonical()).default_errno.is_some(), !number.is_empty());
        }
    }

    fn any_arg() -> impl Strategy<Value = serde_json::Value> {
        (any::<u64>(), any::<u64>(), any::<u64>(), any::<String>()).prop_map(
            |(index, value, second, op)| {
                serde_json::json!({ "index": index, "value": value, "valueTwo": second, "op": op })
            },
        )
    }

    fn any_profile() -> impl Strategy<Value = serde_json::Value> {
        let text = any::<String>;
        let list = move || prop::collection::vec(text(), 0..3);
        let args = prop::collection::vec(any_arg(), 0..3);
        let syscall = (list(), text(), any::<Option<u64>>(), args).prop_map(
            |(names, action, errno, args)| {
                serde_json::json!({
                    "names": names, "action": action, "errnoRet": errno, "args": args, "name": "x",
                })
            },
        );
        let syscalls = prop::collection::vec(syscall, 0..4);
        (text(), any::<Option<u64>>(), list(), list(), text(), syscalls).prop_map(
            |(action, errno, architectures, flags, listener, syscalls)| {
                serde_json::json!({
                    "defaultAction": action, "defaultErrnoRet": errno, "flags": flags,
                    "architectures": architectures, "listenerPath": listener,
                    "syscalls": syscalls, "archMap": [],
                })
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_means_what_was_read_and_is_written_the_same_again(
            profile in any_profile(),
        ) {
            let document = parse(&profile.to_string());
            let text = document.canonical();
            let again = parse(&text);
            prop_assert_eq!(plain(&again), plain(&document));
            prop_assert_eq!(again.canonical(), text);
        }
    }
}
