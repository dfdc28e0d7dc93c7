use std::process::ExitCode;

use callgate::cli::Cli;
use clap::Parser;

fn main() -> ExitCode {
    Cli::parse().run()
}
