//! `callgate test`: tests of policies.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};
use clap::Args;

use super::check::{
    files::{self, Input},
    inventory::Inventories,
    pool,
};
use crate::{
    check::Collected,
    cli::{Outcome, file::shown, output, today},
    policy::Mode,
    report::{Checked, Output, Report, Severity, Source, counted},
    standalone::Sources,
    suite::{self, Around, Suite},
};

/// Run tests of policies: objects, and the answers that are expected to them
///
/// A file of tests names policies, profiles and nodes, and for each object the
/// denial, the warnings and the patch; docs/testing-policies.md describes it.
#[derive(Args, Debug)]
pub(super) struct Test {
    /// Files of tests, directories or patterns; `-` is standard input. Of a directory, the files
    /// that end in .test.yaml, .test.yml or .test.json are read, in all folders
    #[arg(value_name = "PATH", required_unless_present = "schema")]
    paths: Vec<PathBuf>,

    /// Say of each expectation that does not hold what to write instead, if the answer is right.
    /// No file is changed
    #[arg(long, env = "CALLGATE_UPDATE")]
    update: bool,

    /// Format of the result: human, json, sarif, junit, github or gitlab; with a file, such as
    /// junit=report.xml, it is written there. Can be repeated, for several formats
    #[arg(
        long,
        env = "CALLGATE_OUTPUT",
        value_name = "FORMAT[=FILE]",
        default_value = "human",
        value_delimiter = ','
    )]
    output: Vec<Output>,

    /// Print the JSON Schema (draft 7) of files of tests instead, for editors
    #[arg(long, env = "CALLGATE_SCHEMA")]
    schema: bool,
}

/// How the names of files of tests end in a directory.
const ENDS: [&str; 3] = [".test.yaml", ".test.yml", ".test.json"];

const INFALLIBLE: &str = "a string takes everything";

impl Test {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        if self.schema {
            let text = format!("{:#}\n", suite::schema());
            io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")?;
            return Ok(Outcome::Success);
        }
        if let Err(why) = Output::check(&self.output) {
            bail!("--output: {why}");
        }
        let (mut inputs, mut failures) = (Vec::new(), Vec::new());
        for path in &self.paths {
            match tests(path) {
                Ok((found, errors)) => {
                    inputs.extend(found);
                    failures.extend(errors);
                }
                Err(why) => failures.push(why),
            }
        }
        let mut checked: Vec<Checked> = Vec::new();
        for result in pool::map(&inputs, |it| run(it, self.update)) {
            match result {
                Ok(all) => checked.extend(all),
                Err(why) => failures.push(why),
            }
        }
        let report =
            Report { command: "callgate test", checked: &checked, fail_on: Some(Severity::Error) };
        output::write(&report, &self.output)?;
        let mut said = String::new();
        for why in &failures {
            writeln!(said, "error: {why:#}").expect(INFALLIBLE);
        }
        let failed = checked.iter().filter(|it| !it.found.is_empty()).count();
        let (cases, files) = (counted(checked.len(), "case"), counted(inputs.len(), "file"));
        writeln!(
            said,
            "tested {cases} in {files}: {} passed, {failed} failed",
            checked.len() - failed
        )
        .expect(INFALLIBLE);
        // Standard error may be closed.
        let _ = io::stderr().write_all(said.as_bytes());
        if !failures.is_empty() {
            bail!("not everything could be tested");
        }
        Ok(if report.is_failure() { Outcome::Errors } else { Outcome::Success })
    }
}

/// The files of tests that a path stands for, and what cannot be found.
fn tests(path: &Path) -> anyhow::Result<(Vec<Input>, Vec<anyhow::Error>)> {
    let (found, errors) = files::expand(&[path.to_owned()]);
    let mut found: Vec<_> = found.into_iter().map(Input::kept).collect();
    if fs::metadata(path).is_ok_and(|it| it.is_dir()) {
        found.retain(|it| ENDS.iter().any(|end| it.name.ends_with(end)));
        if found.is_empty() && errors.is_empty() {
            bail!("{:?} holds no tests: their names end in {}", shown(path), ENDS.join(", "));
        }
    }
    Ok((found, errors))
}

fn run(input: &Input, is_told: bool) -> anyhow::Result<Vec<Checked>> {
    let content = input.read()?;
    let name = &input.name;
    let text = std::str::from_utf8(&content).with_context(|| format!("{name:?} is not UTF-8"))?;
    let mistake =
        |it: suite::Mistake| anyhow!("{name}:{}{it}", if it.position.is_none() { " " } else { "" });
    let suite = Suite::parse(text, today()).map_err(mistake)?;
    let base = input.path().parent().unwrap_or_else(|| Path::new("."));
    let mut manifests = BTreeMap::new();
    for manifest in suite.cases.iter().filter_map(|it| it.manifest.as_ref()) {
        if !manifests.contains_key(&manifest.file) {
            let text = files::text(&base.join(&manifest.file)).context(name.clone())?;
            manifests.insert(manifest.file.clone(), text);
        }
    }
    let around = around(&suite, base).context(name.clone())?;
    let suite = suite.complete(text, around, &manifests).map_err(mistake)?;
    Ok(suite.run(&Source::new(name.as_str(), &content), is_told))
}

/// What the files and the directory hold to which the tests refer.
fn around(suite: &Suite, base: &Path) -> anyhow::Result<Around> {
    let paths: Vec<_> = suite.files.iter().map(|it| base.join(it)).collect();
    let (inputs, failures) = files::expand(&paths);
    if let Some(why) = failures.into_iter().next() {
        return Err(why);
    }
    let (mut collected, mut inventories) = (Collected::default(), Inventories::default());
    for input in inputs {
        let text = files::text(input.path())?;
        collected.add(&text);
        inventories.add(&text).map_err(|why| anyhow!("cannot read {:?}: {why}", input.name))?;
    }
    let mut around = Around {
        collected,
        nodes: inventories.nodes,
        classes: inventories.classes,
        ..Around::default()
    };
    if let Some(directory) = &suite.seccomp_directory {
        let sources = Sources {
            policy: "restricted".to_owned(),
            mode: Mode::default(),
            profiles: Some(base.join(directory)),
        };
        around.catalog = sources.read()?.catalog;
    }
    Ok(around)
}
