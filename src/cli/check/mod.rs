//! `callgate check`: judges the manifests in files.

mod baseline;
pub(super) mod files;
mod fix;
mod glob;
pub(super) mod inventory;
mod pieces;
pub(super) mod pool;
mod progress;

use std::{
    fmt::Write as _,
    io::{self, Write},
    num::NonZero,
    path::{Path, PathBuf},
};

use anyhow::{anyhow, bail};
use clap::Args;

use self::{files::Input, inventory::Inventories, pieces::Piece, progress::Progress};
use crate::{
    check::{Checker, Collected, CustomKind, World},
    cli::{Outcome, fail_on::FailOn, file::shown, output, today},
    policy::Mode,
    report::{Checked, Output, Report, counted},
    standalone::Sources,
};

/// Judge manifests in files, as the webhook would judge them in a cluster
///
/// Pods, the templates of workloads and those of well-known custom kinds are
/// changed as by the mutating webhook, then judged as by the validating one.
/// Policies, labels of namespaces and profiles among the files count.
#[derive(Args, Debug)]
pub(super) struct Check {
    /// Files, directories or patterns such as `deploy/**/*.yaml`; `-` is standard input. Of a
    /// directory, the files that end in .yaml, .yml or .json are read, in all folders
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,

    /// Name of a built-in policy (baseline, restricted), or path of a file that holds a
    /// `SeccompPolicy`, for all objects. If unset, the label of the object's namespace decides if
    /// the namespace is among the files, else the only policy among the files, else restricted
    #[arg(long, env = "CALLGATE_POLICY", value_name = "NAME|FILE")]
    policy: Option<String>,

    /// Mode in which policies apply, unless the namespace is among the files and names one: enforce,
    /// warn or audit
    #[arg(
        long,
        env = "CALLGATE_MODE",
        value_name = "MODE",
        default_value = "enforce",
        value_parser = Mode::of_flag
    )]
    mode: Mode,

    /// Namespace of objects that name none
    #[arg(long, env = "CALLGATE_NAMESPACE", value_name = "NAME", default_value = "default")]
    namespace: String,

    /// Directory of profiles that pods may name in localhostProfile, laid out as the kubelet's
    /// seccomp directory; in addition to `SeccompProfile` objects among the files
    #[arg(long, env = "CALLGATE_PROFILES", value_name = "DIR")]
    profiles: Option<PathBuf>,

    /// File with the nodes of a cluster: the output of
    /// `kubectl get nodes,seccompnodes,runtimeclasses -o yaml`
    #[arg(long, env = "CALLGATE_INVENTORY", value_name = "FILE")]
    inventory: Option<PathBuf>,

    /// File with further kinds that hold pods: a list of `apiVersion`, `kind` and `path`, the path
    /// of the pod template
    #[arg(long, env = "CALLGATE_KINDS", value_name = "FILE")]
    kinds: Option<PathBuf>,

    /// File with known findings, which do not count until they expire
    #[arg(long, env = "CALLGATE_BASELINE", value_name = "FILE")]
    baseline: Option<PathBuf>,

    /// Write the findings to the file of --baseline: new ones are added for half a year, those that
    /// are gone are removed
    #[arg(long, env = "CALLGATE_WRITE_BASELINE", requires = "baseline")]
    write_baseline: bool,

    /// Print what the webhook would set, as a unified diff, instead of the findings. The exit code is
    /// 1 if there is something
    #[arg(long, env = "CALLGATE_FIX")]
    fix: bool,

    /// With --fix: write it into the files; comments, order and every other byte stay
    #[arg(long, env = "CALLGATE_WRITE", requires = "fix")]
    write: bool,

    /// Format of the findings: human, json, sarif, junit, github or gitlab; with a file, such as
    /// sarif=report.sarif, it is written there. Can be repeated, for several formats
    #[arg(
        long,
        env = "CALLGATE_OUTPUT",
        value_name = "FORMAT[=FILE]",
        default_value = "human",
        value_delimiter = ','
    )]
    output: Vec<Output>,

    /// How many files, or parts of a large one, are read at once; if unset, as many as there are
    /// processors
    #[arg(long, env = "CALLGATE_THREADS", value_name = "NUMBER")]
    threads: Option<NonZero<usize>>,

    /// From which findings on the exit code is 1
    #[arg(long, env = "CALLGATE_FAIL_ON", value_name = "LEVEL", default_value = "deny")]
    fail_on: FailOn,
}

const INFALLIBLE: &str = "a string takes everything";

impl Check {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        if let Err(why) = Output::check(&self.output) {
            bail!("--output: {why}");
        }
        let (inputs, mut failures) = files::expand(&self.paths);
        // Standard input can be read once.
        let inputs: Vec<_> = inputs.into_iter().map(Input::kept).collect();
        let world = self.world(&inputs)?;
        let checker = Checker::new(&world);
        if self.fix {
            return fix::run(&inputs, &checker, self.write, failures);
        }
        let mut judged: Vec<Checked> = Vec::new();
        let progress = Progress::of_files(inputs.len());
        let check = |it: &Piece<'_>| {
            let found = match it {
                Piece::Text { source, text, cut } => checker.check_cut(source, text, cut.clone()),
                Piece::Bytes { source } => checker.check(source.name(), source.text()),
            };
            if it.is_last() {
                progress.step();
            }
            found
        };
        pieces::each(&inputs, self.threads, check, |result| match result {
            Ok(all) => judged.extend(all),
            Err(why) => failures.push(why),
        });
        drop(progress);
        let mut said = String::new();
        if let Some(path) = &self.baseline {
            said.push_str(&baseline::apply(path, self.write_baseline, &mut judged)?);
        }
        let fail_on = self.fail_on.severity();
        let report = Report { command: "callgate check", checked: &judged, fail_on };
        output::write(&report, &self.output)?;
        for why in &failures {
            writeln!(said, "error: {why:#}").expect(INFALLIBLE);
        }
        let (objects, files) = (counted(judged.len(), "object"), counted(inputs.len(), "file"));
        let found = report.count().line();
        writeln!(said, "checked {objects} in {files}: {found}").expect(INFALLIBLE);
        // Standard error may be closed.
        let _ = io::stderr().write_all(said.as_bytes());
        if !failures.is_empty() {
            bail!("not everything could be read");
        }
        Ok(if report.is_failure() { Outcome::Errors } else { Outcome::Success })
    }

    /// All that findings depend on besides the file at hand.
    fn world(&self, inputs: &[Input]) -> anyhow::Result<World> {
        let mut collected = Collected::default();
        let collect = |it: &Piece<'_>| {
            let mut found = Collected::default();
            if let Piece::Text { text, cut, .. } = it {
                found.add(&text[cut.clone()]);
            }
            found
        };
        // What cannot be read is reported when it is judged.
        let take = |it: anyhow::Result<_>| it.into_iter().for_each(|it| collected.extend(it));
        pieces::each(inputs, self.threads, collect, take);
        let policy = self.policy.clone().unwrap_or_else(|| "restricted".to_owned());
        let sources = Sources { policy, mode: self.mode, profiles: self.profiles.clone() };
        let facts = sources.read()?;
        let kinds = match &self.kinds {
            Some(path) => kinds(path)?,
            None => Vec::new(),
        };
        let inventories = match &self.inventory {
            Some(path) => Inventories::read(path)?,
            None => Inventories::default(),
        };
        let catalog = inventories.catalog(&facts.catalog);
        let own = collected.profiles.iter().map(|(path, it)| (path.clone(), it.clone()));
        Ok(World {
            policy: self.policy.is_some().then(|| facts.policy.clone()),
            mode: self.mode,
            fallback: facts.policy,
            catalog: catalog.with_managed(own),
            collected,
            classes: inventories.runtime_classes(),
            nodes: inventories.nodes,
            namespace: self.namespace.clone(),
            kinds,
            today: today(),
        })
    }
}

fn kinds(path: &Path) -> anyhow::Result<Vec<CustomKind>> {
    CustomKind::read(&files::text(path)?)
        .map_err(|why| anyhow!("cannot read the kinds in {:?}: {why}", shown(path)))
}
