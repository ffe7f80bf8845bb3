use super::*;
use std::collections::BTreeMap;

const FRAME: u32 = 160;

/// A sender, a network and a player of 20 ms in virtual time.
struct World {
    buffer: JitterBuffer,
    /// Packets on their way, by the microsecond of their arrival.
    network: BTreeMap<(u64, u64), (Seq, RtpTime, Ssrc, u8)>,
    now_us: u64,
    /// The content of the packets that were played: their index, modulo 256.
    heard: Vec<Option<u8>>,
    random: u64,
    /// Of the packet that was played last, in ticks.
    slack: i64,
}

impl World {
    fn new() -> Self {
        let buffer = JitterBuffer::new(8_000);
        Self { buffer, network: BTreeMap::new(), now_us: 1_000_000, heard: Vec::new(), random: 1, slack: 0 }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    /// Puts packet `index` on its way, sampled at `sampled_us` after the beginning.
    fn send(&mut self, index: u64, sampled_us: u64, way_us: u64) {
        let (seq, time) = (Seq(65_000).plus(index as u16), RtpTime(u32::MAX - 9_999).plus(index as u32 * FRAME));
        self.send_as(index, sampled_us + way_us, seq, time, Ssrc(7));
    }

    fn send_as(&mut self, index: u64, at_us: u64, seq: Seq, time: RtpTime, ssrc: Ssrc) {
        self.network.insert((1_000_000 + at_us, index), (seq, time, ssrc, index as u8));
    }

    /// Plays for so many frames of `frame_us`, as a player does that puts time right by leaving out whole ticks.
    fn play(&mut self, frames: usize, frame_us: u64) {
        for _ in 0..frames {
            let now = Instant::ZERO + Duration::from_micros(self.now_us);
            while let Some(entry) = self.network.first_entry().filter(|entry| entry.key().0 <= self.now_us) {
                let at = Instant::ZERO + Duration::from_micros(entry.key().0);
                let (seq, time, ssrc, content) = entry.remove();
                let payload = [content; FRAME as usize];
                self.buffer.insert(&Arrival { at, seq, time, ssrc, payload_type: 0, payload: &payload });
            }
            let heard = match self.buffer.next(now, FRAME, FRAME) {
                Next::Packet { payload, slack, .. } => {
                    self.slack = slack.0;
                    assert!(payload.iter().all(|byte| *byte == payload[0]) && payload.len() == FRAME as usize);
                    Some(payload[0])
                }
                _ => None,
            };
            if heard.is_some() {
                self.buffer.played(FRAME);
            }
            self.heard.push(heard);
            self.now_us += frame_us;
        }
    }

    fn lost_share(&self) -> f64 {
        self.heard.iter().filter(|heard| heard.is_none()).count() as f64 / self.heard.len() as f64
    }

    fn assert_in_order(&self) {
        let heard: Vec<u8> = self.heard.iter().flatten().copied().collect();
        for pair in heard.windows(2) {
            let ahead = pair[1].wrapping_sub(pair[0]);
            assert!((1..100).contains(&ahead), "{} is played after {}", pair[1], pair[0]);
        }
    }
}

#[test]
fn a_clean_stream_is_played_whole_and_waits_less_than_a_frame() {
    let mut world = World::new();
    (0..5_000).for_each(|index| world.send(index, index * 20_000, 3_000));
    world.play(5_000, 20_000);
    world.assert_in_order();
    assert!(world.heard.iter().skip(2).all(Option::is_some));
    assert!(world.buffer.delay() < Duration::from_millis(20));
    let counts = world.buffer.counts();
    assert_eq!((counts.missing, counts.late, counts.duplicates, counts.begun), (0, 0, 0, 1));
}

#[test]
fn jitter_costs_delay_and_not_packets() {
    let mut world = World::new();
    for index in 0..6_000 {
        let way = world.random(80_000);
        world.send(index, index * 20_000, way);
    }
    world.play(1_000, 20_000);
    world.heard.clear();
    world.play(4_900, 20_000);
    world.assert_in_order();
    let (lost, delay) = (world.lost_share(), world.buffer.delay());
    assert!(lost < 0.03, "{lost}");
    assert!((60..=90).contains(&delay.as_millis()), "{delay:?}");
}

#[test]
fn loss_is_told_with_the_packet_that_follows() {
    let mut world = World::new();
    for index in (0..100).filter(|index| index % 10 != 5) {
        world.send(index, index * 20_000, 1_000);
    }
    // Two packets come before each one is played, so that the next one is there.
    let (mut lost, mut with_following) = (0, 0);
    world.now_us += 50_000;
    for _ in 0..90 {
        let now = Instant::ZERO + Duration::from_micros(world.now_us);
        while let Some(entry) = world.network.first_entry().filter(|entry| entry.key().0 <= world.now_us) {
            let at = Instant::ZERO + Duration::from_micros(entry.key().0);
            let (seq, time, ssrc, content) = entry.remove();
            let payload = [content; 4];
            world.buffer.insert(&Arrival { at, seq, time, ssrc, payload_type: 0, payload: &payload });
        }
        match world.buffer.next(now, FRAME, FRAME) {
            Next::Lost { following } => {
                lost += 1;
                with_following += usize::from(following.is_some_and(|payload| payload[0] % 10 == 6));
            }
            Next::Packet { .. } => world.buffer.played(FRAME),
            _ => {}
        }
        world.now_us += 20_000;
    }
    assert_eq!((lost, with_following), (9, 9));
    assert_eq!(world.buffer.counts().missing, 9);
}

#[test]
fn copies_and_packets_in_the_wrong_order_are_put_right() {
    let mut world = World::new();
    for index in 0..2_000_u64 {
        // Every second one is overtaken by the next, and each comes twice.
        let way = if index % 2 == 0 { 25_000 } else { 1_000 };
        world.send(index, index * 20_000, way);
        let (seq, time) = (Seq(65_000).plus(index as u16), RtpTime(u32::MAX - 9_999).plus(index as u32 * FRAME));
        world.send_as(index + 10_000_000, index * 20_000 + way + 10, seq, time, Ssrc(7));
    }
    for packet in world.network.values_mut() {
        packet.3 = (packet.0.since(Seq(65_000))) as u8;
    }
    world.play(1_000, 20_000);
    world.heard.clear();
    world.play(900, 20_000);
    world.assert_in_order();
    assert!(world.lost_share() < 0.01, "{}", world.lost_share());
    let counts = world.buffer.counts();
    assert!(counts.duplicates + counts.late >= 1_890, "{counts:?}");
}

#[test]
fn what_a_gap_of_the_network_held_up_does_not_stay_late() {
    let mut world = World::new();
    for index in 0..1_000_u64 {
        // Between 4 s and 5 s nothing comes; then all of it at once.
        let sampled = index * 20_000;
        let way = if (4_000_000..5_000_000).contains(&sampled) { 5_000_000 - sampled } else { 2_000 };
        world.send(index, sampled, way);
    }
    world.play(300, 20_000);
    world.assert_in_order();
    let skipped = world.buffer.counts().skipped;
    assert!((30..50).contains(&skipped), "{skipped} of 50 are left out");
    world.play(650, 20_000);
    // The player of this test never puts anything right; the buffer says by how much it should.
    assert!(world.slack > 0 && world.slack < 8 * 310, "{}", world.slack);
}

#[test]
fn silence_of_the_sender_is_no_loss() {
    let mut world = World::new();
    (0..50).for_each(|index| world.send(index, index * 20_000, 1_000));
    for index in 50..100 {
        // Two seconds of silence: numbers go on, time jumps (RFC 3551 §4.1).
        let (seq, time) =
            (Seq(65_000).plus(index as u16), RtpTime(u32::MAX - 9_999).plus((index as u32 + 100) * FRAME));
        world.send_as(index, (index + 100) * 20_000 + 1_000, seq, time, Ssrc(7));
    }
    world.play(205, 20_000);
    let counts = world.buffer.counts();
    assert_eq!((counts.missing, counts.played, counts.begun), (0, 100, 1));
    let heard = &world.heard[..200];
    let first_after = heard.iter().rposition(Option::is_none).unwrap() + 1;
    assert!((150..=152).contains(&first_after), "heard again with frame {first_after}");
}

#[test]
fn another_source_or_a_jump_of_the_numbers_begins_anew() {
    let mut world = World::new();
    let mut at = 0;
    for (count, seq, time, ssrc) in [(50, 100, 0, 1), (50, 30_000, 5_000, 1), (50, 30_050, 7, 1), (50, 9, 9, 2)] {
        for index in 0..count {
            world.send_as(
                at,
                at * 20_000,
                Seq(seq).plus(index),
                RtpTime(time).plus(u32::from(index) * FRAME),
                Ssrc(ssrc),
            );
            at += 1;
        }
    }
    world.play(210, 20_000);
    let counts = world.buffer.counts();
    assert_eq!(counts.begun, 4, "{counts:?}");
    // Of a jump the first packet is not believed.
    assert!(counts.played >= 190, "{counts:?}");
}

#[test]
fn nothing_that_comes_can_break_it() {
    let mut world = World::new();
    for round in 0..200_000_u64 {
        let (seq, time) = (world.random(1 << 16) as u16, world.random(1 << 32) as u32);
        let near = world.random(3) > 0;
        let seq = if near { Seq(seq % 64) } else { Seq(seq) };
        let time = if near { RtpTime(time % 16_000) } else { RtpTime(time) };
        let payload = vec![round as u8; world.random(2_000) as usize];
        let ssrc = Ssrc(world.random(20).saturating_sub(17) as u32);
        let at = Instant::ZERO + Duration::from_micros(world.now_us);
        world.buffer.insert(&Arrival { at, seq, time, ssrc, payload_type: seq.0 as u8, payload: &payload });
        if world.random(2) == 0
            && let Next::Packet { .. } = world.buffer.next(at, FRAME, FRAME)
        {
            let ticks = world.random(1 << 20) as u32;
            world.buffer.played(ticks);
        }
        world.now_us += world.random(40_000);
    }
    // A sound stream that follows is played as if nothing had been.
    let begun = world.now_us - 1_000_000;
    for index in 0..200 {
        let (seq, time) = (Seq(500).plus(index as u16), RtpTime(index as u32 * FRAME));
        world.send_as(index, begun + index * 20_000, seq, time, Ssrc(77));
    }
    world.now_us += 4_000;
    world.heard.clear();
    world.play(205, 20_000);
    assert!(world.heard[..200].iter().filter(|heard| heard.is_some()).count() >= 197);
}

#[test]
fn clocks_that_differ_show_as_excess_and_lose_nothing() {
    for frame_us in [19_996, 20_004] {
        let mut world = World::new();
        (0..30_000).for_each(|index| world.send(index, index * 20_000, 2_000));
        let mut corrections = 0;
        for _ in 0..29_000 {
            world.play(1, frame_us);
            // A player that leaves out or repeats 5 ms, where 10 ms are too much or any too few.
            match world.slack {
                slack if slack > 80 => (world.now_us, corrections) = (world.now_us - 5_000, corrections + 1),
                slack if slack < 0 => (world.now_us, corrections) = (world.now_us + 5_000, corrections + 1),
                _ => {}
            }
        }
        world.assert_in_order();
        // Ten minutes at 200 ppm are 116 ms.
        assert!((10..60).contains(&corrections), "{corrections} of 5 ms at {frame_us}");
        assert!(world.lost_share() < 0.002, "{} at {frame_us}", world.lost_share());
    }
}
