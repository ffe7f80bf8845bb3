//! Descriptions that are written for programs, and media that they aim.

use crate::tests::common::*;
use crate::tests::harness::*;
use crate::*;
use contract::{Command, Direction, Event};

/// A call that waits for a decision.
fn waiting(sdp: &str) -> (World, SessionId) {
    let mut world = world();
    let id = world.comes(1, "later", sdp);
    world.said();
    (world, id)
}

fn offer(world: &mut World, id: SessionId) -> Result<String, SessionError> {
    world.turn(|sessions, turn| sessions.offer_text(turn, id))
}

fn answer(world: &mut World, id: SessionId, text: &str) -> Result<String, SessionError> {
    world.turn(|sessions, turn| sessions.answer_text(turn, id, text))
}

/// What the leg was told last.
fn told_spec(world: &World, id: SessionId) -> contract::LegSpec {
    world.specs[&world.sessions.get(id).unwrap().leg().unwrap()]
}

#[test]
fn a_waiting_call_gets_its_port_and_keeps_it() {
    for opens_first in [true, false] {
        let (mut world, id) = waiting(SDP);
        let text = answer(&mut world, id, SDP).unwrap();
        let leg = world.sessions.get(id).unwrap().leg().expect("a port");
        assert!(text.contains(&format!("m=audio {} RTP/AVP 0\r\n", port_of(leg))), "{text}");
        assert_eq!(answer(&mut world, id, SDP).unwrap(), text, "the same again is the same version");
        if opens_first {
            world.serve();
        }
        let text = text.replace("s=-", "s=words of our own");
        let accepted =
            world.turn(|sessions, turn| sessions.accept_with(turn, id, Plan::of(PlannedSource::Tone440), Some(&text)));
        assert_eq!(accepted, Ok(()));
        world.serve();
        assert!(world.said().iter().any(|said| matches!(said, Said::Accept(_, sdp) if *sdp == text)));
        assert_eq!((world.session(id).state(), world.ports.out.len()), (SessionState::Connected, 1));
        let spec = told_spec(&world, id);
        assert_eq!((spec.flow.direction(), spec.flow.source()), (Direction::Both, contract::Source::Tone440));
        assert_eq!(spec.transport.remote_rtp.get(), Some("192.0.2.1:4000".parse().unwrap()));
        let again = world.turn(|sessions, turn| sessions.accept(turn, id, Plan::of(PlannedSource::Silence)));
        assert!(matches!(again, Err(SessionError::InvalidState { .. })), "{again:?}");
        world.turn(|sessions, turn| sessions.terminate(turn, id)).unwrap();
    }
}

#[test]
fn a_caller_who_waits_for_our_offer_answers_it_in_the_ack() {
    for opens_first in [true, false] {
        let (mut world, id) = waiting("");
        let text = offer(&mut world, id).unwrap();
        if opens_first {
            world.serve();
        }
        let plan = Plan::of(PlannedSource::Tone440);
        world.turn(|sessions, turn| sessions.accept_with(turn, id, plan, Some(&text))).unwrap();
        world.serve();
        assert!(world.said().iter().any(|said| matches!(said, Said::Accept(_, sdp) if *sdp == text)));
        let dialog = 1;
        world.acknowledges(dialog, SDP);
        world.serve();
        let spec = told_spec(&world, id);
        assert_eq!((spec.flow.direction(), spec.flow.source()), (Direction::Both, contract::Source::Tone440));
        assert_eq!(spec.transport.remote_rtp.get(), Some("192.0.2.1:4000".parse().unwrap()));
    }
}

#[test]
fn whoever_has_a_port_may_still_be_refused_forwarded_or_heard_early() {
    let plan = Plan::of(PlannedSource::Ringing);
    let (mut world, id) = waiting(SDP);
    offer(&mut world, id).unwrap();
    world.turn(|sessions, turn| sessions.reject(turn, id, 486, "")).unwrap();
    world.serve();
    assert!(world.ports.out.is_empty(), "{:?}", world.ports.out);

    let (mut world, id) = waiting(SDP);
    offer(&mut world, id).unwrap();
    world.turn(|sessions, turn| sessions.forward(turn, id, Forward::to(vec![target("b1")]))).unwrap();
    world.serve();
    assert_eq!(world.ports.out.len(), 2, "its own, and that of the other side");
    let (call, ..) = world.invited();
    world.answered(call, 50, SDP);
    world.serve();
    assert_eq!(world.session(id).state(), SessionState::Connected);

    let (mut world, id) = waiting(SDP);
    offer(&mut world, id).unwrap();
    world.serve();
    world.turn(|sessions, turn| sessions.early_media(turn, id, plan)).unwrap();
    world.serve();
    assert!(world.said().iter().any(|said| matches!(said, Said::Progress(_, 183, sdp) if sdp.contains("m=audio"))));
    assert_eq!((told_spec(&world, id).flow.source(), world.ports.out.len()), (contract::Source::Ringing, 1));
}

#[test]
fn a_call_that_is_up_says_what_it_has() {
    let (mut world, leg, tag) = connected("tone");
    let id = SessionId::from_u64(tag);
    world.asked();
    let text = offer(&mut world, id).unwrap();
    assert!(text.contains(&format!("m=audio {} RTP/AVP 0\r\n", port_of(leg))) && text.contains("a=sendrecv"), "{text}");
    let text = answer(&mut world, id, &SDP.replace("AVP 0", "AVP 8 0")).unwrap();
    assert!(text.contains(" RTP/AVP 8 0\r\n"), "{text}");
    for (offer, unfit) in [
        (SDP.replace("AVP 0", "AVP 9 18"), sdp_core::SdpError::NoCodec),
        (SDP.replace("m=audio", "m=video"), sdp_core::SdpError::NoAudio),
        ("nonsense".into(), sdp_core::SdpError::NotSdp),
    ] {
        let refused = answer(&mut world, id, &offer);
        // What a parser calls a line that is none is its own business.
        let fits = matches!(refused, Err(SessionError::Description(found)) if found == unfit || unfit == sdp_core::SdpError::NotSdp);
        assert!(fits, "{refused:?}");
    }
    assert_eq!(world.asked(), [], "nothing of that changes media");
    let (mut world, id) = waiting(SDP);
    assert!(matches!(answer(&mut world, id, "nonsense"), Err(SessionError::Description(_))));
    assert!(world.ports.out.is_empty(), "no port for nonsense");
}

#[test]
fn media_goes_where_it_is_sent() {
    let (mut world, leg, tag) = connected("tone");
    let id = SessionId::from_u64(tag);
    world.asked();
    let aim =
        |world: &mut World, remote: Remote<'_>| world.turn(|sessions, turn| sessions.send_media_to(turn, id, remote));
    let address = "192.0.2.77:7000".parse().unwrap();
    assert_eq!(aim(&mut world, Remote::Address(address)), Ok(Carried::Now));
    let asked = world.asked();
    let [Command::Update { update: spec, .. }] = asked[..] else { panic!("{asked:?}") };
    let spec = spec.whole().expect("all parts");
    assert_eq!((spec.transport.remote_rtp.get(), spec.flow.direction()), (Some(address), Direction::Both));
    assert_eq!(world.session(id).remote_rtp(), Some(address));
    world.media(Event::Updated { leg, number: tag });
    assert_eq!(aim(&mut world, Remote::Address(address)), Ok(Carried::Now));
    assert_eq!(world.asked(), [], "it goes there already");
    let moved = SDP.replace("m=audio 4000", "m=audio 4444");
    assert_eq!(aim(&mut world, Remote::Description(&moved)), Ok(Carried::Now));
    let asked = world.asked();
    let [Command::Update { update: spec, .. }] = asked[..] else { panic!("{asked:?}") };
    let spec = spec.whole().expect("all parts");
    assert_eq!(spec.transport.remote_rtp.get(), Some("192.0.2.1:4444".parse().unwrap()));
    for nowhere in ["0.0.0.0:7000", "192.0.2.1:0", "224.0.0.1:7000", "[::]:7000"] {
        let refused = aim(&mut world, Remote::Address(nowhere.parse().unwrap()));
        assert!(matches!(refused, Err(SessionError::Argument(_))), "{nowhere}");
    }
    // A call that waits has all that we can do.
    let (mut world, id) = waiting("");
    let aimed = world.turn(|sessions, turn| sessions.send_media_to(turn, id, Remote::Address(address)));
    assert_eq!(aimed, Ok(Carried::Now));
    world.serve();
    let spec = told_spec(&world, id);
    assert_eq!(
        (spec.transport.remote_rtp.get(), spec.formats.payloads.audio().map(|(number, _)| number)),
        (Some(address), Some(0))
    );
}
