//! RTCP that we send, and the timeouts that run beside it (RFC 3550 §6).

use crate::Worker;
use crate::incoming::digits::{self, Telling};
use crate::io::{Buffers, Output, Send, SocketIndex, Span};
use crate::leg::{Leg, Sound};
use crate::rtcp::peer_reports::PeerReports;
use crate::rtcp::watch::Watch;
use clock::{Duration, Instant, WallTime};
use contract::{Address, Event, LegState, RtcpMode};
use rtp_wire::{ReportBlock, SenderInfo, Ssrc, Writer};
use stats::MediaCounter;

/// Room for SR, one report block, SDES with the longest CNAME, and an extended report with three blocks.
const MOST_RTCP_BYTES: u16 = 400;

/// A leg's RTCP, both ways.
#[derive(Clone, Debug)]
pub(crate) struct Reports {
    /// When our next report is due; far future: never.
    pub(crate) next_at: Instant,
    /// We have sent one.
    pub(crate) begun: bool,
    expected_before: u32,
    received_before: u32,
    reported_ssrc: Ssrc,
    sent_before: u64,
    /// The last SR that the peer got from us, or through us: middle 32 bits of its NTP timestamp, and when it left; 0: none did
    /// (§6.4.1).
    pub(crate) our_sr: (u32, Instant),
    /// What the peer has reported.
    peer: Option<Box<PeerReports>>,
    /// How the leg's streams sound.
    pub(crate) watch: Watch,
}

impl Default for Reports {
    fn default() -> Self {
        Self {
            next_at: Instant::FAR_FUTURE,
            begun: false,
            expected_before: 0,
            received_before: 0,
            reported_ssrc: Ssrc(0),
            sent_before: 0,
            our_sr: (0, Instant::ZERO),
            peer: None,
            watch: Watch::default(),
        }
    }
}

impl Reports {
    /// What the peer has reported; `None` before its first report.
    pub(crate) fn peer(&self) -> Option<&PeerReports> {
        self.peer.as_deref()
    }

    pub(crate) fn peer_mut(&mut self) -> &mut PeerReports {
        self.peer.get_or_insert_default()
    }

    /// A report of the stream that we send that this was not asked for before.
    pub(crate) fn new_report(&mut self) -> Option<&PeerReports> {
        let peer = self.peer.as_deref_mut()?;
        std::mem::take(&mut peer.is_new).then_some(peer)
    }
}

impl Worker {
    /// The first report comes after half an interval (RFC 3550 §6.2).
    pub(crate) fn plan_first_report(&mut self, place: usize, now: Instant) {
        self.legs[place].reports.next_at = now + self.interval() / 2;
        self.legs[place].reports.watch.next_at = now + self.rtcp.quality.interval;
        self.plan_timer(place, now);
    }

    /// Between half and one and a half of the interval (RFC 3550 §6.3.1). The division by e - 3/2 is left out: it makes
    /// up for timer reconsideration, and where two take part nothing has to be reconsidered.
    fn interval(&mut self) -> Duration {
        let mean = self.rtcp.interval.as_nanos() as u64;
        Duration::from_nanos(self.random.between(mean / 2, mean + mean / 2))
    }

    pub(crate) fn plan_timer(&mut self, place: usize, now: Instant) {
        let leg = &self.legs[place];
        let watch_at = leg.filter.watch_at(leg.heard_at(), leg.listening_since, leg.transport.remote_rtp, now);
        let digit_ends_at = leg.hearing.as_ref().and_then(|hearing| hearing.deadline());
        let at = leg.silent_until().unwrap_or(Instant::FAR_FUTURE).min(leg.reports.next_at).min(watch_at);
        let at = digit_ends_at.map_or(at, |ends_at| at.min(ends_at)).min(leg.reports.watch.next_at);
        self.timers.plan(&mut self.legs, place, now, at);
    }

    /// A leg's timer came: a report, the end of its patience, or neither yet.
    pub(crate) fn look_after(
        &mut self,
        place: usize,
        now: Instant,
        wall_now: WallTime,
        buffers: &mut impl Buffers,
        out: &mut Output,
    ) {
        if self.legs[place].silent_until().is_some_and(|until| now >= until) {
            self.time_out(place, out);
            return;
        }
        self.legs[place].watch(now, out);
        if self.legs[place].hearing.is_some() {
            let mut telling = Telling { events: &mut out.events, proved: &mut self.proved, too_fast: 0 };
            digits::give_up(&mut self.legs, place, now, &mut telling);
        }
        if now >= self.legs[place].reports.watch.next_at {
            self.judge(place, now, out);
        }
        if now >= self.legs[place].reports.next_at {
            if self.legs[place].reports_itself() {
                self.send_report(place, now, wall_now, buffers, out);
            }
            let interval = self.interval();
            self.legs[place].reports.next_at = now + interval;
        }
        self.plan_timer(place, now);
    }

    /// RTP stops now; the leg waits to be closed.
    fn time_out(&mut self, place: usize, out: &mut Output) {
        self.pace.leave(&mut self.legs, place);
        let leg = &mut self.legs[place];
        leg.state = LegState::TimedOut;
        leg.sending.ready = false;
        leg.filter.receives = false;
        (leg.reports.next_at, leg.reports.watch.next_at) = (Instant::FAR_FUTURE, Instant::FAR_FUTURE);
        let socket = leg.rtp_socket();
        out.sends.retain(|send| send.socket != socket);
        self.counts.add(MediaCounter::LegsTimedOut, 1);
        out.events.push(Event::MediaTimeout { leg: leg.leg });
    }

    fn send_report(
        &mut self,
        place: usize,
        now: Instant,
        wall_now: WallTime,
        buffers: &mut impl Buffers,
        out: &mut Output,
    ) {
        let leg = &self.legs[place];
        let sent = leg.sending.packets > leg.reports.sent_before;
        let our_clock = (!sent).then(|| wall_now.as_ntp());
        let extended = leg.transport.has_extended_reports().then(|| self.extended_report(place, now, our_clock));
        let leg = &mut self.legs[place];
        let Some(bytes) = write_rtcp(
            leg,
            buffers,
            out,
            |writer, leg, reports| {
                // SR from who has sent since the last report, RR from who only listens (§6.4).
                if sent {
                    let info = SenderInfo {
                        ntp: wall_now.as_ntp(),
                        time: leg.sending.time_at(now),
                        packet_count: leg.sending.packets as u32,
                        octet_count: leg.sending.octets as u32,
                    };
                    writer.sender_report(leg.sending.ssrc, &info, reports).ok()?;
                } else {
                    writer.receiver_report(leg.sending.ssrc, reports).ok()?;
                }
                writer.source_description(leg.sending.ssrc, &self.rtcp.cname).ok()?;
                extended.iter().try_for_each(|report| writer.extended_report(leg.sending.ssrc, report).ok())
            },
            now,
        ) else {
            return;
        };
        debug_assert!(bytes > 0);
        let leg = &mut self.legs[place];
        leg.reports.begun = true;
        leg.reports.sent_before = leg.sending.packets;
        let middle = (wall_now.as_ntp() >> 16) as u32;
        if sent {
            leg.reports.our_sr = (middle, now);
        } else if extended.is_some() {
            leg.reports.peer_mut().our_clock = (middle, now);
        }
        if extended.is_some() {
            self.counts.add(MediaCounter::XrSent, 1);
        }
        self.counts.add(MediaCounter::RtcpSent, 1);
    }

    /// Our stream ends (§6.6). Who never sent anything says no BYE (§6.3.7).
    pub(crate) fn send_bye(&mut self, place: usize, now: Instant, buffers: &mut impl Buffers, out: &mut Output) {
        let leg = &mut self.legs[place];
        if !leg.reports_itself() || !(leg.reports.begun || leg.sending.packets > 0) {
            return;
        }
        let sent = write_rtcp(
            leg,
            buffers,
            out,
            |writer, leg, reports| {
                writer.receiver_report(leg.sending.ssrc, reports).ok()?;
                writer.source_description(leg.sending.ssrc, &self.rtcp.cname).ok()?;
                writer.bye(leg.sending.ssrc).ok()
            },
            now,
        );
        if sent.is_some() {
            let leg = &self.legs[place];
            let (socket, to) = (leg.rtcp_route().map(|route| route.0), leg.rtcp_destination());
            // The socket closes in the same turn, so the packet names where it goes.
            if let Some(last) = out.sends.last_mut().filter(|last| Some(last.socket) == socket) {
                last.to = to;
            }
            self.counts.add(MediaCounter::RtcpSent, 1);
        }
    }
}

/// Lets `write` fill an RTCP packet of the leg and sends it; says its bytes.
fn write_rtcp(
    leg: &mut Leg,
    buffers: &mut impl Buffers,
    out: &mut Output,
    write: impl FnOnce(&mut Writer, &Leg, &[ReportBlock]) -> Option<()>,
    now: Instant,
) -> Option<u16> {
    let (socket, to) = leg.rtcp_route()?;
    if out.sends.len() == out.sends.capacity() {
        return None;
    }
    let block = leg.report_block(now);
    let span = Span { buffer: buffers.take()?, start: 0, bytes: MOST_RTCP_BYTES };
    let mut writer = Writer::new(buffers.bytes_mut(span));
    write(&mut writer, leg, block.as_slice())?;
    let bytes = writer.finish() as u16;
    out.sends.push(Send { socket, span: Span { bytes, ..span }, to, received_at: Instant::ZERO });
    Some(bytes)
}

impl Leg {
    /// RTCP ends here; also on a relaying leg as long as it has nobody to relay to or from.
    pub(crate) fn reports_itself(&self) -> bool {
        match self.transport.rtcp() {
            RtcpMode::Pair | RtcpMode::Mux => true,
            // What is transcoded has numbers and a clock of its own (RFC 3550 §7.2).
            RtcpMode::RelayPair | RtcpMode::RelayMux => !self.is_relay() || self.making.sound == Sound::Transcoded,
            RtcpMode::Off => false,
        }
    }

    /// Until when something has to come from the peer.
    fn silent_until(&self) -> Option<Instant> {
        let waits = self.state == LegState::Open && self.filter.receives && self.transport.media_timeout_ms > 0;
        // RTCP and keep-alives show as well that the peer is there (RFC 6263).
        let since = self.heard_at().max(self.listening_since);
        waits.then(|| since + Duration::from_millis(self.transport.media_timeout_ms.into()))
    }

    /// Where RTCP goes, in words.
    pub(crate) fn rtcp_destination(&self) -> Address {
        if self.filter.mux {
            self.sending.remote
        } else if self.filter.rtcp_accepted.is_none() {
            self.rtcp_guess()
        } else {
            self.filter.rtcp_accepted
        }
    }

    /// The socket and destination of RTCP; none where nobody is known.
    pub(crate) fn rtcp_route(&self) -> Option<(SocketIndex, Address)> {
        let destination = self.rtcp_destination();
        if destination.is_none() || !self.filter.rtcp || self.sending.allowance.bounded {
            return None;
        }
        Some(match (self.filter.mux, self.filter.connected, self.filter.rtcp_connected) {
            (true, true, _) => (self.rtp_socket(), Address::NONE),
            (true, false, _) => (self.rtp_socket(), destination),
            (false, _, true) => (self.rtcp_socket(), Address::NONE),
            (false, _, false) => (self.rtcp_socket(), destination),
        })
    }

    /// What we say of the peer's stream (§6.4.1, §A.3); nothing where nothing came.
    fn report_block(&mut self, now: Instant) -> Option<ReportBlock> {
        if !self.receiving.sequence.has_begun() {
            return None;
        }
        let (expected, received) = self.receiving.sequence.since_start();
        let reports = &mut self.reports;
        if reports.reported_ssrc != self.receiving.sequence.ssrc || expected < reports.expected_before {
            (reports.expected_before, reports.received_before) = (0, 0);
            reports.reported_ssrc = self.receiving.sequence.ssrc;
        }
        let expected_now = i64::from(expected - reports.expected_before);
        let lost_now = expected_now - i64::from(received.wrapping_sub(reports.received_before));
        let fraction = if expected_now > 0 && lost_now > 0 { (lost_now << 8) / expected_now } else { 0 };
        (reports.expected_before, reports.received_before) = (expected, received);
        let (last_sr, came_at) = reports.peer().map_or((0, Instant::ZERO), |peer| peer.sr);
        let delay = if last_sr == 0 { 0 } else { in_65536ths(now.since(came_at)) };
        Some(ReportBlock {
            ssrc: self.receiving.sequence.ssrc,
            fraction_lost: fraction.min(255) as u8,
            cumulative_lost: self.receiving.sequence.lost_now().clamp(i32::MIN.into(), i32::MAX.into()) as i32,
            highest_seq: self.receiving.sequence.highest_seq(),
            jitter: self.receiving.jitter_ticks(),
            last_sr,
            delay_since_last_sr: delay,
        })
    }
}

/// A short time in units of 1/65536 s.
pub(crate) fn in_65536ths(time: Duration) -> u32 {
    let wide = time.as_nanos() * 65_536 / 1_000_000_000;
    u32::try_from(wide).unwrap_or(u32::MAX)
}
