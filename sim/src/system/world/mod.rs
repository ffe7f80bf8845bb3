//! One seed of the whole system, from its beginning to its end.

mod acts;
mod deaths;
mod reinvites;
mod rules;
mod setup;
mod timeline;

use crate::ledger::{Broken, Ledger};
use crate::network::{Arrival, Network};
use crate::rng::Rng;
use crate::system::audio::Audio;
use crate::system::keeper::{Keeper, Left};
use crate::system::media::MediaPlane;
use crate::system::phone::{Happened, Phone};
use crate::system::signaling::Signaling;
use clock::{Duration, Instant};
use reinvites::OpenReinvites;
use setup::{FIRST_PORT, SWITCH, Setup};
use sip_core::Flow;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use timeline::{Timeline, Todo};

/// Everything ends within this time after the last call.
const LONGEST: Duration = Duration::from_secs(1_200);

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
    /// Packets and digits of undisturbed calls that were checked one by one.
    pub checked_count: usize,
    /// Report blocks of RTCP that were checked.
    pub reports_count: u64,
    /// Processes, workers and phones that died or were stopped.
    pub deaths_count: usize,
    /// Changes, digits and transfers by the users of phones and the operators of the switch.
    pub acts_count: u64,
    /// Transfers that succeeded.
    pub transferred_count: u64,
    /// Recordings with sound.
    pub recorded_count: usize,
    /// Legs of a dead signaling process that another client asked for.
    pub adopted_count: u64,
    /// How often what two phones are told about the direction was compared while media did not flow both ways.
    pub held_count: u64,
}

struct World {
    now: Instant,
    rng: Rng,
    setup: Setup,
    network: Network,
    phones: Vec<Phone>,
    nodes_count: u64,
    signaling: Option<Signaling>,
    media: MediaPlane,
    /// By socket of a phone: its number among the peers of the media plane's network.
    peers: BTreeMap<SocketAddr, usize>,
    audio: Audio,
    ledger: Ledger,
    reinvites: OpenReinvites,
    /// Legs of dead signaling processes, and the client that has adopted some.
    left: Vec<Left>,
    keeper: Option<Keeper>,
    timeline: Timeline,
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

impl World {
    fn new(seed: u64, is_traced: bool) -> Result<Self, String> {
        let mut rng = Rng::new(seed);
        let last_port = FIRST_PORT + *rng.pick(&[15, 63, 127]);
        let queue_slots = *rng.pick(&[4, 16, 256]);
        let media = MediaPlane::new(SWITCH, 1 + rng.below(3) as usize, queue_slots, (FIRST_PORT, last_port));
        let now = media.network.now();
        let models = setup::models(&mut rng);
        let setup = Setup::draw(&mut rng, last_port, &models);
        let phones = setup::phones(&mut rng, &models);
        let busy = Duration::from_secs(30 + rng.below(60));
        let addresses: Vec<SocketAddr> = phones.iter().map(Phone::address).collect();
        let network = Network::with_streams(&mut rng, &addresses, now.since(Instant::ZERO) + busy);
        let mut world = Self {
            now,
            setup,
            network,
            nodes_count: phones.len() as u64,
            phones,
            signaling: None,
            media,
            peers: BTreeMap::new(),
            audio: Audio::default(),
            ledger: Ledger::default(),
            reinvites: OpenReinvites::default(),
            left: Vec::new(),
            keeper: None,
            timeline: Timeline::default(),
            report: SystemReport { trace_hash: 0xcbf2_9ce4_8422_2325, ..SystemReport::default() },
            trace: is_traced.then(Vec::new),
            rng,
        };
        world.start_media()?;
        world.start_signaling()?;
        world.plan(busy.as_millis() as u64);
        Ok(world)
    }

    fn later(&mut self, from_ms: u64, to_ms: u64, todo: Todo) {
        let at = self.now + self.rng.between_ms(from_ms, to_ms);
        self.timeline.at(at, todo);
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:?} {}", self.now, text()));
        }
    }

    fn play(&mut self) -> Result<(), String> {
        let end = self.now + LONGEST;
        let mut looked_at = self.now;
        loop {
            self.step()?;
            if self.now.since(looked_at) >= Duration::from_secs(1) {
                looked_at = self.now;
                self.look()?;
            }
            let next = self.next();
            if next.is_none() || self.timeline.is_empty() && self.network.next().is_none() {
                let left = self.leftovers();
                if left.is_empty() {
                    break;
                }
                if self.now > end {
                    return Err(format!("it does not come to an end: {left}"));
                }
            }
            let soon = self.now + Duration::from_secs(1);
            self.media.wait(next.map_or(soon, |at| at.min(soon)))?;
            self.now = self.media.network.now();
        }
        self.finish()
    }

    fn next(&self) -> Option<Instant> {
        let phones = self.phones.iter().filter_map(|phone| phone.endpoint.deadline());
        let signaling = self.signaling.as_ref().and_then(Signaling::deadline);
        phones.chain(signaling).chain(self.timeline.next()).chain(self.network.next()).min()
    }

    /// What has not ended yet, in words.
    fn leftovers(&self) -> String {
        let mut text = String::new();
        for phone in self.phones.iter().filter(|phone| phone.endpoint.sizes() != Default::default()) {
            text += &format!("phone {}: {:?}; ", phone.address(), phone.endpoint.sizes());
        }
        text += &self.signaling.as_ref().map_or_else(|| "no signaling; ".to_owned(), Signaling::leftovers);
        if self.media.leftovers() != (0, 0) {
            text += &format!("(legs, ports): {:?}; ", self.media.leftovers());
        }
        if self.keeper.is_some() {
            text += "legs that were adopted; ";
        }
        text
    }

    fn step(&mut self) -> Result<(), String> {
        while let Some((to, flow, arrival)) = self.network.pop(self.now) {
            self.arrive(to, &flow, arrival);
        }
        while let Some(todo) = self.timeline.pop(self.now) {
            self.act(todo)?;
        }
        for index in 0..self.phones.len() {
            let phone = &mut self.phones[index];
            if phone.endpoint.deadline().is_some_and(|at| at <= self.now) {
                phone.wake(self.now);
            }
            self.drain(index)?;
        }
        let mut sent = Vec::new();
        let goes_on = match &mut self.signaling {
            Some(signaling) => signaling.turn(self.now, &mut sent),
            None => Ok(true),
        };
        if self.trace.is_some()
            && let Some(signaling) = &mut self.signaling
        {
            let notes = signaling.take_notes();
            notes.into_iter().for_each(|text| self.note(|| text));
        }
        sent.iter().for_each(|(flow, bytes)| self.send(flow, bytes));
        if !goes_on? {
            self.end_signaling();
        }
        self.media.turn()?;
        self.turn_keeper()?;
        self.take_packets()
    }

    fn arrive(&mut self, to: SocketAddr, flow: &Flow, arrival: Arrival) {
        let is_broken = arrival == Arrival::Broken;
        let bytes = match arrival {
            Arrival::Message(bytes) => bytes,
            Arrival::Broken => Vec::new(),
            Arrival::Piece(_) => return,
        };
        let is_agent = to != self.setup.around.switch || self.setup.has_media() && self.signaling.is_some();
        if is_agent && to.port() == 5060 && !is_broken {
            self.ledger.arrives(self.now, flow, &bytes);
        }
        if to == self.setup.around.switch {
            self.reinvites.arrives(self.now, flow.remote, &bytes);
            let reader = (self.rng.next(), self.rng.between_ms(0, 3));
            match &mut self.signaling {
                Some(signaling) if is_broken => signaling.broken(self.now, *flow),
                Some(signaling) => signaling.receive(self.now, *flow, bytes, reader),
                None => {}
            }
        } else if to.ip() == SWITCH {
            let Some(peer) = self.peers.get(&flow.remote).filter(|_| self.media.plane.is_some()) else { return };
            self.media.network.peer_send(*peer, to, &bytes);
            self.audio.arrives(self.now, flow.remote, &bytes);
        } else if let Some(phone) = self.phones.iter_mut().find(|phone| phone.address() == to) {
            if is_broken { phone.broken(self.now) } else { phone.receive(self.now, flow, &bytes) }
        }
    }

    /// Packets that the media plane has sent, on their way to the phones.
    fn take_packets(&mut self) -> Result<(), String> {
        let mut taken = Vec::new();
        for (address, peer) in &self.peers {
            while let Some(packet) = self.media.network.peer_take(*peer) {
                self.audio.leaves(self.now, *address, &packet.bytes)?;
                if self.audio.is_rtcp(*address) {
                    continue;
                }
                taken.push((Flow::udp(SocketAddr::new(SWITCH, packet.from.port()), *address), packet.bytes));
            }
        }
        taken.iter().for_each(|(flow, bytes)| self.send(flow, bytes));
        Ok(())
    }

    fn drain(&mut self, index: usize) -> Result<(), String> {
        let (mut happened, mut sent) = (Vec::new(), Vec::new());
        self.phones[index].drain(self.now, &mut self.ledger, &mut happened, &mut sent);
        happened.into_iter().try_for_each(|one| self.happen(index, one))?;
        sent.iter().for_each(|(flow, bytes)| self.send(flow, bytes));
        Ok(())
    }

    fn happen(&mut self, phone: usize, happened: Happened) -> Result<(), String> {
        self.note(|| format!("phone {phone}: {happened:?}"));
        match happened {
            Happened::Rings(invite, number) => self.rings(phone, invite, number),
            Happened::Talks(side, dialog, remote) => self.talks(phone, side, dialog, remote),
            Happened::Agreed { side, rtp, directions } => {
                self.audio.agree(self.now, side, rtp, directions);
                let phone = &self.phones[phone];
                if let Some(talk) = self.audio.talks.get_mut(&side) {
                    talk.has_events = phone.has_events(talk.dialog);
                }
            }
            Happened::Transferred(side) => {
                self.report.transferred_count += 1;
                self.audio.transferred(side, self.now);
            }
            Happened::Digit(side, digit) => return self.audio.is_told(side, digit),
            Happened::Failed(number, status) => {
                self.audio.close_call(number, self.now);
                self.report.failed_count += 1;
                self.report.refused_count += u64::from(status == 503);
            }
            Happened::Taken(side, digit, at) => self.audio.taken(self.now, side, digit, at),
            Happened::Over { side, is_known } => self.audio.end(side, self.now, is_known),
        }
        Ok(())
    }

    fn send(&mut self, flow: &Flow, bytes: &[u8]) {
        let is_sip = flow.local.port() == 5060;
        let is_from_switch = flow.local.ip() == SWITCH;
        if is_sip && is_from_switch && bytes.starts_with(b"BYE ") {
            // The switch ends a call of this phone; which one does not matter.
            let of_phone = self.audio.talks.iter().filter(|(_, talk)| talk.rtp.ip() == flow.remote.ip());
            let sides: Vec<_> = of_phone.map(|(side, _)| *side).collect();
            sides.into_iter().for_each(|side| self.audio.close(side, self.now));
        }
        if is_sip {
            self.report.messages_count += 1;
            let is_agent = !is_from_switch || self.setup.has_media();
            self.ledger.sends(self.now, flow, is_agent, bytes);
            if is_from_switch {
                self.reinvites.sends(self.now, flow.remote, bytes);
            }
        } else {
            self.report.packets_count += 1;
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
