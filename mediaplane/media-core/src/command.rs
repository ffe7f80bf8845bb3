//! Opening, changing and dialling legs.

use crate::Worker;
use crate::decoding::jitter::DELAY_MIN;
use crate::incoming::sinks;
use crate::io::{Output, SocketAction};
use crate::latching::source_filter::{SourceFilter, next_port};
use crate::leg::{Leg, LegIndex, Links, Making, NOWHERE, Payloads, Sound};
use crate::outgoing::stream::Sending;
use crate::rooms::MemberIndex;
use audio::{CallTone, ToneIndex};
use clock::{Duration, Instant};
use contract::{
    Event, FlowSpec, Latching, LegRef, LegSpec, LegState, LegUpdate, NamedTone, PromptPlay, RefuseReason, Rewriting,
    RtcpMode, Source, ToneMeaning, TransportSpec,
};
use stats::MediaCounter;

/// A leg that transcodes sends so long after a packet of its peer could be played: a packet that comes a little late is in time.
const SPARE: Duration = Duration::from_millis(5);
/// And at most so much later: legs whose packets come at once are spread over it.
const SPREAD: Duration = Duration::from_millis(4);

impl Worker {
    pub(crate) fn open(
        &mut self,
        now: Instant,
        leg: LegRef,
        number: u64,
        spec: &LegSpec,
        out: &mut Output,
    ) -> Result<(), RefuseReason> {
        let TransportSpec { port, dscp, .. } = spec.transport;
        let pair = self.free_pair(leg, port)?;
        spec.check().map_err(|_| RefuseReason::Invalid)?;
        self.check_source(leg, &spec.flow, &Payloads::new(&spec.formats.payloads))?;
        let ssrc = if spec.flow.ssrc == 0 { (self.random.next() as u32).max(1) } else { spec.flow.ssrc };
        let beginning = self.random.next();
        let place = self.seat(Leg {
            filter: SourceFilter::default(),
            payloads: Payloads::default(),
            links: Links::none(pair),
            receiving: Default::default(),
            sending: Sending::new(ssrc, beginning),
            listeners: Default::default(),
            dialling: Default::default(),
            hearing: None,
            making: Making { sound: Sound::None, began_at: now, next_due_ms: 0, marker: true, begun: false },
            reports: Default::default(),
            // What `apply` compares with: nothing was agreed on before.
            transport: TransportSpec { port, rtcp: RtcpMode::Off as u8, dscp, ..TransportSpec::default() },
            flow: FlowSpec { direction: 0, ..FlowSpec::default() },
            ptime_ms: 0,
            opus: Default::default(),
            leg,
            opened_at: now,
            listening_since: now,
            state: LegState::Open,
        });
        out.sockets.push(SocketAction::Open { socket: self.legs[place].rtp_socket(), dscp });
        self.apply(place, now, &(*spec).into(), out);
        self.plan_first_report(place, now);
        self.counts.add(MediaCounter::LegsOpened, 1);
        out.events.push(Event::Opened { leg, number });
        Ok(())
    }

    pub(crate) fn update(
        &mut self,
        now: Instant,
        leg: LegRef,
        number: u64,
        update: &LegUpdate,
        out: &mut Output,
    ) -> Result<(), RefuseReason> {
        let place = self.find(leg)?;
        if self.legs[place].state != LegState::Open {
            return Err(RefuseReason::Invalid);
        }
        update.check().map_err(|_| RefuseReason::Invalid)?;
        let it = &self.legs[place];
        let payloads = update.formats.as_ref().map_or(it.payloads, |formats| Payloads::new(&formats.payloads));
        self.check_source(leg, &update.flow.unwrap_or(it.flow), &payloads)?;
        let TransportSpec { port, dscp, .. } = update.transport.unwrap_or(it.transport);
        if it.transport.port != port {
            return Err(RefuseReason::Invalid);
        }
        if it.transport.dscp != dscp {
            self.reopen(place, dscp, out);
        }
        self.apply(place, now, update, out);
        self.plan_timer(place, now);
        out.events.push(Event::Updated { leg, number });
        Ok(())
    }

    pub(crate) fn send_digit(
        &mut self,
        now: Instant,
        leg: LegRef,
        digit: u8,
        duration_ms: u16,
    ) -> Result<(), RefuseReason> {
        let place = self.find(leg)?;
        let it = &mut self.legs[place];
        // A digit for a peer that has yet to show that it is there waits for that.
        let may_send = it.sending.ready || (it.sending.allowance.bounded && it.can_send());
        let has_way = it.payloads.has_events() || it.payloads.format().is_some();
        if digit > 15 || duration_ms == 0 || !has_way || !may_send {
            return Err(RefuseReason::Invalid);
        }
        if !it.dialling.push(digit, duration_ms) {
            return Err(RefuseReason::Full);
        }
        if it.is_relay() {
            // Packets of ours among those of another's stream: only numbers of our own leave no hole and no double.
            it.sending.take_over();
        }
        self.place_in_frame(place, now);
        Ok(())
    }

    /// Whether a leg with these payload types can have its source on this worker.
    fn check_source(&self, leg: LegRef, flow: &FlowSpec, payloads: &Payloads) -> Result<(), RefuseReason> {
        let encodes = payloads.format().is_some();
        let sound = match flow.source() {
            Source::None => true,
            Source::Silence | Source::Tone440 | Source::Ringing => encodes,
            Source::Prompt(prompt) | Source::PromptPlay(PromptPlay { prompt, .. }) => {
                encodes && (prompt as usize) < self.sounds.prompts.len()
            }
            Source::CallTone(tone) => encodes && self.tone_of(tone).is_some(),
            Source::Leg(source_leg) => source_leg == leg || self.find(source_leg).is_ok(),
            Source::Room(part) => {
                let is_member = self.find(leg).is_ok_and(
                    |place| matches!(self.legs[place].flow.source(), Source::Room(now) if now.room == part.room),
                );
                let is_coded = payloads.audio_law().is_none();
                let is_full = is_coded && self.coders.count() + self.rooms.coded_count() >= self.coders.limit();
                if !is_member && (is_full || !self.rooms.has_place(part.room)) {
                    return Err(RefuseReason::Full);
                }
                encodes
            }
        };
        if sound { Ok(()) } else { Err(RefuseReason::Invalid) }
    }

    /// Makes the leg what the update says; what stays the same goes on without a break.
    fn apply(&mut self, place: usize, now: Instant, update: &LegUpdate, out: &mut Output) {
        let leg = &mut self.legs[place];
        let (old, old_flow, pair_before) = (leg.transport, leg.flow, leg.uses_rtcp_socket());
        let (transport, flow) = (update.transport.unwrap_or(old), update.flow.unwrap_or(old_flow));
        (leg.transport, leg.flow) = (transport, flow);
        if let Some(formats) = &update.formats {
            (leg.payloads, leg.ptime_ms) = (Payloads::new(&formats.payloads), formats.ptime_ms);
            leg.opus = formats.opus;
            leg.payloads.voice = formats.voice;
            // Not every codec has packets of every length.
            if let Some(format) = leg.payloads.format() {
                leg.ptime_ms = format.nearest_ptime_ms(formats.ptime_ms.into()) as u8;
            }
            if leg.links.member != MemberIndex::NONE {
                leg.be_member(&mut self.rooms);
            }
            if !self.coders.suits(leg.links.coder, leg.payloads.audio_codec, leg.opus) {
                leg.stop_transcoding(&mut self.coders);
            }
        }
        leg.filter.receives = flow.direction().receives();
        leg.filter.mux = matches!(transport.rtcp(), RtcpMode::Mux | RtcpMode::RelayMux);
        leg.filter.rtcp = transport.rtcp() != RtcpMode::Off;
        leg.sending.muted = flow.muted == 1;
        self.follow_voice(place, out);
        let leg = &mut self.legs[place];
        leg.watch_sound(leg.flow.digits.listens() || leg.hearing.is_some());
        if let Some(hearing) = leg.hearing.as_deref_mut().filter(|_| !flow.digits.listens()) {
            hearing.stop_listening();
        }
        if flow.rewriting() == Rewriting::Continuous && !leg.sending.continuous {
            leg.sending.continuous = true;
            leg.sending.change_source();
        }
        // The timeout counts from when it begins to count, never from silence before: that was agreed on (hold, a call
        // that is not answered), or is that of another place.
        let counts =
            |transport: &TransportSpec, flow: &FlowSpec| transport.media_timeout_ms > 0 && flow.direction().receives();
        let begins = counts(&transport, &flow) && !counts(&old, &old_flow);
        if begins || transport.remote_rtp != old.remote_rtp {
            leg.listening_since = now;
        }
        match (pair_before, leg.uses_rtcp_socket()) {
            (false, true) => out.sockets.push(SocketAction::Open { socket: leg.rtcp_socket(), dscp: transport.dscp }),
            (true, false) => {
                crate::close::name_destination(out, leg.rtcp_socket(), leg.filter.rtcp_accepted);
                (leg.filter.rtcp_connected, leg.filter.rtcp_accepted) = (false, Default::default());
                out.sockets.push(SocketAction::Close { socket: leg.rtcp_socket() });
            }
            _ => {}
        }
        self.aim(place, &old, now, out);
        self.set_source(place, &old_flow);
        // A leg whose packets stay as long as they were keeps its slot: what it sends goes on without a step in time.
        let leg = &self.legs[place];
        if leg.links.slot != NOWHERE && !crate::outgoing::pace::has_length(leg.links.slot, leg.ptime_ms) {
            self.pace.leave(&mut self.legs, place);
        }
        self.place_in_frame(place, now);
    }

    /// Has the sound of the peer processed as it is wanted, where there is a place for that.
    pub(crate) fn follow_voice(&mut self, place: usize, out: &mut Output) {
        let leg = &mut self.legs[place];
        // What cannot be decoded needs no place, nor does sound of a rate that is not processed.
        let is_processed =
            leg.payloads.format().is_some_and(|format| audio::VoiceProcessor::takes(format.sample_rate()));
        let wish = if is_processed { leg.payloads.voice } else { Default::default() };
        if !self.voices.provide(&mut leg.links.voice, leg.leg, wish) {
            out.events.push(Event::VoiceRefused { leg: leg.leg });
            self.counts.add(MediaCounter::VoiceRefused, 1);
        }
        self.counts.set(MediaCounter::VoiceProcessing, self.voices.count() as u64);
    }

    /// Sets where the leg sends and which sources it takes, after a change of what SDP said.
    fn aim(&mut self, place: usize, old: &TransportSpec, now: Instant, out: &mut Output) {
        let leg = &mut self.legs[place];
        let (spec, accepted) = (leg.transport, leg.filter.accepted);
        let is_new = spec.remote_rtp != old.remote_rtp;
        let moved = is_new && !old.remote_rtp.is_none() && !spec.remote_rtp.is_at(accepted);
        if is_new && old.remote_rtp.is_none() {
            leg.filter.known_since = now;
        }
        if spec.latching() != leg.filter.latching || spec.negotiation != old.negotiation || is_new {
            (leg.filter.latching, leg.filter.judges_since) = (spec.latching(), now);
        }
        if moved {
            leg.start_over(&mut self.probation, out);
            self.counts.add(MediaCounter::DroppedStranger, self.probation.take_lost());
        } else if spec.remote_rtcp != old.remote_rtcp && !spec.remote_rtcp.is_at(leg.filter.rtcp_accepted) {
            leg.disconnect_rtcp(out);
        }
        if leg.filter.accepted.is_none() {
            (leg.sending.remote, leg.sending.named) = (spec.remote_rtp, true);
        }
        let is_there = accepted.is_at(spec.remote_rtp);
        if is_new && is_there && !leg.filter.connected {
            // What was found is what the peer says now.
            leg.settle(accepted, out);
        } else if spec.latching() == Latching::Off && !spec.remote_rtp.is_none() && !is_there {
            // Nobody else will ever count: the kernel may drop strangers from the first packet on.
            leg.settle(spec.remote_rtp, out);
        }
        leg.sending.allowance.bounded = !spec.is_proven() && !leg.filter.is_proven;
        leg.sending.allowance.allowed_bytes = spec.unproven_bytes;
        leg.sending.ready = leg.may_send();
    }

    fn set_source(&mut self, place: usize, old: &FlowSpec) {
        let flow = &self.legs[place].flow;
        let (source, player) = (flow.source(), flow.player);
        let making = &self.legs[place].making;
        let goes_on = making.begun || matches!(making.sound, Sound::Transcoded | Sound::Room);
        if (source, player) == (old.source(), old.player) && goes_on {
            return;
        }
        let tone = match source {
            Source::CallTone(tone) => self.tone_of(tone),
            _ => None,
        };
        let source_leg = match source {
            Source::Leg(source_leg) => self.find(source_leg).ok(),
            _ => None,
        };
        match source_leg {
            // A re-INVITE that leaves the source as it is must not look like a change of source.
            Some(source_leg) if self.legs[place].links.source_leg == LegIndex::new(source_leg) => {}
            Some(source_leg) => sinks::link(&mut self.legs, source_leg, place),
            None => sinks::unlink(&mut self.legs, place),
        }
        let leg = &mut self.legs[place];
        self.coders.release(&mut leg.links.coder);
        // It says silence where it could not join after all: there was a place when the command was checked.
        let is_in_room = leg.be_member(&mut self.rooms);
        if matches!(source, Source::Room(_)) {
            if leg.making.sound == Sound::Room && is_in_room {
                return; // another part in the same room
            }
            leg.sending.take_over();
        }
        let making = &mut leg.making;
        let sound = match source {
            Source::None | Source::Leg(_) => Sound::None,
            Source::Silence => Sound::Silence,
            Source::Tone440 => Sound::Tone440,
            Source::Ringing => Sound::Ringing,
            Source::Prompt(prompt) | Source::PromptPlay(PromptPlay { prompt, .. }) => Sound::Prompt(prompt),
            Source::CallTone(_) => tone.map_or(Sound::Silence, Sound::CallTone),
            Source::Room(_) if is_in_room => Sound::Room,
            Source::Room(_) => Sound::Silence,
        };
        (making.sound, making.begun, making.marker) = (sound, false, true);
    }

    pub(crate) fn tone_of(&self, tone: NamedTone) -> Option<ToneIndex> {
        let meaning = match tone.meaning {
            ToneMeaning::Dial => CallTone::Dial,
            ToneMeaning::Ringing => CallTone::Ringing,
            ToneMeaning::Busy => CallTone::Busy,
            ToneMeaning::Congestion => CallTone::Congestion,
            ToneMeaning::SpecialInformation => CallTone::SpecialInformation,
        };
        self.sounds.tones.of_country(std::str::from_utf8(&tone.country).ok()?, meaning)
    }

    /// A leg that makes packets by itself needs a slot of the frame; others must not have one.
    pub(crate) fn place_in_frame(&mut self, place: usize, now: Instant) {
        let leg = &mut self.legs[place];
        let makes = leg.sending.ready
            && (leg.making.sound != Sound::None || !leg.dialling.is_idle() || leg.speaker().is_some());
        match (makes, leg.links.slot != NOWHERE) {
            (true, false) => {
                leg.making.marker = true;
                let (ptime_ms, index) = (leg.ptime_ms, LegIndex::new(place));
                if leg.making.sound == Sound::Transcoded {
                    // A packet has come just now. Those to come are played as soon as they have waited for others.
                    let soon = (now + DELAY_MIN + SPARE, SPREAD);
                    self.pace.join_between(&mut self.legs, index, ptime_ms, soon);
                } else {
                    self.pace.join(&mut self.legs, index, ptime_ms, now);
                }
            }
            (false, true) => self.pace.leave(&mut self.legs, place),
            _ => {}
        }
    }

    /// The sockets with another DSCP; what was verified stays so.
    fn reopen(&mut self, place: usize, dscp: u8, out: &mut Output) {
        let leg = &self.legs[place];
        out.sockets.push(SocketAction::Open { socket: leg.rtp_socket(), dscp });
        if leg.filter.connected {
            out.sockets.push(SocketAction::Connect { socket: leg.rtp_socket(), to: leg.filter.accepted });
        }
        if leg.uses_rtcp_socket() {
            out.sockets.push(SocketAction::Open { socket: leg.rtcp_socket(), dscp });
            if leg.filter.rtcp_connected {
                out.sockets.push(SocketAction::Connect { socket: leg.rtcp_socket(), to: leg.filter.rtcp_accepted });
            }
        }
    }
}

impl Leg {
    /// RTCP lives on the port above.
    pub(crate) fn uses_rtcp_socket(&self) -> bool {
        matches!(self.transport.rtcp(), RtcpMode::Pair | RtcpMode::RelayPair)
    }

    /// Direction, state and a known destination let us send.
    pub(crate) fn can_send(&self) -> bool {
        self.state == LegState::Open && self.flow.direction().sends() && !self.sending.remote.is_none()
    }

    /// And the peer has shown that it is there, or something may go there all the same.
    pub(crate) fn may_send(&self) -> bool {
        self.can_send() && (!self.sending.allowance.bounded || self.sending.allowance.allowed_bytes > 0)
    }

    /// Where RTCP goes where nothing of it came yet.
    pub(crate) fn rtcp_guess(&self) -> contract::Address {
        let settled_elsewhere = !self.filter.accepted.is_none() && self.filter.accepted != self.transport.remote_rtp;
        if settled_elsewhere || self.transport.remote_rtcp.is_none() {
            next_port(self.sending.remote)
        } else {
            self.transport.remote_rtcp
        }
    }
}
