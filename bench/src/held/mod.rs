//! Memory of what signaling holds: calls, dialogs, subscriptions, each of them many; and what comes back afterwards.

mod message;
mod process;
mod tables;

pub(crate) use message::{SDP, request, to_tag};
pub use process::{Round, RoundPlan, rounds};
pub use tables::{Kind, ShardWork, TableMemory, fill, set_up};

use crate::host::Host;
use crate::media::progress;
use crate::results::write_json;
use clock::Duration;
use serde::Serialize;
use std::io;
use std::path::PathBuf;
use std::process::Command;

/// The settings of a measurement.
#[derive(Clone, Debug)]
pub struct HeldBench {
    /// Calls held at once in a table, and as many of them through the running switch as it has descriptors and ports for.
    pub calls: usize,
    /// Dialogs and subscriptions held at once in tables.
    pub dialogs: usize,
    /// Rounds of a few hundred calls whose memory has to come back.
    pub cycles: usize,
    /// The `ringplane` executable.
    pub program: PathBuf,
    /// Where results go.
    pub folder: PathBuf,
}

/// Calls of one of the rounds.
const CYCLE_CALLS: usize = 500;

/// The results.
#[derive(Clone, Debug, Serialize)]
pub struct HeldResult {
    host: Host,
    /// Tables in virtual time, each in a process of its own.
    pub tables: Vec<TableMemory>,
    /// Many calls through the running switch.
    pub process: Vec<Round>,
    /// Rounds of a few hundred calls, one after the other.
    pub cycles: Vec<Round>,
}

impl HeldBench {
    /// Runs the measurement and writes its results.
    pub fn run(&self) -> io::Result<HeldResult> {
        let bar = progress(5);
        let mut tables = Vec::new();
        for (kind, count) in
            [(Kind::Calls, self.calls), (Kind::Dialogs, self.dialogs), (Kind::Subscriptions, self.dialogs)]
        {
            bar.set_message(format!("{count} {kind:?} in a table"));
            tables.push(table_of(kind, count)?);
            bar.inc(1);
        }
        let calls = process::possible_calls(self.calls);
        let held = RoundPlan {
            calls,
            rate: 1_000.0,
            hold: Duration::from_secs(calls as u64 / 1_000) + process::FORGOTTEN_AFTER + Duration::from_secs(5),
            rest: Duration::from_secs(60),
            warm_up_count: 0,
            round_count: 1,
        };
        let mut say = |what: &str| bar.set_message(what.to_owned());
        let process = rounds(&self.program, &held, &mut say)?;
        bar.inc(1);
        let short = RoundPlan {
            calls: CYCLE_CALLS,
            rate: 100.0,
            hold: Duration::from_secs(8),
            rest: Duration::from_secs(40),
            warm_up_count: 2,
            round_count: self.cycles,
        };
        let cycles = if self.cycles > 0 {
            rounds(&self.program, &short, &mut |what| bar.set_message(what.to_owned()))?
        } else {
            Vec::new()
        };
        bar.finish_and_clear();
        let result = HeldResult { host: Host::read(), tables, process, cycles };
        write_json(&self.folder, "sip-memory", &result)?;
        Ok(result)
    }
}

/// Fills a table in a fresh process, whose memory nothing else has used.
fn table_of(kind: Kind, count: usize) -> io::Result<TableMemory> {
    let mut command = Command::new(std::env::current_exe()?);
    let name = serde_json::to_string(&kind)?;
    command.args(["sip-table", "--kind", name.trim_matches('"'), "--count", &count.to_string()]);
    // As `ringplane serve` starts signaling: memory that is free goes back at once.
    let output = command.env("MIMALLOC_PURGE_DELAY", "0").output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

impl HeldResult {
    /// The results as text for a terminal.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for table in &self.tables {
            text += &format!(
                "{} {:?} in a table: {:.0} bytes each at first, {:.0} bytes each when idle; {} KB left\n",
                table.count,
                table.kind,
                table.bytes_each_at_first,
                table.bytes_each,
                table.bytes_left / 1_024
            );
        }
        let each =
            |bytes: u64, round: &Round| bytes.saturating_sub(round.before_bytes) as f64 / round.calls.max(1) as f64;
        let left = |round: &Round| (round.after_bytes as i64 - round.before_bytes as i64) / 1_024;
        for round in &self.process {
            text += &format!(
                "{} calls through the switch ({} failed): {:.0} bytes each at first, {:.0} bytes each when idle; {} KB left a minute after\n",
                round.calls,
                round.failed,
                each(round.up_bytes, round),
                each(round.idle_bytes, round),
                left(round)
            );
        }
        for (number, round) in self.cycles.iter().enumerate() {
            text += &format!(
                "round {} of {} calls: {} KB before, {} KB up, {} KB after: {} KB left\n",
                number + 1,
                round.calls,
                round.before_bytes / 1_024,
                round.up_bytes / 1_024,
                round.after_bytes / 1_024,
                left(round)
            );
        }
        text
    }
}
