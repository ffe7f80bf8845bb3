//! `sim [--seeds N] [--from SEED] [--seed SEED] [--noisy 1] [--system 1]`: plays seeds; `--seed` (or `SIM_SEED`) plays one with
//! its trace; `--noisy 1` damages messages on their way; `--system 1` plays both planes with phones that speak.

#![forbid(unsafe_code)]

use std::process::ExitCode;

/// Every so many seeds one is played twice: the same seed has to give the same trace.
const TWICE_EVERY: u64 = 16;

struct Wish {
    seeds_count: u64,
    from: u64,
    alone: Option<u64>,
    kind: Kind,
}

/// Which world is played.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// SIP alone.
    Sip,
    /// SIP with damaged messages.
    Noisy,
    /// Both planes.
    System,
}

impl Kind {
    /// What chooses it on the command line.
    fn words(self) -> &'static str {
        match self {
            Self::Sip => "",
            Self::Noisy => " -- --noisy 1",
            Self::System => " -- --system 1",
        }
    }

    fn run(self, seed: u64, trace: Option<&mut Vec<String>>) -> Result<Played, String> {
        let played = match self {
            Self::Sip => sim::run(seed, trace).map(Played::Sip),
            Self::Noisy => sim::run_noisy(seed, trace).map(Played::Sip),
            Self::System => sim::run_system(seed, trace).map(Played::System),
        };
        played.map_err(|broken| broken.0)
    }
}

/// What came of a seed.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Played {
    Sip(sim::Report),
    System(sim::SystemReport),
}

fn wish() -> Result<Wish, String> {
    let alone = match std::env::var("SIM_SEED") {
        Ok(text) => Some(text.parse().map_err(|_| format!("SIM_SEED={text}: not a number"))?),
        Err(_) => None,
    };
    let mut wish = Wish { seeds_count: 1000, from: 0, alone, kind: Kind::Sip };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or(format!("{word}: a number belongs behind it"))?;
        let number = value.parse().map_err(|_| format!("{word} {value}: not a number"))?;
        match word.as_str() {
            "--seeds" => wish.seeds_count = number,
            "--from" => wish.from = number,
            "--seed" => wish.alone = Some(number),
            "--noisy" if number != 0 => wish.kind = Kind::Noisy,
            "--system" if number != 0 => wish.kind = Kind::System,
            "--noisy" | "--system" => {}
            _ => {
                return Err(format!(
                    "{word}: unknown; there are --seeds N, --from SEED, --seed SEED, --noisy 1 and --system 1"
                ));
            }
        }
    }
    Ok(wish)
}

fn main() -> ExitCode {
    let wish = match wish() {
        Ok(wish) => wish,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    match wish.alone {
        Some(seed) => alone(seed, wish.kind),
        None => many(&wish),
    }
}

fn alone(seed: u64, kind: Kind) -> ExitCode {
    let mut trace = Vec::new();
    let played = kind.run(seed, Some(&mut trace));
    for line in trace {
        println!("{line}");
    }
    match played {
        Ok(report) => println!("seed {seed}: {report:?}"),
        Err(broken) => {
            println!("seed {seed} FAILED: {broken}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn many(wish: &Wish) -> ExitCode {
    let workers_count = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let results: Vec<Sum> = std::thread::scope(|scope| {
        let play = |worker: u64| {
            scope.spawn(move || {
                Sum::of((0..wish.seeds_count).filter(|n| n % workers_count == worker).map(|n| wish.from + n), wish.kind)
            })
        };
        let workers: Vec<_> = (0..workers_count).map(play).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker reports instead of panicking")).collect()
    });
    let sum = results.into_iter().fold(Sum::default(), Sum::add);
    println!(
        "{} seeds, {} virtual seconds, {} messages ({} lost), {} calls answered, {} failed, {} dialogs ended",
        wish.seeds_count, sum.seconds, sum.messages, sum.lost, sum.answered, sum.unanswered, sum.ended
    );
    if wish.kind == Kind::System {
        println!("{} packets, {} of them checked, {} deaths", sum.packets, sum.checked, sum.deaths);
        println!(
            "{} acts in calls, {} looks at holds, {} transfers, {} recordings with sound, {} legs to adopt",
            sum.acts, sum.held, sum.transferred, sum.recorded, sum.adopted
        );
    }
    if sum.failures.is_empty() {
        return ExitCode::SUCCESS;
    }
    for (seed, why) in sum.failures.iter().take(10) {
        println!("seed {seed} FAILED: {why}");
        println!(
            "  alone, with its trace: SIM_SEED={seed} cargo run --profile ci -p ringplane-sim{}",
            wish.kind.words()
        );
    }
    println!("{} of {} seeds failed", sum.failures.len(), wish.seeds_count);
    ExitCode::FAILURE
}

#[derive(Default)]
struct Sum {
    seconds: u64,
    messages: u64,
    lost: u64,
    answered: u64,
    unanswered: u64,
    ended: u64,
    packets: u64,
    checked: u64,
    deaths: u64,
    acts: u64,
    transferred: u64,
    recorded: u64,
    adopted: u64,
    held: u64,
    failures: Vec<(u64, String)>,
}

impl Sum {
    fn of(seeds: impl Iterator<Item = u64>, kind: Kind) -> Self {
        let mut sum = Self::default();
        for seed in seeds {
            match play(seed, kind) {
                Ok(Played::System(report)) => {
                    sum.seconds += report.lasted.as_secs();
                    sum.messages += report.messages_count;
                    sum.lost += report.lost_count;
                    sum.packets += report.packets_count;
                    sum.checked += report.checked_count as u64;
                    sum.deaths += report.deaths_count as u64;
                    sum.acts += report.acts_count;
                    sum.transferred += report.transferred_count;
                    sum.recorded += report.recorded_count as u64;
                    sum.adopted += report.adopted_count;
                    sum.held += report.held_count;
                    sum.answered += report.talked_count;
                    sum.unanswered += report.failed_count;
                }
                Ok(Played::Sip(report)) => {
                    sum.seconds += report.lasted.as_secs();
                    sum.messages += report.messages_count;
                    sum.lost += report.lost_count;
                    sum.answered += report.answered_count;
                    sum.unanswered += report.failed_count;
                    sum.ended += report.ended_count;
                }
                Err(why) => sum.failures.push((seed, why)),
            }
        }
        sum
    }

    fn add(mut self, other: Self) -> Self {
        self.seconds += other.seconds;
        self.messages += other.messages;
        self.lost += other.lost;
        self.answered += other.answered;
        self.unanswered += other.unanswered;
        self.ended += other.ended;
        self.packets += other.packets;
        self.checked += other.checked;
        self.deaths += other.deaths;
        self.acts += other.acts;
        self.transferred += other.transferred;
        self.recorded += other.recorded;
        self.adopted += other.adopted;
        self.held += other.held;
        self.failures.extend(other.failures);
        self.failures.sort();
        self
    }
}

/// A seed, and from time to time the same again. A panic is a failure of its seed, not of the run.
fn play(seed: u64, kind: Kind) -> Result<Played, String> {
    let caught = |seed| match std::panic::catch_unwind(|| kind.run(seed, None)) {
        Ok(played) => played,
        Err(_) => Err("it panicked".to_owned()),
    };
    let report = caught(seed)?;
    if seed.is_multiple_of(TWICE_EVERY) && caught(seed)? != report {
        return Err("the same seed gave another trace".to_owned());
    }
    Ok(report)
}
