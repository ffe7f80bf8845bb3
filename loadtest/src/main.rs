//! `loadtest`: calls with media on every one, every packet checked; and the flood that a switch must not mind.

#![forbid(unsafe_code)]

mod heard_command;
mod loss_command;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clock::Duration;
use indicatif::{ProgressBar, ProgressStyle};
use loadtest::callers::{CallPlan, CallsReport, call, page};
use loadtest::connection::Over;
use loadtest::corpus;
use loadtest::flood::{damaged_rtp, damaged_sip, flood};
use loadtest::media::{Expect, TrafficConfig};
use loadtest::peers::{Switch, SwitchPlan};
use loadtest::usage;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Calls a switch and checks every packet.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Calls at a rate, each held for a time, with media on every one
    Calls(Calls),
    /// Calls held at once with a tone: every gap, hole, port and leftover, judged from a capture
    Heard(heard_command::Heard),
    /// SIPp's calls over a link that loses datagrams: all end, nothing is left
    Loss(loss_command::Loss),
    /// Malformed datagrams, or the files of a corpus over any transport
    Flood {
        /// Addresses to send to
        #[arg(required = true)]
        to: Vec<SocketAddr>,
        /// Damaged RTP in place of damaged SIP
        #[arg(long)]
        rtp: bool,
        /// Folder of a corpus to send in place of damaged SIP, in turns; `uri` and `values` below it hold pieces of requests
        #[arg(long, conflicts_with = "rtp")]
        corpus: Vec<PathBuf>,
        /// What carries the corpus
        #[arg(long, value_enum, default_value = "udp", requires = "corpus")]
        over: Over,
        /// Messages
        #[arg(long, default_value_t = 100_000)]
        count: u64,
        /// Messages a second
        #[arg(long, default_value_t = 20_000)]
        rate: u64,
        /// Seed of the random damage
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

#[derive(Args)]
struct Calls {
    /// A `ringplane` executable, started for this on free ports
    #[arg(long, conflicts_with = "to", required_unless_present = "to")]
    switch: Option<PathBuf>,
    /// The SIP address of a switch that runs
    #[arg(long)]
    to: Option<SocketAddr>,
    /// Who is called: echo, tone, play, ...
    #[arg(long, default_value = "echo")]
    user: String,
    /// Calls in all
    #[arg(long, default_value_t = 3_000)]
    calls: usize,
    /// New calls a second
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// Most calls at once
    #[arg(long, default_value_t = 1_000)]
    limit: usize,
    /// Seconds from answer to BYE
    #[arg(long, default_value_t = 5.0)]
    hold: f64,
    /// What must be heard
    #[arg(long, value_enum, default_value = "auto")]
    media: Media,
    /// Threads of the media generator
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Folder for the report (JSON, HTML)
    #[arg(long, default_value = "reports")]
    report: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Media {
    /// Our own packets from `echo`, the switch's from anybody else
    Auto,
    /// Our own packets, byte for byte
    Echo,
    /// The switch's packets
    Generated,
    /// Nothing: signaling only
    None,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().what {
        What::Calls(calls) => make_calls(&calls),
        What::Heard(arguments) => heard_command::heard(&arguments),
        What::Loss(arguments) => loss_command::loss(&arguments),
        What::Flood { to, corpus, over, count, rate, seed, .. } if !corpus.is_empty() => {
            flood_corpora(&to, &corpus, over, count, rate, seed)
        }
        What::Flood { to, rtp, count, rate, seed, .. } => {
            flood(&to, if rtp { damaged_rtp } else { damaged_sip }, seed, count, rate).map(|flood| {
                println!("{} datagrams sent, {} refused by the kernel", flood.sent, flood.refused);
                true
            })
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("loadtest: {error}");
            ExitCode::FAILURE
        }
    }
}

fn flood_corpora(
    to: &[SocketAddr],
    folders: &[PathBuf],
    over: Over,
    count: u64,
    rate: u64,
    seed: u64,
) -> io::Result<bool> {
    let samples = corpus::read(folders)?;
    for (index, to) in to.iter().enumerate() {
        let flood = corpus::flood_corpus(*to, over, &samples, &format!("{seed}.{index}."), count, rate)?;
        println!(
            "{to}: {} messages sent, {} refused by the kernel, {} answered",
            flood.sent, flood.refused, flood.answered
        );
    }
    Ok(true)
}

fn make_calls(arguments: &Calls) -> io::Result<bool> {
    let folder = tempfile::tempdir()?;
    let switch = match &arguments.switch {
        Some(program) => Some(Switch::start(folder.path(), &plan_of(arguments, program))?),
        None => None,
    };
    let Some(to) = switch.as_ref().map(|switch| switch.sip).or(arguments.to) else { return Ok(false) };
    let expect = match arguments.media {
        Media::Echo => Some(Expect::Content),
        Media::Generated => Some(Expect::Generated),
        Media::None => None,
        Media::Auto if arguments.user == "echo" => Some(Expect::Content),
        Media::Auto => Some(Expect::Generated),
    };
    let plan = CallPlan {
        switch: to,
        user: arguments.user.clone(),
        rate: arguments.rate,
        calls: arguments.calls,
        limit: arguments.limit,
        hold: Duration::from_secs_f64(arguments.hold),
        media: expect,
        talk: true,
        traffic: TrafficConfig { ip: to.ip(), threads: arguments.threads.max(1), ..TrafficConfig::default() },
    };
    let cpu = |name: &str| {
        let pid = switch.as_ref()?.part(name)?;
        usage::of_process(pid).ok().map(|usage| usage.cpu_ns)
    };
    let before = (cpu("signal"), cpu("media"));
    let bar = ProgressBar::new(arguments.calls as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} calls ended, {msg} up, {elapsed}") {
        bar.set_style(style);
    }
    let report = call(&plan, &mut |ended, up| {
        bar.set_position(ended);
        bar.set_message(up.to_string());
    })?;
    bar.finish_and_clear();
    print!("{}", report.to_text());
    for (name, before) in [("signal", before.0), ("media", before.1)] {
        if let (Some(before), Some(after)) = (before, cpu(name)) {
            let us = after.saturating_sub(before) as f64 / 1e3;
            println!("{name}: {:.1} us of CPU a call", us / report.started.max(1) as f64);
        }
    }
    write(&report, arguments)?;
    Ok(is_good(&report))
}

fn plan_of(arguments: &Calls, program: &std::path::Path) -> SwitchPlan {
    // Half as many again: ports rest before they are used again.
    let pairs = arguments.limit.min(arguments.calls) * 3 / 2 + 100;
    let limit = arguments.limit + 100;
    let mut plan = SwitchPlan::new(program);
    plan.port_pairs = u16::try_from(pairs).unwrap_or(20_000).min(20_000);
    plan.sip = format!("max_calls = {limit}");
    plan
}

fn write(report: &CallsReport, arguments: &Calls) -> io::Result<()> {
    fs::create_dir_all(&arguments.report)?;
    let path = arguments.report.join("calls.json");
    fs::write(&path, serde_json::to_vec_pretty(&report.to_json())?)?;
    let title = format!("{} calls to {}, {} a second", arguments.calls, arguments.user, arguments.rate);
    let html = page(report, &title).map_err(|error| io::Error::other(error.to_string()))?;
    let page_path = arguments.report.join("calls.html");
    fs::write(&page_path, html)?;
    println!("{} {}", path.display(), page_path.display());
    Ok(())
}

/// Every call by the book, every packet there.
fn is_good(report: &CallsReport) -> bool {
    let media = &report.media;
    let lost = if media.received > 0 { media.lost() } else { 0 };
    let faults = media.damaged + media.misdirected + media.duplicates + media.holes + lost + report.silent;
    report.failed_count() + report.unexpected + faults == 0
}
