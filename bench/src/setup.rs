//! What setting a call up costs a program that has the switch in itself, from INVITE to connected, by thread. The calls
//! are held until all are up, so that no BYE is in it.

use crate::host::Host;
use crate::media::progress;
use crate::results::{median, write_json};
use clock::Duration;
use loadtest::callers::{CallPlan, call};
use loadtest::peers::free_range;
use loadtest::relay::Percentiles;
use loadtest::usage;
use ringplane::api::{AutoAnswerHandler, EventFilter, EventKind, SessionConfig, SessionManager, SessionState};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// What is measured.
#[derive(Clone, Debug)]
pub struct SetupBench {
    /// Calls a second.
    pub rate: u32,
    /// Seconds of one round.
    pub seconds: u32,
    /// Rounds.
    pub rounds: usize,
    /// Where results go.
    pub folder: PathBuf,
}

/// One round.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    /// Calls that completed.
    pub completed: u64,
    /// Calls that failed.
    pub failed: u64,
    /// User time of a call in signaling and the handler's tasks, microseconds.
    pub work_us: f64,
    /// The same with the kernel's time: sockets, wake-ups, memory.
    pub cpu_us: f64,
    /// User time by thread, microseconds a call.
    pub by_thread: BTreeMap<String, f64>,
    /// From the event of the incoming call to that of the connected one, the media plane's answer and all waiting
    /// included.
    pub incoming_to_connected: Percentiles,
}

/// What it showed.
#[derive(Clone, Debug, Serialize)]
pub struct Setup {
    host: Host,
    load_average: f64,
    rate: u32,
    /// Median of the rounds.
    pub work_us: f64,
    /// Median of the rounds.
    pub cpu_us: f64,
    /// All of them.
    pub rounds: Vec<Round>,
}

impl SetupBench {
    /// Measures.
    pub fn run(&self) -> io::Result<Setup> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let load_average = usage::load_average();
        let bar = progress(self.rounds);
        let mut rounds = Vec::new();
        for _ in 0..self.rounds {
            rounds.push(runtime.block_on(self.round())?);
            bar.inc(1);
        }
        bar.finish_and_clear();
        let result = Setup {
            host: Host::read(),
            load_average,
            rate: self.rate,
            work_us: median(rounds.iter().map(|round| round.work_us)),
            cpu_us: median(rounds.iter().map(|round| round.cpu_us)),
            rounds,
        };
        write_json(&self.folder, "setup", &result)?;
        Ok(result)
    }

    async fn round(&self) -> io::Result<Round> {
        let mut config = SessionConfig::server("127.0.0.1:0").map_err(io::Error::other)?;
        let calls = (self.rate * self.seconds) as usize;
        let ports = u16::try_from(2 * calls + 400).map_err(io::Error::other)?;
        let first = free_range([127, 0, 0, 1].into(), ports)?;
        config.media_ports = (first, first + ports - 1);
        let manager = SessionManager::new(config).await.map_err(io::Error::other)?;
        manager.set_call_handler(Arc::new(AutoAnswerHandler)).await.map_err(io::Error::other)?;
        let anywhere = ([127, 0, 0, 1], 0).into();
        manager.start_server(anywhere).await.map_err(io::Error::other)?;
        let to = manager.local_addr().ok_or_else(|| io::Error::other("it does not listen"))?;
        let mut events = manager.coordinator().subscribe(EventFilter::all());
        let watch = tokio::spawn(async move {
            let (mut since, mut took) = (
                HashMap::new(),
                hdrhistogram::Histogram::<u64>::new_with_bounds(1, 10_000_000_000, 3).map_err(io::Error::other)?,
            );
            while let Some(event) = events.recv().await {
                match event.kind {
                    EventKind::IncomingCall { .. } => drop(since.insert(event.session_id, event.at)),
                    EventKind::StateChanged { new: SessionState::Connected, .. } => {
                        let from = since.remove(&event.session_id);
                        let time = from.and_then(|from| event.at.duration_since(from).ok());
                        took.saturating_record(time.map_or(0, |time| time.as_nanos() as u64));
                    }
                    EventKind::Ended { .. } => drop(since.remove(&event.session_id)),
                    _ => {}
                }
            }
            Ok::<_, io::Error>(Percentiles::from(&took))
        });
        let plan = |calls, hold| CallPlan { calls, rate: f64::from(self.rate), hold, ..CallPlan::signaling(to) };
        let callers = |plan: CallPlan| async move {
            // On a thread with a name of its own, so that its work is not taken for ours.
            let (told, done) = tokio::sync::oneshot::channel();
            std::thread::Builder::new().name("callers".into()).spawn(move || {
                let mut all_up = None;
                let report = call(&plan, &mut |_, up| {
                    if up as usize == plan.calls && all_up.is_none() {
                        all_up = threads().ok();
                    }
                });
                let _ = told.send(report.map(|report| (report, all_up)));
            })?;
            done.await.map_err(io::Error::other)?
        };
        // Everything that is needed once.
        callers(plan(100, Duration::from_millis(100))).await?;
        let before = threads()?;
        let hold = Duration::from_secs(u64::from(self.seconds) + 3);
        let (report, after) = callers(plan(calls, hold)).await?;
        let after = after.ok_or_else(|| io::Error::other("the calls were never all up at once"))?;
        let mut by_thread = BTreeMap::new();
        let mut all = (0.0, 0.0);
        for (tid, (name, user, cpu)) in after {
            let (user_from, cpu_from) = before.get(&tid).map_or((0, 0), |(_, user, cpu)| (*user, *cpu));
            let us = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e3 / report.completed.max(1) as f64;
            let is_ours = ["shard", "tokio", "ringplane"].iter().any(|ours| name.starts_with(ours));
            if is_ours {
                all = (all.0 + us(user_from, user), all.1 + us(cpu_from, cpu));
            }
            *by_thread.entry(name).or_insert(0.0) += us(user_from, user);
        }
        manager.shutdown(Duration::from_secs(20)).await.map_err(io::Error::other)?;
        drop(manager);
        let incoming_to_connected = watch.await.map_err(io::Error::other)??;
        let (completed, failed) = (report.completed, report.failed_count());
        Ok(Round { completed, failed, work_us: all.0, cpu_us: all.1, by_thread, incoming_to_connected })
    }
}

/// Name, user time and all CPU time in nanoseconds of every thread of ours, by its id. The kernel looks at user time 100
/// times a second only: good to some microseconds a call after thousands of calls. All of it is exact.
fn threads() -> io::Result<HashMap<u32, (String, u64, u64)>> {
    let tick_ns = 10_000_000;
    let mut all = HashMap::new();
    for entry in fs::read_dir("/proc/self/task")?.flatten() {
        let Some(tid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let (Some(from), Some(to)) = (stat.find('('), stat.rfind(')')) else { continue };
        let fields: Vec<u64> = stat[to + 1..].split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        let user_ns = fields.get(11).copied().unwrap_or(0) * tick_ns;
        let schedule = fs::read_to_string(entry.path().join("schedstat")).unwrap_or_default();
        let cpu_ns = schedule.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
        all.insert(tid, (stat[from + 1..to].to_owned(), user_ns, cpu_ns));
    }
    Ok(all)
}

impl Setup {
    /// For a terminal.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for round in &self.rounds {
            let times = &round.incoming_to_connected;
            text += &format!(
                "{} calls, {} failed: {:.1} us of work a call, {:.1} us of CPU; incoming to connected p50 {:.0} us, p99 {:.0} us\n",
                round.completed, round.failed, round.work_us, round.cpu_us, times.p50_us, times.p99_us
            );
            let threads = round.by_thread.iter().filter(|(_, us)| **us > 0.5);
            let threads: Vec<String> = threads.map(|(name, us)| format!("{name} {us:.1}")).collect();
            text += &format!("  user time by thread: {}\n", threads.join(", "));
        }
        text + &format!(
            "median at {} calls/s: {:.1} us of work, {:.1} us of CPU; load average before: {:.1}\n",
            self.rate, self.work_us, self.cpu_us, self.load_average
        )
    }
}
