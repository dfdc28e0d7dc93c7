//! `callgate ladder`: from audit to enforce, by evidence.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use kube::Client;

use crate::{
    cli::{Outcome, scan::progress::Progress, scan::world},
    clock::{LocalTime, ServerClock},
    cluster::{
        Reader, connect_to,
        history::{History, Labelled, history, promote},
    },
    group::{MODE_LABEL, POLICY_LABEL},
    ladder::{Known, Ladder as Steps, Next, climb, last_change, last_change_of_spec, text},
    policy::{Builtin, Mode},
    report::counted,
    scan::{Overview, Safety, Scan},
};

/// Show which namespaces can take the next step from audit to enforce, by evidence
///
/// Reads what the webhook has kept in the `SeccompEvidence` of each namespace, and scans what runs
/// in it now. Changes nothing, except the label of one namespace with --promote.
#[derive(Args, Debug)]
pub(super) struct Ladder {
    /// Namespace; if unset, all that name a policy are shown
    #[arg(value_name = "NAMESPACE")]
    target: Option<String>,

    /// Kubeconfig to use; if unset, it is found as by kubectl
    #[arg(long, env = "CALLGATE_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig; if unset, the current one
    #[arg(long, env = "CALLGATE_CONTEXT", value_name = "NAME")]
    context: Option<String>,

    /// For how long nothing may have been denied, such as 7d or 36h
    #[arg(
        long,
        env = "CALLGATE_OBSERVED",
        value_name = "DURATION",
        default_value = "7d",
        value_parser = window
    )]
    observed: Window,

    /// Mode of namespaces without the label callgate.dev/mode, as of the webhook: enforce, warn or
    /// audit
    #[arg(
        long,
        env = "CALLGATE_DEFAULT_MODE",
        value_name = "MODE",
        default_value = "enforce",
        value_parser = Mode::of_flag
    )]
    default_mode: Mode,

    /// Take the next step of the namespace if it is safe: change its label
    #[arg(long, env = "CALLGATE_PROMOTE", requires = "target")]
    promote: bool,

    /// Mode to promote to, warn or enforce; if unset, the one after the present mode
    #[arg(long, env = "CALLGATE_TO", value_name = "MODE", requires = "promote", value_parser = Mode::of_flag)]
    to: Option<Mode>,

    /// Format: text or json
    #[arg(long, env = "CALLGATE_OUTPUT", value_name = "FORMAT", default_value = "text")]
    output: Form,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    Text,
    Json,
}

/// A duration, and as it was written.
#[derive(Clone, Debug)]
struct Window(SignedDuration, String);

fn window(text: &str) -> Result<Window, String> {
    let wrong = || "expected a duration such as 7d or 36h".to_owned();
    let span: Span = text.parse().map_err(|_| wrong())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    if !duration.is_positive() {
        return Err("expected a duration longer than 0".to_owned());
    }
    Ok(Window(duration, text.to_owned()))
}

impl Ladder {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.context("cannot start")?.block_on(self.climb())
    }

    async fn climb(&self) -> anyhow::Result<Outcome> {
        let client = connect_to(self.kubeconfig.as_deref(), self.context.as_deref()).await;
        let client: Client = client.map_err(|why| anyhow!("cannot use the kubeconfig: {why}"))?;
        let (client, clock) = ServerClock::watched_by(&client);
        let history = history(&client, self.target.as_deref()).await?;
        if let Some(name) = &self.target {
            let Some(it) = history.namespaces.get(name) else {
                bail!("there is no namespace {name:?}");
            };
            if it.labels.policy.is_none() {
                bail!(
                    "namespace {name:?} names no policy; begin with `kubectl label namespace {name} \
                     {POLICY_LABEL}=restricted {MODE_LABEL}=audit`"
                );
            }
        }
        let overview = self.scan(&client).await?;
        // The API server's clock is that of the times that are compared.
        let now = clock.read().map(|it| it.now(LocalTime::now()));
        let now = now.and_then(|it| Timestamp::try_from(it).ok()).unwrap_or_else(Timestamp::now);
        let steps = self.steps(&history, &overview, now);
        let mut out = io::stdout().lock();
        let written = match self.output {
            Form::Text => out.write_all(text(&steps).as_bytes()),
            Form::Json => serde_json::to_writer_pretty(&mut out, &steps)
                .map_err(io::Error::from)
                .and_then(|()| out.write_all(b"\n")),
        };
        written.and_then(|()| out.flush()).context("cannot write to standard output")?;
        let left_out = self.left_out(&history);
        if left_out > 0 {
            let namespaces = counted(left_out, "namespace");
            say(&format!(
                "left out: {namespaces} without the label {MODE_LABEL}; by --default-mode the mode \
                 is enforce"
            ));
        }
        match (&self.target, self.promote) {
            (Some(name), true) => self.take_step(&client, (name, &history), &steps).await,
            _ => Ok(Outcome::Success),
        }
    }

    /// Scans what runs now, as `callgate scan` does.
    async fn scan(&self, client: &Client) -> anyhow::Result<Overview> {
        let progress = Progress::new();
        let reader = Reader {
            client,
            namespace: self.target.as_deref(),
            selector: "",
            on_progress: &|what, count| progress.show(what, count),
        };
        let (facts, seen, unread) = reader.facts().await?;
        let world = world(&facts, seen, unread)?;
        let mut scan = Scan::new(&world);
        let missing = reader.objects(|kind, text| scan.take(kind, text)).await;
        progress.clear();
        Ok(scan.finish(None, missing))
    }

    fn steps(&self, history: &History, overview: &Overview, now: Timestamp) -> Steps {
        let Window(window, words) = &self.observed;
        let mut namespaces = Vec::new();
        for (name, labelled) in &history.namespaces {
            let Some(policy) = &labelled.labels.policy else { continue };
            let mode = mode(labelled, self.default_mode);
            if mode == Mode::Enforce && self.target.is_none() {
                continue;
            }
            let scanned = overview.namespaces.iter().find(|it| it.name == *name);
            // It was created after the scan.
            let Some(scanned) = scanned else { continue };
            let labels = [Some(POLICY_LABEL), labelled.labels.mode.as_ref().map(|_| MODE_LABEL)];
            let policy_changed = if Builtin::named(policy).is_some() {
                Ok(None)
            } else {
                let entries = history.policies.get(policy);
                entries
                    .and_then(|it| last_change_of_spec(it))
                    .map(Some)
                    .ok_or_else(|| format!("when policy {policy:?} was changed is not known"))
            };
            let known = Known {
                name,
                policy,
                mode,
                labelled: last_change(&labelled.managed_fields, labels.into_iter().flatten()),
                policy_changed,
                evidence: history.evidence.get(name).map(|(created, it)| (*created, it)),
                scanned,
            };
            namespaces.push(climb(&known, (*window, words), now));
        }
        Steps::new(words.clone(), namespaces)
    }

    /// How many namespaces are not shown because they set no mode.
    fn left_out(&self, history: &History) -> usize {
        let is_left_out = self.target.is_none() && self.default_mode == Mode::Enforce;
        let of_default = history
            .namespaces
            .values()
            .filter(|it| it.labels.policy.is_some() && it.labels.mode.is_none());
        if is_left_out { of_default.count() } else { 0 }
    }

    async fn take_step(
        &self,
        client: &Client,
        (name, history): (&String, &History),
        steps: &Steps,
    ) -> anyhow::Result<Outcome> {
        let step = steps.namespaces.first().context("the namespace is gone")?;
        let next = match self.to {
            None => step.next.first(),
            Some(mode) => step.next.iter().find(|it| it.mode == mode.as_str()),
        };
        let Some(Next { mode, safe, reasons, .. }) = next else {
            let to = self.to.map(|it| format!(" {:?}", it.as_str())).unwrap_or_default();
            bail!("namespace {name:?} is in mode {:?}: there is no step{to}", step.mode);
        };
        if *safe != Safety::Yes {
            say(&format!("not promoted to {mode}: {}", reasons.join("; ")));
            return Ok(Outcome::Errors);
        }
        let version =
            history.namespaces.get(name).map(|it| it.version.as_str()).unwrap_or_default();
        let mode = Mode::parse(mode).context("it is a mode")?;
        promote(client, (name, version), mode).await?;
        say(&format!("namespace {name:?} is in mode {} now", mode.as_str()));
        Ok(Outcome::Success)
    }
}

fn say(line: &str) {
    // Standard error may be closed.
    let _ = writeln!(io::stderr(), "{line}");
}

fn mode(it: &Labelled, default: Mode) -> Mode {
    it.labels.mode.as_deref().map_or(default, |it| Mode::parse(it).unwrap_or_default())
}
