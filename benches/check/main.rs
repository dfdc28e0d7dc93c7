//! The time of `callgate check` on the manifests of 10,000 pods, beside other programs that read
//! such files.
//!
//! `cargo bench --bench check`; docs/performance.md explains the figures.

mod schemas;

use std::{
    fs,
    io::{self, Write, stdout},
    path::{Path, PathBuf},
    process::Command,
};

use clap::Parser;
use support::{
    bench::run::{Run, median, run},
    generated::manifests::{Style, documents},
};

#[derive(Debug, Parser)]
struct Flags {
    /// Said by `cargo bench`; without it all is tried with few pods, and nothing measured
    #[arg(long)]
    bench: bool,

    #[arg(long, default_value_t = 10_000)]
    pods: usize,

    /// How often each program runs on each input
    #[arg(long, default_value_t = 7)]
    rounds: usize,

    /// Another callgate than this build's
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_callgate"))]
    callgate: PathBuf,

    /// The callgate of another build, to compare with
    #[arg(long, value_name = "FILE")]
    other: Option<PathBuf>,

    /// A kubeconform; if unset, it is built from its Go module
    #[arg(long, value_name = "FILE")]
    kubeconform: Option<PathBuf>,

    /// A kube-linter; if unset, it is left out
    #[arg(long, value_name = "FILE")]
    kube_linter: Option<PathBuf>,
}

/// A program and its arguments before the input.
struct Contender {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    /// Whether it exits with 0 also if it finds something.
    is_checked: bool,
}

fn main() -> io::Result<()> {
    let flags = Flags::parse();
    let (pods, rounds) = if flags.bench { (flags.pods, flags.rounds) } else { (20, 1) };
    let folder = tempfile::tempdir()?;
    let inputs = inputs(folder.path(), pods)?;
    let mut contenders = vec![callgate("callgate", flags.callgate)];
    contenders.extend(flags.other.map(|it| callgate("callgate, the other", it)));
    let built = || flags.bench.then(|| build(folder.path())).flatten();
    if let Some(program) = flags.kubeconform.or_else(built) {
        contenders.push(kubeconform(program, folder.path())?);
    }
    contenders.extend(flags.kube_linter.map(|program| Contender {
        name: "kube-linter",
        program,
        arguments: vec!["lint".to_owned()],
        is_checked: false,
    }));

    let mut out = stdout().lock();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    writeln!(out, "{pods} pods, {rounds} rounds in turns; load at the start: {load}\n")?;
    writeln!(out, "| input | program | best, s | median, s | median ratio | CPU, s | peak, MiB |")?;
    writeln!(out, "| --- | --- | ---: | ---: | ---: | ---: | ---: |")?;
    for (what, input) in &inputs {
        let mut runs: Vec<Vec<Run>> = contenders.iter().map(|_| Vec::new()).collect();
        for round in 0..rounds {
            // Each goes first in turn.
            for at in 0..contenders.len() {
                let at = (at + round) % contenders.len();
                runs[at].push(contenders[at].run(input)?);
            }
        }
        let first = runs[0].clone();
        for (contender, runs) in contenders.iter().zip(runs) {
            let ratios =
                runs.iter().zip(&first).map(|(a, b)| a.time.as_secs_f64() / b.time.as_secs_f64());
            let times: Vec<_> = runs.iter().map(|it| it.time.as_secs_f64()).collect();
            let best = times.iter().copied().fold(f64::INFINITY, f64::min);
            let peak = runs.iter().map(|it| it.peak).max().unwrap_or_default() / 1024;
            let cpu = median(runs.iter().map(|it| it.cpu.as_secs_f64()).collect());
            let (name, median, ratio) = (contender.name, median(times), median(ratios.collect()));
            writeln!(
                out,
                "| {what} | {name} | {best:.2} | {median:.2} | {ratio:.2} | {cpu:.2} | {peak} |"
            )?;
        }
    }
    Ok(())
}

/// The same workloads as one file each, and as one file as Helm prints them.
fn inputs(folder: &Path, pods: usize) -> io::Result<[(&'static str, PathBuf); 2]> {
    let (many, one) = (folder.join("files"), folder.join("helm.yaml"));
    for (number, text) in documents(pods, Style::File).enumerate() {
        let part = many.join(format!("part-{}", number / 100));
        fs::create_dir_all(&part)?;
        fs::write(part.join(format!("web-{number}.yaml")), text)?;
    }
    let mut text = String::new();
    for it in documents(pods, Style::Helm) {
        text.extend(["---\n", &it]);
    }
    fs::write(&one, text)?;
    Ok([("a file each", many), ("one file", one)])
}

fn callgate(name: &'static str, program: PathBuf) -> Contender {
    let arguments = ["check", "--fail-on", "never"].map(str::to_owned).to_vec();
    Contender { name, program, arguments, is_checked: true }
}

/// Builds kubeconform of the version in the `go.mod` beside this file.
fn build(folder: &Path) -> Option<PathBuf> {
    let program = folder.join("kubeconform");
    let status = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg("github.com/yannh/kubeconform/cmd/kubeconform")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/check/tools"))
        .status();
    status.is_ok_and(|it| it.success()).then_some(program)
}

/// It validates each object against the schema of its kind.
fn kubeconform(program: PathBuf, folder: &Path) -> io::Result<Contender> {
    let schemas = folder.join("schemas");
    fs::create_dir(&schemas)?;
    for (name, schema) in schemas::all() {
        fs::write(schemas.join(format!("{name}.json")), schema.to_string())?;
    }
    let location = format!("{}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json", schemas.display());
    let arguments = vec!["-schema-location".to_owned(), location];
    Ok(Contender { name: "kubeconform", program, arguments, is_checked: true })
}

impl Contender {
    fn run(&self, input: &Path) -> io::Result<Run> {
        let (status, run) = run(Command::new(&self.program).args(&self.arguments).arg(input))?;
        let is_sound = status.success() || !self.is_checked;
        let told = format!("{} on {}: {status}", self.program.display(), input.display());
        is_sound.then_some(run).ok_or_else(|| io::Error::other(told))
    }
}
