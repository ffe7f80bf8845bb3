//! Re-INVITEs without an offer: ours goes into the 2xx, the answer comes with the ACK (RFC 3261 §14.2).

use crate::tests::common::*;
use crate::tests::harness::*;
use crate::*;
use contract::{Codec, Direction, Event};

const EVENTS: &str = "a=rtpmap:96 telephone-event/8000\r\n";

/// A peer sends a re-INVITE without an offer; ours.
fn late(world: &mut World, dialog: u64) -> String {
    world.reinvites(dialog, "");
    let said = world.said();
    let [Said::Accept(REINVITE, sdp)] = &said[..] else { panic!("{said:?}") };
    sdp.clone()
}

fn is_offered(sdp: &str, formats: &str, direction: &str) {
    assert!(sdp.contains(&format!(" RTP/AVP {formats}\r\n")) && sdp.contains(&format!("a={direction}\r\n")), "{sdp}");
}

/// The other side is offered something; it agrees.
fn crosses(pair: &mut Pair, dialog: u64, direction: &str, answer: &str) {
    let said = pair.world.said();
    let [Said::Reinvite(request, to, sdp)] = &said[..] else { panic!("{said:?}") };
    assert!(*to == dialog && sdp.contains(&format!("a={direction}\r\n")), "{said:?}");
    pair.world.responds(*request, 200, answer);
    pair.world.serve();
}

fn directions(pair: &Pair) -> (Direction, Direction) {
    (pair.world.session(pair.caller).direction(), pair.world.session(pair.called).direction())
}

#[test]
fn all_that_we_have_is_offered_by_the_numbers_of_before() {
    let (mut world, leg, tag) = ringing("tone", &(SDP.replace("RTP/AVP 0", "RTP/AVP 8 96") + EVENTS));
    world.media(Event::Opened { leg, number: tag });
    world.said();
    world.acknowledge(DIALOG);
    let sdp = late(&mut world, DIALOG);
    is_offered(&sdp, "0 8 96", "sendrecv");
    // It has moved, and prefers another codec.
    world.acknowledges(DIALOG, &SDP.replace("4000", "4400"));
    let spec = world.only_update(leg, tag);
    assert_eq!(
        (spec.transport.remote_rtp.get().unwrap().port(), spec.formats.payloads.audio()),
        (4_400, Some((0, Codec::Pcmu)))
    );
    assert!(world.said().is_empty() && world.state(tag) == SessionState::Connected);
    // It holds.
    is_offered(&late(&mut world, DIALOG), "0 8 101", "sendrecv");
    world.acknowledges(DIALOG, &held("sendonly"));
    assert_eq!(world.only_update(leg, tag).flow.direction(), Direction::Receive);
    assert_eq!(world.state(tag), SessionState::OnHold);
    // And comes back: what it has said of itself before counts no more (RFC 6337 §5.3).
    is_offered(&late(&mut world, DIALOG), "0 8 101", "sendrecv");
    world.acknowledges(DIALOG, SDP);
    assert_eq!(world.only_update(leg, tag).flow.direction(), Direction::Both);
    assert_eq!(world.state(tag), SessionState::Connected);
}

#[test]
fn whoever_is_held_by_us_is_offered_that() {
    for (music, direction) in [(Some(PlannedSource::Prompt(1)), "sendonly"), (None, "inactive")] {
        let (mut world, leg, tag) = connected("tone");
        world.hold(music).unwrap();
        let (request, _) = world.reinvite();
        world.responds(request, 200, &held("recvonly"));
        world.only_update(leg, tag);
        is_offered(&late(&mut world, DIALOG), "0 8 101", direction);
        world.acknowledges(DIALOG, &held("recvonly"));
        assert!(world.asked().is_empty() && world.said().is_empty());
        assert_eq!(world.state(tag), SessionState::OnHold);
    }
}

#[test]
fn a_bad_answer_leaves_the_call_as_it_was() {
    for answer in ["", "x", &held("sendonly").replace("RTP/AVP 0", "RTP/AVP 18"), &SDP.replace("audio 4000", "audio 0")]
    {
        let (mut world, leg, tag) = connected("tone");
        late(&mut world, DIALOG);
        world.acknowledges(DIALOG, answer);
        assert!(world.said().is_empty() && world.asked().is_empty(), "{answer}");
        assert_eq!(
            (world.state(tag), world.session(world.id()).direction()),
            (SessionState::Connected, Direction::Both)
        );
        // The next change is as good as any.
        late(&mut world, DIALOG);
        world.acknowledges(DIALOG, &held("sendonly"));
        assert_eq!(world.only_update(leg, tag).flow.direction(), Direction::Receive);
    }
    // In a call between two peers neither hears of it.
    let mut pair = up();
    late(&mut pair.world, A);
    pair.world.acknowledges(A, "");
    assert!(pair.world.said().is_empty());
    assert_eq!(directions(&pair), (Direction::Both, Direction::Both));
}

/// What A offers by an answer reaches B: codecs that B has, and A's direction.
#[test]
fn a_late_answer_reaches_the_other_side() {
    let mut pair = up();
    // A refresh is nobody else's business.
    is_offered(&late(&mut pair.world, A), "0", "sendrecv");
    pair.world.acknowledges(A, &SDP.replace("4000", "4400"));
    pair.world.serve();
    assert!(pair.world.said().is_empty());
    assert_eq!(pair.world.spec(pair.caller).transport.remote_rtp.get().unwrap().port(), 4_400);
    // Hold, and back.
    for (answer, offered, there, back) in [
        ("sendonly", "sendonly", "recvonly", Direction::Receive),
        ("inactive", "inactive", "inactive", Direction::Inactive),
    ] {
        is_offered(&late(&mut pair.world, A), "0", "sendrecv");
        pair.world.acknowledges(A, &held(answer));
        crosses(&mut pair, B, offered, &held(there));
        assert_eq!(pair.world.session(pair.caller).direction(), back);
        assert_eq!(pair.world.session(pair.called).state(), SessionState::OnHold);
        is_offered(&late(&mut pair.world, A), "0", "sendrecv");
        pair.world.acknowledges(A, SDP);
        crosses(&mut pair, B, "sendrecv", SDP);
        assert_eq!(directions(&pair), (Direction::Both, Direction::Both));
    }
}

#[test]
fn whoever_is_held_by_the_other_side_is_offered_that() {
    let mut pair = up();
    pair.world.reinvites(B, &held("sendonly"));
    crosses(&mut pair, A, "sendonly", &held("recvonly"));
    assert!(matches!(&pair.world.said()[..], [Said::Accept(..)]));
    assert_eq!(directions(&pair), (Direction::Send, Direction::Receive));
    is_offered(&late(&mut pair.world, A), "0", "sendonly");
    pair.world.acknowledges(A, &held("recvonly"));
    pair.world.serve();
    assert!(pair.world.said().is_empty(), "B holds on");
    assert_eq!(directions(&pair), (Direction::Send, Direction::Receive));
    // B takes its hold back the same way.
    is_offered(&late(&mut pair.world, B), "0", "sendrecv");
    pair.world.acknowledges(B, SDP);
    crosses(&mut pair, A, "sendrecv", SDP);
    assert_eq!(directions(&pair), (Direction::Both, Direction::Both));
}

#[test]
fn a_late_answer_waits_until_the_other_side_can_be_asked() {
    let mut pair = up();
    late(&mut pair.world, A);
    // C takes the place of B, and its leg is on its way to A's worker.
    let third = replaced(&mut pair, false);
    pair.world.acknowledges(A, &held("inactive"));
    pair.world.serve();
    assert!(pair.world.said().is_empty());
    arrives(&mut pair, third);
    crosses(&mut pair, C, "inactive", &held("inactive"));
    let directions = [pair.caller, third].map(|id| pair.world.session(id).direction());
    assert_eq!(directions, [Direction::Inactive; 2]);
}
