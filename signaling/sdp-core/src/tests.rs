use super::*;
use contract::{Codec, Direction, LegSpec, RtcpMode};
use proptest::prelude::*;

const BOTH: [Codec; 2] = [Codec::Pcmu, Codec::Pcma];
const SETTINGS: Settings<'static> =
    Settings { codecs: &BOTH, order: CodecOrder::Offerer, telephone_event: true, direction: Direction::Both };

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
    *read(rest).unwrap().agreed()
}

fn payloads(agreed: &Negotiated) -> Vec<(u8, Codec)> {
    agreed.payloads.iter().map(|(number, codec, _)| (number, codec)).collect()
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
    let mut spec = LegSpec::default();
    agreed.apply(&mut spec);
    assert_eq!((spec.check(), spec.rtcp(), spec.direction()), (Ok(()), RtcpMode::Pair, Direction::Both));
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
    let mut spec = LegSpec::default();
    mux.agreed().apply(&mut spec);
    assert!(spec.rtcp() == RtcpMode::Mux && spec.remote_rtcp.is_none());
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
    for unusable in ["host.example", "224.2.1.1/127"] {
        let error = read(&format!("m=audio 4000 RTP/AVP 0\nc=IN IP4 {unusable}\n")).unwrap_err();
        assert_eq!(error, SdpError::NoAudio, "{unusable}");
    }
    // The second stream may be the one that fits.
    let second = agreed("m=audio 4000 RTP/AVP 18\nm=audio 4002 RTP/AVP 0\n");
    assert_eq!(second.remote_rtp.unwrap().port(), 4_002);
}

#[test]
fn refusals_have_their_status() {
    for (text, status) in [
        ("m=audio 4000 RTP/AVP 18\n", 488),
        ("m=audio 0 RTP/AVP 0\n", 488),
        ("m=video 4000 RTP/AVP 0\n", 488),
        ("m=audio 4000 RTP/SAVP 0\n", 488),
        ("m=audio 4000\n", 400),
        ("m=audio 70000 RTP/AVP 0\n", 400),
        ("m=audio 4000 RTP/AVP 200\n", 400),
        ("c=IN IP4\n", 400),
        ("x\n", 400),
        ("", 488),
    ] {
        assert_eq!(read(text).unwrap_err().status(), status, "{text:?}");
    }
    let refused = |bytes: &[u8]| Offer::read(bytes, &SETTINGS).unwrap_err();
    assert_eq!(refused(b""), SdpError::Line(1));
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

#[test]
fn a_stream_can_be_switched_off_and_on_again() {
    let off = sdp("m=video 0 RTP/AVP 31\nm=audio 0 RTP/AVP 0\nm=text 0 RTP/AVP 9\n");
    assert_eq!(Offer::read(&off, &SETTINGS).unwrap_err(), SdpError::NoAudio);
    let offer = Offer::read_again(&off, &SETTINGS).unwrap();
    assert_eq!((offer.agreed().direction, offer.agreed().remote_rtp), (Direction::Inactive, None));
    let answer = offer.answer(local(), &mut Origin::new(4));
    let media: Vec<&str> = answer.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(media, ["m=video 0 RTP/AVP 31", "m=audio 0 RTP/AVP 0", "m=text 0 RTP/AVP 9"]);
    assert!(Offer::read_again(&sdp("m=audio 4000 RTP/AVP 0\n"), &SETTINGS).is_ok());
    assert_eq!(Offer::read_again(&sdp("m=video 1 RTP/AVP 0\n"), &SETTINGS).unwrap_err(), SdpError::NoAudio);
}

proptest! {
    #[test]
    fn no_bytes_can_hurt(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Offer::read_again(&bytes, &SETTINGS);
        let _ = read_answer(&bytes, &SETTINGS, &OtherMedia::default());
    }

    #[test]
    fn no_lines_can_hurt_and_answers_are_read_again(lines in proptest::collection::vec(
        "(m=(audio|video) [0-9]{1,6}(/2)? RTP/AVPF? ?[0-9 ]{1,9}|a=(rtpmap:[0-9]{1,3} [A-Za-z-]{4}/8000|rtcp:[0-9]{1,6}|ptime:[0-9]{1,4}|sendonly|rtcp-mux)|c=IN IP[46] [0-9:.]{1,12}|[ -~]{0,20})",
        0..30,
    )) {
        if let Ok(offer) = read(&(lines.join("\n") + "\n")) {
            let answer = offer.answer(local(), &mut Origin::new(4));
            prop_assert!(Offer::read_again(answer.as_bytes(), &SETTINGS).is_ok(), "{answer}");
            let mut spec = LegSpec::default();
            offer.agreed().apply(&mut spec);
            prop_assert_eq!(spec.check(), Ok(()));
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
