//! The thread of all streams: it alone decodes for programs and talks to them.

use super::queues::{Arrival, Streams, Waiting, place_of};
use super::stream::{Over, Plan, Stream, read_plan, tell_end};
use crate::shared::Shared;
use clock::{Duration, Instant};
use contract::{STREAMS_MAX, StreamEnd};
use media_core::{Program, ProgramState};
use shm::WorkerIndex;
use std::sync::Arc;

/// While there are streams, they are looked after this often.
const PASS_EVERY: Duration = Duration::from_millis(10);
/// How long a stream waits for its first message, and for a worker that has its leg.
const BEGIN_LIMIT: Duration = Duration::from_secs(2);

/// The thread. It ends when the streams are stopped.
pub(crate) fn run(shared: &Shared) {
    shared.streams.set_thread(std::thread::current());
    let mut server = Server { shared, arrivals: Vec::new(), streams: Vec::new(), ended: Vec::new() };
    while !shared.streams.is_stopping() {
        server.pass(clock::now());
        if server.is_idle() { std::thread::park() } else { std::thread::park_timeout(PASS_EVERY) }
    }
    server.end_all();
}

struct Server<'s> {
    shared: &'s Shared,
    /// Sockets whose first message has not come yet.
    arrivals: Vec<(Arrival, Instant)>,
    /// By place.
    streams: Vec<Option<Box<Stream>>>,
    /// Programs that their leg is to forget.
    ended: Vec<(Arc<Program>, Instant)>,
}

impl Server<'_> {
    fn streams(&self) -> &Streams {
        &self.shared.streams
    }

    fn is_idle(&self) -> bool {
        self.arrivals.is_empty() && self.ended.is_empty() && self.streams.iter().all(Option::is_none)
    }

    fn pass(&mut self, now: Instant) {
        let arrived = self.streams().take_arrivals();
        for arrival in arrived {
            if self.arrivals.len() < STREAMS_MAX {
                self.arrivals.push((arrival, now));
            } else {
                tell_end(&arrival.socket, StreamEnd::Full);
            }
        }
        self.take_pieces();
        for place in 0..self.streams.len() {
            let Some(stream) = &mut self.streams[place] else { continue };
            let is_unclaimed = stream.program.state() == ProgramState::Waiting && now - stream.since > BEGIN_LIMIT;
            let passed = if is_unclaimed { Err(Over::Told(StreamEnd::NoSuchLeg)) } else { stream.pass(now) };
            if let Err(over) = passed {
                self.end(place, over, now);
            }
        }
        // After the streams: a program that has hung up may begin the next one at once.
        for (arrival, since) in std::mem::take(&mut self.arrivals) {
            match read_plan(&arrival) {
                Ok(Some(plan)) => self.begin(arrival, plan, now),
                Ok(None) if now - since < BEGIN_LIMIT => self.arrivals.push((arrival, since)),
                Ok(None) => tell_end(&arrival.socket, StreamEnd::BadMessage),
                Err(end) => tell_end(&arrival.socket, end),
            }
        }
        let shared = self.shared;
        self.ended.retain(|(program, since)| {
            let is_waited_for = now - *since < BEGIN_LIMIT && shared.streams.has_waiting();
            if !is_waited_for {
                shared.streams.forget_waiting(program.id());
            }
            is_waited_for
        });
    }

    fn begin(&mut self, arrival: Arrival, plan: Plan, now: Instant) {
        let place = match self.streams.iter().position(Option::is_none) {
            Some(place) => place,
            None if self.streams.len() < STREAMS_MAX => {
                self.streams.push(None);
                self.streams.len() - 1
            }
            None => return tell_end(&arrival.socket, StreamEnd::Full),
        };
        let Some(id) = self.streams().number(place as u16) else { return };
        let hears = [plan.tracks.has_received(), plan.tracks.has_sent()];
        let program = Arc::new(Program::new(id, hears, plan.speaks));
        self.streams().add_program(program.clone());
        let waiting = Waiting { client: arrival.client, leg: arrival.leg, program: program.clone() };
        self.streams[place] = Some(Box::new(Stream::new(arrival, plan, program, now)));
        self.tell_workers(waiting);
    }

    fn tell_workers(&self, waiting: Waiting) {
        self.streams().tell_worker(waiting);
        let host = &self.shared.host;
        (0..host.region().plan().workers).for_each(|worker| host.wake_worker(WorkerIndex(worker as u8)));
    }

    fn take_pieces(&mut self) {
        for pieces in self.shared.streams.pieces() {
            // What comes meanwhile is for the next pass.
            for _ in 0..pieces.len() {
                let Some(piece) = pieces.pop() else { break };
                let stream = self.streams.get_mut(place_of(piece.stream)).and_then(Option::as_mut);
                if let Some(stream) = stream.filter(|stream| stream.program.id() == piece.stream) {
                    stream.hear(&piece);
                }
            }
        }
    }

    fn end(&mut self, place: usize, over: Over, now: Instant) {
        let Some(stream) = self.streams[place].take() else { return };
        let (client, leg, program) = (stream.client, stream.leg, stream.program.clone());
        let has_leg = program.state() == ProgramState::Connected;
        stream.end(over);
        self.streams().remove_program(program.id());
        self.streams().forget_waiting(program.id());
        if has_leg {
            self.ended.push((program.clone(), now));
            self.tell_workers(Waiting { client, leg, program });
        }
    }

    /// The media plane shuts down.
    fn end_all(&mut self) {
        for stream in self.streams.iter_mut().filter_map(Option::take) {
            let is_closed = stream.program.state() == ProgramState::LegClosed;
            stream.end(Over::Told(if is_closed { StreamEnd::LegClosed } else { StreamEnd::Shutdown }));
        }
    }
}
