use super::*;
use sip_core::{Endpoint, EndpointConfig};

fn at(s: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(s)
}

fn rtp(phone: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, phone], 40_000))
}

/// A call from 100 s to 110 s between the first two phones.
fn call() -> Audio {
    let mut audio = Audio::default();
    let dialog = dialog();
    for (side, phone) in [((7, true), 1), ((7, false), 2)] {
        audio.begin(side, Talk::new(at(100), (0, dialog), rtp(phone), rtp(9)));
    }
    audio
}

/// The name of a dialog; none is looked up here.
fn dialog() -> sip_core::DialogId {
    let flow = sip_core::Flow::udp(([10, 0, 0, 1], 5060).into(), ([10, 0, 0, 2], 5060).into());
    let (mut endpoint, mut out) = (Endpoint::new(EndpointConfig::default(), 1), sip_core::Output::new());
    let invite = "INVITE sip:b@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
                  From: <sip:a@b>;tag=1\r\nTo: <sip:b@10.0.0.1>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\
                  Contact: <sip:a@10.0.0.2>\r\nContent-Length: 0\r\n\r\n";
    endpoint.receive(at(1), &flow, invite.as_bytes(), &mut out);
    match out.next_event() {
        Some(sip_core::Event::Invite { dialog, .. }) => dialog,
        other => panic!("{other:?}"),
    }
}

/// Packets that were due and that are missing, where one arrives at this time.
fn verdict(arrival_s: u64, is_relayed: bool, death_s: Option<u64>) -> (usize, usize) {
    let mut audio = call();
    audio.deaths.extend(death_s.map(at));
    let (_, _, packet, _) = audio.next_packet(at(100), (7, true)).unwrap();
    audio.arrives(at(arrival_s), rtp(1), &packet);
    if is_relayed {
        audio.leaves(at(arrival_s), rtp(2), &packet).unwrap();
    }
    audio.close_call(7, at(110));
    let verdict = audio.verdict();
    (verdict.checked_count, verdict.missing.map_or(0, |(_, count)| count))
}

#[test]
fn a_packet_that_is_not_sent_on_is_found_where_nothing_died() {
    assert_eq!(verdict(105, true, None), (1, 0));
    assert_eq!(verdict(105, false, None), (1, 1));
    assert_eq!(verdict(101, false, None), (0, 0), "the source may not be settled");
    assert_eq!(verdict(110, false, None), (0, 0), "the call is over");
    assert_eq!(verdict(105, false, Some(104)), (0, 0));
    assert_eq!(verdict(105, false, Some(80)), (0, 0), "it may have been in the middle of the set-up");
    assert_eq!((verdict(105, false, Some(50)), verdict(105, false, Some(111))), ((1, 1), (1, 1)));
}

#[test]
fn a_packet_that_another_phone_hears_is_found() {
    let mut audio = call();
    audio.begin((8, true), Talk::new(at(100), (0, dialog()), rtp(3), rtp(9)));
    let (_, _, packet, _) = audio.next_packet(at(101), (7, true)).unwrap();
    assert!(audio.leaves(at(101), rtp(3), &packet).is_err());
    assert!(audio.leaves(at(101), rtp(1), &packet).is_err(), "nobody hears themselves");
    assert_eq!(audio.leaves(at(101), rtp(2), &packet), Ok(()));
    // Until a transfer makes it one of its own.
    audio.will_pair((7, false), &[(8, true)]);
    assert_eq!(audio.leaves(at(102), rtp(3), &packet), Ok(()));
}

#[test]
fn a_phone_that_holds_hears_nothing_after_a_second() {
    let mut audio = call();
    let (_, _, packet, _) = audio.next_packet(at(101), (7, true)).unwrap();
    let held = Directions { wants: Ways { sends: true, receives: false }, ..Directions::BOTH };
    audio.agree(at(102), (7, false), None, held);
    assert_eq!(audio.leaves(at(103), rtp(2), &packet), Ok(()));
    assert!(audio.leaves(at(104), rtp(2), &packet).is_err());
    audio.agree(at(104), (7, false), None, Directions::BOTH);
    assert_eq!(audio.leaves(at(104), rtp(2), &packet), Ok(()));
}

#[test]
fn a_digit_is_told_once_to_the_peer() {
    let mut audio = call();
    assert_eq!(audio.press((7, true), true), Some(0));
    let mut packets = (0..7).map(|_| audio.next_packet(at(105), (7, true)).unwrap().2).collect::<Vec<_>>();
    for packet in &packets {
        audio.arrives(at(105), rtp(1), packet);
        assert_eq!(audio.leaves(at(105), rtp(2), packet), Ok(()));
    }
    assert!(audio.leaves(at(105), rtp(1), &packets[6]).is_err(), "its own");
    packets[6][4..8].copy_from_slice(&[9; 4]);
    assert!(audio.leaves(at(105), rtp(2), &packets[6]).is_err(), "a second time");
    audio.close_call(7, at(110));
    assert!(audio.verdict().missing.is_none());
    // One that arrived and is never told.
    let mut audio = call();
    audio.press((7, true), true);
    for _ in 0..7 {
        let packet = audio.next_packet(at(105), (7, true)).unwrap().2;
        audio.arrives(at(105), rtp(1), &packet);
    }
    audio.close_call(7, at(110));
    assert_eq!(audio.verdict().missing, Some(("digit 0 of (7, true) at 105.000000000s".to_owned(), 1)));
}

const SEND_ONLY: Ways = Ways { sends: true, receives: false };
const RECEIVE_ONLY: Ways = Ways { sends: false, receives: true };

/// What the rule for holds says where the caller wants `wants`, and the switch has told the called phone `told`.
fn held(wants: Ways, told: Ways) -> Result<u64, String> {
    let mut audio = call();
    let answer = Ways { sends: wants.receives, receives: wants.sends };
    audio.agree(at(102), (7, true), None, Directions { wants, told: answer, is_settled: true });
    audio.agree(at(102), (7, false), None, Directions { told, ..Directions::BOTH });
    assert_eq!(audio.check_directions(at(105), |_, _| true), Ok(0), "the last word may be on its way");
    assert_eq!(audio.check_directions(at(109), |_, _| false), Ok(0), "a re-INVITE is on its way");
    let said = audio.check_directions(at(109), |_, _| true);
    audio.close_call(7, at(109));
    assert_eq!(audio.check_directions(at(109), |_, _| true), Ok(0), "the call is over");
    said
}

#[test]
fn a_hold_is_told_to_the_peer_from_its_point_of_view() {
    assert_eq!(held(SEND_ONLY, SEND_ONLY), Ok(1));
    assert_eq!(held(Ways::NONE, Ways::NONE), Ok(1));
    assert_eq!(held(Ways::BOTH, Ways::BOTH), Ok(0));
    assert!(held(SEND_ONLY, RECEIVE_ONLY).is_err(), "not turned round");
    assert!(held(SEND_ONLY, Ways::BOTH).is_err() && held(Ways::NONE, SEND_ONLY).is_err(), "told too much");
    assert!(held(Ways::BOTH, Ways::NONE).is_err() && held(Ways::BOTH, SEND_ONLY).is_err(), "the resume is not told");
}

#[test]
fn a_report_is_about_the_stream_of_the_phone_that_gets_it() {
    let mut audio = call();
    let rtcp = |phone| SocketAddr::new(rtp(phone).ip(), rtp(phone).port() + 1);
    let report = |kind: u8, side| {
        let mut packet = vec![0x81, kind, 0, 7, 0, 0, 0, 99];
        packet.resize(if kind == 200 { 28 } else { 8 }, 0);
        packet.extend(talk::ssrc_of(side).to_be_bytes());
        packet.resize(packet.len() + 20, 0);
        packet
    };
    for kind in [200, 201] {
        assert_eq!(audio.leaves(at(101), rtcp(1), &report(kind, (7, true))), Ok(()));
        assert!(audio.leaves(at(101), rtcp(1), &report(kind, (7, false))).is_err());
        assert_eq!(audio.leaves(at(101), rtcp(3), &report(kind, (7, false))), Ok(()), "no phone of a call");
    }
    assert_eq!(audio.reports_count, 4);
}

#[test]
fn a_digit_that_the_switch_makes_of_an_info_is_told_with_its_end() {
    let missing = |is_told: bool, has_end: bool| {
        let mut audio = call();
        let digit = audio.press((7, true), false).unwrap();
        audio.taken(at(105), (7, true), digit, at(104));
        let mut packet = vec![0x80, 101, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, digit, 10, 0, 160];
        packet[13] |= if has_end { 0x80 } else { 0 };
        if is_told {
            audio.leaves(at(105), rtp(2), &packet).unwrap();
        }
        audio.close_call(7, at(110));
        audio.verdict().missing.map(|(what, _)| what)
    };
    assert_eq!(missing(true, true), None);
    assert!(missing(true, false).is_some_and(|what| what.starts_with("the end of digit 0")));
    assert!(missing(false, false).is_some_and(|what| what.starts_with("digit 0")));
}

#[test]
fn a_side_whose_peer_has_hung_up_is_left_alone() {
    let mut audio = call();
    let left =
        |audio: &Audio, at| audio.left_alone(at, Duration::from_secs(1)).map(|talk| talk.rtp).collect::<Vec<_>>();
    audio.end((7, true), at(103), true);
    assert_eq!((left(&audio, at(103)), left(&audio, at(104))), (vec![], vec![rtp(2)]));
    audio.will_pair((7, true), &[(8, false)]);
    assert_eq!(left(&audio, at(104)), [], "it was transferred");
    let mut audio = call();
    audio.end((7, true), at(103), false);
    assert_eq!(left(&audio, at(104)), [], "the switch may not know");
}
