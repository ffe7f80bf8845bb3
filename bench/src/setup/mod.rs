//! What setting a call up costs, from INVITE to connected, by CPU time that the kernel accounts to the nanosecond: one
//! shard in virtual time, without any network; and what a program of the library adds to a shard, by the difference of two
//! processes that take the same calls over the same sockets. Wake-ups of the program's threads are in it, sockets are not.

mod caller;
mod program;

pub use program::{Kind, serve};

use crate::held::{ShardWork, set_up};
use crate::host::Host;
use crate::media::progress;
use crate::results::{median, write_json};
use loadtest::usage;
use program::Program;
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The settings of a measurement.
#[derive(Clone, Debug)]
pub struct SetupBench {
    /// Calls of a round of the shard.
    pub calls: usize,
    /// Calls a second to the program.
    pub rate: u32,
    /// Rounds.
    pub rounds: usize,
    /// The `ringplane` executable: its media plane.
    pub program: PathBuf,
    /// Where results go.
    pub folder: PathBuf,
}

/// The results: CPU time of one call, microseconds, medians of the rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Setup {
    host: Host,
    load_average: f64,
    /// One shard in virtual time: INVITE, the media plane's answer, ACK, until it is connected. Parsing, transaction,
    /// dialog, session, offer and answer.
    pub shard_us: f64,
    /// What a program adds: events, the handler's tasks, its decision and the way back, with the wake-ups of its threads.
    pub program_us: f64,
    /// Both: the work of a call without the network.
    pub work_us: f64,
    /// The whole process of a program, sockets included.
    pub cpu_us: f64,
    /// That of a switch of our own, whose shards decide by themselves.
    pub plain_us: f64,
    /// Every round.
    pub rounds: Vec<Round>,
    rate: u32,
}

/// One round.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Round {
    /// As in [`Setup`].
    pub shard_us: f64,
    /// As in [`Setup`].
    pub cpu_us: f64,
    /// As in [`Setup`].
    pub plain_us: f64,
}

/// Calls of a round of the program: as many ports.
const PROGRAM_CALLS: usize = 3_000;

impl SetupBench {
    /// Runs the measurement and writes its results.
    pub fn run(&self) -> io::Result<Setup> {
        let load_average = usage::load_average();
        let bar = progress(self.rounds);
        let mut rounds = Vec::new();
        for round in 0..self.rounds {
            let shard_us = shard_of(self.calls)?.shard_us;
            // Who comes first changes.
            let (cpu_us, plain_us) = if round % 2 == 0 {
                (self.cpu_us(Kind::Api)?, self.cpu_us(Kind::Plain)?)
            } else {
                let plain_us = self.cpu_us(Kind::Plain)?;
                (self.cpu_us(Kind::Api)?, plain_us)
            };
            rounds.push(Round { shard_us, cpu_us, plain_us });
            bar.inc(1);
        }
        bar.finish_and_clear();
        let of = |read: fn(&Round) -> f64| median(rounds.iter().map(read));
        let (shard_us, program_us) = (of(|round| round.shard_us), of(|round| round.cpu_us - round.plain_us));
        let result = Setup {
            host: Host::read(),
            load_average,
            shard_us,
            program_us,
            work_us: shard_us + program_us,
            cpu_us: of(|round| round.cpu_us),
            plain_us: of(|round| round.plain_us),
            rounds,
            rate: self.rate,
        };
        write_json(&self.folder, "setup", &result)?;
        Ok(result)
    }

    fn cpu_us(&self, kind: Kind) -> io::Result<f64> {
        let folder = tempfile::tempdir()?;
        let mut program = Program::start(folder.path(), &self.program, PROGRAM_CALLS + 100, kind)?;
        program.call(100, self.rate)?;
        let before = usage::of_process(program.pid())?.cpu_ns;
        program.call(PROGRAM_CALLS, self.rate)?;
        let after = usage::of_process(program.pid())?.cpu_ns;
        Ok((after - before) as f64 / 1e3 / PROGRAM_CALLS as f64)
    }
}

/// In a fresh process, whose memory nothing else has used.
fn shard_of(calls: usize) -> io::Result<ShardWork> {
    let output =
        Command::new(std::env::current_exe()?).args(["setup-shard", "--calls", &calls.to_string()]).output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The shard's part, in this process.
pub fn shard(calls: usize) -> io::Result<ShardWork> {
    set_up(calls)
}

/// The folder that a media plane has its socket in.
fn control_socket(folder: &Path) -> PathBuf {
    folder.join("run/media-control.sock")
}

impl Setup {
    /// The results as text for a terminal.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for Round { shard_us, cpu_us, plain_us } in &self.rounds {
            text += &format!(
                "shard in virtual time {shard_us:.1} us; program {cpu_us:.1} us, plain switch {plain_us:.1} us of CPU\n"
            );
        }
        text + &format!(
            "set-up of a call, INVITE to connected: {:.1} us of work without the network (shard {:.1}, program {:.1}); \
             {:.1} us of CPU with sockets at {} calls/s; load average before: {:.1}\n",
            self.work_us, self.shard_us, self.program_us, self.cpu_us, self.rate, self.load_average
        )
    }
}
