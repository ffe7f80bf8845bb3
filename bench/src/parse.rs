//! What it costs to read an INVITE of 1 KB, beside other parsers: instructions, allocations, time. The work is that of
//! `signaling/sip-wire/benches/work`: parse, then read Via, From, To, CSeq, Call-ID and Contact as types.

use crate::host::Host;
use crate::media::progress;
use crate::results::write_json;
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The settings of a measurement.
#[derive(Clone, Debug)]
pub struct ParseBench {
    /// The example `instructions` of `sip-wire`, optimised.
    pub example: PathBuf,
    /// Timed runs; the fastest counts.
    pub rounds: usize,
    /// Where results go.
    pub folder: PathBuf,
}

/// What one message costs one parser.
#[derive(Clone, Debug, Serialize)]
pub struct ParseCost {
    /// `ours`, `validate` (with every check of a request), `rsip`, `sipx`.
    pub parser: &'static str,
    /// Instructions, as callgrind counts them.
    pub instructions: f64,
    /// Blocks taken from the heap.
    pub allocations: f64,
    /// Nanoseconds; the fastest run, since a busy host only adds to it.
    pub ns: f64,
}

/// The results.
#[derive(Clone, Debug, Serialize)]
pub struct ParseResult {
    host: Host,
    /// By parser.
    pub costs: Vec<ParseCost>,
}

const PARSERS: [&str; 4] = ["ours", "validate", "sipx", "rsip"];
/// Start-up falls out of the difference of two runs. Parsers cost the same each time, so few are enough.
const COUNTS: (u32, u32) = (100, 300);
const TIMED_COUNT: u32 = 50_000;

impl ParseBench {
    /// Runs the measurement and writes its results.
    pub fn run(&self) -> io::Result<ParseResult> {
        let bar = progress(PARSERS.len());
        let mut costs = Vec::new();
        for parser in PARSERS {
            bar.set_message(parser);
            let instructions = self.each(parser, "callgrind", |text| number_after(text, "Collected : "))?;
            let blocks = |text: &str| {
                let line = text.lines().find(|line| line.contains("Total:"))?;
                number_after(line, " bytes in ")
            };
            let allocations = self.each(parser, "dhat", blocks)?;
            costs.push(ParseCost { parser, instructions, allocations, ns: self.time(parser)? });
            bar.inc(1);
        }
        bar.finish_and_clear();
        let result = ParseResult { host: Host::read(), costs };
        write_json(&self.folder, "parse", &result)?;
        Ok(result)
    }

    /// What valgrind's `tool` counts for one message.
    fn each(&self, parser: &str, tool: &str, read: impl Fn(&str) -> Option<f64>) -> io::Result<f64> {
        let count = |messages: u32| {
            let mut command = Command::new("valgrind");
            command.args([format!("--tool={tool}"), format!("--{tool}-out-file=/dev/null")]);
            command.arg(&self.example).args([parser, &messages.to_string()]);
            let text = String::from_utf8_lossy(&finished(&mut command)?.stderr).into_owned();
            read(&text).ok_or_else(|| io::Error::other(format!("valgrind --tool={tool} said:\n{text}")))
        };
        Ok((count(COUNTS.1)? - count(COUNTS.0)?) / f64::from(COUNTS.1 - COUNTS.0))
    }

    fn time(&self, parser: &str) -> io::Result<f64> {
        let run = |messages: u32| -> io::Result<f64> {
            let start = clock::now();
            finished(Command::new(&self.example).args([parser, &messages.to_string()]))?;
            Ok(clock::now().since(start).as_nanos() as f64)
        };
        let least = |messages: u32| -> io::Result<f64> {
            (0..self.rounds.max(1)).try_fold(f64::INFINITY, |least, _| Ok(least.min(run(messages)?)))
        };
        Ok((least(TIMED_COUNT)? - least(0)?) / f64::from(TIMED_COUNT))
    }
}

fn finished(command: &mut Command) -> io::Result<Output> {
    let program = Path::new(command.get_program()).display().to_string();
    let output = command
        .output()
        .map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}; see `make bench-parse`")))?;
    if output.status.success() {
        return Ok(output);
    }
    Err(io::Error::other(format!("{program}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr))))
}

/// The number that follows `words`, with commas between thousands.
fn number_after(text: &str, words: &str) -> Option<f64> {
    let (_, rest) = text.split_once(words)?;
    let digits: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == ',').filter(|c| *c != ',').collect();
    digits.parse().ok()
}

impl ParseResult {
    /// The results as text for a terminal.
    pub fn to_text(&self) -> String {
        let mut text = format!("{:<10} {:>13} {:>12} {:>9}\n", "parser", "instructions", "allocations", "ns");
        for cost in &self.costs {
            text += &format!(
                "{:<10} {:>13.0} {:>12.1} {:>9.0}\n",
                cost.parser, cost.instructions, cost.allocations, cost.ns
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valgrinds_numbers_are_read() {
        assert_eq!(number_after("==7== Collected : 1234\n", "Collected : "), Some(1_234.0));
        let total = "==7== Total:     30,115,747 bytes in 95,118 blocks";
        assert_eq!(number_after(total, " bytes in "), Some(95_118.0));
        assert_eq!(number_after("nothing", "Collected : "), None);
    }
}
