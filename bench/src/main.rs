//! `bench`: the measurements of this project, each one command.

#![forbid(unsafe_code)]

use bench::audio::AudioBench;
use bench::b2bua::{B2buaBench, Through as Between};
use bench::events::EventsBench;
use bench::held::{HeldBench, Kind, fill};
use bench::legs::LegsBench;
use bench::media::{MediaBench, Through, table};
use bench::options::OptionsBench;
use bench::pacing::PacingBench;
use bench::parse::ParseBench;
use bench::setup::{self, SetupBench};
use bench::sip::SipBench;
use clap::{Parser, Subcommand};
use clock::Duration;
use loadtest::media::TrafficConfig;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// The switch's own, since tables are measured with it.
#[global_allocator]
static ALLOCATOR: heap::Allocator = heap::Allocator;

/// Measures ringplane side by side with its peers, on this host, now.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where results are written (JSON, SVG)
    #[arg(long, default_value = "bench/results", global = true)]
    results: PathBuf,
    /// The switch: `make build` puts it there
    #[arg(long, default_value = "target/release/ringplane", global = true)]
    program: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Two-way calls of 50 packets a second each way, relayed: CPU, loss, latency, memory
    Media {
        /// Numbers of two-way calls
        #[arg(long, value_delimiter = ',', default_value = "100,500,1000,2000")]
        calls: Vec<usize>,
        /// How often each is measured; who comes first alternates
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Measured seconds of one run
        #[arg(long, default_value_t = 8)]
        seconds: u64,
        /// What the calls go through
        #[arg(long, value_delimiter = ',', value_enum, default_value = "straight,ringplane,rtpengine")]
        through: Vec<Through>,
        /// How ringplane's workers wait: adaptive, block or busy
        #[arg(long, default_value = "adaptive")]
        wait: String,
        /// Worker threads of each relay
        #[arg(long, default_value_t = 2)]
        workers: usize,
        /// Threads of the generator
        #[arg(long, default_value_t = 2)]
        threads: usize,
        /// The streams of one such piece of the 20 ms are sent together
        #[arg(long, default_value_t = 200)]
        slot_us: u64,
        /// Sockets of a generator thread; streams share them
        #[arg(long, default_value_t = 2)]
        sockets: usize,
    },
    /// Calls between two codecs beside rtpengine: CPU of a transcoded packet, delay; the codecs alone
    Audio {
        /// Two-way calls
        #[arg(long, default_value_t = 200)]
        calls: usize,
        /// Rounds of each pair of codecs; who comes first alternates
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Measured seconds of one run
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Worker threads of each relay
        #[arg(long, default_value_t = 2)]
        workers: usize,
    },
    /// Answered calls beside SIPp's own UAS: CPU, time to the answer, memory
    Sip {
        /// Calls a second of the CPU comparison
        #[arg(long, default_value_t = 1_000)]
        rate: u32,
        /// Calls a second at which the time to the answer is measured
        #[arg(long, value_delimiter = ',', default_value = "500,1000,2000,3000,4000")]
        latency_rates: Vec<u32>,
        /// Calls held at once to measure their memory
        #[arg(long, default_value_t = 2_000)]
        held: usize,
        /// Seconds of one run
        #[arg(long, default_value_t = 10)]
        seconds: u32,
        /// Rounds of the CPU comparison
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
    /// Memory of calls, dialogs and subscriptions that signaling holds, and what comes back
    SipMemory {
        /// Calls held at once
        #[arg(long, default_value_t = 10_000)]
        calls: usize,
        /// Dialogs, and subscriptions, held at once
        #[arg(long, default_value_t = 100_000)]
        dialogs: usize,
        /// Rounds of 500 calls after which memory is looked at
        #[arg(long, default_value_t = 0)]
        cycles: usize,
    },
    /// OPTIONS beside Kamailio's stateless replier
    Options {
        /// Questions a second of the paced runs
        #[arg(long, default_value_t = 5_000)]
        rate: u32,
        /// Questions on their way in the runs as fast as possible
        #[arg(long, default_value_t = 128)]
        window: usize,
        /// Threads, and Kamailio's processes, that answer
        #[arg(long, default_value_t = 2)]
        workers: usize,
        /// Rounds; who comes first alternates
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// Measured seconds of one run
        #[arg(long, default_value_t = 3)]
        seconds: u64,
    },
    /// What reading an INVITE of 1 KB costs, beside other parsers
    Parse {
        /// The example `instructions` of `sip-wire`, optimised
        #[arg(long, default_value = "target/release/examples/instructions")]
        example: PathBuf,
        /// Timed runs; the fastest counts
        #[arg(long, default_value_t = 7)]
        rounds: usize,
    },
    /// One table of `sip-memory`, as JSON
    #[command(hide = true)]
    SipTable {
        #[arg(long, value_enum)]
        kind: Kind,
        #[arg(long)]
        count: usize,
    },
    /// Calls through the back-to-back user agent beside straight ones and Kamailio: CPU, time to the answer, memory
    B2bua {
        /// Calls a second of the CPU comparison
        #[arg(long, default_value_t = 1_000)]
        rate: u32,
        /// Calls a second that SIPp makes with SIPp behind
        #[arg(long, value_delimiter = ',', default_value = "1500,2000,2500")]
        load_rates: Vec<u32>,
        /// Calls a second at which the time to the answer is measured
        #[arg(long, value_delimiter = ',', default_value = "500,1000,2000")]
        latency_rates: Vec<u32>,
        /// What the calls go through
        #[arg(long, value_delimiter = ',', value_enum, default_value = "straight,ringplane,kamailio")]
        through: Vec<Between>,
        /// Calls held at once to measure their memory
        #[arg(long, default_value_t = 1_000)]
        held: usize,
        /// Calls that have to leave nothing
        #[arg(long, default_value_t = 24_000)]
        churn: u32,
        /// Seconds of one run
        #[arg(long, default_value_t = 10)]
        seconds: u32,
        /// Rounds of the CPU comparison
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
    /// Events to many subscribers of a program that has the switch in itself
    Events {
        /// Who listens
        #[arg(long, default_value_t = 10)]
        subscribers: usize,
        /// Events of one round
        #[arg(long, default_value_t = 200_000)]
        events: usize,
        /// Rounds
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// What setting a call up costs a shard, and such a program: exact CPU
    Setup {
        /// Calls of a round of the shard
        #[arg(long, default_value_t = 10_000)]
        calls: usize,
        /// Calls a second to the program
        #[arg(long, default_value_t = 500)]
        rate: u32,
        /// Rounds
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
    /// The shard of `setup`, as JSON
    #[command(hide = true)]
    SetupShard {
        #[arg(long)]
        calls: usize,
    },
    /// The program of `setup`
    #[command(hide = true)]
    SetupProgram {
        #[arg(long, value_enum)]
        kind: setup::Kind,
        #[arg(long)]
        address: SocketAddr,
        #[arg(long)]
        media_plane: PathBuf,
    },
    /// Legs opened and closed through the queues
    Legs {
        /// Legs open at once
        #[arg(long, default_value_t = 5_000)]
        legs: usize,
        /// How often all are opened and closed
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// Media workers
        #[arg(long, default_value_t = 2)]
        workers: usize,
        /// How the workers wait: adaptive, block or busy
        #[arg(long, default_value = "adaptive")]
        wait: String,
    },
    /// How late self-made frames go out
    Pacing {
        /// Streams of a tone
        #[arg(long, default_value_t = 1_000)]
        streams: usize,
        /// Measured seconds
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Media workers
        #[arg(long, default_value_t = 2)]
        workers: usize,
        /// How the workers wait: adaptive, block or busy
        #[arg(long, default_value = "adaptive")]
        wait: String,
    },
}

fn main() -> ExitCode {
    let Arguments { results, program, what } = Arguments::parse();
    let outcome = match what {
        What::Media { calls, rounds, seconds, through, wait, workers, threads, slot_us, sockets } => {
            let slot = Duration::from_micros(slot_us);
            let traffic = TrafficConfig { threads: threads.max(1), slot, sockets, ..Default::default() };
            let media = format!("wait = {wait:?}");
            let bench =
                MediaBench { calls, rounds, seconds, through, workers, traffic, program, media, folder: results };
            bench.run().map(|rows| print!("{}", table(&rows)))
        }
        What::Audio { calls, rounds, seconds, workers } => {
            let bench = AudioBench { calls, rounds, seconds, workers, program, folder: results };
            bench.run().map(|result| print!("{}", result.to_text()))
        }
        What::Sip { rate, latency_rates, held, seconds, rounds } => {
            let bench = SipBench { rate, latency_rates, held, seconds, rounds, program, folder: results };
            bench.run().map(|result| print!("{}", result.to_text()))
        }
        What::SipMemory { calls, dialogs, cycles } => {
            let bench = HeldBench { calls, dialogs, cycles, program, folder: results };
            bench.run().map(|result| print!("{}", result.to_text()))
        }
        What::Options { rate, window, workers, rounds, seconds } => {
            let bench = OptionsBench { rate, window, workers, rounds, seconds, program, folder: results };
            bench.run().map(|result| print!("{}", result.to_text()))
        }
        What::Parse { example, rounds } => {
            let bench = ParseBench { example, rounds, folder: results };
            bench.run().map(|result| print!("{}", result.to_text()))
        }
        What::SipTable { kind, count } => fill(kind, count).map(|memory| println!("{}", serde_json::json!(memory))),
        What::B2bua { rate, load_rates, latency_rates, through, held, churn, seconds, rounds } => {
            let folder = results;
            let bench =
                B2buaBench { rate, load_rates, latency_rates, through, held, churn, seconds, rounds, program, folder };
            bench.run().map(|result| print!("{}", result.to_text()))
        }
        What::Events { subscribers, events, rounds } => {
            let bench = EventsBench { subscribers, events, rounds, folder: results };
            bench.run().map(|result| print!("{}", result.to_text()))
        }
        What::Setup { calls, rate, rounds } => {
            let bench = SetupBench { calls, rate, rounds, program, folder: results };
            bench.run().map(|result| print!("{}", result.to_text()))
        }
        What::SetupShard { calls } => setup::shard(calls).map(|work| println!("{}", serde_json::json!(work))),
        What::SetupProgram { kind, address, media_plane } => setup::serve(kind, address, &media_plane),
        What::Legs { legs, rounds, workers, wait } => {
            let media = format!("wait = {wait:?}");
            let bench = LegsBench { legs, rounds, workers, media, program, folder: results };
            bench.run().map(|result| print!("{}", result.to_text()))
        }
        What::Pacing { streams, seconds, workers, wait } => {
            let media = format!("wait = {wait:?}");
            let bench = PacingBench { streams, seconds, workers, media, program, folder: results };
            bench.run().map(|result| print!("{}", result.to_text()))
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
