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
    audio.agree(at(102), (7, false), None, (false, true));
    assert_eq!(audio.leaves(at(103), rtp(2), &packet), Ok(()));
    assert!(audio.leaves(at(104), rtp(2), &packet).is_err());
    audio.agree(at(104), (7, false), None, (true, false));
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
    assert!(audio.leaves(at(105), rtp(1), &packets[0]).is_err(), "its own");
    packets[0][4..8].copy_from_slice(&[9; 4]);
    assert!(audio.leaves(at(105), rtp(2), &packets[0]).is_err(), "a second time");
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
