//! A relayed call over a lossy network, in virtual time.

use crate::sim::tests::{SimLab, lab};
use crate::suite::{Lab, Scene, rtp_packet};
use clock::Duration;
use contract::{Event, LegStream, QualityChange, QualityClass};
use rtp_wire::{Compound, ReportBlock, RtcpPacket, Ssrc, Writer};
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
        let mut scene = Scene::new(lab());
        let peers = (scene.lab.add_peer(), scene.lab.add_peer());
        let controls = [scene.lab.add_peer(), scene.lab.add_peer()];
        let at = controls.map(|control| scene.lab.peer_address(control));
        scene.bridge_to(peers, |n, spec| {
            spec.transport.remote_rtcp = at[n].into();
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
