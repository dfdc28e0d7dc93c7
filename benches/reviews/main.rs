//! The cost of a review, compared with a handler that reads it and answers a constant.
//!
//! `cargo bench --bench reviews`; docs/performance.md explains the figures.

mod constant;
mod in_process;
mod over_tls;
mod ratio;

use std::{
    io::{self, Write, stdout},
    path::PathBuf,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::{Parser, Subcommand};
use serde_json::{Value, json};
use support::bench::review;

use crate::{in_process::InProcess, over_tls::OverTls, ratio::Rounds};

#[derive(Debug, Parser)]
struct Flags {
    /// Said by `cargo bench`; without it all is tried and nothing measured
    #[arg(long)]
    bench: bool,

    /// How often each server is driven per case
    #[arg(long, default_value_t = 40)]
    rounds: usize,

    /// Measure only what is posted to this path
    #[arg(long, value_parser = ["/mutate", "/validate"])]
    only: Option<String>,

    /// Over how many connections each server is asked at a time
    #[arg(long, default_value_t = 8)]
    connections: usize,

    /// Another callgate than this build's
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_callgate"))]
    callgate: PathBuf,

    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Serve the constant answer: the bench starts itself so
    #[command(hide = true)]
    Constant(Box<constant::Serve>),

    /// Judge each review so many times, and measure nothing: valgrind counts the instructions
    Repeat { times: u32 },
}

/// The number of reviews in the target for memory.
const REVIEWS: usize = 100_000;

/// How long the routers are compared, per case.
const IN_PROCESS: Duration = Duration::from_secs(2);

fn main() -> io::Result<()> {
    let Flags { bench, rounds, only, connections, callgate, role } = Flags::parse();
    let times = match role {
        Some(Role::Constant(serve)) => {
            serve.run();
            return Ok(());
        }
        Some(Role::Repeat { times }) => Some(times),
        None => None,
    };
    let in_process = InProcess::new();
    let reviews: Vec<_> = review::all()
        .into_iter()
        .filter(|it| only.as_deref().is_none_or(|only| only == it.path))
        .map(|it| {
            let answer = in_process.answer(&it);
            check(it.path, &answer);
            (it, answer)
        })
        .collect();
    if let Some(times) = times {
        for (review, _) in &reviews {
            in_process.repeat(review, times);
        }
        return Ok(());
    }
    if !bench {
        return Ok(());
    }

    writeln!(stdout(), "In process, µs per review\n\n{HEAD}")?;
    for (review, _) in &reviews {
        row(review, &in_process.measure(review, IN_PROCESS))?;
    }

    writeln!(stdout(), "\nOver TLS 1.3, µs of the server's CPU per review\n\n{HEAD}")?;
    let mut over_tls = OverTls::start(&callgate, connections);
    for (review, answer) in &reviews {
        let reviews = 16_000_000 / (review.body.len() + 8_000);
        row(review, &over_tls.measure(review, answer, rounds, reviews))?;
    }

    let (review, answer) = &reviews[0];
    over_tls.fill_up(review, answer, REVIEWS);
    let (answered, rss, most) = over_tls.memory();
    let mib = |kib: u64| Duration::from_secs(kib).as_secs_f64() / 1024.0;
    writeln!(
        stdout(),
        "\nMemory after {answered} reviews: {:.1} MiB resident, {:.1} MiB at most",
        mib(rss),
        mib(most)
    )
}

/// Makes sure that the bench does not measure an error.
fn check(webhook: &str, answer: &[u8]) {
    let answer: Value = serde_json::from_slice(answer).expect("an answer is JSON");
    let response = &answer["response"];
    assert_eq!(response["allowed"], true, "{answer}");
    assert_eq!(response["warnings"], Value::Null, "{answer}");
    let patch = response["patch"].as_str().map(|it| STANDARD.decode(it).expect("base64"));
    let patch: Option<Value> = patch.map(|it| serde_json::from_slice(&it).expect("JSON"));
    let expected = (webhook == "/mutate").then(|| {
        let at = "/spec/securityContext/seccompProfile";
        json!([{ "op": "add", "path": at, "value": { "type": "RuntimeDefault" } }])
    });
    assert_eq!(patch, expected, "{answer}");
}

const HEAD: &str = "\
| review |  bytes | path      | ours, best | median | constant, best | median | ratio of bests | median ratio |
| ------ | -----: | --------- | ---------: | -----: | -------------: | -----: | -------------: | -----------: |";

fn row(review: &review::Review, rounds: &Rounds) -> io::Result<()> {
    let (best, median) = (rounds.best(), rounds.median());
    writeln!(
        stdout(),
        "| {:6} | {:6} | {:9} | {:10.1} | {:6.1} | {:14.1} | {:6.1} | {:14.2} | {:12.2} |",
        review.size,
        review.body.len(),
        review.path,
        best.ours,
        median.ours,
        best.constant,
        median.constant,
        best.ratio(),
        rounds.median_ratio(),
    )
}
