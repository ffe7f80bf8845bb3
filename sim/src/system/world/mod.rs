//! One seed of the whole system, from its beginning to its end.

mod deaths;

use crate::ledger::Broken;
use crate::network::{Arrival, Network};
use crate::rng::Rng;
use crate::system::audio::{Audio, FRAME, Side, Talk};
use crate::system::media::MediaPlane;
use crate::system::phone::{Happened, Phone};
use crate::system::signaling::Signaling;
use clock::{Duration, Instant};
use config::Config;
use media_core::sim::SimNetwork;
use sip_core::{CallId, DialogId, Flow, InviteId};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Everything ends within this time after the last call.
const LONGEST: Duration = Duration::from_secs(1_200);
const FIRST_PORT: u16 = 10_000;
const SWITCH: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 100));

/// What a seed of the system came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SystemReport {
    /// Virtual time until nothing was left.
    pub lasted: Duration,
    /// A hash over everything that was sent, and when: the same seed has the same.
    pub trace_hash: u64,
    /// SIP messages that were sent.
    pub messages_count: u64,
    /// Messages and packets that the network lost.
    pub lost_count: u64,
    /// RTP and RTCP packets that were sent.
    pub packets_count: u64,
    /// Calls that both phones had.
    pub talked_count: u64,
    /// Calls that were refused or given up.
    pub failed_count: u64,
    /// Those that were refused with 503.
    pub refused_count: u64,
    /// Packets of undisturbed calls that were checked one by one.
    pub checked_count: usize,
    /// Processes and workers that died.
    pub deaths_count: usize,
}

/// What happens by itself.
#[derive(Clone, Copy, Debug)]
enum Todo {
    Call { from: usize, to: usize, number: u32 },
    Cancel { phone: usize, call: CallId },
    Accept { phone: usize, invite: InviteId, number: u32 },
    Reject { phone: usize, invite: InviteId },
    HangUp { phone: usize, dialog: DialogId, number: u32 },
    Speak(Side),
    MediaDies,
    MediaReturns,
    SignalingDies,
    SignalingReturns,
    WorkerPanics(u8),
}

struct World {
    now: Instant,
    rng: Rng,
    config: Config,
    shard_count: usize,
    network: Network,
    phones: Vec<Phone>,
    signaling: Option<Signaling>,
    media: MediaPlane,
    /// By socket of a phone: its number among the peers of the media plane's network.
    peers: BTreeMap<SocketAddr, usize>,
    audio: Audio,
    todos: BTreeMap<(Instant, u64), Todo>,
    todos_count: u64,
    report: SystemReport,
    trace: Option<Vec<String>>,
}

/// Plays a seed. With `trace` everything that happens is written down.
pub fn run_system(seed: u64, trace: Option<&mut Vec<String>>) -> Result<SystemReport, Broken> {
    let played = World::new(seed, trace.is_some()).and_then(|mut world| {
        let played = world.play();
        if let Some(trace) = trace {
            trace.append(world.trace.get_or_insert_default());
        }
        played.map_err(|why| format!("{why} (at {:?})", world.now)).map(|()| world.report)
    });
    played.map_err(Broken)
}

fn switch() -> SocketAddr {
    SocketAddr::new(SWITCH, 5060)
}

fn config(last_port: u16) -> Config {
    let mut config = Config::default();
    config.sip.calls.ring_timeout = Duration::from_secs(30);
    config.sip.calls.max_call = Some(Duration::from_secs(300));
    config.sip.calls.session_expires = None;
    config.media.media_timeout = Some(Duration::from_secs(20));
    (config.media.ports.first, config.media.ports.last) = (FIRST_PORT, last_port);
    config
}

impl World {
    fn new(seed: u64, is_traced: bool) -> Result<Self, String> {
        let mut rng = Rng::new(seed);
        let last_port = FIRST_PORT + *rng.pick(&[15, 63, 127]);
        let queue_slots = *rng.pick(&[4, 16, 256]);
        let media = MediaPlane::new(1 + rng.below(3) as usize, queue_slots, FIRST_PORT, last_port);
        let now = media.network.now();
        let ips = (1..=2 + rng.below(4) as u8).map(|number| IpAddr::from([10, 0, 0, number]));
        let addresses: Vec<SocketAddr> = ips.map(|ip| SocketAddr::new(ip, 5060)).collect();
        let phones: Vec<Phone> = addresses.iter().map(|address| Phone::new(rng.next(), *address)).collect();
        let busy = Duration::from_secs(30 + rng.below(60));
        let until = now.since(Instant::ZERO) + busy;
        let network = Network::new(&mut rng, &addresses, until, false);
        let (config, shard_count) = (config(last_port), 1 + rng.below(3) as usize);
        let mut world = Self {
            now,
            config,
            shard_count,
            network,
            phones,
            signaling: None,
            media,
            peers: BTreeMap::new(),
            audio: Audio::default(),
            todos: BTreeMap::new(),
            todos_count: 0,
            report: SystemReport { trace_hash: 0xcbf2_9ce4_8422_2325, ..SystemReport::default() },
            trace: is_traced.then(Vec::new),
            rng,
        };
        world.start_media()?;
        world.start_signaling()?;
        world.plan(busy.as_millis() as u64);
        Ok(world)
    }

    fn plan(&mut self, busy_ms: u64) {
        for number in 0..1 + self.rng.below(10) as u32 {
            let from = self.rng.below(self.phones.len() as u64) as usize;
            let to = (from + 1 + self.rng.below(self.phones.len() as u64 - 1) as usize) % self.phones.len();
            self.later(0, busy_ms, Todo::Call { from, to, number });
        }
        if self.rng.chance(50) {
            return;
        }
        for _ in 0..1 + self.rng.below(3) {
            let death = match self.rng.below(4) {
                0 => Todo::MediaDies,
                1 => Todo::SignalingDies,
                _ => Todo::WorkerPanics(self.rng.below(self.media.plan.workers as u64) as u8),
            };
            self.later(5_000, busy_ms, death);
        }
    }

    fn later(&mut self, from_ms: u64, to_ms: u64, todo: Todo) {
        let at = self.now + self.rng.between_ms(from_ms, to_ms);
        self.at(at, todo);
    }

    fn at(&mut self, at: Instant, todo: Todo) {
        self.todos_count += 1;
        self.todos.insert((at, self.todos_count), todo);
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:?} {}", self.now, text()));
        }
    }

    fn play(&mut self) -> Result<(), String> {
        let end = self.now + LONGEST;
        loop {
            self.step()?;
            let left = self.leftovers();
            if left.is_empty() {
                break;
            }
            if self.now > end {
                return Err(format!("it does not come to an end: {left}"));
            }
            let soon = self.now + Duration::from_secs(1);
            let until = self.next().map_or(soon, |at| at.min(soon));
            self.media.wait(until)?;
            self.now = self.media.network.now();
        }
        self.report.lasted = self.now.since(Instant::ZERO);
        self.report.lost_count = self.network.lost_count;
        self.report.deaths_count = self.audio.deaths.len();
        self.signaling.as_mut().map_or(Ok(()), Signaling::check_counters)?;
        let (due, missing, first) = self.audio.verdict();
        self.report.checked_count = due;
        match first {
            Some((side, index)) => {
                Err(format!("{missing} of {due} packets were not sent on, the first {side:?} {index}"))
            }
            None => Ok(()),
        }
    }

    fn next(&self) -> Option<Instant> {
        let phones = self.phones.iter().filter_map(|phone| phone.endpoint.deadline());
        let signaling = self.signaling.as_ref().and_then(Signaling::deadline);
        let todo = self.todos.keys().next().map(|(at, _)| *at);
        phones.chain(signaling).chain(todo).chain(self.network.next()).min()
    }

    /// What has not ended yet, in words.
    fn leftovers(&self) -> String {
        let mut text = String::new();
        if let Some(((at, _), todo)) = self.todos.iter().next() {
            text += &format!("{todo:?} at {at:?}; ");
        }
        if self.network.next().is_some() {
            text += "messages on their way; ";
        }
        for phone in self.phones.iter().filter(|phone| phone.endpoint.sizes() != Default::default()) {
            text += &format!("phone {}: {:?}; ", phone.address, phone.endpoint.sizes());
        }
        text += &self.signaling.as_ref().map_or_else(|| "no signaling; ".to_owned(), Signaling::leftovers);
        if self.media.leftovers() != (0, 0) {
            text += &format!("(legs, ports): {:?}", self.media.leftovers());
        }
        text
    }

    fn step(&mut self) -> Result<(), String> {
        while let Some((to, flow, arrival)) = self.network.pop(self.now) {
            self.arrive(to, &flow, &arrival);
        }
        while let Some(entry) = self.todos.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let todo = entry.remove();
            self.act(todo)?;
        }
        for index in 0..self.phones.len() {
            let phone = &mut self.phones[index];
            if phone.endpoint.deadline().is_some_and(|at| at <= self.now) {
                phone.wake(self.now);
            }
            self.drain(index);
        }
        let mut sent = Vec::new();
        if let Some(signaling) = &mut self.signaling {
            signaling.turn(self.now, &mut sent)?;
        }
        sent.iter().for_each(|(flow, bytes)| self.send(flow, bytes));
        self.media.turn()?;
        self.take_packets();
        Ok(())
    }

    fn arrive(&mut self, to: SocketAddr, flow: &Flow, arrival: &Arrival) {
        let Arrival::Message(bytes) = arrival else { return };
        if to == switch() {
            if let Some(signaling) = &mut self.signaling {
                signaling.receive(self.now, *flow, bytes);
            }
        } else if to.ip() == SWITCH {
            let Some(peer) = self.peers.get(&flow.remote).filter(|_| self.media.plane.is_some()) else { return };
            self.media.network.peer_send(*peer, to, bytes);
            self.audio.arrives(self.now, bytes);
        } else if let Some(phone) = self.phones.iter_mut().find(|phone| phone.address == to) {
            phone.receive(self.now, flow, bytes);
        }
    }

    /// Packets that the media plane has sent, on their way to the phones.
    fn take_packets(&mut self) {
        let peers: Vec<(SocketAddr, usize)> = self.peers.iter().map(|(at, peer)| (*at, *peer)).collect();
        for (address, peer) in peers {
            while let Some(packet) = self.media.network.peer_take(peer) {
                self.audio.is_relayed(&packet.bytes);
                let from = SocketAddr::new(SWITCH, packet.from.port());
                self.send(&Flow::udp(from, address), &packet.bytes);
            }
        }
    }

    fn act(&mut self, todo: Todo) -> Result<(), String> {
        if !matches!(todo, Todo::Speak(_)) {
            self.note(|| format!("{todo:?}"));
        }
        match todo {
            Todo::Call { from, to, number } => {
                if let Some(call) = self.phones[from].call(self.now, switch(), to, number)
                    && self.rng.chance(20)
                {
                    self.later(100, 20_000, Todo::Cancel { phone: from, call });
                }
            }
            Todo::Cancel { phone, call } => self.phones[phone].cancel(self.now, call),
            Todo::Accept { phone, invite, number } => {
                let talks = self.phones[phone].accept(self.now, invite, number);
                talks.into_iter().for_each(|talks| self.happen(phone, talks));
            }
            Todo::Reject { phone, invite } => self.phones[phone].reject(self.now, invite),
            Todo::HangUp { phone, dialog, number } => {
                if self.phones[phone].hang_up(self.now, dialog) {
                    self.audio.close(number, self.now);
                }
            }
            Todo::Speak(side) => {
                if let Some((from, to, packet)) = self.audio.next_packet(side) {
                    self.send(&Flow::udp(from, to), &packet);
                    self.at(self.now + FRAME, Todo::Speak(side));
                }
            }
            _ => self.die(todo)?,
        }
        Ok(())
    }

    fn drain(&mut self, index: usize) {
        let (mut happened, mut sent) = (Vec::new(), Vec::new());
        self.phones[index].drain(self.now, &mut happened, &mut sent);
        happened.into_iter().for_each(|one| self.happen(index, one));
        sent.iter().for_each(|(flow, bytes)| self.send(flow, bytes));
    }

    fn happen(&mut self, phone: usize, happened: Happened) {
        self.note(|| format!("phone {phone}: {happened:?}"));
        match happened {
            Happened::Rings(invite, number) => {
                self.phones[phone].ring(self.now, invite);
                match self.rng.below(10) {
                    0 => self.later(0, 8_000, Todo::Reject { phone, invite }),
                    1 => {} // nobody is at home
                    _ => self.later(100, 8_000, Todo::Accept { phone, invite, number }),
                }
            }
            Happened::Talks(side, dialog, remote) => {
                // The caller hangs up; the other side does so late, should it never hear of that.
                let (from, to) = if side.1 { (500, 30_000) } else { (35_000, 60_000) };
                self.later(from, to, Todo::HangUp { phone, dialog, number: side.0 });
                self.report.talked_count += u64::from(side.1);
                let Some(remote) = remote else { return };
                let rtp = self.phones[phone].rtp(side.0);
                let network: &SimNetwork = &self.media.network;
                self.peers.entry(rtp).or_insert_with(|| network.add_peer(rtp));
                let talk = Talk { rtp, remote, since: self.now, sent_count: 0, is_over: false };
                self.audio.talks.insert(side, talk);
                self.at(self.now, Todo::Speak(side));
            }
            Happened::Failed(number, status) => {
                self.audio.close(number, self.now);
                self.report.failed_count += 1;
                self.report.refused_count += u64::from(status == 503);
            }
            Happened::Over(side) => {
                self.audio.close(side.0, self.now);
                if let Some(talk) = self.audio.talks.get_mut(&side) {
                    talk.is_over = true;
                }
            }
        }
    }

    fn send(&mut self, flow: &Flow, bytes: &[u8]) {
        let is_sip = flow.local.port() == 5060;
        if is_sip && flow.local.ip() == SWITCH && bytes.starts_with(b"BYE ") {
            // The switch ends a call of this phone; which one does not matter.
            let of_phone = self.audio.talks.iter().filter(|(_, talk)| talk.rtp.ip() == flow.remote.ip());
            let numbers: Vec<u32> = of_phone.map(|(side, _)| side.0).collect();
            numbers.into_iter().for_each(|number| self.audio.close(number, self.now));
        }
        if is_sip {
            self.report.messages_count += 1
        } else {
            self.report.packets_count += 1
        }
        let fate = self.network.send(&mut self.rng, self.now, flow, bytes);
        for byte in self.now.as_nanos().to_le_bytes().iter().chain(bytes) {
            self.report.trace_hash = (self.report.trace_hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self.note(|| {
            let text = if is_sip { String::from_utf8_lossy(bytes).replace("\r\n", "\n    ") } else { String::new() };
            format!("{} -> {} {} bytes {fate}\n    {text}", flow.local, flow.remote, bytes.len())
        });
    }
}
