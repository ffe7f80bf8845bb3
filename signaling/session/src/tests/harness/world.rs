use crate::tests::harness::Numbers;
use crate::tests::harness::command_numbers::CommandNumbers;
use crate::tests::harness::media::FakePorts;
use crate::tests::harness::messages::{Placed, Said, Sent};
use crate::tests::harness::phone::{self, Phone};
use crate::*;
use clock::{Duration, Instant};
use contract::{Command, LegRef};
use sip_core::{Endpoint, EndpointConfig, Event, Flow, Output, Reliability};
use sip_wire::Uri;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::SocketAddr;

/// The address of the switch.
pub(in crate::tests) const SWITCH: &str = "192.0.2.9:5060";

/// The host of the switch: its names, and the questions about them.
#[derive(Default)]
pub(in crate::tests) struct TestHost {
    /// Names to be looked up: the number of the question and its URIs.
    pub(in crate::tests) asked: Vec<(u64, Vec<String>)>,
    /// No way leads anywhere.
    pub(in crate::tests) is_cut_off: bool,
    /// No more can be asked.
    pub(in crate::tests) asks_nobody: bool,
}

impl Host for TestHost {
    fn home(&self, address: SocketAddr) -> Option<Flow> {
        (address == SWITCH.parse().unwrap()).then(|| Flow::udp(address, address))
    }
    fn is_of_this_host(&self, ip: std::net::IpAddr) -> bool {
        ip == path().local
    }
    fn paths_to(&mut self, uri: &str) -> Option<Vec<Flow>> {
        let uri = Uri::parse(uri.as_bytes()).ok()?;
        let remote = SocketAddr::new(uri.host?.ip()?, uri.port_or_default());
        if self.is_cut_off {
            return Some(vec![]);
        }
        Some(vec![Flow::udp(SWITCH.parse().unwrap(), remote)])
    }
    fn look_up(&mut self, uris: &[Box<str>]) -> Option<u64> {
        let ticket = self.asked.len() as u64 + 1;
        let uris = uris.iter().map(|uri| uri.to_string()).collect();
        (!self.asks_nobody).then(|| self.asked.push((ticket, uris)))?;
        Some(ticket)
    }
}

/// The endpoint of the switch.
pub(in crate::tests) struct SipSide {
    pub(in crate::tests) endpoint: Endpoint,
    pub(in crate::tests) out: Output,
    pub(in crate::tests) host: TestHost,
}

/// Sessions over a real endpoint, their media plane, and the phones that they talk to.
pub(in crate::tests) struct World {
    pub(in crate::tests) now: Instant,
    pub(in crate::tests) sessions: Sessions,
    pub(in crate::tests) sip: SipSide,
    pub(in crate::tests) decide: Box<dyn Decide>,
    pub(in crate::tests) ports: FakePorts,
    pub(in crate::tests) commands: Vec<(u8, Command)>,
    pub(in crate::tests) events: Vec<SessionEvent>,
    /// Where every leg is, and what it was told last.
    pub(in crate::tests) legs: HashMap<LegRef, u8>,
    pub(in crate::tests) specs: HashMap<LegRef, contract::LegSpec>,
    /// Where messages come from.
    pub(in crate::tests) path: Path,
    /// Header fields of the last message that was said, those not counted that the endpoint writes by itself.
    pub(in crate::tests) headers: Vec<(String, String)>,
    /// Words of the last refusal.
    pub(in crate::tests) phrase: String,
    /// From and To of the last INVITE, without tags.
    pub(in crate::tests) parties: (String, String),
    /// Where the last INVITE went, and how much further it may go.
    pub(in crate::tests) flow: Option<Flow>,
    pub(in crate::tests) max_forwards: u8,
    /// Whether phones take reliable provisional responses.
    pub(in crate::tests) reliability: Reliability,
    /// Whether phones allow UPDATE.
    pub(in crate::tests) phones_take_update: bool,
    /// Over which calls of phones come.
    pub(in crate::tests) transport: sip_core::Transport,
    /// All messages of the switch are lost.
    pub(in crate::tests) is_lossy: bool,
    /// Messages of the switch go to the test, which hands them on.
    pub(in crate::tests) messages: Option<Vec<(Flow, Vec<u8>)>>,
    pub(in crate::tests) said: Vec<Said>,
    pub(super) numbers: CommandNumbers,
    pub(super) phones: BTreeMap<u64, Phone>,
    pub(super) phone_count: u64,
    /// Phones by Call-ID and their own tag.
    pub(super) by_names: HashMap<(Vec<u8>, Vec<u8>), u64>,
    pub(super) placed: Vec<Placed>,
    /// Calls of ours by Call-ID.
    pub(super) calls_placed: HashMap<Vec<u8>, usize>,
    pub(super) sent: Vec<Sent>,
    /// The last REFER of each phone.
    pub(super) referred: HashMap<u64, u64>,
    pub(super) seen: HashSet<Vec<u8>>,
    /// Phones that get what is on its way without being asked: an INVITE, which they answer with 100.
    pub(super) at_once: VecDeque<u64>,
}

pub(in crate::tests) fn path() -> Path {
    Path {
        local: "192.0.2.9".parse().unwrap(),
        remote: "192.0.2.1:5060".parse().unwrap(),
        is_ours: false,
        standing: Standing::Unproven,
    }
}

/// A target by its user.
pub(in crate::tests) fn target(user: &str) -> Target {
    let flow = Flow::udp(SWITCH.parse().unwrap(), "192.0.2.7:5060".parse().unwrap());
    Target::new(&format!("sip:{user}@192.0.2.7"), flow)
}

pub(in crate::tests) const SDP: &str =
    "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

impl World {
    pub(in crate::tests) fn new(settings: Settings, port_count: u16) -> Self {
        let mut config = EndpointConfig::default();
        config.timers.trying_after = Duration::ZERO;
        Self::with(settings, config, port_count)
    }

    pub(in crate::tests) fn with(settings: Settings, config: EndpointConfig, port_count: u16) -> Self {
        let mut endpoint = Endpoint::new(config, settings.seed);
        // Callers have been heard before: what is sent to strangers is for the endpoint's own tests.
        endpoint.prove(Instant::ZERO, &Flow::udp(SWITCH.parse().unwrap(), "192.0.2.1:5060".parse().unwrap()));
        Self {
            now: Instant::ZERO,
            sessions: Sessions::new(settings),
            sip: SipSide { endpoint, out: Output::new(), host: TestHost::default() },
            decide: Box::new(Numbers),
            ports: FakePorts::new(port_count),
            commands: Vec::new(),
            events: Vec::new(),
            legs: HashMap::new(),
            specs: HashMap::new(),
            path: path(),
            headers: Vec::new(),
            phrase: String::new(),
            parties: Default::default(),
            flow: None,
            max_forwards: 0,
            reliability: Reliability::Off,
            phones_take_update: true,
            transport: sip_core::Transport::Udp,
            is_lossy: false,
            messages: None,
            said: Vec::new(),
            numbers: CommandNumbers::default(),
            phones: BTreeMap::new(),
            phone_count: 0,
            by_names: HashMap::new(),
            placed: Vec::new(),
            calls_placed: HashMap::new(),
            sent: Vec::new(),
            referred: HashMap::new(),
            seen: HashSet::new(),
            at_once: VecDeque::new(),
        }
    }

    /// The sessions do something; what comes of it happens.
    pub(in crate::tests) fn turn<R>(&mut self, work: impl FnOnce(&mut Sessions, &mut Turn<'_>) -> R) -> R {
        let result = self.turn_alone(work);
        self.settle();
        result
    }

    fn turn_alone<R>(&mut self, work: impl FnOnce(&mut Sessions, &mut Turn<'_>) -> R) -> R {
        let earlier = self.commands.len();
        let Self { now, sessions, sip, decide, ports, commands, events, path, .. } = self;
        let SipSide { endpoint, out, host } = sip;
        let mut sip = EndpointSip { endpoint, out, host };
        let (now, path) = (*now, *path);
        let mut turn = Turn { now, path, sip: &mut sip, ports, decide: &mut **decide, commands, events };
        let result = work(sessions, &mut turn);
        self.numbers.note(&self.sessions, &mut self.commands[earlier..]);
        result
    }

    /// A message arrives at the switch.
    pub(in crate::tests) fn receive(&mut self, flow: Flow, text: &[u8]) {
        self.path = Path { local: flow.local.ip(), remote: flow.remote, ..self.path };
        self.sip.endpoint.receive(self.now, &flow, text, &mut self.sip.out);
        self.settle();
    }

    /// Events of the endpoint go to the sessions, and messages on their way, until there are none.
    pub(in crate::tests) fn settle(&mut self) {
        loop {
            if self.sip.endpoint.deadline().is_some_and(|at| at <= self.now) {
                self.sip.endpoint.wake(self.now, &mut self.sip.out);
            }
            while let Some(event) = self.sip.out.next_event() {
                match event {
                    Event::PathWanted { dialog } => {
                        let SipSide { endpoint, out, host } = &mut self.sip;
                        let info = endpoint.dialog_info(dialog).expect("it is there");
                        let uri = String::from_utf8_lossy(info.next_hop).into_owned();
                        let flow = host.paths_to(&uri).and_then(|paths| paths.first().copied());
                        endpoint.set_path(self.now, dialog, flow, out);
                    }
                    event => self.turn_alone(|sessions, turn| sessions.handle(turn, event)),
                }
            }
            let out = &mut self.sip.out;
            let left: Vec<_> = out.transmits.iter().map(|one| (one.flow, out.bytes(one.bytes).to_vec())).collect();
            out.clear();
            let has_left = !left.is_empty();
            if let Some(messages) = &mut self.messages {
                messages.extend(left);
                if self.sip.endpoint.deadline().is_some_and(|at| at <= self.now) {
                    continue;
                }
                return;
            }
            for (flow, text) in left {
                self.note(flow, text);
            }
            match self.at_once.pop_front() {
                Some(number) => self.deliver(number),
                None if has_left => {}
                None => return,
            }
        }
    }

    /// When something happens by itself.
    pub(in crate::tests) fn deadline(&self) -> Option<Instant> {
        let phones = self.phones.values().filter_map(|phone| phone.endpoint.deadline());
        self.sip.endpoint.deadline().into_iter().chain(self.sessions.deadline()).chain(phones).min()
    }

    /// It is so late; timers run out, no message arrives.
    pub(in crate::tests) fn pass_until(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.turn(|sessions, turn| sessions.handle_deadline(turn));
        self.wake_phones();
    }

    /// Time passes, from one thing that happens to the next: what is on its way arrives, timers run out.
    pub(in crate::tests) fn wait(&mut self, pause: Duration) {
        let until = self.now + pause;
        let mut step_count = 0;
        loop {
            self.deliver_all();
            let Some(at) = self.deadline().filter(|at| *at <= until) else { break };
            self.pass_until(at);
            step_count += 1;
            assert!(step_count < 100_000, "it does not come to rest");
        }
        self.now = until;
        self.turn(|sessions, turn| sessions.handle_deadline(turn));
    }

    /// All calls are over, and nothing of them is left in any table.
    pub(in crate::tests) fn assert_empty(&self) {
        assert_eq!(self.sessions.count(), 0, "sessions are left");
        assert!(self.sessions.by_dialog.is_empty(), "dialogs are left");
        assert!(self.sessions.by_call.is_empty(), "calls are left");
        assert!(self.sessions.by_subscription.is_empty(), "subscriptions are left");
        assert!(self.sessions.by_lookup.is_empty(), "questions are left");
        assert!(self.sessions.by_early.is_empty(), "early dialogs are left");
        assert_eq!(self.sessions.bridges().count(), 0, "bridges are left");
        assert!(self.ports.out.is_empty(), "ports are out: {:?}", self.ports.out);
    }

    pub(super) fn add_phone(&mut self, number: u64, address: SocketAddr) {
        let flow = Flow { transport: self.transport, ..Flow::udp(address, SWITCH.parse().unwrap()) };
        self.phone_count += 1;
        let seed = 1_000_000 + self.phone_count;
        let mut config = phone::config(self.reliability);
        config.allow.retain(|method| self.phones_take_update || method != "UPDATE");
        let phone = Phone::new(config, seed, flow);
        assert!(self.phones.insert(number, phone).is_none(), "there is a phone {number}");
    }
}
