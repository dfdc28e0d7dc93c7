use super::*;
use crate::position::Position;

const TOPIC: Topic = Topic { id: "privileged", page: "# privileged\n\nA privileged container.\n" };

const YAML: &str = "\
spec:
  containers:
    - name: app
      image: app
      securityContext:
        privileged: true
";

fn found(source: &Source<'_>, what: &str, name: &str) -> Diagnostic {
    let text = std::str::from_utf8(source.text()).unwrap();
    let span = |it: &str| {
        let start = text.find(it).expect("it is there");
        start..start + it.len()
    };
    let others = [(span(name), "container \"app\"".to_owned())];
    let place = source.place_with(span(what), "", &others);
    Diagnostic {
        field: "spec.containers[0]".to_owned(),
        help: vec!["remove it, or ask for an exemption".to_owned()],
        notes: vec!["policy \"restricted\" denies pod \"web\"".to_owned()],
        identity: vec!["pod web".to_owned(), "app".to_owned()],
        ..Diagnostic::new(Severity::Error, TOPIC, "privileged turns seccomp off", place)
    }
}

fn checked(file: &str, found: Vec<Diagnostic>) -> Vec<Checked> {
    vec![Checked { file: file.into(), name: "pod \"web\"".to_owned(), found }]
}

fn text(checked: &[Checked], form: Form) -> String {
    let report = Report { command: "callgate check", checked, fail_on: Some(Severity::Error) };
    report.text(form, Look::default())
}

#[test]
fn a_finding_shows_the_lines_and_the_way_out() {
    let source = Source::new("web.yaml", YAML.as_bytes());
    let found = found(&source, "privileged: true", "app");
    let expected = r#"
error[privileged]: privileged turns seccomp off
 --> web.yaml:6:9
  |
3 |     - name: app
  |             --- container "app"
...
6 |         privileged: true
  |         ^^^^^^^^^^^^^^^^
  |
  = note: policy "restricted" denies pod "web"
  = help: remove it, or ask for an exemption
"#;
    assert_eq!(found.render(Look::default()), expected[1..]);
    assert!(found.render(Look { is_coloured: true }).contains("\u{1b}["));
}

/// A manifest must not write to the terminal of those who check it.
#[test]
fn control_characters_of_a_file_are_shown_as_pictures() {
    let yaml = YAML.replace("true", "\u{1b}[2Jtrue");
    let source = Source::new("\u{1b}web.yaml", yaml.as_bytes());
    let mut found = found(&source, "privileged", "app");
    found.message.push('\u{1b}');
    found.notes.push("\u{1b}".to_owned());
    found.help.push("\u{202e}".to_owned());
    let text = found.render(Look::default());
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
}

#[test]
fn of_a_long_line_the_surroundings_are_shown() {
    let json =
        format!("{{{}\"privileged\":true{}}}", "\"a\":1,".repeat(1000), ",\"b\":2".repeat(1000));
    let source = Source::new("web.json", json.as_bytes());
    let start = json.find("\"privileged\"").unwrap();
    let place = source.place(start..start + 17);
    assert_eq!(place.start(), Position { line: 1, column: 6002 });
    let text = Diagnostic::new(Severity::Error, TOPIC, "no", place).render(Look::default());
    assert!(text.contains("web.json:1:6002") && text.len() < 1000, "{text}");
    assert!(text.contains("\"privileged\":true"), "{text}");
}

#[test]
fn columns_count_characters_and_a_cut_character_breaks_nothing() {
    let source = Source::new("a", "ä: ö\r\nü".as_bytes());
    assert_eq!(source.position(5), Position { line: 1, column: 5 });
    assert_eq!(source.position(8), Position { line: 2, column: 1 });
    for start in 0..12 {
        for end in start..12 {
            source.place_with(start..end, "x", &[(0..1, "y".to_owned())]);
        }
    }
}

#[test]
fn a_place_without_lines_names_the_file() {
    let found = Diagnostic::new(Severity::Warning, TOPIC, "it is empty", Place::of_file("a.yaml"));
    let expected = "warning[privileged]: it is empty\n--> a.yaml\n";
    assert_eq!(found.render(Look::default()).replace(" -->", "-->"), expected);
}

#[test]
fn a_note_takes_one_line() {
    let source = Source::new("web.yaml", YAML.as_bytes());
    let note = Diagnostic { severity: Severity::Note, ..found(&source, "image", "app") };
    let expected = "web.yaml:4:7: note: privileged turns seccomp off; remove it, or ask for an \
        exemption [privileged]\n";
    assert_eq!(note.render(Look::default()), expected);
    assert_eq!(text(&checked("web.yaml", vec![note]), Form::Human), expected);
}

#[test]
fn json_has_every_field() {
    let source = Source::new("web.yaml", YAML.as_bytes());
    let checked = checked("web.yaml", vec![found(&source, "privileged: true", "app")]);
    let expected = r#"{
  "version": 1,
  "command": "callgate check",
  "summary": {
    "checked": 1,
    "errors": 1,
    "warnings": 0,
    "notes": 0,
    "suppressed": 0,
    "failed": true
  },
  "findings": [
    {
      "level": "error",
      "rule": "privileged",
      "message": "privileged turns seccomp off",
      "file": "web.yaml",
      "line": 6,
      "column": 9,
      "endLine": 6,
      "endColumn": 25,
      "object": "pod \"web\"",
      "field": "spec.containers[0]",
      "help": [
        "remove it, or ask for an exemption"
      ],
      "notes": [
        "policy \"restricted\" denies pod \"web\""
      ],
      "fingerprint": "FINGERPRINT"
    }
  ]
}
"#;
    let text = text(&checked, Form::Json);
    let fingerprint = text.split("\"fingerprint\": \"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(fingerprint.len(), 32);
    assert_eq!(text, expected.replace("FINGERPRINT", fingerprint));
}

#[test]
fn a_fingerprint_stays_when_lines_move_and_differs_between_two_of_a_kind() {
    let moved = format!("# a comment\n\n{YAML}");
    let (before, after) =
        (Source::new("web.yaml", YAML.as_bytes()), Source::new("moved.yaml", moved.as_bytes()));
    let mut fingerprints = Fingerprints::default();
    let first = fingerprints.of(&found(&before, "privileged: true", "app"));
    let second = fingerprints.of(&found(&before, "privileged: true", "app"));
    assert_ne!(first, second);
    assert_eq!(Fingerprints::default().of(&found(&after, "privileged: true", "app")), first);
}

#[test]
fn a_github_command_ends_where_it_should() {
    let source = Source::new("a,b:c\n::error::.yaml", YAML.as_bytes());
    let mut it = found(&source, "privileged: true", "app");
    it.message = "100%\n::error::owned".to_owned();
    let text = text(&checked("a", vec![it]), Form::Github);
    let expected = "::error file=a%2Cb%3Ac%0A%3A%3Aerror%3A%3A.yaml,line=6,endLine=6,col=9,\
        endColumn=25,title=privileged::100%25%0A::error::owned%0Ahelp: remove it, or ask for an \
        exemption\n";
    assert_eq!(text, expected);
}

#[test]
fn gitlab_gets_an_issue_for_each_finding_that_counts() {
    let source = Source::new("./web.yaml", YAML.as_bytes());
    let it = found(&source, "privileged: true", "app");
    let reason = "known".to_owned();
    let suppressed = Some(Suppressed { is_inline: false, reason });
    let known = Diagnostic { suppressed, ..it.clone() };
    let text = text(&checked("./web.yaml", vec![known, it]), Form::Gitlab);
    let issues: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(issues.as_array().unwrap().len(), 1);
    assert_eq!(
        issues[0]["description"],
        "privileged turns seccomp off; remove it, or ask for an exemption"
    );
    assert_eq!(issues[0]["check_name"], "privileged");
    assert_eq!(issues[0]["severity"], "critical");
    assert_eq!(issues[0]["location"]["path"], "web.yaml");
    assert_eq!(issues[0]["location"]["lines"], serde_json::json!({"begin": 6, "end": 6}));
}

#[test]
fn junit_has_a_case_for_each_object_and_one_failure_in_it() {
    let source = Source::new("<a>&\"b\".yaml", YAML.as_bytes());
    let it = found(&source, "privileged: true", "app");
    let warning = Diagnostic { severity: Severity::Warning, ..it.clone() };
    let mut all = checked("<a>&\"b\".yaml", vec![it.clone(), it, warning]);
    all.push(Checked { name: "pod \u{1}".to_owned(), found: Vec::new(), ..all[0].clone() });
    let text = text(&all, Form::Junit);
    let head = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="callgate check" tests="2" failures="1" errors="0">
  <testsuite name="&lt;a&gt;&amp;&quot;b&quot;.yaml" tests="2" failures="1" errors="0">
    <testcase name="pod &quot;web&quot;" classname="&lt;a&gt;&amp;&quot;b&quot;.yaml">
      <failure message="privileged turns seccomp off and 1 more" type="privileged">error[privileged]: privileged turns seccomp off
"#;
    assert!(text.starts_with(head), "{text}");
    let end = "    </testcase>
    <testcase name=\"pod \u{fffd}\" classname=\"&lt;a&gt;&amp;&quot;b&quot;.yaml\"/>
  </testsuite>
</testsuites>
";
    assert!(text.ends_with(end), "{text}");
    assert_eq!((text.matches("<failure").count(), text.matches("<system-out>").count()), (1, 1));
}

#[test]
fn an_output_is_a_format_and_perhaps_a_file() {
    let outputs: Vec<Output> =
        ["sarif=a.sarif", "human", "json=b=c"].iter().map(|it| it.parse().unwrap()).collect();
    assert_eq!(outputs[2].destination, Destination::File("b=c".into()));
    assert_eq!(Output::check(&outputs), Ok(()));
    assert_eq!(
        "xml".parse::<Output>(),
        Err("\"xml\" is not a format, only human, json, sarif, junit, github, gitlab".to_owned())
    );
    assert_eq!("json=".parse::<Output>(), Err("a file must follow \"json=\"".to_owned()));
    let twice =
        |it: &str| Output::<Form>::check(&[it.parse().unwrap(), it.parse().unwrap()]).unwrap_err();
    assert_eq!(
        twice("human"),
        "only one format can be written to standard output: give the others a file, such as \
         sarif=report.sarif"
    );
    assert_eq!(twice("json=a"), "two formats cannot be written to one file, \"a\"");
}

#[test]
fn a_command_fails_from_the_given_severity_on() {
    let source = Source::new("web.yaml", YAML.as_bytes());
    let warning = Diagnostic { severity: Severity::Warning, ..found(&source, "app", "app") };
    let checked = checked("web.yaml", vec![warning]);
    let fails =
        |fail_on| Report { command: "callgate check", checked: &checked, fail_on }.is_failure();
    assert_eq!(
        [Some(Severity::Error), Some(Severity::Warning), None].map(fails),
        [false, true, false]
    );
}
