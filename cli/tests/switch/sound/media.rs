//! RTP of phones: packets that leave when they are due, and what comes meanwhile with the time of its arrival.

use super::phone::payload_type;
use audio::Resampler;
use audio::codec::{CodecFormat, CodecKind, Decoder, Encoder, PAYLOAD_BYTES_MAX, PAYLOAD_SAMPLES_MAX};
use clock::{Duration, Instant};
use std::net::{SocketAddr, UdpSocket};

/// Samples in a second of all sound that is compared.
pub(super) const RATE: u32 = 8_000;
const HEADER_BYTES: usize = 12;
const PACKET_MS: u32 = 20;

/// A packet that leaves so long after the beginning.
#[derive(Clone, Debug)]
pub(super) struct Departure {
    pub(super) at: Duration,
    pub(super) packet: Vec<u8>,
}

/// The RTP of one phone.
pub(super) struct Line {
    socket: UdpSocket,
    /// Where it sends.
    pub(super) to: Option<SocketAddr>,
    /// What it sends.
    pub(super) departures: Vec<Departure>,
    /// What came, and when.
    pub(super) arrivals: Vec<(Instant, Vec<u8>)>,
}

impl Line {
    pub(super) fn new(socket: UdpSocket) -> Self {
        socket.set_nonblocking(true).expect("a flag is set");
        Self { socket, to: None, departures: Vec::new(), arrivals: Vec::new() }
    }

    pub(super) fn port(&self) -> u16 {
        self.socket.local_addr().expect("it is bound").port()
    }

    fn receive(&mut self) {
        let mut bytes = [0; 2_048];
        while let Ok(count) = self.socket.recv(&mut bytes) {
            self.arrivals.push((clock::now(), bytes[..count].to_vec()));
        }
    }
}

/// When a run began, and by how much its latest packet missed its time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Talk {
    pub(super) began: Instant,
    pub(super) latest: Duration,
}

/// Sends what every line has to send, in time, and hears on until `after` the last departure.
pub(super) fn talk(lines: &mut [&mut Line], after: Duration) -> Talk {
    let mut order: Vec<(Duration, usize, usize)> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        order.extend(line.departures.iter().enumerate().map(|(at, departure)| (departure.at, index, at)));
    }
    order.sort();
    let began = clock::now();
    let mut next = order.into_iter().peekable();
    let mut latest = Duration::ZERO;
    let end = began + lines.iter().flat_map(|line| &line.departures).map(|it| it.at).max().unwrap_or_default() + after;
    loop {
        let now = clock::now();
        while let Some((due, index, at)) = next.next_if(|(at, ..)| began + *at <= now) {
            latest = latest.max(clock::now().since(began + due));
            let line = &mut lines[index];
            let to = line.to.expect("the call is up");
            // A refused packet of another leg's RTCP may be told here.
            let _ = line.socket.send_to(&line.departures[at].packet, to);
        }
        lines.iter_mut().for_each(|line| line.receive());
        if now >= end {
            return Talk { began, latest };
        }
        std::thread::sleep(std::time::Duration::from_micros(500));
    }
}

/// How phones of these tests encode: Opus carries 16 kHz.
pub(super) fn format(codec: CodecKind) -> CodecFormat {
    match codec {
        CodecKind::Pcmu => CodecFormat::PCMU,
        CodecKind::Pcma => CodecFormat::PCMA,
        CodecKind::G722 => CodecFormat::G722,
        CodecKind::L16 => CodecFormat::new(codec, RATE, 1).expect("L16 has 8 kHz"),
        CodecKind::Opus => CodecFormat::new(codec, 16_000, 1).expect("Opus has 16 kHz"),
    }
}

/// Sound of 8 kHz at the rate of a format, or back.
pub(super) fn resampled(sound: &[i16], from: u32, to: u32) -> Vec<i16> {
    if from == to {
        return sound.to_vec();
    }
    let mut resampler = Resampler::new(from, to, 1).expect("both are rates of codecs");
    let mut out = Vec::new();
    for piece in sound.chunks(from as usize / 50) {
        let mut room = vec![0; resampler.output_samples(piece.len())];
        let count = resampler.push(piece, &mut room);
        out.extend_from_slice(&room[..count]);
    }
    out
}

/// Sound of 8 kHz as payloads of 20 ms.
pub(super) fn encoded(codec: CodecKind, sound: &[i16]) -> Vec<Vec<u8>> {
    let format = format(codec);
    let mut encoder = Encoder::new(format);
    let sound = resampled(sound, RATE, format.sample_rate());
    let packet = |samples: &[i16]| {
        let mut payload = vec![0; PAYLOAD_BYTES_MAX];
        let bytes = encoder.encode(samples, &mut payload);
        payload.truncate(bytes);
        payload
    };
    sound.chunks_exact(format.samples_in_ms(PACKET_MS)).map(packet).collect()
}

/// The RTP packets of a stream, 20 ms apart: the stream of `ssrc` begins with number 1.
pub(super) fn stream(codec: CodecKind, ssrc: u32, sound: &[i16]) -> Vec<Departure> {
    let ticks = format(codec).ticks_in_ms(PACKET_MS);
    let packet = |(index, payload): (usize, Vec<u8>)| Departure {
        at: Duration::from_millis(u64::from(PACKET_MS)) * index as u32,
        packet: rtp(payload_type(codec), index as u16 + 1, index as u32 * ticks, ssrc, &payload),
    };
    encoded(codec, sound).into_iter().enumerate().map(packet).collect()
}

/// One RTP packet; the first of a stream is marked.
pub(super) fn rtp(payload_type: u8, seq: u16, time: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let marker = if seq == 1 { 0x80 } else { 0 };
    [&[0x80, payload_type | marker][..], &seq.to_be_bytes(), &time.to_be_bytes(), &ssrc.to_be_bytes(), payload].concat()
}

/// What a phone without concealment hears: every payload at the place that its timestamp says, silence in between.
pub(super) struct Heard {
    /// 8 kHz.
    pub(super) sound: Vec<i16>,
    /// Where in the sound each packet begins, and when it came.
    pub(super) arrivals: Vec<(usize, Instant)>,
    /// Packets that were taken.
    pub(super) packets: usize,
}

/// Decodes what came as one codec. Packets are put into their order first.
pub(super) fn heard(codec: CodecKind, arrivals: &[(Instant, Vec<u8>)]) -> Heard {
    let format = format(codec);
    let mut packets: Vec<(u16, u32, Instant, &[u8])> = Vec::new();
    for (at, bytes) in arrivals {
        if bytes.len() > HEADER_BYTES && bytes[1] & 0x7f == payload_type(codec) {
            let seq = u16::from_be_bytes([bytes[2], bytes[3]]);
            let time = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
            packets.push((seq, time, *at, &bytes[HEADER_BYTES..]));
        }
    }
    let Some(&(first_seq, first_time, ..)) = packets.first() else {
        return Heard { sound: Vec::new(), arrivals: Vec::new(), packets: 0 };
    };
    packets.sort_by_key(|(seq, ..)| seq.wrapping_sub(first_seq) as i16);
    let rate = format.sample_rate();
    let per_tick = f64::from(rate) / f64::from(format.clock_rate());
    let mut decoder = Decoder::new(format);
    let (mut sound, mut places) = (Vec::<i16>::new(), Vec::new());
    let mut samples = vec![0; PAYLOAD_SAMPLES_MAX];
    for (_, time, at, payload) in &packets {
        let count = decoder.decode(payload, &mut samples).unwrap_or(0);
        let ticks = time.wrapping_sub(first_time) as i32;
        let place = (f64::from(ticks.clamp(0, 1 << 24)) * per_tick) as usize;
        if sound.len() < place + count {
            sound.resize(place + count, 0);
        }
        sound[place..place + count].copy_from_slice(&samples[..count]);
        places.push((place * RATE as usize / rate as usize, *at));
    }
    Heard { sound: resampled(&sound, rate, RATE), arrivals: places, packets: packets.len() }
}

/// What is heard where a stream comes as it was sent, without any switch: through the codecs alone, one after the other.
pub(super) fn through(codecs: &[CodecKind], sound: &[i16], is_lost: impl Fn(usize) -> bool) -> Vec<i16> {
    let mut sound = sound.to_vec();
    for (stage, codec) in codecs.iter().enumerate() {
        let packets = stream(*codec, 1, &sound).into_iter().enumerate();
        let kept = packets.filter(|(index, _)| stage > 0 || !is_lost(*index));
        let arrivals: Vec<_> = kept.map(|(_, departure)| (Instant::ZERO + departure.at, departure.packet)).collect();
        sound = heard(*codec, &arrivals).sound;
    }
    sound
}
