use std::process::ExitCode;

use callgate::cli::Cli;

fn main() -> ExitCode {
    Cli::of_arguments().run()
}
