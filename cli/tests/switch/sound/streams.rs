//! tshark's account of what the switch sends: whole streams of the right payload types, and no broken RTCP.

use super::media::{Departure, stream, talk};
use super::phone::{Phone, connect, renegotiate};
use super::speech::speech;
use crate::machine::{alone, plan, start};
use audio::codec::CodecKind::{self, G722, Opus, Pcma, Pcmu};
use clock::Duration;
use loadtest::capture::{SharkStream, shark_count, shark_streams};
use loadtest::peers::{Dumpcap, Switch};

/// The network of these tests is this host: more jitter is a stream that is not sent evenly.
const JITTER_MAX_MS: f64 = 20.0;
/// Seconds of each part of the calls.
const PART_S: u32 = 1;

/// Each part of its sound is said in a part of the call, with numbers that go on.
struct Speaker {
    codec: CodecKind,
    ssrc: u32,
    rest: Vec<Departure>,
    said: u32,
}

impl Speaker {
    fn new(codec: CodecKind, ssrc: u32, sound: &[i16]) -> Self {
        Self { codec, ssrc, rest: stream(codec, ssrc, sound), said: 0 }
    }

    /// The same source, whose numbers go on, in another codec.
    fn in_codec(&self, codec: CodecKind, sound: &[i16]) -> Self {
        Self { said: self.said, ..Self::new(codec, self.ssrc, sound) }
    }

    /// What is said in the next part.
    fn next(&mut self) -> Vec<Departure> {
        let from = Duration::from_secs(u64::from(self.said));
        self.said += PART_S;
        let until = Duration::from_secs(u64::from(self.said));
        let part = self.rest.iter().filter(|it| (from..until).contains(&it.at));
        part.map(|it| Departure { at: it.at - from, packet: it.packet.clone() }).collect()
    }
}

/// Everyone says the next part.
fn part(phones: &mut [&mut Phone], speakers: &mut [Speaker]) {
    for (phone, speaker) in phones.iter_mut().zip(speakers.iter_mut()) {
        phone.line.departures = if phone.codec() == speaker.codec { speaker.next() } else { Vec::new() };
    }
    talk(&mut phones.iter_mut().map(|phone| &mut phone.line).collect::<Vec<_>>(), Duration::from_millis(100));
}

/// A capture of all media that a switch sends, RTCP included, and of its SIP.
fn capture(switch: &Switch, folder: &std::path::Path) -> Dumpcap {
    let (first, last) = switch.media_ports;
    let filter = format!("udp and (port {} or src portrange {first}-{last})", switch.sip.port());
    Dumpcap::start(folder, &filter).unwrap()
}

/// Whether a stream has this codec, as tshark names it.
fn has(stream: &SharkStream, codec: CodecKind) -> bool {
    let name = match codec {
        Pcmu => "g711u",
        Pcma => "g711a",
        G722 => "g722",
        Opus => "opus",
        CodecKind::L16 => "l16",
    };
    stream.payloads.to_lowercase().contains(name)
}

/// The streams to a phone: none lost, none out of order, each of a payload type that the phone has said.
fn judge<'s>(streams: &'s [SharkStream], phone: &Phone, codecs: &[CodecKind]) -> Vec<&'s SharkStream> {
    let found: Vec<_> = streams.iter().filter(|stream| stream.to.port() == phone.line.port()).collect();
    assert!(!found.is_empty(), "{codecs:?}: nothing is sent; {streams:#?}");
    for stream in &found {
        assert_eq!((stream.lost, stream.has_problem), (0, false), "{codecs:?}: {stream:?}");
    }
    for codec in codecs {
        assert!(found.iter().any(|stream| has(stream, *codec)), "{codec:?} is missing: {found:?}");
    }
    found
}

/// Relay, transcoding, hold and resume, another codec by re-INVITE, prompts and rooms.
#[test]
fn tshark_finds_whole_streams_in_every_way_of_sending() {
    let _turn = alone();
    let sound = speech(0, 6);
    let mut phones: Vec<Phone> = [
        ("relayed-a", Pcmu),
        ("relayed-b", Pcmu),
        ("between-a", Pcma),
        ("between-b", Opus),
        ("held-a", G722),
        ("held-b", Pcmu),
        ("changed-a", Pcmu),
        ("changed-b", Pcmu),
    ]
    .map(|(name, codec)| Phone::new(name, codec))
    .into();
    let routes: Vec<_> = phones.iter().skip(1).step_by(2).map(Phone::route).collect();
    let mut forwarding = plan(20);
    forwarding.sip = format!("mode = \"b2bua\"\nroutes = {{ {} }}", routes.join(", "));
    let (forwards, forwards_folder) = start(&forwarding);
    let mut answering = plan(20);
    answering.media = "rooms = [\"room\"]".into();
    let (answers, answers_folder) = start(&answering);
    let captures = [capture(&forwards, forwards_folder.path()), capture(&answers, answers_folder.path())];

    for pair in phones.chunks_exact_mut(2) {
        let [caller, called] = pair else { panic!("pairs") };
        connect(forwards.sip, caller, called);
    }
    let mut numbers =
        [("prompt", "play", Opus), ("tone", "tone", G722), ("room-a", "room", Pcmu), ("room-b", "room", Opus)].map(
            |(name, user, codec)| {
                let mut phone = Phone::new(name, codec);
                phone.call(answers.sip, user);
                phone
            },
        );
    let mut speakers: Vec<Speaker> = phones
        .iter()
        .chain(&numbers)
        .enumerate()
        .map(|(index, phone)| Speaker::new(phone.codec(), 0x5eed_0100 + index as u32, &sound))
        .collect();
    let all = |phones: &mut Vec<Phone>, numbers: &mut [Phone; 4], speakers: &mut Vec<Speaker>| {
        part(&mut phones.iter_mut().chain(numbers.iter_mut()).collect::<Vec<_>>(), speakers);
    };
    all(&mut phones, &mut numbers, &mut speakers);
    // Held by the caller; the called phone goes on talking to nobody.
    renegotiate(&mut phones[4..6], "sendonly", "recvonly");
    // A codec that the other side has not: what was relayed is transcoded.
    phones[6].take_codec(Pcma);
    speakers[6] = speakers[6].in_codec(Pcma, &sound);
    renegotiate(&mut phones[6..8], "sendrecv", "sendrecv");
    all(&mut phones, &mut numbers, &mut speakers);
    renegotiate(&mut phones[4..6], "sendrecv", "sendrecv");
    phones[6].take_codec(Opus);
    speakers[6] = speakers[6].in_codec(Opus, &sound);
    renegotiate(&mut phones[6..8], "sendrecv", "sendrecv");
    all(&mut phones, &mut numbers, &mut speakers);
    phones.iter_mut().step_by(2).chain(&mut numbers).for_each(Phone::hang_up);

    let files = captures.map(|capture| capture.finish().unwrap());
    let streams =
        [shark_streams(&files[0], forwards.sip.port()).unwrap(), shark_streams(&files[1], answers.sip.port()).unwrap()];
    for (file, switch) in files.iter().zip([&forwards, &answers]) {
        let broken = shark_count(file, switch.sip.port(), "_ws.malformed || _ws.expert.severity == error").unwrap();
        assert_eq!(broken, 0, "{} broken packets in {}", broken, file.display());
    }
    let codecs_of = |index: usize| match index {
        6 => vec![Pcmu, Pcma, Opus],
        _ => vec![[Pcmu, Pcmu, Pcma, Opus, G722, Pcmu, Pcmu, Pcmu][index]],
    };
    for (index, phone) in phones.iter().enumerate() {
        let found = judge(&streams[0], phone, &codecs_of(index));
        assert_eq!(found.len(), 1, "one source all the time: {found:?}");
        let packets: u64 = found.iter().map(|stream| stream.packets).sum();
        let least = if index == 4 || index == 5 { 80 } else { 110 };
        assert!(packets >= least, "{index}: {packets} packets; {found:?}");
    }
    for phone in &numbers {
        let found = judge(&streams[1], phone, &[phone.codec()]);
        assert!(found.iter().map(|stream| stream.packets).sum::<u64>() > 140, "{found:?}");
        // What the switch makes itself goes on while phones pause between the parts of the call.
        assert!(found.iter().all(|stream| stream.max_jitter_ms < JITTER_MAX_MS), "{found:?}");
    }
}
