mod relayed;

use super::*;
use contract::{Codec, Direction, LegSpec, OpusParameters, RtcpMode};
use proptest::prelude::*;

const BOTH: [AudioFormat; 2] = [AudioFormat::of(Codec::Pcmu), AudioFormat::of(Codec::Pcma)];
const SETTINGS: Settings<'static> = Settings {
    codecs: &BOTH,
    relays_all: false,
    order: CodecOrder::Offerer,
    telephone_event: true,
    direction: Direction::Both,
    packets: None,
    opus: None,
    source: None,
    rtcp_xr: RtcpXr::Answered,
};

fn local() -> Local {
    Local { ip: "192.0.2.9".parse().unwrap(), port: 10_000 }
}

/// A description with a session-level address and these lines after `t=`.
fn sdp(rest: &str) -> Vec<u8> {
    let head = "v=0\r\no=alice 1 1 IN IP4 192.0.2.1\r\ns=call\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
    format!("{head}{}", rest.replace('\n', "\r\n")).into_bytes()
}

fn read(rest: &str) -> Result<Offer, SdpError> {
    Offer::read(&sdp(rest), &SETTINGS)
}

fn agreed(rest: &str) -> Negotiated {
    read(rest).unwrap().agreed().clone()
}

fn payloads(agreed: &Negotiated) -> Vec<(u8, Codec)> {
    agreed.payloads.iter().map(|(number, codec, _)| (number, codec)).collect()
}

/// What a leg is told of an agreement.
fn spec(agreed: &Negotiated) -> LegSpec {
    LegSpec::default().with(|spec| {
        spec.transport.remote_rtp = agreed.remote_rtp.into();
        spec.transport.remote_rtcp = agreed.remote_rtcp.filter(|_| !agreed.rtcp_mux).into();
        spec.formats.payloads = agreed.payloads;
        spec.flow.direction = agreed.direction as u8;
        spec.formats.ptime_ms = agreed.ptime_ms;
        spec.transport.rtcp = if agreed.rtcp_mux { RtcpMode::Mux } else { RtcpMode::Pair } as u8;
    })
}

#[test]
fn a_usual_offer_gets_a_usual_answer() {
    let offer = read("m=audio 4000 RTP/AVP 8 0 101\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\n").unwrap();
    let mut origin = Origin::new(40);
    let answer = offer.answer(local(), &mut origin);
    assert_eq!(
        answer.replace("\r\n", "\n"),
        "v=0\no=ringplane 10 1 IN IP4 192.0.2.9\ns=-\nc=IN IP4 192.0.2.9\nt=0 0\nm=audio 10000 RTP/AVP 8 0 101\n\
         a=rtpmap:8 PCMA/8000\na=rtpmap:0 PCMU/8000\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16\n\
         a=ptime:20\na=sendrecv\n"
    );
    let agreed = offer.agreed();
    assert_eq!(agreed.remote_rtp, Some("192.0.2.1:4000".parse().unwrap()));
    assert_eq!(agreed.remote_rtcp, Some("192.0.2.1:4001".parse().unwrap()));
    assert_eq!(agreed.payloads.audio(), Some((8, Codec::Pcma)));
    let spec = spec(agreed);
    assert_eq!((spec.check(), spec.transport.rtcp(), spec.flow.direction()), (Ok(()), RtcpMode::Pair, Direction::Both));
}

#[test]
fn whose_order_counts_is_a_setting() {
    let ours = Settings { order: CodecOrder::Ours, ..SETTINGS };
    let offer = Offer::read(&sdp("m=audio 4000 RTP/AVP 101 8 0\na=rtpmap:101 telephone-event/8000\n"), &ours).unwrap();
    assert_eq!(payloads(offer.agreed()), [(0, Codec::Pcmu), (8, Codec::Pcma), (101, Codec::TelephoneEvent)]);
    let silent = Settings { telephone_event: false, codecs: &BOTH[1..], ..SETTINGS };
    let offer =
        Offer::read(&sdp("m=audio 4000 RTP/AVP 0 8 101\na=rtpmap:101 telephone-event/8000\n"), &silent).unwrap();
    assert_eq!(payloads(offer.agreed()), [(8, Codec::Pcma)]);
}

#[test]
fn payload_types_are_the_offerers() {
    let map = "m=audio 4000 RTP/AVP 18 97 0 98 99\na=rtpmap:97 pcma/8000/1\na=rtpmap:98 TELEPHONE-EVENT/8000\n\
               a=rtpmap:99 telephone-event/48000\na=rtpmap:18 G729/8000\na=rtpmap:50 PCMU/8000\n";
    assert_eq!(payloads(&agreed(map)), [(97, Codec::Pcma), (0, Codec::Pcmu), (98, Codec::TelephoneEvent)]);
    // A static number that is mapped to something else is something else.
    assert_eq!(read("m=audio 4000 RTP/AVP 0\na=rtpmap:0 L16/44100\n").unwrap_err(), SdpError::NoCodec);
}

#[test]
fn a_codec_that_comes_twice_is_taken_once() {
    let twice = "m=audio 4000 RTP/AVP 0 97\na=rtpmap:97 PCMU/8000\n";
    assert_eq!(payloads(&agreed(twice)), [(0, Codec::Pcmu)]);
}

#[test]
fn other_media_is_refused_in_its_place() {
    let lines =
        "m=video 6000 RTP/AVP 31 32\nm=audio 5000 RTP/SAVP 0\nm=audio 4000 RTP/AVPF 0\nm=message 7 TCP/MSRP *\n";
    let offer = read(lines).unwrap();
    let answer = offer.answer(local(), &mut Origin::new(4));
    let media: Vec<&str> = answer.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        media,
        ["m=video 0 RTP/AVP 31", "m=audio 0 RTP/SAVP 0", "m=audio 10000 RTP/AVPF 0", "m=message 0 TCP/MSRP *"]
    );
    let mut origin = Origin::new(4);
    let later = write_offer(&SETTINGS, offer.others(), local(), &mut origin);
    assert_eq!(later.lines().filter(|line| line.starts_with("m=")).count(), 4);
    assert_eq!(later.lines().filter(|line| line.starts_with("m=")).nth(2), Some("m=audio 10000 RTP/AVP 0 8 101"));
}

#[test]
fn directions_meet() {
    use Direction::*;
    for (offered, wanted, expected) in [
        ("sendrecv", Both, Both),
        ("sendonly", Both, Receive),
        ("recvonly", Both, Send),
        ("inactive", Both, Inactive),
        ("sendrecv", Send, Send),
        ("sendonly", Send, Inactive),
        ("recvonly", Receive, Inactive),
    ] {
        let settings = Settings { direction: wanted, ..SETTINGS };
        let offer = Offer::read(&sdp(&format!("m=audio 4000 RTP/AVP 0\na={offered}\n")), &settings).unwrap();
        assert_eq!(offer.agreed().direction, expected, "{offered} against {wanted:?}");
    }
    let session_level = "a=sendonly\nm=audio 4000 RTP/AVP 0\n";
    assert_eq!(agreed(session_level).direction, Receive);
    let media_level = "a=sendonly\nm=audio 4000 RTP/AVP 0\na=sendrecv\n";
    assert_eq!(agreed(media_level).direction, Both);
    assert!(read(session_level).unwrap().answer(local(), &mut Origin::new(4)).contains("a=recvonly"));
}

#[test]
fn an_address_of_zeros_is_hold() {
    let held = agreed("m=audio 4000 RTP/AVP 0\nc=IN IP4 0.0.0.0\n");
    assert_eq!((held.remote_rtp, held.direction), (None, Direction::Receive));
    let held = agreed("m=audio 4000 RTP/AVP 0\nc=IN IP6 ::\na=recvonly\n");
    assert_eq!((held.remote_rtp, held.direction), (None, Direction::Inactive));
}

#[test]
fn rtcp_goes_where_it_is_asked_to() {
    let rtcp = |lines: &str| agreed(&format!("m=audio 4000 RTP/AVP 0\n{lines}")).remote_rtcp.unwrap().to_string();
    assert_eq!(rtcp("a=rtcp:5000\n"), "192.0.2.1:5000");
    assert_eq!(rtcp("a=rtcp:5000 IN IP4 198.51.100.4\n"), "198.51.100.4:5000");
    assert_eq!(rtcp("a=rtcp:x\n"), "192.0.2.1:4001");
    assert_eq!(agreed("m=audio 65535 RTP/AVP 0\n").remote_rtcp, None);
    let mux = read("m=audio 4000 RTP/AVP 0\na=rtcp-mux\n").unwrap();
    assert!(mux.agreed().rtcp_mux && mux.answer(local(), &mut Origin::new(4)).contains("a=rtcp-mux\r\n"));
    let spec = spec(mux.agreed());
    assert!(spec.transport.rtcp() == RtcpMode::Mux && spec.transport.remote_rtcp.is_none());
}

#[test]
fn packet_time_is_what_the_peer_wants_and_we_can_make() {
    let ptime = |lines: &str| agreed(&format!("m=audio 4000 RTP/AVP 0\n{lines}")).ptime_ms;
    assert_eq!((ptime(""), ptime("a=ptime:30\n"), ptime("a=ptime:0\n"), ptime("a=ptime:x\n")), (20, 30, 20, 20));
    assert_eq!((ptime("a=ptime:60\na=maxptime:45\n"), ptime("a=ptime:200\n"), ptime("a=maxptime:5\n")), (40, 60, 10));
}

#[test]
fn addresses_of_both_families_and_levels() {
    let six = agreed("m=audio 4000 RTP/AVP 0\nc=IN IP6 2001:db8::1\n");
    assert_eq!(six.remote_rtp, Some("[2001:db8::1]:4000".parse().unwrap()));
    let answer = read("m=audio 4000 RTP/AVP 0\n").unwrap();
    let text = answer.answer(Local { ip: "2001:db8::9".parse().unwrap(), port: 2 }, &mut Origin::new(4));
    assert!(text.contains("c=IN IP6 2001:db8::9\r\n") && text.contains("IN IP6 2001:db8::9\r\ns=-"));
    // No multicast session without its TTL: a mistake, which costs the call nothing and sends nothing to strangers.
    for nowhere in ["224.2.1.1", "255.255.255.255"] {
        let agreed = agreed(&format!("m=audio 4000 RTP/AVP 0\nc=IN IP4 {nowhere}\n"));
        assert_eq!((agreed.remote_rtp, agreed.remote_rtcp, agreed.direction), (None, None, Direction::Both));
    }
    let error = read("m=audio 4000 RTP/AVP 0\nc=IN IP4 224.2.1.1/127\n").unwrap_err();
    assert_eq!((error, error.warning_code()), (SdpError::NoUnicast, 330));
    // The second stream may be the one that fits.
    let second = agreed("m=audio 4000 RTP/AVP 18\nm=audio 4002 RTP/AVP 0\n");
    assert_eq!(second.remote_rtp.unwrap().port(), 4_002);
}

#[test]
fn refusals_have_their_status() {
    for (text, status, warning) in [
        ("m=audio 4000 RTP/AVP 18\n", 488, 305),
        ("m=audio 0 RTP/AVP 0\n", 488, 304),
        ("m=audio 0 RTP/AVP 0\nm=image 4002 udptl t38\n", 488, 304),
        ("m=audio 0 RTP/AVP 0\nm=image 0 udptl t38\n", 488, 304),
        ("m=video 4000 RTP/AVP 0\n", 488, 304),
        ("m=audio 4000 RTP/SAVP 0\n", 488, 302),
        ("m=audio 4000 UDP/TLS/RTP/SAVPF 0\n", 488, 302),
        ("m=audio 4000 RTP/SAVP 0\nm=audio 4002 RTP/AVP 18\n", 488, 305),
        ("m=audio 4000 RTP/AVP 18\nm=audio 4002 RTP/SAVP 0\n", 488, 305),
        ("m=audio 4000\n", 488, 305),
        ("m=audio 4000 RTP/AVP\n", 488, 305),
        ("m=audio RTP/AVP 0\n", 488, 304),
        ("m=audio\n", 488, 304),
        ("m=audio 70000 RTP/AVP 0\n", 488, 304),
        ("m=audio 4000 RTP/AVP 200\n", 488, 305),
        ("m=\n", 400, 399),
        ("x\n", 400, 399),
        ("", 488, 304),
    ] {
        let error = read(text).unwrap_err();
        assert_eq!((error.status(), error.warning_code()), (status, warning), "{text:?}");
    }
    let refused = |bytes: &[u8]| Offer::read(bytes, &SETTINGS).unwrap_err();
    assert_eq!(refused(b""), SdpError::NotSdp);
    assert_eq!(refused(b" \r\n\0"), SdpError::NotSdp);
    assert_eq!(refused(b"hello=1\r\n"), SdpError::Line(1));
    assert_eq!(refused(b"v=1\r\n"), SdpError::NotSdp);
    assert_eq!(refused(b"v=0\r\ns=-\r\n"), SdpError::NotSdp);
    assert_eq!(refused(&[b'v'; DESCRIPTION_BYTES_MAX + 1]), SdpError::TooLong);
    assert_eq!(refused(&sdp(&"m=video 1 RTP/AVP 0\n".repeat(17))), SdpError::TooManyMedia);
}

#[test]
fn the_version_grows_with_every_change_and_only_then() {
    let version = |text: &str| text.lines().nth(1).unwrap().split(' ').nth(2).unwrap().to_string();
    let mut origin = Origin::new(4);
    let up = read("m=audio 4000 RTP/AVP 0\n").unwrap();
    let held = read("m=audio 4000 RTP/AVP 0\na=sendonly\n").unwrap();
    let texts = [&up, &up, &held, &up].map(|offer| version(&offer.answer(local(), &mut origin)));
    assert_eq!(texts, ["1", "1", "2", "3"]);
}

#[test]
fn a_late_offer_is_answered_in_the_ack() {
    let mut origin = Origin::new(4);
    let others = OtherMedia::default();
    let offer = write_offer(&SETTINGS, &others, local(), &mut origin);
    assert!(offer.contains("m=audio 10000 RTP/AVP 0 8 101\r\n") && offer.contains("a=rtcp-mux"));
    let answer = sdp("m=audio 4000 RTP/AVP 8 101\na=rtpmap:101 telephone-event/8000\na=sendonly\n");
    let agreed = read_answer(&answer, &SETTINGS, &others).unwrap();
    assert_eq!(payloads(&agreed), [(8, Codec::Pcma), (101, Codec::TelephoneEvent)]);
    assert_eq!((agreed.direction, agreed.rtcp_mux), (Direction::Receive, false));
    let refused = |rest: &str| read_answer(&sdp(rest), &SETTINGS, &others).unwrap_err();
    assert_eq!(refused(""), SdpError::NoAnswer);
    assert_eq!(refused("m=audio 0 RTP/AVP 0\n"), SdpError::NoAudio);
    assert_eq!(refused("m=audio 4000 RTP/AVP 18\n"), SdpError::NoCodec);
    assert_eq!(refused("m=audio 4000 RTP/AVP 0\nm=video 0 RTP/AVP 0\n"), SdpError::NoAnswer);
}

#[test]
fn two_of_us_agree() {
    let (others, mut origin) = (OtherMedia::default(), Origin::new(4));
    let text = write_offer(&SETTINGS, &others, local(), &mut origin);
    let offer = Offer::read(text.as_bytes(), &SETTINGS).unwrap();
    let answer = offer.answer(Local { ip: "192.0.2.2".parse().unwrap(), port: 12_000 }, &mut Origin::new(8));
    let agreed = read_answer(answer.as_bytes(), &SETTINGS, &others).unwrap();
    assert_eq!(agreed.remote_rtp, Some("192.0.2.2:12000".parse().unwrap()));
    assert_eq!(agreed.payloads, offer.agreed().payloads);
    assert!(agreed.rtcp_mux && offer.agreed().rtcp_mux);
}

/// What bug reports of other projects are full of: read, and answered in place.
#[test]
fn sloppy_descriptions_are_read() {
    let usual = "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\n";
    for text in [
        format!("\r\n{usual}"),
        format!("\r\n\n \r\n{usual}"),
        usual.trim_end().to_owned(),
        usual.replace("\r\n", "\n"),
        usual.replace("\r\n", "\n").trim_end().to_owned(),
        format!("{usual}\0"),
        format!("{usual}\r\n\0\0"),
        format!("{usual}   "),
        usual.replace("\r\n", "  \r\n"),
        usual.replace("s=-\r\n", "s=-\r\n\r\n"),
        usual.replace("t=0 0\r\n", ""),
        usual.replace("s=-\r\n", ""),
        usual.replace("o=a 1 1 IN IP4 192.0.2.1\r\n", ""),
        usual.replace("o=a 1 1 IN IP4 192.0.2.1", "o=- 99999999999999999999999 -1 IN IP4"),
        usual.replace("o=a 1 1", "o=a b c 1 1"),
        usual.replace("t=0 0", "b=AS:64\r\nb=TIAS:64000\r\nt=0 0\r\na=x-mine:1\r\na=\r\nk=clear:x\r\nz=0 0"),
        usual.replace("RTP/AVP 0 8", "RTP/AVP 0 8 200 x 0 8"),
        usual.replace("audio 4000", "audio 4000/1"),
        usual.replace("audio 4000 ", "audio\t4000  "),
        usual.replace("c=IN IP4 192.0.2.1", "c=IN IP4 192.0.2.1 and more\r\nc=IN IP4 192.0.2.99"),
        usual.replace("c=IN IP4 192.0.2.1\r\n", "") + "c=IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.99\r\n",
        usual.replace("c=IN", "c=in").replace("IP4", "ip4"),
    ] {
        let offer = Offer::read(text.as_bytes(), &SETTINGS).unwrap_or_else(|error| panic!("{error}: {text:?}"));
        assert_eq!(payloads(offer.agreed()), [(0, Codec::Pcmu), (8, Codec::Pcma)], "{text:?}");
        assert_eq!(offer.agreed().remote_rtp, Some("192.0.2.1:4000".parse().unwrap()), "{text:?}");
    }
    // Attributes before the first media line hold for all of them, also those that belong to one.
    let early = "a=rtpmap:96 PCMA/8000\na=rtpmap:97 telephone-event/8000\na=SendOnly \nm=audio 4000 RTP/AVP 96 97\n";
    assert_eq!(payloads(&agreed(early)), [(96, Codec::Pcma), (97, Codec::TelephoneEvent)]);
    assert_eq!(agreed(early).direction, Direction::Receive);
    let without_rate = "m=audio 4000 RTP/AVP 0 99\na=rtpmap:0  PCMU\na=rtpmap:99\ttelephone-event/8000\n";
    assert_eq!(payloads(&agreed(without_rate)), [(0, Codec::Pcmu), (99, Codec::TelephoneEvent)]);
}

#[test]
fn lines_without_port_or_formats_are_refused_in_their_place() {
    let lines = "m=video\nm=text 4010\nm=image 4012 udptl\nm=audio RTP/AVP 0\nm=audio 4014 RTP/AVP\nm=audio 4000 RTP/AVP 8\n\
                 m=message TCP/MSRP *\nm=x 70000 RTP/AVP 9\nm=audio 4016 RTP/SAVP 0 8\n";
    let offer = read(lines).unwrap();
    assert_eq!(offer.agreed().remote_rtp, Some("192.0.2.1:4000".parse().unwrap()));
    let answer = offer.answer(local(), &mut Origin::new(4));
    let media: Vec<&str> = answer.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        media,
        [
            "m=video 0 RTP/AVP 0",
            "m=text 0 RTP/AVP 0",
            "m=image 0 udptl *",
            "m=audio 0 RTP/AVP 0",
            "m=audio 0 RTP/AVP 0",
            "m=audio 10000 RTP/AVP 8",
            "m=message 0 TCP/MSRP *",
            "m=x 0 RTP/AVP 9",
            "m=audio 0 RTP/SAVP 0",
        ]
    );
}

/// No name is looked up here: media goes to where signaling comes from, or to where the peer's media comes from.
#[test]
fn a_host_name_in_c_is_no_reason_to_refuse() {
    let source: std::net::IpAddr = "198.51.100.7".parse().unwrap();
    let known = Settings { source: Some(source), ..SETTINGS };
    let head = "v=0\r\no=a 1 1 IN IP4 phone.example.com\r\ns=-\r\nt=0 0\r\n";
    for connection in ["c=IN IP4 phone.example.com\r\n", "c=IN IP6 phone.example.com\r\n", "c=IN IP4\r\n", "c=\r\n"] {
        for text in [
            format!("{head}{connection}m=audio 4000 RTP/AVP 0\r\n"),
            format!("{head}m=audio 4000 RTP/AVP 0\r\n{connection}"),
        ] {
            let offer = Offer::read(text.as_bytes(), &known).unwrap();
            assert_eq!(offer.agreed().remote_rtp, Some((source, 4_000).into()), "{text}");
            assert_eq!(offer.agreed().remote_rtcp, Some((source, 4_001).into()), "{text}");
            let answer = read_answer(text.as_bytes(), &known, &OtherMedia::default()).unwrap();
            assert_eq!((answer.remote_rtp, answer.direction), (Some((source, 4_000).into()), Direction::Both));
            let unknown = Offer::read(text.as_bytes(), &SETTINGS).unwrap().agreed().clone();
            assert_eq!((unknown.remote_rtp, unknown.direction), (None, Direction::Both), "{text}");
        }
    }
}

/// RFC 8866 §5.7: a stream that is on has to say where it goes; nobody's silence sends media anywhere.
#[test]
fn a_description_without_any_c_is_refused() {
    let known = Settings { source: Some("198.51.100.7".parse().unwrap()), ..SETTINGS };
    let head = "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n";
    for lines in ["m=audio 4000 RTP/AVP 0\r\n", "m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n"] {
        let text = format!("{head}{lines}");
        let error = Offer::read(text.as_bytes(), &known).unwrap_err();
        assert_eq!((error, error.status(), error.warning_code()), (SdpError::NoConnection, 488, 399));
        let answer = read_answer(text.as_bytes(), &known, &OtherMedia::default());
        assert_eq!(answer.unwrap_err(), SdpError::NoConnection);
    }
    // Another stream than ours need not be complete, nor one that is off.
    let other = format!(
        "{head}m=audio 0 RTP/AVP 18\r\nm=audio 4002 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\nm=video 4004 RTP/AVP 96\r\n"
    );
    assert!(Offer::read(other.as_bytes(), &known).is_ok());
}

/// What one side of a relay says about its packets is what the other one is told.
#[test]
fn packet_times_are_passed_on() {
    let packets = agreed("m=audio 4000 RTP/AVP 0\na=ptime:30\na=maxptime:200\n").packets;
    let said = |text: String| -> Vec<String> {
        text.lines().filter(|line| line.contains("ptime")).map(str::to_owned).collect()
    };
    let settings = Settings { packets: Some(packets), ..SETTINGS };
    let offer = write_offer(&settings, &OtherMedia::default(), local(), &mut Origin::new(4));
    assert_eq!(said(offer), ["a=ptime:30", "a=maxptime:200"]);
    let offer = Offer::read(&sdp("m=audio 4000 RTP/AVP 0\na=ptime:40\n"), &settings).unwrap();
    assert_eq!(said(offer.answer(local(), &mut Origin::new(4))), ["a=ptime:30", "a=maxptime:200"]);
    let unsaid = Settings { packets: Some(Packets::default()), ..SETTINGS };
    let offer = Offer::read(&sdp("m=audio 4000 RTP/AVP 0\na=ptime:40\n"), &unsaid).unwrap();
    assert_eq!(said(offer.answer(local(), &mut Origin::new(4))), ["a=ptime:20"]);
    assert_eq!(offer.agreed().ptime_ms, 40, "what we make ourselves is what the peer wants");
}

#[test]
fn the_first_audio_line_that_can_be_used_is_used() {
    for (lines, port) in [
        ("m=audio 0 RTP/AVP 0\nm=audio 4002 RTP/AVP 0\n", 4_002),
        ("m=audio 4000 RTP/AVP 18\nm=audio 4002 RTP/AVP 0\n", 4_002),
        ("m=audio 4000 RTP/SAVP 0\nm=audio 4002 RTP/AVP 0\n", 4_002),
        ("m=audio 4000 RTP/AVP 0\nm=audio 4002 RTP/SAVP 0\n", 4_000),
        ("m=image 4000 udptl t38\nm=audio 4002 RTP/AVP 0\n", 4_002),
    ] {
        assert_eq!(agreed(lines).remote_rtp.unwrap().port(), port, "{lines}");
    }
}

proptest! {
    #[test]
    fn no_bytes_can_hurt(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Offer::read(&bytes, &SETTINGS);
        let _ = read_answer(&bytes, &SETTINGS, &OtherMedia::default());
    }

    #[test]
    fn no_lines_can_hurt_and_answers_are_read_again(lines in proptest::collection::vec(
        "(m=(audio|video|image)( [0-9]{1,6}(/2)?)?( (RTP/S?AVPF?|udptl))?( [0-9]{1,3}){0,4}|a=(rtpmap:[0-9]{1,3} [A-Za-z-]{4}/8000|rtcp:[0-9]{1,6}|ptime:[0-9]{1,4}|sendonly|rtcp-mux)|c=IN IP[46] [0-9:.]{1,12}|[ -~]{0,20})",
        0..30,
    )) {
        if let Ok(offer) = read(&(lines.join("\n") + "\n")) {
            let answer = offer.answer(local(), &mut Origin::new(4));
            prop_assert!(Offer::read(answer.as_bytes(), &SETTINGS).is_ok(), "{answer}");
            // RFC 3264 §6: as many media lines as the offer, of the same media in the same order.
            let kinds = |text: &str| -> Vec<String> {
                let lines = text.lines().filter_map(|line| line.strip_prefix("m="));
                lines.map(|line| line.split_ascii_whitespace().next().unwrap_or_default().to_owned()).collect()
            };
            prop_assert_eq!(kinds(&answer), kinds(&lines.join("\n")), "{}", answer);
            let on = answer.lines().filter(|line| line.starts_with("m=") && !line.contains(" 0 ")).count();
            prop_assert!(on <= 1, "{answer}");
            prop_assert_eq!(spec(offer.agreed()).check(), Ok(()));
        }
    }
}

#[test]
fn a_later_offer_keeps_payload_types_and_turns_direction() {
    let agreed = agreed("m=audio 4000 RTP/AVP 8 96\na=rtpmap:96 telephone-event/8000\n");
    let settings = Settings { direction: Direction::Send, ..SETTINGS };
    let text = write_offer_again(&agreed, &settings, &OtherMedia::default(), local(), &mut Origin::new(4));
    assert!(text.contains("m=audio 10000 RTP/AVP 8 96\r\n") && text.contains("a=sendonly\r\n"), "{text}");
}

/// The other side of a relay says what it wants of Opus; alone we want repair of lost packets.
#[test]
fn what_the_other_side_wants_of_opus_is_passed_on() {
    let all = Settings { codecs: &[Codec::Opus.into(), Codec::Pcmu.into()], ..SETTINGS };
    let wanted = OpusParameters::default().with_playback_rate(16_000).with_bitrate(24_000).with_dtx(true);
    let text = sdp("m=audio 4000 RTP/AVP 96 0\na=rtpmap:96 opus/48000/2\na=fmtp:96 stereo=1\n");
    for (opus, said) in [
        (None, Some("a=fmtp:96 useinbandfec=1")),
        (Some(wanted), Some("a=fmtp:96 maxplaybackrate=16000;maxaveragebitrate=24000;usedtx=1")),
        (Some(OpusParameters::default()), None),
    ] {
        let settings = Settings { opus, ..all };
        let offer = Offer::read(&text, &settings).unwrap();
        assert!(offer.agreed().opus.is_stereo());
        let local = local();
        for text in [
            offer.answer(local, &mut Origin::new(40)),
            write_offer(&settings, &OtherMedia::default(), local, &mut Origin::new(40)),
            write_offer_again(offer.agreed(), &settings, &OtherMedia::default(), local, &mut Origin::new(40)),
        ] {
            assert_eq!(text.lines().find(|line| line.starts_with("a=fmtp:96")), said, "{text}");
        }
    }
}

/// An `a=rtpmap` that gives a codec another clock or another number of channels names no codec that we know.
#[test]
fn clocks_and_channels_that_a_codec_does_not_have_are_refused() {
    let all = Settings { codecs: &[Codec::Opus, Codec::G722, Codec::Pcmu].map(AudioFormat::of), ..SETTINGS };
    for lie in [
        "0 PCMU/16000",
        "0 PCMU/8000/2",
        "9 G722/16000",
        "96 opus/16000/2",
        "96 opus/48000",
        "96 opus/8000/1",
        "96 opus/0/2",
    ] {
        let number = lie.split(' ').next().unwrap();
        let text = sdp(&format!("m=audio 4000 RTP/AVP {number}\na=rtpmap:{lie}\n"));
        assert_eq!(Offer::read(&text, &all).err(), Some(SdpError::NoCodec), "{lie}");
        // Beside a right one it does no harm.
        let text = sdp(&format!("m=audio 4000 RTP/AVP {number} 97\na=rtpmap:{lie}\na=rtpmap:97 opus/48000/2\n"));
        assert_eq!(Offer::read(&text, &all).unwrap().agreed().payloads.audio(), Some((97, Codec::Opus)), "{lie}");
    }
}

#[test]
fn extended_reports_are_agreed_on_where_both_sides_want_them() {
    let asks = "m=audio 4000 RTP/AVP 0\na=rtcp-xr:rcvr-rtt=all:10 VoIP-Metrics\n";
    let answer = |lines: &str, rtcp_xr| {
        let offer = Offer::read(&sdp(lines), &Settings { rtcp_xr, ..SETTINGS }).unwrap();
        let said = offer.answer(local(), &mut Origin::new(4)).contains("a=rtcp-xr:voip-metrics\r\n");
        assert_eq!(said, offer.agreed().rtcp_xr);
        said
    };
    assert!(answer(asks, RtcpXr::Answered) && answer(asks, RtcpXr::Offered) && !answer(asks, RtcpXr::Off));
    assert!(answer("a=rtcp-xr:voip-metrics\nm=audio 4000 RTP/AVP 0\n", RtcpXr::Answered), "for the whole session");
    for other in ["a=rtcp-xr", "a=rtcp-xr:", "a=rtcp-xr:pkt-loss-rle=20", "a=rtcp-xrvoip-metrics", "a=x"] {
        assert!(!answer(&format!("m=audio 4000 RTP/AVP 0\n{other}\n"), RtcpXr::Offered), "{other}");
    }
    let offer = |rtcp_xr| {
        let settings = Settings { rtcp_xr, ..SETTINGS };
        write_offer(&settings, &OtherMedia::default(), local(), &mut Origin::new(4))
            .contains("a=rtcp-xr:voip-metrics\r\n")
    };
    assert_eq!([RtcpXr::Off, RtcpXr::Answered, RtcpXr::Offered].map(offer), [false, false, true]);
}
