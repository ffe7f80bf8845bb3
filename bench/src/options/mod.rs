//! OPTIONS beside Kamailio's stateless replier: CPU of one answer, and answers a second.

mod asker;

pub use asker::{Asked, Asker, Pace};

use crate::host::Host;
use crate::media::progress;
use crate::plot;
use crate::results::{median, write_json};
use clock::Duration;
use loadtest::peers::{Kamailio, Switch, SwitchPlan};
use loadtest::usage;
use serde::Serialize;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The settings of a measurement.
#[derive(Clone, Debug)]
pub struct OptionsBench {
    /// Questions a second of the paced runs.
    pub rate: u32,
    /// Questions on their way in the runs as fast as possible.
    pub window: usize,
    /// Threads of ringplane, and processes of Kamailio, that answer.
    pub workers: usize,
    /// Rounds; who comes first alternates.
    pub rounds: usize,
    /// Measured seconds of one run.
    pub seconds: u64,
    /// The `ringplane` executable.
    pub program: PathBuf,
    /// Where results go.
    pub folder: PathBuf,
}

/// One server at one pace.
#[derive(Clone, Debug, Serialize)]
pub struct OptionsRun {
    /// Who answered.
    pub server: &'static str,
    /// `paced` or `full`.
    pub pace: &'static str,
    /// Processes that ran or wanted to, averaged over the minute before.
    pub load_average_before: f64,
    /// OPTIONS sent.
    pub sent: u64,
    /// Answered 200.
    pub answered: u64,
    /// Answered otherwise.
    pub refused: u64,
    /// Answers a second.
    pub per_second: f64,
    /// CPU of all processes of the server for an answer, microseconds.
    pub us_each: f64,
}

/// The two servers at one pace, medians of the rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// `paced` or `full`.
    pub pace: &'static str,
    /// CPU of an answer of ringplane, microseconds.
    pub ringplane_us: f64,
    /// CPU of an answer of Kamailio, microseconds.
    pub kamailio_us: f64,
    /// `ringplane_us` over `kamailio_us`.
    pub ratio_us: f64,
    /// Answers of ringplane a second.
    pub ringplane_per_second: f64,
    /// Answers of Kamailio a second.
    pub kamailio_per_second: f64,
    /// `ringplane_per_second` over `kamailio_per_second`.
    pub ratio_per_second: f64,
}

/// The result of `bench options`: every run, and the comparison at each pace.
#[derive(Clone, Debug, Serialize)]
pub struct OptionsResult {
    host: Host,
    workers: usize,
    rate: u32,
    window: usize,
    /// By pace.
    pub comparisons: Vec<Comparison>,
    /// Every run.
    pub runs: Vec<OptionsRun>,
}

const PACES: [&str; 2] = ["paced", "full"];
const SERVERS: [&str; 2] = ["ringplane", "kamailio"];

enum Server {
    Ringplane(Box<Switch>),
    Kamailio(Kamailio),
}

impl Server {
    fn address(&self) -> SocketAddr {
        match self {
            Self::Ringplane(switch) => switch.sip,
            Self::Kamailio(kamailio) => kamailio.address,
        }
    }

    fn cpu_ns(&self) -> io::Result<u64> {
        match self {
            Self::Ringplane(switch) => {
                let pid = switch.part("signal").ok_or_else(|| io::Error::other("no signaling process"))?;
                Ok(usage::of_process(pid)?.cpu_ns)
            }
            Self::Kamailio(kamailio) => kamailio.cpu_ns(),
        }
    }
}

impl OptionsBench {
    /// Runs the measurement and writes its results.
    pub fn run(&self) -> io::Result<OptionsResult> {
        let bar = progress(2 * self.rounds);
        let mut runs = Vec::new();
        for round in 0..self.rounds {
            for at in 0..2 {
                let name = SERVERS[(round + at) % 2];
                bar.set_message(format!("OPTIONS to {name}, round {}", round + 1));
                runs.extend(self.runs_of(name)?);
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        let comparisons = PACES.into_iter().map(|pace| compare(pace, &runs)).collect();
        let (workers, rate, window) = (self.workers, self.rate, self.window);
        let result = OptionsResult { host: Host::read(), workers, rate, window, comparisons, runs };
        write_json(&self.folder, "options", &result)?;
        result.draw(&self.folder.join("options.svg"))?;
        Ok(result)
    }

    fn runs_of(&self, name: &'static str) -> io::Result<Vec<OptionsRun>> {
        let folder = tempfile::tempdir()?;
        let server = if name == "kamailio" {
            Server::Kamailio(Kamailio::start(folder.path(), self.workers)?)
        } else {
            let mut plan = SwitchPlan::new(&self.program);
            plan.sip = format!("shards = {}", self.workers);
            plan.port_pairs = 100;
            Server::Ringplane(Box::new(Switch::start(folder.path(), &plan)?))
        };
        let mut asker = Asker::new(server.address())?;
        asker.ask(Pace::Rate(self.rate), Duration::from_millis(500))?;
        PACES.into_iter().map(|pace| self.one_run(name, pace, &server, &mut asker)).collect()
    }

    fn one_run(
        &self,
        name: &'static str,
        pace: &'static str,
        server: &Server,
        asker: &mut Asker,
    ) -> io::Result<OptionsRun> {
        let load_average_before = usage::load_average();
        let how = if pace == "paced" { Pace::Rate(self.rate) } else { Pace::Window(self.window) };
        let before = server.cpu_ns()?;
        let asked = asker.ask(how, Duration::from_secs(self.seconds))?;
        let cpu_ns = server.cpu_ns()?.saturating_sub(before);
        if asked.answered == 0 {
            return Err(io::Error::other(format!("{name} answered none of {} OPTIONS", asked.sent)));
        }
        Ok(OptionsRun {
            server: name,
            pace,
            load_average_before,
            sent: asked.sent,
            answered: asked.answered,
            refused: asked.refused,
            per_second: asked.answered as f64 / asked.seconds,
            us_each: cpu_ns as f64 / 1e3 / asked.answered as f64,
        })
    }
}

fn compare(pace: &'static str, runs: &[OptionsRun]) -> Comparison {
    let of = |server: &str, value: fn(&OptionsRun) -> f64| {
        median(runs.iter().filter(|run| run.pace == pace && run.server == server).map(value))
    };
    let [ringplane_us, kamailio_us] = SERVERS.map(|server| of(server, |run| run.us_each));
    let [ringplane_per_second, kamailio_per_second] = SERVERS.map(|server| of(server, |run| run.per_second));
    Comparison {
        pace,
        ringplane_us,
        kamailio_us,
        ratio_us: ringplane_us / kamailio_us.max(1e-9),
        ringplane_per_second,
        kamailio_per_second,
        ratio_per_second: ringplane_per_second / kamailio_per_second.max(1e-9),
    }
}

impl OptionsResult {
    /// The results as text for a terminal.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{:<10} {:<6} {:>9} {:>9} {:>8} {:>9} {:>8} {:>6}\n",
            "server", "pace", "sent", "answered", "refused", "a second", "us each", "load"
        );
        for run in &self.runs {
            text += &format!(
                "{:<10} {:<6} {:>9} {:>9} {:>8} {:>9.0} {:>8.2} {:>6.1}\n",
                run.server,
                run.pace,
                run.sent,
                run.answered,
                run.refused,
                run.per_second,
                run.us_each,
                run.load_average_before
            );
        }
        for of in &self.comparisons {
            text += &format!(
                "{}: {:.2} us beside Kamailio's {:.2} us, ratio {:.2}; {:.0} a second beside {:.0}, ratio {:.2}\n",
                of.pace,
                of.ringplane_us,
                of.kamailio_us,
                of.ratio_us,
                of.ringplane_per_second,
                of.kamailio_per_second,
                of.ratio_per_second
            );
        }
        text
    }

    fn draw(&self, path: &std::path::Path) -> io::Result<()> {
        let mut lines = Vec::new();
        for server in SERVERS {
            for pace in PACES {
                let runs = self.runs.iter().filter(|run| run.server == server && run.pace == pace);
                let points = runs.enumerate().map(|(round, run)| (round as f64 + 1.0, run.us_each)).collect();
                lines.push((format!("{server}, {pace}"), points));
            }
        }
        plot::lines(path, "CPU of one answered OPTIONS", "round", "microseconds", &lines)
    }
}
