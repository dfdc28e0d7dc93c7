//! values.yaml, its table in the chart's README, and its schema.

use std::{collections::BTreeSet, env, fmt::Write as _, fs};

use serde_json::Value;

use super::CHART;

/// What stands above the generated part of the README.
const MARK: &str =
    "<!-- From here on generated: `UPDATE=1 cargo test --test manifests` writes it. -->\n";

/// A longer default is to be looked up.
const LONGEST_DEFAULT: usize = 60;

/// A value with its description.
pub(super) struct Described {
    /// Keys, with a dot between them.
    pub(super) path: String,
    description: String,
    heading: String,
}

/// The values that have a description, in the order of the file. Keys without one lead to others.
pub(super) fn all() -> Vec<Described> {
    let text = fs::read_to_string(format!("{CHART}/values.yaml")).expect("there are values");
    let (mut all, mut keys) = (Vec::<Described>::new(), Vec::<(usize, String)>::new());
    let (mut heading, mut comment) = (String::new(), Vec::new());
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let line = line.trim_start();
        if let Some(title) = line.strip_prefix("## ") {
            title.clone_into(&mut heading);
        } else if let Some(words) = line.strip_prefix("# ") {
            comment.push(words.to_owned());
        } else if let Some((key, _)) = line.split_once(':').filter(|_| !line.starts_with('-')) {
            while keys.last().is_some_and(|(at, _)| *at >= indent) {
                keys.pop();
            }
            keys.push((indent, key.to_owned()));
            let path: Vec<_> = keys.iter().map(|(_, key)| key.as_str()).collect();
            let path = path.join(".");
            // What is inside of a described value is part of its default.
            let is_inside = all.last().is_some_and(|it| path.starts_with(&format!("{}.", it.path)));
            if !comment.is_empty() {
                assert!(!is_inside, "{path}: the map that holds it has a description");
                let description = std::mem::take(&mut comment).join(" ");
                all.push(Described { path, description, heading: heading.clone() });
            }
        } else {
            comment.clear();
        }
    }
    all
}

fn defaults() -> Value {
    let text = fs::read_to_string(format!("{CHART}/values.yaml")).expect("there are values");
    serde_saphyr::from_str(&text).expect("values are YAML")
}

fn default_of<'a>(defaults: &'a Value, path: &str) -> &'a Value {
    let value = defaults.pointer(&format!("/{}", path.replace('.', "/")));
    value.unwrap_or_else(|| panic!("{path} has no default"))
}

#[test]
fn the_readme_of_the_chart_has_every_value() {
    let path = format!("{CHART}/README.md");
    let page = fs::read_to_string(&path).expect("there is a README");
    let (prose, _) = page.split_once(MARK).expect("it has the mark");
    let (mut table, defaults) = (String::new(), defaults());
    let mut heading = String::new();
    for value in all() {
        if value.heading != heading {
            heading.clone_from(&value.heading);
            let head = "| value | default | |\n| --- | --- | --- |";
            writeln!(table, "\n### {heading}\n\n{head}").expect("a String takes all");
        }
        let mut default = default_of(&defaults, &value.path).to_string();
        if default.len() > LONGEST_DEFAULT {
            "see values.yaml".clone_into(&mut default);
        } else {
            default = format!("`{default}`");
        }
        let cells = [format!("`{}`", value.path), default, value.description];
        let cells = cells.map(|it| it.replace('|', "\\|")).join(" | ");
        writeln!(table, "| {cells} |").expect("a String takes all");
    }
    let expected = format!("{prose}{MARK}{table}");
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, &expected).expect("the tree is writable");
    }
    let written = fs::read_to_string(&path).expect("there is a README");
    assert!(written == expected, "{path} is out of date: `UPDATE=1 cargo test --test manifests`");
}

/// Every value has a description of its own, or is inside of one that has.
#[test]
fn every_value_is_described() {
    let described: Vec<_> = all().into_iter().map(|it| it.path).collect();
    let mut bare = Vec::new();
    collect_bare(&defaults(), "", &described, &mut bare);
    assert_eq!(bare, Vec::<String>::new());
}

fn collect_bare(value: &Value, path: &str, described: &[String], bare: &mut Vec<String>) {
    if described.iter().any(|it| it == path) {
        return;
    }
    match value.as_object() {
        Some(map) if !map.is_empty() => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect_bare(value, &path, described, bare);
            }
        }
        _ => bare.push(path.to_owned()),
    }
}

#[test]
fn the_schema_has_exactly_the_values_that_are_described() {
    let text =
        fs::read_to_string(format!("{CHART}/values.schema.json")).expect("there is a schema");
    let schema: Value = serde_json::from_str(&text).expect("it is JSON");
    let described: BTreeSet<_> = all().into_iter().map(|it| it.path).collect();
    let mut known = BTreeSet::new();
    collect_known(&schema, &schema, "", &described, &mut known);
    assert_eq!(known, described);
}

fn collect_known(
    root: &Value,
    schema: &Value,
    path: &str,
    described: &BTreeSet<String>,
    known: &mut BTreeSet<String>,
) {
    let target = schema["$ref"].as_str().map(|it| it.trim_start_matches('#'));
    let schema =
        target.map_or(Some(schema), |it| root.pointer(it)).expect("a reference leads somewhere");
    let fields = schema["properties"].as_object().filter(|_| !described.contains(path));
    let Some(fields) = fields else {
        known.insert(path.to_owned());
        return;
    };
    if path != "global" {
        assert_eq!(schema["additionalProperties"], false, "{path:?}");
    }
    for (key, schema) in fields {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        collect_known(root, schema, &path, described, known);
    }
}
