//! Formats that the media plane cannot decode go from one side to the other, where both have them.

use super::*;
use contract::PayloadMapping;

const AMR: &str = "a=rtpmap:97 AMR/8000\r\na=fmtp:97 octet-align=1;mode-set=0,2\r\n";

/// A description with these payload types and attributes.
fn with(formats: &str, attributes: &str) -> String {
    super::sdp(formats) + attributes
}

fn fmtp<'s>(sdp: &'s str, number: &str) -> Option<&'s str> {
    line(sdp, &format!("a=fmtp:{number} "))
}

fn transcoding() -> Settings {
    Settings::default()
}

/// Payload types of a leg's packets, and those with which they leave on the other leg.
fn numbers(world: &World, id: SessionId) -> Vec<(u8, u8)> {
    world.spec(id).formats.payloads.iter().map(|(own, _, other)| (own, other)).collect()
}

#[test]
fn a_format_that_both_have_is_relayed_by_the_numbers_of_each() {
    for settings in [relaying(), transcoding()] {
        let answer = with("110", "a=rtpmap:110 amr/8000/1\r\na=fmtp:110 octet-align=1; mode-set=2\r\n");
        let (pair, to_b, to_a) = call_in(settings, &with("18 97", AMR), &answer);
        assert_eq!((formats(&to_b), fmtp(&to_b, "97")), ("18 97", Some("octet-align=1;mode-set=0,2")));
        assert_eq!((formats(&to_a), fmtp(&to_a, "97")), ("97", Some("octet-align=1; mode-set=2")));
        assert_eq!(
            (numbers(&pair.world, pair.caller), numbers(&pair.world, pair.called)),
            (vec![(97, 110)], vec![(110, 97)])
        );
        let leg = pair.world.session(pair.called).leg().expect("a leg");
        assert_eq!(pair.world.spec(pair.caller).flow.source(), Source::Leg(leg));
    }
}

#[test]
fn the_rest_of_what_both_have_stays_and_what_one_has_not_is_left_out() {
    let (pair, to_b, to_a) = call_in(transcoding(), &with("18 97 0 101", AMR), &with("18 0 101", ""));
    assert_eq!((formats(&to_b), formats(&to_a)), ("18 97 0 8 101", "18 0 101"));
    assert_eq!(numbers(&pair.world, pair.caller), [(18, 18), (0, 0), (101, 101)]);
    // The other side has nothing of that, and is transcoded to what can be.
    let (pair, _, to_a) = call_in(transcoding(), &with("18 0", ""), &with("8", ""));
    assert_eq!(formats(&to_a), "0");
    assert_eq!(numbers(&pair.world, pair.caller), [(0, PayloadMapping::NOT_THERE)]);
}

/// Nothing that the other side could answer would be heard by the caller.
#[test]
fn a_caller_with_nothing_else_is_only_called_on_with_that() {
    let mut world = World::new(transcoding(), 6);
    let caller = world.comes(A, "on", &with("97", AMR));
    world.serve();
    let (call, _, offered) = world.invited();
    assert_eq!(formats(&offered), "97");
    // The same name, but in packets that the caller could not read.
    let misaligned = with("97", &AMR.replace("octet-align=1;", ""));
    world.answered(call, B, &misaligned);
    world.serve();
    let refused = world.said().iter().any(|said| matches!(said, Said::Reject(A, 488, _)));
    assert!(refused || world.session(caller).state().is_ending());
}

#[test]
fn hold_and_resume_keep_the_format_and_what_the_other_side_says_of_it() {
    let ilbc = |mode: &str| with("98", &format!("a=rtpmap:98 iLBC/8000\r\na=fmtp:98 mode={mode}\r\n"));
    let (mut pair, to_b, to_a) = call_in(transcoding(), &ilbc("20"), &ilbc("30"));
    assert_eq!((fmtp(&to_b, "98"), fmtp(&to_a, "98")), (Some("mode=20"), Some("mode=30")));
    assert_eq!(numbers(&pair.world, pair.caller), [(98, 98)], "both use 30 ms");
    for direction in ["sendonly", "sendrecv"] {
        pair.world.offers(A, &(ilbc("20") + &format!("a={direction}\r\n")));
        let said = pair.world.said();
        let [Said::Reinvite(request, B, text)] = &said[..] else { panic!("{said:?}") };
        assert_eq!((formats(text), fmtp(text, "98")), ("98", Some("mode=20")), "{text}");
        let mirrored = if direction == "sendonly" { "recvonly" } else { direction };
        pair.world.agrees(*request, 200, &(ilbc("30") + &format!("a={mirrored}\r\n")));
        let told = answered(&pair.world.said());
        assert_eq!((formats(&told), fmtp(&told, "98")), ("98", Some("mode=30")), "{told}");
        pair.world.acked(A, "");
        assert_eq!(numbers(&pair.world, pair.caller), [(98, 98)]);
    }
    let (id, hold) = (pair.caller, Operation::Hold);
    pair.world.turn(|sessions, turn| sessions.hold(turn, id, None)).unwrap();
    pair.world.serve();
    let said = pair.world.said();
    let [Said::Reinvite(request, A, text)] = &said[..] else { panic!("{said:?}") };
    assert_eq!((formats(text), fmtp(text, "98")), ("98", Some("mode=30")));
    pair.world.agrees(*request, 200, &(ilbc("20") + "a=recvonly\r\n"));
    assert!(pair.world.told().contains(&SessionEvent::Done { id, operation: hold }));
}

#[test]
fn a_change_of_format_is_asked_of_the_other_side() {
    let mut pair = pair("0", "0");
    pair.world.offers(A, &with("97", AMR));
    pair.world.is_reinvited(B, "97", None);
    assert_eq!(pair.world.said(), [Said::Reject(REINVITE, 488, None)]);
    pair.world.assert_heard(pair.caller, pair.called, Codec::Pcmu);
    pair.world.offers(B, &with("18", ""));
    pair.world.is_reinvited(A, "18", Some("18"));
    assert_eq!(formats(&answered(&pair.world.said())), "18");
    pair.world.acked(B, "");
    assert_eq!(numbers(&pair.world, pair.caller), [(18, 18)]);
}

#[test]
fn a_late_offer_has_what_the_other_side_has() {
    let mut pair = call_in(transcoding(), &with("18 0", ""), &with("18 0", "")).0;
    pair.world.offers(B, "");
    let offered = answered(&pair.world.said());
    assert_eq!(formats(&offered), "18 0");
    pair.world.acked(B, &with("18", ""));
    assert_eq!(numbers(&pair.world, pair.called), [(18, 18)]);
}

#[test]
fn the_target_of_a_transfer_is_offered_the_format() {
    let mut pair = call_in(transcoding(), &with("97", AMR), &with("97", AMR)).0;
    pair.world.is_referred(B, "<sip:c@192.0.2.3>");
    let said = pair.world.said();
    let Some(Said::Invite(call, _, offer)) = said.last() else { panic!("{said:?}") };
    assert_eq!((formats(offer), fmtp(offer, "97")), ("97", Some("octet-align=1;mode-set=0,2")));
    let third = pair.world.session_calling(*call);
    pair.world.answered(*call, C, &with("100", &AMR.replace(":97", ":100")));
    pair.world.serve();
    assert_eq!((numbers(&pair.world, pair.caller), numbers(&pair.world, third)), (vec![(97, 100)], vec![(100, 97)]));
}

#[test]
fn what_the_switch_would_have_to_decode_is_not_agreed_on() {
    for called in ["tone", "later"] {
        let mut world = World::new(transcoding(), 4);
        world.calls(A, called, &with("18 97 8", AMR));
        if called == "later" {
            let id = world.id();
            world.turn(|sessions, turn| sessions.accept(turn, id, Plan::of(PlannedSource::Tone440))).unwrap();
        }
        world.serve();
        assert_eq!(formats(&answered(&world.said())), "8", "{called}");
    }
    let mut world = World::new(transcoding(), 4);
    world.calls(A, "tone", &with("18 97", AMR));
    assert_eq!(world.said(), [Said::Reject(A, 488, None)]);
    assert_eq!(world.sessions.counts.get(stats::SignalCounter::RefusedDescription), 1);
    let mut none = transcoding();
    none.media.relays_all = false;
    let mut world = World::new(none, 4);
    world.calls(A, "on", &with("18", ""));
    assert_eq!(world.said(), [Said::Reject(A, 488, None)], "not relayed by the settings");
}

/// An echo needs no decoder, and a program that plays something to it is told that it cannot.
#[test]
fn an_echo_of_any_format_goes_on_through_a_hold() {
    let mut world = World::new(transcoding(), 4);
    world.calls(A, "echo", &with("97", AMR));
    world.serve();
    let told = answered(&world.said());
    assert_eq!((formats(&told), fmtp(&told, "97")), ("97", Some("octet-align=1;mode-set=0,2")));
    world.acked(A, "");
    let id = world.id();
    assert_eq!(numbers(&world, id), [(97, 97)]);
    let played = world.turn(|sessions, turn| sessions.play(turn, id, Plan::of(PlannedSource::Tone440)));
    assert!(matches!(played, Err(SessionError::Media(_))), "{played:?}");
    world.offers(A, &(with("97", AMR) + "a=sendonly\r\n"));
    assert_eq!(formats(&answered(&world.said())), "97");
}

#[test]
fn two_sides_of_a_bridge_come_to_the_format_that_one_of_them_is_left_with() {
    let mut pair = pair("0 18", "0 18");
    pair.world.offers(A, &with("18", ""));
    pair.world.is_reinvited(B, "18", Some("18"));
    assert_eq!(formats(&answered(&pair.world.said())), "18");
    assert_eq!(numbers(&pair.world, pair.called), [(18, 18)]);
}

/// Who speaks a format that the new other side has not got is offered what can be decoded.
#[test]
fn a_format_that_the_target_of_a_transfer_has_not_is_given_up() {
    let mut pair = call_in(transcoding(), &with("18 0", ""), &with("18 0", "")).0;
    pair.world.is_referred(B, "<sip:c@192.0.2.3>");
    let said = pair.world.said();
    let Some(Said::Invite(call, _, offer)) = said.last() else { panic!("{said:?}") };
    assert!(formats(offer).starts_with("18 0"), "{offer}");
    let call = *call;
    let third = pair.world.session_calling(call);
    pair.world.answered(call, C, &with("8", ""));
    pair.world.serve();
    let said = pair.world.said();
    let offered = said.iter().find_map(|said| match said {
        Said::Reinvite(request, A, text) => Some((*request, text.clone())),
        _ => None,
    });
    let (request, text) = offered.expect("A is asked");
    assert!(!formats(&text).split(' ').any(|format| format == "18"), "{text}");
    pair.world.agrees(request, 200, &with("0", ""));
    pair.world.serve();
    let not_there = PayloadMapping::NOT_THERE;
    assert_eq!(
        (numbers(&pair.world, pair.caller), numbers(&pair.world, third)),
        (vec![(0, not_there)], vec![(8, not_there)])
    );
    assert_eq!(pair.world.said(), [], "nobody is asked again");
}
