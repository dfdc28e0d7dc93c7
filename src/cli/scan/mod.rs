//! `callgate scan`: judges what a cluster runs already.

mod extras;
mod output;
pub(super) mod progress;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use jiff::civil::Date;
use kube::Client;

use self::{output::Form, progress::Progress};
use crate::{
    cli::{Outcome, fail_on::FailOn, today},
    cluster::{Facts, Reader, connect_to},
    policy::{Builtin, Mode, Policy},
    profile::Catalog,
    report::Output,
    scan::{self, Overview, Seen, Unread, World, role, summary},
    standalone::Sources,
};

/// Judge what a cluster runs already: is it safe to enforce a policy, and where not?
///
/// Reads pods, workloads, namespaces, nodes and callgate's own objects through the kubeconfig, and
/// changes nothing. Nothing has to be installed.
#[derive(Args, Debug)]
pub(super) struct Scan {
    /// Kubeconfig to use; if unset, it is found as by kubectl
    #[arg(long, env = "CALLGATE_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig; if unset, the current one
    #[arg(long, env = "CALLGATE_CONTEXT", value_name = "NAME")]
    context: Option<String>,

    /// Namespace to scan; if unset, all are
    #[arg(long, env = "CALLGATE_NAMESPACE", value_name = "NAME")]
    namespace: Option<String>,

    /// Selector of labels that workloads and pods must have, as for `kubectl get`. Whether a policy
    /// is safe for a whole namespace is then unknown
    #[arg(long, env = "CALLGATE_SELECTOR", value_name = "SELECTOR", default_value = "")]
    selector: String,

    /// Policy to judge by, in every namespace: the name of a built-in one (baseline, restricted) or
    /// of a `SeccompPolicy` in the cluster, or the path of a file that holds one. If unset, the label
    /// of each namespace decides, else restricted
    #[arg(long, env = "CALLGATE_POLICY", value_name = "NAME|FILE")]
    policy: Option<String>,

    /// Format: text, json, html or openreports; with a file, such as html=scan.html, it is written there. Can be
    /// repeated, for several formats
    #[arg(
        long,
        env = "CALLGATE_OUTPUT",
        value_name = "FORMAT[=FILE]",
        default_value = "text",
        value_delimiter = ','
    )]
    output: Vec<Output<Form>>,

    /// Folder for patches of the owners, a file for each, which `kubectl patch` applies
    #[arg(long, env = "CALLGATE_FIX", value_name = "DIR")]
    fix: Option<PathBuf>,

    /// Print a policy with exemptions that let through what runs today, to start from
    #[arg(long, env = "CALLGATE_EXEMPTIONS", requires = "until", conflicts_with = "output")]
    exemptions: bool,

    /// Last day of these exemptions, such as 2027-03-01
    #[arg(long, env = "CALLGATE_UNTIL", value_name = "DATE", requires = "exemptions")]
    until: Option<Date>,

    /// From which findings on the exit code is 1
    #[arg(long, env = "CALLGATE_FAIL_ON", value_name = "LEVEL", default_value = "deny")]
    fail_on: FailOn,

    /// Print the `ClusterRole` with the rights that a scan needs, and do nothing else
    #[arg(long, env = "CALLGATE_PRINT_RBAC")]
    print_rbac: bool,
}

const INTERRUPTED: &str = "it was interrupted";

impl Scan {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        if self.print_rbac {
            io::stdout().write_all(role().as_bytes()).context("cannot write to standard output")?;
            return Ok(Outcome::Success);
        }
        if let Err(why) = Output::check(&self.output) {
            bail!("--output: {why}");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let overview = runtime.context("cannot start")?.block_on(self.scan())?;
        if let Some(until) = self.until {
            extras::print_exemptions(&overview, self.base()?, until)?;
        } else {
            for it in &self.output {
                output::write(it, &overview)?;
            }
        }
        if let Some(folder) = &self.fix {
            extras::write_patches(&overview, folder)?;
        }
        // Standard error may be closed.
        let _ = writeln!(io::stderr(), "{}", summary(&overview));
        if !overview.is_complete() {
            bail!("not everything could be read");
        }
        Ok(if self.fail_on.fails(overview.worst()) { Outcome::Errors } else { Outcome::Success })
    }

    async fn scan(&self) -> anyhow::Result<Overview> {
        let client = connect_to(self.kubeconfig.as_deref(), self.context.as_deref()).await;
        let client: Client = client.map_err(|why| anyhow!("cannot use the kubeconfig: {why}"))?;
        let progress = Progress::new();
        let reader = Reader {
            client: &client,
            namespace: self.namespace.as_deref(),
            selector: &self.selector,
            on_progress: &|what, count| progress.show(what, count),
        };
        let interrupt = tokio::signal::ctrl_c();
        tokio::pin!(interrupt);
        let (facts, seen, unread) = tokio::select! {
            it = reader.facts() => it?,
            _ = &mut interrupt => bail!(INTERRUPTED),
        };
        let world = self.world(&facts, seen, unread)?;
        let mut scan = scan::Scan::new(&world);
        let (stopped, missing) = tokio::select! {
            missing = reader.objects(|kind, text| scan.take(kind, text)) => (None, missing),
            _ = &mut interrupt => (Some(INTERRUPTED.to_owned()), Vec::new()),
        };
        progress.clear();
        Ok(scan.finish(stopped, missing))
    }

    /// The built-in policy to which exemptions are added.
    fn base(&self) -> anyhow::Result<&'static Builtin> {
        let name = self.policy.as_deref().unwrap_or("restricted");
        let why = "exemptions are added to a built-in policy, baseline or restricted";
        Builtin::named(name).with_context(|| format!("{why}, not to {name:?}"))
    }

    fn world(&self, facts: &Facts, seen: Seen, unread: Vec<Unread>) -> anyhow::Result<World> {
        let is_read = !unread.iter().any(|it| it.plural == "namespaces");
        if let Some(name) = &self.namespace
            && is_read
            && facts.namespaces().is_empty()
        {
            bail!("there is no namespace {name:?}");
        }
        let mut namespaces = facts.namespaces().clone();
        if let Some(name) = &self.namespace {
            namespaces.entry(name.clone()).or_default();
        }
        let index = facts.policy_index(None);
        let named = |name: &str| index.iter().find(|it| it.name() == name).cloned();
        let policy = match self.policy.as_deref() {
            None if self.exemptions => Some(self.base()?.policy()),
            None => None,
            Some(it) => Some(match named(it) {
                Some(policy) => policy,
                None if Path::new(it).exists() => from_file(it)?,
                None => bail!("{}", index.no_such_policy(it)),
            }),
        };
        let is_selected = !self.selector.is_empty();
        Ok(World { policy, namespaces, is_selected, ..world(facts, seen, unread)? })
    }
}

/// What was read, where every namespace is judged by the policy that its label names.
pub(super) fn world(facts: &Facts, seen: Seen, unread: Vec<Unread>) -> anyhow::Result<World> {
    Ok(World {
        policy: None,
        fallback: Builtin::named("restricted").context("it is built in")?.policy(),
        namespaces: facts.namespaces().clone(),
        catalog: facts.catalog(&Catalog::default()),
        nodes: facts.nodes().clone(),
        classes: facts.classes(),
        today: today(),
        unread,
        seen,
        is_selected: false,
        index: facts.policy_index(None),
    })
}

fn from_file(path: &str) -> anyhow::Result<Policy> {
    let sources = Sources { policy: path.to_owned(), mode: Mode::Enforce, profiles: None };
    Ok(sources.read()?.policy)
}
