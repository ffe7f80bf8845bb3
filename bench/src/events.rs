//! Events to many subscribers: how many are delivered a second, and what one costs.

use crate::host::Host;
use crate::media::progress;
use crate::results::{median, write_json};
use clock::Duration;
use loadtest::peers::free_range;
use loadtest::usage;
use ringplane::api::{
    AutoAnswerHandler, EventFilter, SessionConfig, SessionControl, SessionCoordinator, SessionManagerBuilder,
};
use serde::Serialize;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The settings of a measurement.
#[derive(Clone, Debug)]
pub struct EventsBench {
    /// Who listens.
    pub subscribers: usize,
    /// Events of one round.
    pub events: usize,
    /// Rounds.
    pub rounds: usize,
    /// Where results go.
    pub folder: PathBuf,
}

/// The results.
#[derive(Clone, Debug, Serialize)]
pub struct Events {
    host: Host,
    load_average: f64,
    subscribers: usize,
    events: usize,
    /// Deliveries a second, all subscribers together: median of the rounds.
    pub deliveries_per_second: f64,
    /// CPU of a delivery, its share of publishing included, nanoseconds: median of the rounds.
    pub cpu_ns_per_delivery: f64,
    /// Events that subscribers lost because they were too slow, all rounds.
    pub lost: u64,
}

/// No subscriber is left further behind than this, which is well within what the switch keeps for each: what is
/// measured is what arrives, and all of it shall.
const BEHIND_MAX: u64 = 4_096;
/// How often that is looked at.
const BURST: usize = 256;

impl EventsBench {
    /// Runs the measurement and writes its results.
    pub fn run(&self) -> io::Result<Events> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let load_average = usage::load_average();
        let bar = progress(self.rounds);
        let (mut rates, mut costs, mut lost) = (Vec::new(), Vec::new(), 0);
        for _ in 0..self.rounds {
            let round = runtime.block_on(self.round())?;
            rates.push(round.0);
            costs.push(round.1);
            lost += round.2;
            bar.inc(1);
        }
        bar.finish_and_clear();
        let result = Events {
            host: Host::read(),
            load_average,
            subscribers: self.subscribers,
            events: self.events,
            deliveries_per_second: median(rates),
            cpu_ns_per_delivery: median(costs),
            lost,
        };
        write_json(&self.folder, "events", &result)?;
        Ok(result)
    }

    async fn round(&self) -> io::Result<(f64, f64, u64)> {
        let coordinator = start().await?;
        let to = coordinator.local_addr().map(|address| format!("sip:self@{address}")).unwrap_or_default();
        let call = SessionControl::create_outgoing_call(&coordinator, "", &to, None).await.map_err(io::Error::other)?;
        let limit = Duration::from_secs(30);
        SessionControl::wait_for_answer(&coordinator, call.id(), limit).await.map_err(io::Error::other)?;
        let id = call.id();
        // What is published is what a state change is to a subscriber: names, a time, a correlation id.
        let (name, detail): (Arc<str>, Arc<str>) = ("state".into(), "connected".into());
        let filter = || EventFilter::all().session(*id);
        let (mut listening, mut places) = (Vec::new(), Vec::new());
        for _ in 0..self.subscribers {
            let (mut receiver, wanted) = (coordinator.subscribe(filter()), self.events as u64);
            let progress = Arc::new(AtomicU64::new(0));
            places.push(progress.clone());
            listening.push(tokio::spawn(async move {
                let mut received = 0;
                while received + receiver.lost_count() < wanted && receiver.recv().await.is_some() {
                    received += 1;
                    progress.store(received, Relaxed);
                }
                // Nobody waits for one that is gone.
                progress.store(u64::MAX, Relaxed);
                (received, receiver.lost_count())
            }));
        }
        let cpu = || usage::of_process(std::process::id()).map(|usage| usage.cpu_ns);
        let (cpu_from, from) = (cpu()?, clock::now());
        for sent in 0..self.events {
            coordinator.publish_event(id, name.clone(), detail.clone()).map_err(io::Error::other)?;
            while sent % BURST == BURST - 1
                && places.iter().any(|place| sent as u64 > place.load(Relaxed).saturating_add(BEHIND_MAX))
            {
                tokio::task::yield_now().await;
            }
        }
        let (mut received, mut lost) = (0_u64, 0);
        for task in listening {
            let (one, missed) = task.await.map_err(io::Error::other)?;
            (received, lost) = (received + one, lost + missed);
        }
        let (took, spent) = (clock::now().since(from).as_secs_f64(), cpu()? - cpu_from);
        SessionControl::stop(&coordinator).await.map_err(io::Error::other)?;
        Ok((received as f64 / took, spent as f64 / received.max(1) as f64, lost))
    }
}

async fn start() -> io::Result<Arc<SessionCoordinator>> {
    let mut config = SessionConfig::server("127.0.0.1:0").map_err(io::Error::other)?;
    let first = free_range([127, 0, 0, 1].into(), 20)?;
    config.media_ports = (first, first + 19);
    let builder = SessionManagerBuilder::from_config(config).with_handler(Arc::new(AutoAnswerHandler));
    let coordinator = builder.build().await.map_err(io::Error::other)?;
    SessionControl::start(&coordinator).await.map_err(io::Error::other)?;
    Ok(coordinator)
}

impl Events {
    /// The results as text for a terminal.
    pub fn to_text(&self) -> String {
        format!(
            "{} subscribers: {:.0} deliveries/s, {:.0} ns of CPU each, {} lost; load average before: {:.1}\n",
            self.subscribers, self.deliveries_per_second, self.cpu_ns_per_delivery, self.lost, self.load_average
        )
    }
}
