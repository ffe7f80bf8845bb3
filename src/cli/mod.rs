//! What can be typed after `ringplane`, and which file does it.

mod calls;
mod check;
mod child;
mod operator;
mod options;
mod serve;
mod stats;
mod table;

use clap::{Parser, Subcommand};
use options::Options;
use std::path::PathBuf;
use std::process::ExitCode;

/// A telephone switch for bare metal: SIP in, media out.
///
/// Start with `ringplane serve`; it needs no configuration. Then call sip:tone@HOST, sip:echo@HOST or sip:play@HOST.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the switch: the media and the signaling process, until Ctrl-C or SIGTERM
    Serve(Options),
    /// Run the media process alone (`serve` does this for you)
    Media(Options),
    /// Run the signaling process alone (`serve` does this for you)
    Signal(Options),
    /// List every mistake of a configuration file, then exit
    Check {
        /// The configuration file
        file: PathBuf,
    },
    /// Print a configuration file with every key, its default and its meaning
    Init,
    /// List the live calls with state, codec, ports, packets, loss and jitter
    Calls(operator::Question),
    /// List the counters with unit and meaning
    Stats(operator::Question),
}

/// Runs the command line. Errors go to stderr, one line for what happened and one for what helps.
pub(crate) fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(options) => serve::run(&options),
        Command::Media(options) => child::media(&options),
        Command::Signal(options) => child::signal(&options),
        Command::Check { file } => check::run(&file),
        Command::Init => {
            print!("{}", config::default_file());
            Ok(())
        }
        Command::Calls(question) => calls::run(&question),
        Command::Stats(question) => stats::run(&question),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("ringplane: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Why a command failed, in the words that the user reads.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
