//! The signaling process of the system: its shards, each with its end of the media plane and a socket of its own.

mod role;

use super::media::Link;
use clock::{Duration, Instant};
use config::Config;
use mediad::SimulatedPlane;
pub(super) use role::Surroundings;
use session::{EndKind, EndReason, Port, SessionEvent, Sessions, Turn};
use shard_core::intake::sharding::Placement;
use shard_core::{Input, Shard, ShardOutput};
use sip_core::Flow;
use stats::SignalCounter;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasherDefault;
use std::net::SocketAddr;

/// How long calls may take to end when the process is asked to stop, as in `signald`.
const STOP_LIMIT: Duration = Duration::from_secs(5);

struct Seat {
    shard: Shard,
    link: Link,
    out: ShardOutput,
    /// Recordings whose end has not been told.
    recordings: BTreeSet<u64>,
    ends: Ends,
}

/// The end of an answered call that no user wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct UnwantedEnd {
    /// The number that was called.
    pub(super) number: Option<u32>,
    pub(super) reason: EndReason,
    /// Only calls that are not answered end for this reason.
    pub(super) is_of_unanswered: bool,
}

/// The ends of sessions that were told, counted as the counters of the switch have to count them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Ends {
    ids: BTreeSet<session::SessionId>,
    answered_count: u64,
    completed_count: u64,
    cancelled_count: u64,
    failed_count: u64,
    /// Answered calls that ended for another reason than that a user wanted it.
    unwanted: Vec<UnwantedEnd>,
}

impl Ends {
    fn note(&mut self, event: &SessionEvent) -> Result<(), String> {
        let SessionEvent::Ended { id, reason, call, .. } = event else { return Ok(()) };
        let is_answered = call.answered_at.is_some();
        use EndReason::{LocalBye, PeerLost, RemoteBye, Replaced, Shutdown, Transferred};
        // A phone that has hung up answers 481 to what crosses its BYE.
        if is_answered && !matches!(reason, RemoteBye | LocalBye | PeerLost | Replaced | Shutdown | Transferred) {
            let number = call.parties.called_user.split_once('-').and_then(|(_, number)| number.parse().ok());
            // The called side may have answered while the caller gave up.
            let is_of_unanswered =
                !call.is_outgoing && reason.kind() != EndKind::Failed || *reason == EndReason::NoAnswer;
            self.unwanted.push(UnwantedEnd { number, reason: *reason, is_of_unanswered });
        }
        self.answered_count += u64::from(is_answered);
        match reason.kind() {
            EndKind::Failed => self.failed_count += 1,
            EndKind::Completed => self.completed_count += 1,
            _ if is_answered => self.completed_count += 1,
            EndKind::Cancelled => self.cancelled_count += 1,
            EndKind::Rejected => {}
        }
        if self.ids.insert(*id) { Ok(()) } else { Err(format!("{id:?} ended twice")) }
    }

    /// Whether the counters of a shard say the same.
    fn check(&self, counts: &stats::Counts<SignalCounter>) -> Result<(), String> {
        use SignalCounter::*;
        for (counter, told) in [
            (CallsAnswered, self.answered_count),
            (CallsCompleted, self.completed_count),
            (CallsCancelled, self.cancelled_count),
            (CallsFailed, self.failed_count),
        ] {
            if counts.get(counter) != told {
                return Err(format!(
                    "{counter:?} is {}, and the ends of {told} such calls were told",
                    counts.get(counter)
                ));
            }
        }
        Ok(())
    }
}

/// A message on its way from the shard that read it to the one that it is for.
struct HandedOver {
    seat: usize,
    flow: Flow,
    bytes: Vec<u8>,
}

pub(super) struct Signaling {
    seats: Vec<Seat>,
    placement: Placement<BuildHasherDefault<DefaultHasher>>,
    handed_over: BTreeMap<(Instant, u64), HandedOver>,
    read_count: u64,
    /// It is stopping, and has to be done by then.
    stop_until: Option<Instant>,
    pub(super) since: Instant,
}

impl Signaling {
    /// Shards whose routes lead to the phones.
    pub(super) fn new(now: Instant, config: &Config, shard_count: usize, seed: u64, around: &Surroundings) -> Self {
        let seat = |shard| Seat {
            shard,
            link: Link::default(),
            out: ShardOutput::default(),
            recordings: BTreeSet::new(),
            ends: Ends::default(),
        };
        Self {
            seats: role::shards(config, shard_count, seed, around).into_iter().map(seat).collect(),
            placement: Placement::new(shard_count, role::tags(config), BuildHasherDefault::default()),
            handed_over: BTreeMap::new(),
            read_count: 0,
            stop_until: None,
            since: now,
        }
    }

    /// Commands, events and what happens to sessions are written down from now on.
    pub(super) fn trace(&mut self) {
        self.seats.iter_mut().for_each(|seat| seat.link.notes = Some(Vec::new()));
    }

    /// What was written down since it was asked last.
    pub(super) fn take_notes(&mut self) -> Vec<String> {
        let notes = self.seats.iter_mut().enumerate().flat_map(|(shard, seat)| {
            let notes = seat.link.notes.as_mut().map(std::mem::take).unwrap_or_default();
            notes.into_iter().map(move |note| format!("shard {shard}: {note}"))
        });
        notes.collect()
    }

    /// Gives every shard an end of a media plane. With a grace the plane is told to keep the legs when this process dies.
    pub(super) fn attach(&mut self, plane: &SimulatedPlane, grace: Option<Duration>) -> Result<(), String> {
        for seat in &mut self.seats {
            seat.relink(Link::attach(plane, grace)?);
        }
        Ok(())
    }

    /// The process dies: the media plane sees its clients hang up. Gives the legs that it keeps.
    pub(super) fn die(self, plane: Option<&mut SimulatedPlane>) -> Vec<Port> {
        let clients: Vec<_> = self.seats.iter().filter_map(|seat| Some(seat.link.end()?.index())).collect();
        let kept = self.seats.iter().flat_map(|seat| seat.link.kept_legs()).collect();
        drop(self);
        if let Some(plane) = plane {
            clients.into_iter().for_each(|client| plane.hang_up(client));
        }
        kept
    }

    /// The shard that read a message hands it to the one that it is for, which takes it a little later.
    pub(super) fn receive(&mut self, now: Instant, flow: Flow, bytes: Vec<u8>, (reader, delay): (u64, Duration)) {
        let seat = self.placement.of(now, &bytes);
        if reader as usize % self.seats.len() == seat {
            return self.seats[seat].handle(now, Input::Message { flow, bytes: &bytes });
        }
        self.read_count += 1;
        self.handed_over.insert((now + delay, self.read_count), HandedOver { seat, flow, bytes });
    }

    /// A connection is gone: every shard is told.
    pub(super) fn broken(&mut self, now: Instant, flow: Flow) {
        self.seats.iter_mut().for_each(|seat| seat.handle(now, Input::Broken(flow)));
    }

    pub(super) fn lose_media(&mut self, now: Instant) {
        for seat in &mut self.seats {
            seat.relink(Link::default());
            seat.handle(now, Input::MediaLost);
        }
    }

    /// Takes events, does what is due and sends commands; adds the messages to send to `sent`. `false`: it was asked to stop
    /// and is done.
    pub(super) fn turn(&mut self, now: Instant, sent: &mut Vec<(Flow, Vec<u8>)>) -> Result<bool, String> {
        while let Some(entry) = self.handed_over.first_entry().filter(|entry| entry.key().0 <= now) {
            let HandedOver { seat, flow, bytes } = entry.remove();
            self.seats[seat].handle(now, Input::Message { flow, bytes: &bytes });
        }
        loop {
            let mut home = Vec::new();
            for seat in &mut self.seats {
                seat.turn(now, sent, &mut home)?;
            }
            if home.is_empty() {
                return self.finish_stop(now, sent);
            }
            // Messages of the switch to itself stay in the process.
            for (flow, bytes) in home {
                let seat = self.placement.of(now, &bytes);
                self.seats[seat].handle(now, Input::Ours { flow, bytes: &bytes });
            }
        }
    }

    /// Nothing new begins, and all calls end.
    pub(super) fn stop(&mut self, now: Instant) {
        if self.stop_until.is_none() {
            self.stop_until = Some(now + STOP_LIMIT);
            self.seats.iter_mut().for_each(|seat| seat.handle(now, Input::Stop));
        }
    }

    fn finish_stop(&mut self, now: Instant, sent: &mut Vec<(Flow, Vec<u8>)>) -> Result<bool, String> {
        let Some(until) = self.stop_until else { return Ok(true) };
        let is_busy = self.seats.iter_mut().any(|seat| seat.shard.is_busy());
        if is_busy && now < until {
            return Ok(true);
        }
        for seat in &mut self.seats {
            seat.handle(now, Input::End);
            seat.turn(now, sent, &mut Vec::new())?;
            let active = seat.shard.counts().get(SignalCounter::CallsActive);
            if !is_busy && (active, seat.shard.sessions().count()) != (0, 0) {
                return Err(format!("{active} calls are active after a stop that was in time"));
            }
        }
        Ok(false)
    }

    /// An operator of the switch does something with its calls, in the shard of this number.
    pub(super) fn work(&mut self, now: Instant, draw: u64, work: impl FnOnce(&mut Sessions, &mut Turn<'_>)) {
        let index = draw as usize % self.seats.len();
        let Seat { shard, link, out, .. } = &mut self.seats[index];
        shard.work(now, link, out, work);
    }

    /// Begins to record one of the calls; `None`: there is none to be recorded now.
    pub(super) fn begin_recording(&mut self, now: Instant, draw: u64, file: std::fs::File) -> Option<()> {
        let index = draw as usize % self.seats.len();
        let Seat { shard, link, out, recordings, .. } = &mut self.seats[index];
        let ids: Vec<_> = shard.sessions().iter().map(session::Session::id).collect();
        let id = *ids.get((draw >> 8) as usize % ids.len().max(1))?;
        let layout = if draw & 16 == 0 { contract::RecordingLayout::Mono } else { contract::RecordingLayout::Stereo };
        let mut begun = None;
        shard.work(now, link, out, |sessions, turn| {
            begun = sessions.start_recording(turn, id, file, layout, Duration::from_secs(5)).ok();
        });
        recordings.extend(begun);
        begun.map(drop)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let handed_over = self.handed_over.keys().next().map(|(at, _)| *at);
        self.seats.iter().filter_map(|seat| seat.shard.deadline()).chain(handed_over).chain(self.stop_until).min()
    }

    /// Whether a call is up whose peer takes its RTP at this address.
    pub(super) fn has_call(&self, rtp: SocketAddr) -> bool {
        let mut sessions = self.seats.iter().flat_map(|seat| seat.shard.sessions().iter());
        let is_up = |session: &session::Session| session.connected_at().is_some() && !session.state().is_ending();
        sessions.any(|session| session.remote_rtp() == Some(rtp) && is_up(session))
    }

    /// Answered calls that ended for another reason than that a user wanted it.
    pub(super) fn unwanted_ends(&self) -> impl Iterator<Item = &UnwantedEnd> {
        self.seats.iter().flat_map(|seat| &seat.ends.unwanted)
    }

    /// Whether the counters of a process without calls add up.
    /// A proxy (`has_calls` is false) sees the answers of calls, and not their ends.
    pub(super) fn check_counters(&mut self, has_calls: bool) -> Result<(), String> {
        use SignalCounter::*;
        for seat in &mut self.seats {
            let counts = seat.shard.counts();
            for counter in [CallsActive, TransactionsOpen, BranchesOpen, DialogsNeverEnded, LegsNeverClosed] {
                if counts.get(counter) != 0 {
                    return Err(format!("{counter:?} is {} at the end", counts.get(counter)));
                }
            }
            if has_calls {
                seat.ends.check(counts)?;
            }
            if !seat.recordings.is_empty() {
                return Err(format!("recordings without an end: {:?}", seat.recordings));
            }
        }
        Ok(())
    }

    /// What is left in its tables, in words; empty when nothing is.
    pub(super) fn leftovers(&self) -> String {
        let mut text = String::new();
        for seat in &self.seats {
            let (sizes, sessions) = (seat.shard.sizes(), seat.shard.sessions());
            if sizes != Default::default() || sessions.count() > 0 {
                text += &format!("{sizes:?}, {} sessions {:?}; ", sessions.count(), states(sessions));
            }
        }
        text
    }
}

fn states(sessions: &Sessions) -> Vec<String> {
    sessions.iter().map(|session| format!("{} {}", session.id(), session.state().name())).collect()
}

impl Seat {
    /// Another end of a media plane takes the place of the one before, whose notes go on.
    fn relink(&mut self, link: Link) {
        let notes = self.link.notes.take();
        self.link = link;
        self.link.notes = notes;
    }

    fn handle(&mut self, now: Instant, input: Input<'_>) {
        self.shard.handle(now, input, &mut self.link, &mut self.out);
    }

    fn turn(
        &mut self,
        now: Instant,
        sent: &mut Vec<(Flow, Vec<u8>)>,
        home: &mut Vec<(Flow, Vec<u8>)>,
    ) -> Result<(), String> {
        while let Some(event) = self.link.pop()? {
            self.handle(now, Input::Media(event));
        }
        if self.shard.deadline().is_some_and(|at| at <= now) {
            self.handle(now, Input::Deadline);
            if self.shard.deadline().is_some_and(|at| at <= now) {
                return Err("a deadline of a shard does not move".to_owned());
            }
        }
        if self.out.is_empty() {
            return self.link.push(&mut self.out.commands);
        }
        let out = &self.out;
        let by_agent = out.sip.transmits.iter().map(|one| (one.flow, out.sip.bytes(one.bytes).to_vec()));
        let by_proxy = out.proxied.transmits.iter().map(|one| (one.flow, out.proxied.bytes(one.bytes).to_vec()));
        for (flow, bytes) in by_agent.chain(by_proxy) {
            let is_home = flow.local == flow.remote;
            if is_home { home.push((flow, bytes)) } else { sent.push((flow, bytes)) }
        }
        if let Some(notes) = &mut self.link.notes {
            notes.extend(self.out.events.iter().map(|event| format!("{event:?}")));
        }
        for event in &self.out.events {
            self.ends.note(event)?;
            if let SessionEvent::RecordingEnded { recording, .. } = event
                && !self.recordings.remove(recording)
            {
                return Err(format!("the recording {recording} ended twice, or was never begun"));
            }
        }
        self.link.push(&mut self.out.commands)?;
        self.out.clear();
        Ok(())
    }
}
