//! Many calls at a rate, each held for a time, with media on every one.

use super::call::{Action, Call};
use super::message::{Identity, Incoming, Response, read};
use super::report::CallsReport;
use crate::media::{Expect, StreamBook, StreamRef, StreamSpec, Traffic, TrafficConfig};
use clock::{Duration, Instant};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc;

/// What is called, how often, how long.
#[derive(Clone, Debug)]
pub struct CallPlan {
    /// The switch's SIP address.
    pub switch: SocketAddr,
    /// Who is called.
    pub user: String,
    /// New calls a second.
    pub rate: f64,
    /// Calls in all.
    pub calls: usize,
    /// Most at once.
    pub limit: usize,
    /// Time from answer to BYE.
    pub hold: Duration,
    /// What is expected to be heard; `None`: no media at all.
    pub media: Option<Expect>,
    /// Whether callers send audio of their own; an echo has nothing to send back otherwise.
    pub talk: bool,
    /// The media generator.
    pub traffic: TrafficConfig,
}

impl CallPlan {
    /// Ten calls a second, ten in all, held for a second, with their own audio back from `echo`.
    pub fn echo(switch: SocketAddr) -> Self {
        Self {
            switch,
            user: "echo".into(),
            rate: 10.0,
            calls: 10,
            limit: 10_000,
            hold: Duration::from_secs(1),
            media: Some(Expect::Content),
            talk: true,
            traffic: TrafficConfig { ip: switch.ip(), ..TrafficConfig::default() },
        }
    }

    /// The plan of [`Self::echo`] with calls to a tone, which every caller has to hear.
    pub fn tone(switch: SocketAddr) -> Self {
        Self { user: "tone".into(), media: Some(Expect::Generated), ..Self::echo(switch) }
    }

    /// The plan of [`Self::tone`] without any media.
    pub fn signaling(switch: SocketAddr) -> Self {
        Self { user: "tone".into(), media: None, ..Self::echo(switch) }
    }
}

/// How long the loop sleeps in the socket at most.
const NAP: Duration = Duration::from_millis(1);
/// Messages taken before timers get their turn.
const MESSAGES_PER_TURN: usize = 256;

struct Load<'a> {
    plan: &'a CallPlan,
    socket: UdpSocket,
    run: u32,
    traffic: Traffic,
    calls: Vec<Option<Box<Call>>>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    up: u64,
    report: CallsReport,
    answered_at_ns: HashMap<StreamRef, u64>,
    /// Where books of ended streams go, and where they come out.
    book_sender: mpsc::Sender<(StreamRef, StreamBook)>,
    books: mpsc::Receiver<(StreamRef, StreamBook)>,
    last_answer: Instant,
}

/// Makes the calls. `tick` is called now and then with how many calls have ended and how many are up.
pub fn call(plan: &CallPlan, tick: &mut dyn FnMut(u64, u64)) -> io::Result<CallsReport> {
    let socket = UdpSocket::bind((plan.switch.ip(), 0)).or_else(|_| UdpSocket::bind("0.0.0.0:0"))?;
    let options = socket2::SockRef::from(&socket);
    options.set_recv_buffer_size(8 << 20)?;
    options.set_send_buffer_size(8 << 20)?;
    socket.connect(plan.switch)?;
    socket.set_read_timeout(Some(NAP))?;
    let started = clock::now();
    let (book_sender, books) = mpsc::channel();
    let mut load = Load {
        plan,
        run: (std::process::id() << 8) ^ (started.as_nanos() / 1_000) as u32,
        socket,
        traffic: Traffic::start(plan.traffic)?,
        calls: Vec::with_capacity(plan.calls),
        timers: BinaryHeap::new(),
        up: 0,
        report: CallsReport::default(),
        answered_at_ns: HashMap::new(),
        book_sender,
        books,
        last_answer: started,
    };
    load.run(started, tick)?;
    Ok(load.finish(started))
}

impl Load<'_> {
    fn run(&mut self, started: Instant, tick: &mut dyn FnMut(u64, u64)) -> io::Result<()> {
        let mut next_tick = started;
        let mut buffer = vec![0; 65_536];
        loop {
            let now = clock::now();
            self.start_due(now, started)?;
            self.fire_timers(now);
            self.take_books();
            if self.calls.len() == self.plan.calls && self.up == 0 {
                return Ok(());
            }
            if now >= next_tick {
                tick(self.calls.len() as u64 - self.up, self.up);
                next_tick = now + Duration::from_millis(200);
            }
            self.receive(&mut buffer);
        }
    }

    fn start_due(&mut self, now: Instant, started: Instant) -> io::Result<()> {
        let due = (now.since(started).as_secs_f64() * self.plan.rate) as usize + 1;
        while self.calls.len() < due.min(self.plan.calls) && self.up < self.plan.limit as u64 {
            let number = self.calls.len();
            let (thread, socket) = self.place(number);
            let identity = Identity {
                number,
                run: self.run,
                local: self.socket.local_addr()?,
                switch: self.plan.switch,
                user: self.plan.user.clone(),
            };
            let (call, action) =
                Call::start(clock::now(), identity, self.traffic.sockets(thread)[socket], self.plan.hold);
            self.timers.push(Reverse((call.deadline, number)));
            self.calls.push(Some(Box::new(call)));
            self.report.started += 1;
            self.up += 1;
            self.report.up_max = self.report.up_max.max(self.up);
            self.act(number, vec![action], now);
        }
        Ok(())
    }

    fn place(&self, number: usize) -> (usize, usize) {
        let thread = number % self.traffic.threads();
        (thread, number / self.traffic.threads() % self.traffic.sockets(thread).len())
    }

    fn fire_timers(&mut self, now: Instant) {
        while let Some(&Reverse((at, number))) = self.timers.peek().filter(|timer| timer.0.0 <= now) {
            self.timers.pop();
            let Some(Some(call)) = self.calls.get_mut(number) else { continue };
            if call.deadline == at {
                let actions = call.deadline_passed(now);
                self.after(number, actions, now);
            }
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) {
        for _ in 0..MESSAGES_PER_TURN {
            // Nothing yet, or an ICMP answer: the retransmissions deal with it.
            let Ok(count) = self.socket.recv(buffer) else { return };
            let now = clock::now();
            match read(&buffer[..count], self.run) {
                Some(Incoming::Response(response)) => self.response(response, now),
                Some(Incoming::Bye { call: number, answer }) => {
                    let actions = match self.calls.get_mut(number) {
                        Some(Some(call)) => call.ended_by_switch(answer),
                        _ => vec![Action::Send(answer)],
                    };
                    self.after(number, actions, now);
                }
                None => self.report.unexpected += 1,
            }
        }
    }

    fn response(&mut self, response: Response, now: Instant) {
        let number = response.call;
        // A call that has ended may still see copies of its last answer.
        let Some(Some(call)) = self.calls.get_mut(number) else { return };
        let (progressed, started_at, method) = (call.progressed, call.started_at, response.method.clone());
        if !progressed && method == "INVITE" && response.status > 100 {
            call.progressed = true;
            self.report.post_dial_delay_ns.saturating_record(now.since(started_at).as_nanos() as u64);
        }
        let actions = call.response(now, response);
        self.after(number, actions, now);
    }

    fn after(&mut self, number: usize, actions: Vec<Action>, now: Instant) {
        self.act(number, actions, now);
        let Some(place) = self.calls.get_mut(number) else { return };
        let Some(call) = place else { return };
        if call.is_done() {
            *place = None;
            self.up -= 1;
        } else {
            self.timers.push(Reverse((call.deadline, number)));
        }
    }

    fn act(&mut self, number: usize, actions: Vec<Action>, now: Instant) {
        for action in actions {
            match action {
                Action::Send(message) => self.send(&message),
                Action::Resend(message) => {
                    self.report.retransmissions += 1;
                    self.send(&message);
                }
                Action::Answered(response) => self.answered(number, &response, now),
                Action::StopMedia => self.stop_media(number),
                Action::Done => {
                    self.report.completed += 1;
                    if let Some(Some(call)) = self.calls.get(number) {
                        self.report.tear_down_ns.saturating_record(now.since(call.bye_at).as_nanos() as u64);
                    }
                }
                Action::Failed(reason) => self.report.fail(reason),
                Action::Unexpected => self.report.unexpected += 1,
            }
        }
    }

    fn send(&self, message: &str) {
        // A refusal is an ICMP answer to an earlier message or a full buffer: the retransmissions deal with it.
        let _ = self.socket.send(message.as_bytes());
    }

    fn answered(&mut self, number: usize, response: &Response, now: Instant) {
        self.report.answered += 1;
        self.last_answer = now;
        let (thread, socket) = self.place(number);
        let Some(Some(call)) = self.calls.get_mut(number) else { return };
        self.report.set_up_ns.saturating_record(now.since(call.started_at).as_nanos() as u64);
        let (Some(expect), Some(to)) = (self.plan.media, response.media) else {
            if self.plan.media.is_some() {
                self.report.fail("200 without a media address");
            }
            return;
        };
        let spec = StreamSpec { socket, to, from: to, payload_type: 0, expect, sends: self.plan.talk };
        match self.traffic.add(thread, spec) {
            Some(stream) => {
                call.stream = Some(stream);
                self.answered_at_ns.insert(stream, clock::wall_now().as_unix_nanos());
            }
            None => self.report.fail("the generator has no room for the stream"),
        }
    }

    /// First the stream falls silent; at the end of the call its book is taken.
    fn stop_media(&mut self, number: usize) {
        let Some(Some(call)) = self.calls.get_mut(number) else { return };
        let Some(stream) = call.stream else { return };
        if call.is_done() {
            call.stream = None;
            self.traffic.take(stream, &self.book_sender);
        } else {
            self.traffic.pause(stream);
        }
    }

    fn take_books(&mut self) {
        while let Ok((stream, book)) = self.books.try_recv() {
            let answered_at_ns = self.answered_at_ns.remove(&stream).unwrap_or(0);
            if let Some(expect) = self.plan.media {
                self.report.add_media(&book, expect, answered_at_ns);
            }
        }
    }

    fn finish(mut self, started: Instant) -> CallsReport {
        let (media, cpu) = self.traffic.totals(); // asked after every take, so all books are there
        self.take_books();
        CallsReport { took: self.last_answer.since(started), media, media_cpu: cpu, ..self.report }
    }
}
