//! The executable `ringplane`: what can be typed after its name, and which file does it.
//!
//! `serve` is the parent of the two processes (`media` and `signal`), which do their work by the crates `mediad` and
//! `signald`; `calls`, `stats`, `hangup`, `record`, `voice` and `trace` ask a running one over its operator's socket; `check` and `init` are
//! about the configuration file. Nothing here is a library: programs use the crate `ringplane`. Tests, which call the
//! executable with real peers: `cargo test --profile ci -p ringplane-cli`.

#![forbid(unsafe_code)]

mod calls;
mod check;
mod operator;
mod options;
mod output;
mod processes;
mod reload;
mod serve;
mod stats;
mod table;
mod trace;
mod welcome;

use clap::{Parser, Subcommand};
use options::Options;
use std::path::PathBuf;
use std::process::ExitCode;

/// Small, gives memory back after a rush, and cheap across threads.
#[global_allocator]
static ALLOCATOR: heap::Allocator = heap::Allocator;

/// A telephone switch for bare metal: SIP in, media out.
///
/// Start with `ringplane serve`; it needs no configuration, and answers calls itself ([sip] mode "numbers"): call sip:tone@HOST,
/// sip:echo@HOST or sip:play@HOST. To send calls on to elsewhere see `mode` and `routes` in what `ringplane init` prints.
#[derive(Parser)]
#[command(name = "ringplane", version, arg_required_else_help = true)]
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
    /// List the live calls with state, codec, addresses, packets, loss and jitter, both legs of a call one after the other
    #[command(
        after_help = "In JSON the columns leg and peer are `id` and `signaling`, and names of numbers end in their unit (`age_s`)."
    )]
    Calls(calls::Calls),
    /// List the counters with unit and meaning
    Stats(operator::Question),
    /// End a call, the calls with a peer, or all calls
    Hangup(calls::hangup::HangUp),
    /// Write the sound or the packets of a call into a file of [recording] folder, pause or end that
    Record(calls::record::Record),
    /// Take echo and noise out of what the phones of a call send, and bring speech to one level
    Voice(calls::voice::Voice),
    /// Show SIP messages as they come and go, of all calls, one call or one peer, without passwords and keys
    Trace(trace::Trace),
}

/// Errors go to stderr, one line for what happened and one for what helps.
fn main() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => return usage(&error),
    };
    let done = match command {
        Command::Serve(options) => serve::run(&options),
        Command::Media(options) => processes::media(&options),
        Command::Signal(options) => processes::signal(&options),
        Command::Check { file } => check::run(&file),
        Command::Init => output::print(&config::default_file()),
        Command::Calls(wanted) => calls::run(&wanted),
        Command::Hangup(wanted) => calls::hangup::run(&wanted),
        Command::Record(wanted) => calls::record::run(&wanted),
        Command::Voice(wanted) => calls::voice::run(&wanted),
        Command::Trace(wanted) => trace::run(&wanted),
        Command::Stats(question) => stats::run(&question),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    }
}

fn report(failure: &Failure) -> ExitCode {
    if failure.0.is_empty() {
        return ExitCode::SUCCESS;
    }
    output::complain(&format!("ringplane: {failure}"));
    ExitCode::FAILURE
}

/// What clap has to say: help and version on standard output, everything else is a mistake of what was typed.
fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        output::complain(error.render().to_string().trim_end());
        return ExitCode::from(2);
    }
    output::print(&error.render().to_string()).map_or_else(|failure| report(&failure), |()| ExitCode::SUCCESS)
}

/// Why a command failed, in the words that the user reads; none: its reader went away, which is no failure.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }

    /// The reader of the output is gone.
    pub(crate) fn quiet() -> Self {
        Self(String::new())
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
