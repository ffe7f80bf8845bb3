//! `loadtest loss`: calls over a link that loses.

use clap::Args;
use clock::Duration;
use loadtest::loss::{LossPlan, lose};
use std::io;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Loss {
    /// A `ringplane` executable, started for this on free ports
    #[arg(long)]
    switch: PathBuf,
    /// Calls in all
    #[arg(long, default_value_t = 10_000)]
    calls: u32,
    /// New calls a second
    #[arg(long, default_value_t = 150)]
    rate: u32,
    /// Datagrams that are lost, of a hundred, each way
    #[arg(long, default_value_t = 10)]
    loss: u32,
    /// Timer T1 of both sides, in milliseconds
    #[arg(long, default_value_t = 500)]
    t1: u64,
    /// Seed of the random losses
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Whether everything ended properly.
pub(crate) fn loss(arguments: &Loss) -> io::Result<bool> {
    let folder = tempfile::tempdir()?;
    let plan = LossPlan {
        program: arguments.switch.clone(),
        calls: arguments.calls,
        rate: arguments.rate,
        limit: 1_600,
        loss_percent: arguments.loss,
        t1: Duration::from_millis(arguments.t1),
        seed: arguments.seed,
    };
    let run = lose(&plan, folder.path())?;
    println!("{}", run.to_text());
    if let Err(words) = run.verdict() {
        eprintln!("{words}");
        return Ok(false);
    }
    Ok(true)
}
