//! Tables filled in virtual time: no socket, no thread, the same allocator as the switch.

use super::message::{LOCAL, REMOTE, SDP, ok_to, request, to_tag};
use clock::{Duration, Instant};
use contract::{CloseReason, Command, Event as MediaEvent, LegRef, PortRef};
use serde::{Deserialize, Serialize};
use session::{Port, Ports};
use signald::{BuiltinDialplan, Input, Shard, ShardOutput};
use sip_core::{Content, Endpoint, EndpointConfig, Event, Flow, Limits, Output, Report};
use std::io;

/// What is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Answered calls: dialog, session and media description.
    Calls,
    /// Dialogs alone.
    Dialogs,
    /// Subscriptions with their dialogs: what a watched phone costs.
    Subscriptions,
}

/// What that many of them cost.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct TableMemory {
    /// What was held.
    pub kind: Kind,
    /// How many.
    pub count: usize,
    /// Bytes of each, just after the last one came: transactions of the last 32 s are still there.
    pub bytes_each_at_first: f64,
    /// Bytes of each once transactions are forgotten.
    pub bytes_each: f64,
    /// What is left when all have ended and a minute has gone by.
    pub bytes_left: i64,
}

/// So many a second come, in virtual time.
const RATE: u32 = 1_000;
/// More of them than that have come and gone before anything is measured: code, tables of headers, first pages.
const WARM_UP_COUNT: usize = 200;
/// Transactions are forgotten after 32 s.
const IDLE_AFTER: Duration = Duration::from_secs(60);
/// Our tags are shorter.
const TAG_BYTES: usize = 32;
const SUBSCRIPTION_S: u32 = 3_600;

/// Fills a table with `count` of `kind`, and empties it again.
pub fn fill(kind: Kind, count: usize) -> io::Result<TableMemory> {
    let mut held = Held::new(kind, count);
    held.add(0..WARM_UP_COUNT.min(count))?;
    held.end(0..WARM_UP_COUNT.min(count));
    held.wait(IDLE_AFTER);
    let before = held.quiet_bytes()?;
    held.add(0..count)?;
    let first = held.bytes()?;
    held.wait(IDLE_AFTER);
    let idle = held.quiet_bytes()?;
    held.end(0..count);
    held.wait(IDLE_AFTER);
    held.wait(IDLE_AFTER);
    if held.live() != 0 {
        return Err(io::Error::other(format!("{} of {count} are left", held.live())));
    }
    let left = held.quiet_bytes()?;
    let each = |bytes: u64| (bytes as f64 - before as f64) / count as f64;
    Ok(TableMemory {
        kind,
        count,
        bytes_each_at_first: each(first),
        bytes_each: each(idle),
        bytes_left: left as i64 - before as i64,
    })
}

/// What setting a call up costs a shard, from INVITE to connected.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ShardWork {
    /// Calls.
    pub calls: usize,
    /// CPU time of the shard for each, microseconds.
    pub shard_us: f64,
    /// With what plays its peers and its media plane.
    pub all_us: f64,
}

/// Sets `calls` calls up that stay.
pub fn set_up(calls: usize) -> io::Result<ShardWork> {
    let mut held = Held::new(Kind::Calls, calls);
    let start = cpu_time();
    held.add(0..calls)?;
    let all = cpu_time().saturating_sub(start);
    // Reading that clock is a system call: what two of them in a row show is not the shard's.
    let reading = (0..1_000).fold(Duration::ZERO, |sum, _| {
        let start = cpu_time();
        sum + cpu_time().saturating_sub(start)
    }) / 1_000;
    let us = |time: Duration| time.as_nanos() as f64 / 1e3 / calls.max(1) as f64;
    let readings = reading * held.handled_count;
    let read_twice = 2 * readings;
    Ok(ShardWork {
        calls,
        shard_us: us(held.work.saturating_sub(readings)),
        all_us: us(all.saturating_sub(read_twice)),
    })
}

/// CPU time of this thread.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Ports without end.
struct FreePorts {
    taken_count: u32,
}

impl Ports for FreePorts {
    fn take(&mut self) -> Option<Port> {
        self.taken_count += 1;
        let port = 10_000 + 2 * (self.taken_count % 20_000) as u16;
        let (row, generation) = (self.taken_count % 20_000, self.taken_count);
        Some(Port { leg: LegRef::new(row, generation), pair: PortRef::new(port, generation), worker: 0 })
    }
    fn take_on(&mut self, _: u8) -> Option<Port> {
        self.take()
    }
    fn has_worker(&self, worker: u8) -> bool {
        worker == 0
    }
    fn give_back(&mut self, _: Port) {}
}

enum Core {
    Calls(Box<Shard>, FreePorts, Box<ShardOutput>),
    Sip(Box<Endpoint>, Output),
}

struct Held {
    kind: Kind,
    core: Core,
    now: Instant,
    /// Our tag in each dialog; all of its memory is touched before anything is measured.
    tags: Vec<[u8; TAG_BYTES]>,
    /// CPU time in the shard, and how often it was handed something.
    work: Duration,
    handled_count: u32,
}

impl Held {
    fn new(kind: Kind, count: usize) -> Self {
        let core = if kind == Kind::Calls {
            let mut config = config::Config::default();
            config.sip.calls.max_calls = 2 * count;
            let shard = Shard::new(&config, 0, 1, 7, Box::new(BuiltinDialplan::default()));
            Core::Calls(Box::new(shard), FreePorts { taken_count: 0 }, Box::default())
        } else {
            let most = 2 * count;
            let limits =
                Limits { max_dialogs: most, max_subscriptions: most, max_transactions: 2 * most, ..Limits::default() };
            let mut allow = EndpointConfig::default().allow;
            allow.push("SUBSCRIBE".into());
            let event_packages = vec!["presence".into()];
            let config = EndpointConfig { limits, allow, event_packages, ..EndpointConfig::default() };
            Core::Sip(Box::new(Endpoint::new(config, 7)), Output::new())
        };
        Self {
            kind,
            core,
            now: Instant::ZERO,
            tags: vec![[1; TAG_BYTES]; count],
            work: Duration::ZERO,
            handled_count: 0,
        }
    }

    /// Private memory of this process, once it was quiet for a while as the switch is.
    fn quiet_bytes(&self) -> io::Result<u64> {
        heap::give_back();
        self.bytes()
    }

    /// Private memory of this process.
    fn bytes(&self) -> io::Result<u64> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kilobytes.map(|kilobytes| kilobytes * 1_024).ok_or_else(|| io::Error::other("/proc/self/status has no RssAnon"))
    }

    fn live(&self) -> usize {
        let sizes = match &self.core {
            Core::Calls(shard, ..) => shard.sizes(),
            Core::Sip(endpoint, _) => endpoint.sizes(),
        };
        sizes.dialogs + sizes.subscriptions + sizes.server_transactions + sizes.client_transactions
    }

    fn add(&mut self, numbers: std::ops::Range<usize>) -> io::Result<()> {
        for number in numbers {
            self.wait(Duration::from_secs(1) / RATE);
            let sent = if self.kind == Kind::Subscriptions {
                let lines = format!("Event: presence\r\nExpires: {SUBSCRIPTION_S}\r\n");
                self.take(&request("SUBSCRIBE", number, 1, b"", &lines, ""))
            } else {
                self.take(&request("INVITE", number, 1, b"", "", SDP))
            };
            let answer = sent.iter().find(|message| message.starts_with("SIP/2.0 200 "));
            let answer = answer.ok_or_else(|| io::Error::other(format!("number {number} was answered {sent:?}")))?;
            let tag = to_tag(answer).as_bytes();
            self.tags[number] = [0; TAG_BYTES];
            self.tags[number][..tag.len()].copy_from_slice(tag);
            if self.kind != Kind::Subscriptions {
                self.take(&request("ACK", number, 1, tag, "", ""));
            }
        }
        Ok(())
    }

    fn end(&mut self, numbers: std::ops::Range<usize>) {
        if self.kind == Kind::Subscriptions {
            return self.wait(Duration::from_secs(2 * u64::from(SUBSCRIPTION_S)));
        }
        for number in numbers {
            self.wait(Duration::from_secs(1) / RATE);
            let tag = self.tags[number];
            let tag_bytes = tag.iter().position(|byte| *byte == 0).unwrap_or(TAG_BYTES);
            self.take(&request("BYE", number, 2, &tag[..tag_bytes], "", ""));
        }
    }

    /// Hands in a message; gives what was sent until all is quiet.
    fn take(&mut self, message: &str) -> Vec<String> {
        let flow = Flow::udp(LOCAL, REMOTE);
        match &mut self.core {
            Core::Calls(shard, ports, out) => {
                let start = cpu_time();
                shard.handle(self.now, Input::Message { flow, bytes: message.as_bytes() }, ports, out);
                self.work += cpu_time().saturating_sub(start);
                self.handled_count += 1;
            }
            Core::Sip(endpoint, out) => endpoint.receive(self.now, &flow, message.as_bytes(), out),
        }
        self.settle()
    }

    fn wait(&mut self, pause: Duration) {
        let until = self.now + pause;
        loop {
            let deadline = match &self.core {
                Core::Calls(shard, ..) => shard.deadline(),
                Core::Sip(endpoint, _) => endpoint.deadline(),
            };
            let Some(at) = deadline.filter(|at| *at <= until) else { break };
            self.now = self.now.max(at);
            match &mut self.core {
                Core::Calls(shard, ports, out) => shard.handle(self.now, Input::Deadline, ports, out),
                Core::Sip(endpoint, out) => endpoint.wake(self.now, out),
            }
            self.settle();
        }
        self.now = until;
    }

    /// Media and the users above do at once what they are asked to; requests of ours are answered.
    fn settle(&mut self) -> Vec<String> {
        let (now, mut sent) = (self.now, Vec::new());
        loop {
            let fresh = match &mut self.core {
                Core::Calls(shard, ports, out) => {
                    settle_media(now, shard, ports, out, &mut self.work, &mut self.handled_count)
                }
                Core::Sip(endpoint, out) => settle_user(now, endpoint, out),
            };
            if fresh.is_empty() {
                return sent;
            }
            let flow = Flow::udp(LOCAL, REMOTE);
            for ours in fresh.iter().filter(|message| !message.starts_with("SIP/")) {
                let answer = ok_to(ours);
                match &mut self.core {
                    Core::Calls(shard, ports, out) => {
                        shard.handle(now, Input::Message { flow, bytes: answer.as_bytes() }, ports, out);
                    }
                    Core::Sip(endpoint, out) => endpoint.receive(now, &flow, answer.as_bytes(), out),
                }
            }
            sent.extend(fresh);
        }
    }
}

fn drain(out: &mut Output) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let sent = out.transmits.iter().map(|transmit| text(out.bytes(transmit.bytes))).collect();
    out.clear();
    sent
}

fn settle_media(
    now: Instant,
    shard: &mut Shard,
    ports: &mut FreePorts,
    out: &mut ShardOutput,
    work: &mut Duration,
    handled_count: &mut u32,
) -> Vec<String> {
    while !out.commands.is_empty() {
        for (_, command) in std::mem::take(&mut out.commands) {
            let (leg, number) = (command.leg(), command.number());
            let event = match command {
                Command::Open { .. } => MediaEvent::Opened { leg, number },
                Command::Update { .. } => MediaEvent::Updated { leg, number },
                Command::Close { .. } => MediaEvent::Closed { leg, number, reason: CloseReason::Asked },
                _ => continue,
            };
            let start = cpu_time();
            shard.handle(now, Input::Media(event), ports, out);
            *work += cpu_time().saturating_sub(start);
            *handled_count += 1;
        }
    }
    let sent = drain(&mut out.sip);
    out.clear();
    sent
}

fn settle_user(now: Instant, endpoint: &mut Endpoint, out: &mut Output) -> Vec<String> {
    while let Some(event) = out.next_event() {
        // What is refused here shows as a missing answer.
        match event {
            Event::Invite { invite, .. } => {
                let _ = endpoint.accept(now, invite, Content::sdp(SDP.as_bytes()), out);
            }
            Event::Request { request, .. } => {
                let accepted = endpoint.accept_subscription(now, request, SUBSCRIPTION_S, out);
                if let Ok(subscription) = accepted {
                    let _ =
                        endpoint.notify(now, subscription, &Report { state: "active", content: Content::NONE }, out);
                }
            }
            _ => {}
        }
    }
    drain(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_come_and_go() {
        for kind in [Kind::Calls, Kind::Dialogs, Kind::Subscriptions] {
            let memory = fill(kind, 300).unwrap();
            assert_eq!(memory.count, 300, "{memory:?}");
        }
    }
}
