//! A relayed call over a lossy network, in virtual time.

use crate::sim::tests::{SimLab, lab};
use crate::suite::{Lab, Scene, rtp_packet};
use clock::Duration;
use contract::{Event, LegStream, QualityChange, QualityClass};
use rtp_wire::{Compound, DelayBlock, ExtendedReport, ReportBlock, RtcpPacket, Ssrc, VoipMetrics, Writer, XrBlock};
use stats::MediaCounter;

/// Which packets of a network are lost.
enum Network {
    /// Each with this chance in percent.
    Random(u32),
    /// So many in a row of each hundred.
    Bursts(u32),
}

/// A call of two peers, relayed.
struct Call {
    scene: Scene<SimLab>,
    peers: (usize, usize),
    controls: [usize; 2],
    seq: u16,
    seed: u32,
    /// Our stream's name, and its packets, at the second peer.
    heard: (Ssrc, u32),
}

impl Call {
    fn new() -> Self {
        Self::with(0)
    }

    fn with_extended_reports() -> Self {
        Self::with(contract::TransportSpec::EXTENDED)
    }

    fn with(rtcp: u8) -> Self {
        let mut scene = Scene::new(lab());
        let peers = (scene.lab.add_peer(), scene.lab.add_peer());
        let controls = [scene.lab.add_peer(), scene.lab.add_peer()];
        let at = controls.map(|control| scene.lab.peer_address(control));
        scene.bridge_to(peers, |n, spec| {
            spec.transport.remote_rtcp = at[n].into();
            spec.transport.rtcp |= rtcp;
            spec.flow.rewriting = contract::Rewriting::Continuous as u8;
        });
        Self { scene, peers, controls, seq: 0, seed: 9, heard: (Ssrc(0), 0) }
    }

    fn is_lost(&mut self, network: &Network) -> bool {
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match network {
            Network::Random(percent) => (self.seed >> 8) % 100 < *percent,
            Network::Bursts(count) => u32::from(self.seq % 100) < *count,
        }
    }

    /// Both talk for so many packets of 20 ms; those of the first one go through the network.
    fn talk(&mut self, packets: u32, network: &Network) {
        for _ in 0..packets {
            self.seq += 1;
            if !self.is_lost(network) {
                let to = self.scene.rtp(0);
                self.scene.say(self.peers.0, to, &rtp_packet(1, self.seq));
            }
            let to = self.scene.rtp(1);
            self.scene.say(self.peers.1, to, &rtp_packet(2, self.seq));
            self.scene.run(Duration::from_millis(16));
            for bytes in self.scene.heard(self.peers.1) {
                let header = rtp_wire::Header::parse(&bytes).expect("RTP");
                self.heard = (header.ssrc, header.seq.0.into());
            }
            self.scene.heard(self.peers.0);
        }
    }

    /// The second peer reports what it received.
    fn report(&mut self, fraction_lost: u8, cumulative_lost: i32) {
        let (ssrc, highest_seq) = self.heard;
        let block = ReportBlock { ssrc, fraction_lost, cumulative_lost, highest_seq, ..ReportBlock::default() };
        let mut bytes = [0; 256];
        let mut writer = Writer::new(&mut bytes);
        writer.receiver_report(Ssrc(2), &[block]).expect("room");
        writer.source_description(Ssrc(2), "peer@example").expect("room");
        let count = writer.finish();
        let to = self.scene.rtcp(1);
        self.scene.say(self.controls[1], to, &bytes[..count]);
    }

    fn changes(&self, n: usize) -> Vec<QualityChange> {
        let leg = self.scene.leg(n);
        let change = |event: &Event| match event {
            Event::QualityChanged { leg: of, change } if *of == leg => Some(*change),
            _ => None,
        };
        self.scene.events.iter().filter_map(change).collect()
    }
}

#[test]
fn random_loss_costs_what_the_model_says_and_bursts_cost_more() {
    let mut clean = Call::new();
    clean.talk(1_000, &Network::Random(0));
    let quality = clean.scene.row(0).quality.received;
    assert_eq!((quality.loss_rate, quality.burst_ms, quality.gap_ms, quality.degraded), (0, 0, 0, 0));
    assert!(quality.mos_x100 >= 436 && quality.recent_mos_x100 >= 436, "{quality:?}");

    let mut random = Call::new();
    random.talk(4_000, &Network::Random(5));
    let row = random.scene.row(0);
    let quality = row.quality.received;
    assert!((11..=15).contains(&quality.loss_rate), "5 percent: {quality:?}");
    // Ie,eff = 95 * 5 / 30.1 = 15.8; R = 92.3 - 15.8.
    assert!((740..=790).contains(&quality.r_x10) && (375..=400).contains(&quality.mos_x100), "{quality:?}");
    assert!(quality.gap_density > 0 && quality.gap_density < 26, "{quality:?}");

    let mut bursts = Call::new();
    bursts.talk(4_000, &Network::Bursts(5));
    let in_bursts = bursts.scene.row(0).quality.received;
    assert!((11..=14).contains(&in_bursts.loss_rate), "{in_bursts:?}");
    assert_eq!((in_bursts.burst_ms, in_bursts.burst_density, in_bursts.gap_density), (100, 255, 0));
    assert!((1_890..=1_990).contains(&in_bursts.gap_ms), "{in_bursts:?}");
    assert!(in_bursts.mos_x100 < quality.mos_x100, "{in_bursts:?}");
    // The other direction lost nothing.
    assert_eq!(bursts.scene.row(1).quality.received.loss_rate, 0);
}

#[test]
fn what_the_peer_reports_rates_the_stream_that_it_is_sent() {
    let mut call = Call::new();
    call.talk(300, &Network::Random(0));
    assert_eq!(call.scene.row(1).quality.sent.mos_x100, 0, "nothing is reported yet");
    call.report(0, 0);
    call.talk(300, &Network::Random(0));
    let well = call.scene.row(1).quality;
    assert!(well.sent.mos_x100 >= 436 && well.received.mos_x100 >= 436, "{well:?}");
    // One packet of five did not come: the peer says so again and again, and then no more.
    for n in 1..=3 {
        call.report(51, 60 * n);
        call.talk(300, &Network::Random(0));
    }
    let degraded = call.scene.row(1).quality.sent;
    assert!(degraded.recent_mos_x100 < 300 && degraded.degraded == 1, "{degraded:?}");
    assert_eq!(call.scene.count(MediaCounter::StreamsDegraded), 1);
    for _ in 0..4 {
        call.report(0, 180);
        call.talk(300, &Network::Random(0));
    }
    let sent = call.scene.row(1).quality.sent;
    assert!(sent.recent_mos_x100 >= 436 && sent.degraded == 0, "{sent:?}");
    assert!(sent.mos_x100 < 420, "the whole call had its loss: {sent:?}");
    let changes = call.changes(1);
    assert!(changes.iter().all(|change| change.stream == LegStream::Sent), "{changes:?}");
    let turns: Vec<_> =
        changes.iter().map(|change| (change.begins(), change.ends())).filter(|turn| turn.0 || turn.1).collect();
    assert_eq!(turns, [(true, false), (false, true)]);
    assert_eq!(call.changes(0), []);
}

#[test]
fn a_stream_that_loses_much_is_told_once_and_so_is_its_recovery() {
    let mut call = Call::new();
    call.talk(600, &Network::Random(0));
    call.talk(900, &Network::Random(25));
    call.talk(1_200, &Network::Random(0));
    let changes = call.changes(0);
    let begins: Vec<_> = changes.iter().filter(|change| change.begins()).collect();
    let ends: Vec<_> = changes.iter().filter(|change| change.ends()).collect();
    assert_eq!((begins.len(), ends.len()), (1, 1), "{changes:?}");
    assert!(begins[0].new <= QualityClass::Poor && begins[0].loss_rate > 40, "{begins:?}");
    assert_eq!(changes.last().map(|change| change.new), Some(QualityClass::Excellent));
    assert_eq!(
        (call.scene.count(MediaCounter::QualityDegraded), call.scene.count(MediaCounter::QualityRecovered)),
        (1, 1)
    );
    call.scene.close_all(contract::CloseReason::Shutdown);
    let levels = [MediaCounter::StreamsExcellent, MediaCounter::StreamsBad, MediaCounter::StreamsDegraded];
    assert_eq!(levels.map(|level| call.scene.count(level)), [0; 3]);
}

#[test]
fn a_silent_peer_is_not_judged() {
    let mut call = Call::new();
    call.talk(400, &Network::Random(0));
    let before = call.changes(0).len();
    call.scene.run(Duration::from_secs(30));
    assert_eq!(call.changes(0).len(), before);
    let reports = call.scene.heard(call.controls[0]);
    let compound = Compound::parse(&reports[0]).expect("RTCP");
    assert!(matches!(compound.iter().next(), Some(RtcpPacket::SenderReport { .. })));
}

/// The first extended report among RTCP packets, the last of them first.
fn extended(packets: &[Vec<u8>]) -> Option<ExtendedReport> {
    packets.iter().rev().find_map(|bytes| {
        Compound::parse(bytes).expect("RTCP").iter().find_map(|packet| {
            let RtcpPacket::ExtendedReport { blocks, .. } = packet else { return None };
            let mut report = ExtendedReport::default();
            for block in blocks.iter() {
                match block {
                    XrBlock::ReceiverTime { ntp } => report.receiver_ntp = Some(ntp),
                    XrBlock::Delays(delays) => report.delay = delays.iter().next(),
                    XrBlock::Voip(metrics) => report.voip = Some(metrics),
                    _ => panic!("{block:?}"),
                }
            }
            Some(report)
        })
    })
}

fn compound(ssrc: Ssrc, report: &ExtendedReport) -> Vec<u8> {
    let mut bytes = [0; 256];
    let mut writer = Writer::new(&mut bytes);
    writer.receiver_report(ssrc, &[]).expect("room");
    writer.extended_report(ssrc, report).expect("room");
    let count = writer.finish();
    bytes[..count].to_vec()
}

#[test]
fn an_extended_report_tells_how_the_stream_of_the_peer_sounds() {
    let mut call = Call::with_extended_reports();
    call.talk(1_500, &Network::Bursts(8));
    let reports = call.scene.heard(call.controls[0]);
    let metrics = extended(&reports).and_then(|report| report.voip).expect("VoIP metrics");
    let row = call.scene.row(0).quality.received;
    assert_eq!((metrics.ssrc, metrics.burst_density, metrics.gap_density), (Ssrc(1), 255, 0));
    assert!(metrics.loss_rate.abs_diff(20) <= 2 && metrics.burst_ms == 160, "{metrics:?}");
    assert!((50..=90).contains(&metrics.r_factor) && u16::from(metrics.mos_x10[1]).abs_diff(row.mos_x100 / 10) <= 1);
    assert!(metrics.mos_x10[0] >= metrics.mos_x10[1], "delay costs only the one who talks, too");
    assert!(call.scene.count(MediaCounter::XrSent) > 0);
    // What the second peer sends lost nothing.
    let reports = call.scene.heard(call.controls[1]);
    let metrics = extended(&reports).and_then(|report| report.voip).expect("VoIP metrics");
    assert_eq!((metrics.loss_rate, metrics.burst_density, metrics.burst_ms), (0, 0, 0));
    assert!(metrics.r_factor >= 91 && metrics.gap_ms > 10_000, "{metrics:?}");
}

#[test]
fn none_is_sent_to_a_peer_that_asks_for_none() {
    let mut call = Call::new();
    call.talk(300, &Network::Random(0));
    assert_eq!(extended(&call.scene.heard(call.controls[0])), None);
    assert_eq!(call.scene.count(MediaCounter::XrSent), 0);
}

/// A leg that sends no stream learns the round trip all the same (RFC 3611 §4.4, §4.5), and so does its peer.
#[test]
fn a_leg_that_only_listens_learns_its_round_trip() {
    let mut scene = Scene::new(lab());
    let (peer, control) = (scene.lab.add_peer(), scene.lab.add_peer());
    let spec = scene.spec(peer, contract::Source::None).with(|spec| {
        spec.transport.remote_rtcp = scene.lab.peer_address(control).into();
        spec.transport.rtcp |= contract::TransportSpec::EXTENDED;
    });
    scene.open(0, spec);
    scene.say(peer, scene.rtp(0), &rtp_packet(1, 1));
    scene.run(Duration::from_millis(500));
    let reports = scene.heard(control);
    let ntp = extended(&reports).and_then(|report| report.receiver_ntp).expect("our clock");
    let Some(RtcpPacket::ReceiverReport { ssrc, .. }) = Compound::parse(&reports[0]).expect("RTCP").iter().next()
    else {
        panic!("no RR")
    };
    let delay = DelayBlock { ssrc, last_rr: (ntp >> 16) as u32, delay_since_last_rr: 0 };
    let report = ExtendedReport { delay: Some(delay), receiver_ntp: Some(7 << 16), ..ExtendedReport::default() };
    scene.say(control, scene.rtcp(0), &compound(Ssrc(1), &report));
    let round_trip_us = scene.row(0).reported.round_trip_us;
    assert!((1..600_000).contains(&round_trip_us), "{round_trip_us}");
    scene.run(Duration::from_millis(500));
    let answered = extended(&scene.heard(control)).and_then(|report| report.delay).expect("DLRR");
    assert_eq!((answered.ssrc, answered.last_rr), (Ssrc(1), 7));
    assert!((1..65_536).contains(&answered.delay_since_last_rr), "{answered:?}");
}

#[test]
fn what_the_peer_says_of_itself_is_shown_and_absurd_values_are_not() {
    let mut call = Call::new();
    call.talk(100, &Network::Random(0));
    call.report(0, 0);
    let metrics = VoipMetrics {
        r_factor: 81,
        mos_x10: [41, 38],
        burst_density: 80,
        burst_ms: 240,
        discard_rate: 13,
        jitter_buffer_ms: [60, 100, 300],
        ..VoipMetrics::unknown(call.heard.0)
    };
    let to = call.scene.rtcp(1);
    let say = |call: &mut Call, metrics| {
        let report = ExtendedReport { voip: Some(metrics), ..ExtendedReport::default() };
        call.scene.say(call.controls[1], to, &compound(Ssrc(2), &report));
        call.scene.row(1)
    };
    let row = say(&mut call, metrics);
    assert_eq!((row.reported.has_metrics, row.reported.r_factor, row.reported.mos_cq_x10), (1, 81, 38));
    assert_eq!(
        (row.quality.sent.burst_ms, row.quality.sent.burst_density, row.quality.sent.discard_rate),
        (240, 80, 13)
    );
    assert_eq!(row.quality.sent.delay_ms, 100);
    assert_eq!(call.scene.count(MediaCounter::XrDoubtful), 0);
    let absurd =
        VoipMetrics { r_factor: 255, external_r_factor: 126, mos_x10: [0, 255], burst_ms: u16::MAX, ..metrics };
    let row = say(&mut call, absurd);
    assert_eq!((row.reported.r_factor, row.reported.mos_lq_x10, row.reported.mos_cq_x10), (127, 127, 127));
    assert!((100..=450).contains(&row.quality.sent.mos_x100), "{row:?}");
    assert_eq!(call.scene.count(MediaCounter::XrDoubtful), 1);
    // Metrics of a stream that is not ours say nothing of ours.
    let row = say(&mut call, VoipMetrics { r_factor: 1, ..VoipMetrics::unknown(Ssrc(99)) });
    assert_eq!(row.reported.r_factor, 127);
}

#[test]
fn blocks_that_lie_and_floods_of_them_are_counted_and_cost_nothing_else() {
    let mut call = Call::with_extended_reports();
    call.talk(100, &Network::Random(0));
    call.report(0, 0);
    let before = call.scene.row(1).quality.sent.mos_x100;
    let voip = Some(VoipMetrics { r_factor: 3, ..VoipMetrics::unknown(call.heard.0) });
    let mut lie = compound(Ssrc(2), &ExtendedReport { voip, ..ExtendedReport::default() });
    let length_at = lie.len() - 33;
    lie[length_at] = 200;
    let to = call.scene.rtcp(1);
    for n in 0..500_u64 {
        let mut bytes = lie.clone();
        if n % 2 == 1 {
            // Nothing but empty blocks, as many as a packet takes.
            bytes.truncate(16);
            (0..300).for_each(|_| bytes.extend([9, 0, 0, 0]));
            let words = (bytes.len() - 8) as u16 / 4 - 1;
            bytes[10..12].copy_from_slice(&words.to_be_bytes());
        }
        call.scene.say(call.controls[1], to, &bytes);
    }
    let row = call.scene.row(1);
    assert_eq!((row.quality.sent.mos_x100, row.reported.has_metrics), (before, 0));
    assert_eq!((call.scene.count(MediaCounter::XrReceived), call.scene.count(MediaCounter::XrDoubtful)), (500, 500));
}
