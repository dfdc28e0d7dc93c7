//! Runs the table of profile files and their objects, `tests/wrap.yaml`, and the
//! command that converts them. `e2e/oracle` compares with Docker's own code, and
//! `e2e/tests/wrap.rs` sends the objects to an API server.

use std::{
    fs,
    io::Write,
    process::{Command, Output, Stdio},
};

use callgate::{
    convert::{self, Converted, Diagnostic, Node, Undecided},
    position::Position,
    profile::{Document, ObjectName, Span, as_file},
};
use rstest::rstest;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    text: String,
    arch: Option<String>,
    kernel: Option<String>,
    /// `line:column level: …`, and where else.
    #[serde(default)]
    said: Vec<String>,
    spec: Option<Value>,
    undecided: Option<Place>,
    /// Why Docker's result differs; for the oracle.
    #[serde(rename = "ours")]
    _ours: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    architecture: Option<String>,
    kernel: Option<String>,
}

fn table() -> Vec<Case> {
    let table = fs::read_to_string("tests/wrap.yaml").expect("the table is there");
    serde_saphyr::from_str(&table).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_file_of_the_table_becomes_the_expected_object() {
    let mut wrong = Vec::new();
    for case in table() {
        let Case { name, text, said, .. } = &case;
        let (actual_said, actual_spec, undecided) =
            match convert::convert(text.as_bytes(), case.node()) {
                Ok(Converted { diagnostics, spec }) => {
                    let said: Vec<_> = diagnostics.iter().map(|it| line(it, text)).collect();
                    let spec = spec.map(|it| serde_json::to_value(it).expect("it is plain data"));
                    (said, spec, None)
                }
                Err(Undecided { architecture, kernel }) => {
                    (Vec::new(), None, Some((architecture, kernel)))
                }
            };
        let expected = case.undecided.as_ref();
        let expected = expected.map(|it| (it.architecture.clone(), it.kernel.clone()));
        let expected = (said.clone(), case.spec.clone(), expected);
        let actual = (actual_said, actual_spec, undecided);
        if actual != expected {
            wrong.push(format!("{name}\n  expected {expected:#?}\n  actual {actual:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrapped_object_is_sound_when_it_is_read_back() {
    let name: ObjectName = "web".parse().expect("it is a name");
    for case in table() {
        let Ok(Converted { spec: Some(spec), .. }) =
            convert::convert(case.text.as_bytes(), case.node())
        else {
            continue;
        };
        let object = serde_json::to_value(convert::object(&name, &spec)).expect("it is plain data");
        let read = as_file(object["spec"].clone()).to_string();
        assert_eq!(Document::inspect(read.as_bytes()), None, "{}", case.name);
        let again =
            convert::convert(read.as_bytes(), Node::default()).expect("nothing depends on nodes");
        assert_eq!(again.spec, Some(spec), "{}", case.name);
    }
}

impl Case {
    fn node(&self) -> Node {
        let Self { arch, kernel, .. } = self;
        Node {
            architecture: arch.as_ref().map(|it| it.parse().expect("an architecture")),
            kernel: kernel.as_ref().map(|it| it.parse().expect("a kernel")),
        }
    }
}

fn line(diagnostic: &Diagnostic, text: &str) -> String {
    let Diagnostic { level, span, also, line } = diagnostic;
    let position = |it: &Span| {
        let Position { line, column } = Position::of(it.start, text.as_bytes());
        format!("{line}:{column}")
    };
    let mut line = format!("{} {level}: {line}", position(span));
    if !also.is_empty() {
        let also: Vec<_> = also.iter().map(position).collect();
        line = format!("{line} (also {})", also.join(", "));
    }
    line
}

/// `callgate profile wrap`, with this on its standard input.
fn callgate(words: &[&str], input: &str) -> Output {
    let mut process = Command::new(env!("CARGO_BIN_EXE_callgate"))
        .args(["profile", "wrap"])
        .args(words)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // It may have ended without reading.
    let _ = process.stdin.take().expect("it is piped").write_all(input.as_bytes());
    process.wait_with_output().expect("it ends")
}

/// Its exit code, and what it printed on standard output and on standard error.
fn ended(output: &Output) -> (Option<i32>, String, String) {
    let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

const BLOCK_MKDIR: &str = "apiVersion: callgate.dev/v1alpha1
kind: SeccompProfile
metadata:
  name: block-mkdir
spec:
  defaultAction: SCMP_ACT_ALLOW
  syscalls:
  - names:
    - mkdir
    - mkdirat
    action: SCMP_ACT_KILL
";

#[test]
fn a_file_becomes_an_object_of_the_same_name() {
    let ended = ended(&callgate(&["profiles/block-mkdir.json"], ""));
    assert_eq!(ended, (Some(0), BLOCK_MKDIR.to_owned(), String::new()));
}

#[test]
fn standard_input_becomes_an_object_of_the_name_that_is_given() {
    let file = fs::read_to_string("profiles/block-mkdir.json").expect("it is there");
    let (code, printed, said) = ended(&callgate(&["-", "--name", "no-mkdir"], &file));
    assert_eq!(printed, BLOCK_MKDIR.replace("name: block-mkdir", "name: no-mkdir"));
    assert_eq!((code, said.as_str()), (Some(0), ""));
}

#[test]
fn json_says_the_same_as_yaml() {
    let words = ["profiles/block-mkdir.json", "--output", "json"];
    let (code, printed, _) = ended(&callgate(&words, ""));
    let object: Value = serde_json::from_str(&printed).expect("it is JSON");
    let expected: Value = serde_saphyr::from_str(BLOCK_MKDIR).expect("it is YAML");
    assert_eq!((code, object), (Some(0), expected));
}

#[test]
fn warnings_and_notes_go_to_standard_error() {
    let file = r#"{ "defaultAction": "SCMP_ACT_ALLOW", "made": "by hand",
  "syscalls": [{ "name": "mkdir", "action": "SCMP_ACT_KILL" }] }"#;
    let (code, printed, said) = ended(&callgate(&["-", "--name", "web"], file));
    let expected = "stdin:1:38: warning: made: the runtime drops \"made\", which it does not know \
                    [unknown-key]\n\
                    stdin:2:18: note: syscalls[0].name: taken as \"names\"\n";
    assert_eq!((code, said.as_str()), (Some(0), expected));
    assert!(printed.ends_with("  - names:\n    - mkdir\n    action: SCMP_ACT_KILL\n"), "{printed}");
}

#[test]
fn a_file_with_a_lint_error_is_not_printed() {
    let file = r#"{ "defaultAction": "SCMP_ACT_ALOW" }"#;
    let expected = "stdin:1:20: error: defaultAction: \"SCMP_ACT_ALOW\" is no action that the \
                    runtime knows, so no container starts; did you mean \"SCMP_ACT_ALLOW\"? \
                    [unknown-action]\n";
    let ended = ended(&callgate(&["-", "--name", "web"], file));
    assert_eq!(ended, (Some(1), String::new(), expected.to_owned()));
}

#[test]
fn errors_come_first_among_very_many_lines() {
    let keys: Vec<_> = (0..300).map(|it| format!("\"x{it}\": 0, ")).collect();
    let keys = keys.concat();
    let file = format!("{{ {keys}\"defaultAction\": \"SCMP_ACT_ALOW\" }}");
    let (code, printed, said) = ended(&callgate(&["-", "--name", "web"], &file));
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].contains(": error: defaultAction: "), "{said}");
    assert!(lines[1].contains(": warning: x0: "), "{said}");
    assert_eq!((lines.len(), lines[200]), (201, "stdin: and 101 more"));
    assert_eq!((code, printed.as_str()), (Some(1), ""));
}

const DEPENDS: &str = r#"{ "defaultAction": "SCMP_ACT_ALLOW",
  "archMap": [{ "architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"] }],
  "syscalls": [{ "names": ["mkdir"], "action": "SCMP_ACT_KILL", "includes": { "minKernel": "4.8" } }] }"#;

#[rstest]
#[case::nothing_is_known(
    &[],
    "the architecture (archMap) and the kernel (syscalls[0].includes) of the nodes: \
     say by --arch and --kernel"
)]
#[case::the_architecture_is_known(
    &["--arch", "amd64"],
    "the kernel (syscalls[0].includes) of the nodes: say by --kernel"
)]
#[case::the_kernel_is_known(
    &["--kernel", "5.15"],
    "the architecture (archMap) of the nodes: say by --arch"
)]
fn the_architecture_and_kernel_of_the_nodes_are_not_guessed(
    #[case] flags: &[&str],
    #[case] of: &str,
) {
    let ended = ended(&callgate(&[&["-", "--name", "web"], flags].concat(), DEPENDS));
    let line = format!("error: stdin: the profile depends on {of}\n");
    assert_eq!(ended, (Some(2), String::new(), line));
}

#[rstest]
#[case::no_such_file(
    &["/nonexistent/web.json"],
    "error: cannot read \"/nonexistent/web.json\": No such file or directory (os error 2)"
)]
#[case::a_directory(&["profiles"], "error: cannot read \"profiles\": Is a directory (os error 21)")]
#[case::no_end(
    &["/dev/zero", "--name", "zero"],
    "error: \"/dev/zero\" is larger than 1048576 bytes, it cannot be a profile"
)]
#[case::no_name(
    &["-"],
    "error: standard input has no name: give the object one by --name"
)]
#[case::a_file_that_no_object_can_be_called_like(
    &["Block_Mkdir.json"],
    "error: \"Block_Mkdir\" cannot be the name of an object, expected at most 63 lower case \
     letters, digits, hyphens and dots, between letters and digits; give it one by --name"
)]
#[case::no_such_architecture(
    &["-", "--name", "web", "--arch", "x86_64"],
    "error: invalid value 'x86_64' for '--arch <ARCH>': there is no architecture \"x86_64\", \
     did you mean \"amd64\"?"
)]
#[case::no_such_kernel(
    &["-", "--name", "web", "--kernel", "new"],
    "error: invalid value 'new' for '--kernel <VERSION>': \"new\" is no version of a kernel, \
     expected one such as 5.15"
)]
fn every_failure_is_one_line(#[case] words: &[&str], #[case] line: &str) {
    let (code, printed, said) = ended(&callgate(words, ""));
    assert_eq!(said.lines().next(), Some(line));
    assert_eq!((code, printed.as_str()), (Some(2), ""));
}

#[test]
fn a_failed_write_to_standard_output_is_an_error_and_no_panic() {
    let full = || fs::File::options().write(true).open("/dev/full").expect("Linux has one");
    let output = Command::new(env!("CARGO_BIN_EXE_callgate"))
        .args(["profile", "wrap", "profiles/block-mkdir.json"])
        .env_clear()
        .stdout(full())
        .output()
        .expect("the binary starts");
    let (code, _, said) = ended(&output);
    let line = "error: cannot write to standard output: No space left on device (os error 28)\n";
    assert_eq!((code, said.as_str()), (Some(2), line));
}
