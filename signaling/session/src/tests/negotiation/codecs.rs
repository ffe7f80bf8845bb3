//! Codecs, directions and packet times across the two sides of a call, of a bridge and of a transfer.

use crate::tests::common::*;
use crate::tests::harness::*;
use crate::*;
use contract::{Codec, Direction, Source};
use sip_core::Cause;

mod digits;
mod relayed;
mod transcoding;

const C: u64 = 60;

/// A switch that does not transcode.
fn relaying() -> Settings {
    Settings { media: MediaSettings { transcoding: false, ..MediaSettings::default() }, ..Settings::default() }
}

/// A description with these payload types.
fn sdp(formats: &str) -> String {
    let events = if formats.contains("101") { "a=rtpmap:101 telephone-event/8000\r\n" } else { "" };
    SDP.replace("RTP/AVP 0", &format!("RTP/AVP {formats}")) + events
}

/// The payload types of a description.
fn formats(sdp: &str) -> &str {
    let line = sdp.lines().find(|line| line.starts_with("m=audio")).expect("an audio line");
    line.split_once("RTP/AVP ").expect("its formats").1
}

fn line<'s>(sdp: &'s str, name: &str) -> Option<&'s str> {
    sdp.lines().find_map(|line| line.strip_prefix(name))
}

impl World {
    /// A peer answers a re-INVITE of ours, and the media plane does what comes of it.
    fn agrees(&mut self, request: u64, status: u16, sdp: &str) {
        self.responds(request, status, sdp);
        self.serve();
    }

    /// What was sent is one re-INVITE to this dialog with these payload types, which the peer answers with those; none: 488.
    #[track_caller]
    fn is_reinvited(&mut self, dialog: u64, offered: &str, answer: Option<&str>) {
        let said = self.said();
        let [Said::Reinvite(request, to, text)] = &said[..] else { panic!("{said:?}") };
        assert_eq!((*to, formats(text)), (dialog, offered), "{text}");
        match answer {
            Some(answer) => self.agrees(*request, 200, &sdp(answer)),
            None => self.agrees(*request, 488, ""),
        }
    }

    /// A peer sends a re-INVITE, and the media plane does what comes of it.
    fn offers(&mut self, dialog: u64, sdp: &str) {
        self.reinvites(dialog, sdp);
        self.serve();
    }

    /// A peer acknowledges our 200, and the media plane does what comes of it.
    fn acked(&mut self, dialog: u64, sdp: &str) {
        self.acknowledges(dialog, sdp);
        self.serve();
    }

    fn is_referred(&mut self, dialog: u64, target: &str) {
        self.refers(dialog, target);
        self.serve();
    }

    /// The two hear each other: both legs are told so, and what each sends the other one takes.
    fn assert_heard(&self, one: SessionId, other: SessionId, codec: Codec) {
        for (here, there) in [(one, other), (other, one)] {
            let leg = self.session(there).leg().expect("a leg");
            assert_eq!(self.spec(here).flow.source(), Source::Leg(leg));
            assert_eq!(self.session(here).codec(), Some(codec), "{here}");
            for (number, codec, theirs) in self.spec(here).formats.payloads.iter() {
                let numbers = self.spec(there).formats.payloads;
                let known = numbers.iter().find(|(_, other, _)| *other == codec);
                assert!(known.is_none_or(|(other, ..)| other == theirs), "{number} is {theirs} over there");
            }
        }
    }
}

/// A world whose phones confirm provisional responses.
fn with_prack() -> World {
    let mut world = World::new(relaying(), 6);
    world.reliability = sip_core::Reliability::Supported;
    world
}

fn answered(said: &[Said]) -> String {
    let Some(Said::Accept(_, sdp)) = said.iter().find(|said| matches!(said, Said::Accept(..))) else {
        panic!("{said:?}")
    };
    sdp.clone()
}

/// A call whose caller offers the one, and whose called side answers the other. Gives what they were told.
fn call(offer: &str, answer: &str) -> (Pair, String, String) {
    call_in(relaying(), offer, answer)
}

fn call_in(settings: Settings, offer: &str, answer: &str) -> (Pair, String, String) {
    let mut world = World::new(settings, 6);
    let caller = world.comes(A, "on", offer);
    let called = world.session(caller).linked_to().expect("the other side");
    world.serve();
    let (call, _, offered) = world.invited();
    world.answered(call, B, answer);
    world.serve();
    let mut said = world.said();
    let told = answered(&said);
    said.retain(|said| matches!(said, Said::Reinvite(..)));
    world.said = said;
    if !offer.is_empty() {
        world.acked(A, "");
    }
    (Pair { world, caller, called, call }, offered, told)
}

fn pair(offer: &str, answer: &str) -> Pair {
    call(&sdp(offer), &sdp(answer)).0
}

#[test]
fn the_first_offer_and_answer_cross() {
    for (offer, answer, offered, told) in [
        ("0 8", "0 8", "0 8", "0 8"),
        ("0 8", "8", "0 8", "8"),
        ("8 0", "0", "8 0", "0"),
        ("8", "8", "8", "8"),
        ("18 8 9", "8", "18 8", "8"),
        ("0 101", "0 101", "0 101", "0 101"),
        ("0 101", "0", "0 101", "0"),
        ("0", "0", "0", "0"),
    ] {
        let (pair, to_b, to_a) = call(&sdp(offer), &sdp(answer));
        assert_eq!((formats(&to_b), formats(&to_a)), (offered, told), "{offer} and {answer}");
        let codec = if told.starts_with('0') { Codec::Pcmu } else { Codec::Pcma };
        pair.world.assert_heard(pair.caller, pair.called, codec);
    }
}

#[test]
fn directions_of_the_first_offer_and_answer_cross() {
    use Direction::*;
    for (offer, answer, offered, told, here, there) in [
        ("sendrecv", "sendrecv", "sendrecv", "sendrecv", Both, Both),
        ("sendonly", "recvonly", "sendonly", "recvonly", Receive, Send),
        ("recvonly", "sendonly", "recvonly", "sendonly", Send, Receive),
        ("inactive", "inactive", "inactive", "inactive", Inactive, Inactive),
        ("sendrecv", "sendonly", "sendrecv", "sendonly", Send, Receive),
        ("sendrecv", "recvonly", "sendrecv", "recvonly", Receive, Send),
        ("sendrecv", "inactive", "sendrecv", "inactive", Inactive, Inactive),
        ("sendonly", "inactive", "sendonly", "inactive", Inactive, Inactive),
    ] {
        let (mut pair, to_b, to_a) = call(&held(offer), &held(answer));
        let has = |sdp: &str, direction| sdp.contains(&format!("a={direction}\r\n"));
        assert!(has(&to_b, offered) && has(&to_a, told), "{offer} and {answer}: {to_b}{to_a}");
        let direction = |id| pair.world.spec(id).flow.direction();
        assert_eq!((direction(pair.caller), direction(pair.called)), (here, there), "{offer} and {answer}");
        // Both come back, whichever asks for it.
        pair.world.acked(A, "");
        assert!(pair.world.said().is_empty(), "{offer} and {answer}");
        for dialog in [A, B] {
            let other = if dialog == A { B } else { A };
            pair.world.offers(dialog, &sdp("0"));
            pair.world.is_reinvited(other, "0", Some("0"));
            assert!(has(&answered(&pair.world.said()), "sendrecv"), "{offer} and {answer}");
            pair.world.acked(dialog, "");
        }
        let direction = |id| pair.world.spec(id).flow.direction();
        assert_eq!((direction(pair.caller), direction(pair.called)), (Both, Both));
    }
    // As phones of RFC 2543 hold.
    let (pair, to_b, _) = call(&SDP.replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0"), &held("recvonly"));
    assert!(to_b.contains("a=sendonly\r\n"), "{to_b}");
    assert_eq!(pair.world.spec(pair.called).flow.direction(), Send);
}

#[test]
fn packet_times_cross() {
    let said = |ptime: &str| SDP.to_owned() + ptime;
    let (mut pair, to_b, to_a) = call(&said("a=ptime:30\r\na=maxptime:150\r\n"), &said("a=ptime:40\r\n"));
    assert_eq!((line(&to_b, "a=ptime:"), line(&to_b, "a=maxptime:")), (Some("30"), Some("150")));
    assert_eq!((line(&to_a, "a=ptime:"), line(&to_a, "a=maxptime:")), (Some("40"), None));
    // Later ones as well.
    pair.world.offers(A, &said("a=ptime:60\r\n"));
    let asked = pair.world.said();
    let [Said::Reinvite(request, _, sdp)] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!((line(sdp, "a=ptime:"), line(sdp, "a=maxptime:")), (Some("60"), None));
    pair.world.agrees(*request, 200, &said("a=ptime:10\r\na=maxptime:20\r\n"));
    let to_a = answered(&pair.world.said());
    assert_eq!((line(&to_a, "a=ptime:"), line(&to_a, "a=maxptime:")), (Some("10"), Some("20")));
    // Who says nothing is told what is usual.
    let (_, to_b, to_a) = call(SDP, SDP);
    assert_eq!((line(&to_b, "a=ptime:"), line(&to_a, "a=ptime:")), (Some("20"), Some("20")));
}

/// Numbers are each side's own.
#[test]
fn payload_numbers_differ_on_the_two_sides() {
    let offer =
        SDP.replace("RTP/AVP 0", "RTP/AVP 97 98") + "a=rtpmap:97 PCMA/8000\r\na=rtpmap:98 telephone-event/8000\r\n";
    let (mut pair, to_b, to_a) = call(&offer, &sdp("8 101"));
    assert_eq!((formats(&to_b), formats(&to_a)), ("8 101", "97 98"));
    pair.world.assert_heard(pair.caller, pair.called, Codec::Pcma);
    let map = |pair: &Pair, id| pair.world.spec(id).formats.payloads.iter().map(|(a, _, b)| (a, b)).collect::<Vec<_>>();
    assert_eq!(map(&pair, pair.caller), [(97, 8), (98, 101)]);
    assert_eq!(map(&pair, pair.called), [(8, 97), (101, 98)]);
    // A number keeps its codec for as long as the session lasts (RFC 3264 §8.3.2).
    pair.world.offers(B, &sdp("0 8 101"));
    let asked = pair.world.said();
    let [Said::Reinvite(request, _, text)] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(formats(text), "0 97 98");
    let answer = SDP.replace("RTP/AVP 0", "RTP/AVP 0 98") + "a=rtpmap:98 telephone-event/8000\r\n";
    pair.world.agrees(*request, 200, &answer);
    assert_eq!(formats(&answered(&pair.world.said())), "0 101");
    pair.world.assert_heard(pair.caller, pair.called, Codec::Pcmu);
    assert_eq!(map(&pair, pair.caller), [(0, 0), (98, 101)]);
}

/// One branch has early media, another one answers with something else.
#[test]
fn what_a_fork_answers_counts() {
    for (early, answer, codec) in [("0", "8", Codec::Pcma), ("0 8", "8", Codec::Pcma), ("8", "0 8", Codec::Pcmu)] {
        // What an unreliable response has said may be lost: the answer is in the 200.
        let mut pair = going(&sdp("0 8"));
        pair.world.progress(pair.call, B, 183, &sdp(early));
        pair.world.serve();
        let said = pair.world.said();
        let [Said::Progress(_, 183, told)] = &said[..] else { panic!("{said:?}") };
        assert_eq!(formats(told), early);
        pair.world.answered(pair.call, C, &sdp(answer));
        pair.world.serve();
        let told = answered(&pair.world.said());
        assert_eq!(formats(&told), answer, "{early} and {answer}");
        pair.world.acked(A, "");
        assert!(pair.world.said().is_empty(), "{early} and {answer}");
        pair.world.assert_heard(pair.caller, pair.called, codec);
    }
    // A reliable one was the answer: the caller is asked to change once its call is up.
    for (early, answer, asked) in [("0", "8", "8"), ("0 8", "8", "8")] {
        for confirmed in [true, false] {
            let mut pair = going_in(with_prack(), &sdp("0 8"));
            pair.world.progress(pair.call, B, 183, &sdp(early));
            pair.world.serve();
            pair.world.said();
            if confirmed {
                pair.world.deliver(A);
            }
            pair.world.answered(pair.call, C, &sdp(answer));
            if !confirmed {
                assert!(pair.world.said().is_empty(), "the answer waits for the PRACK");
                pair.world.deliver(A);
            }
            pair.world.serve();
            assert_eq!(formats(&answered(&pair.world.said())), early, "what it was told before");
            pair.world.acked(A, "");
            pair.world.is_reinvited(A, asked, Some(asked));
            assert!(pair.world.said().is_empty());
            pair.world.assert_heard(pair.caller, pair.called, Codec::Pcma);
        }
    }
}

/// Either side holds by UPDATE before the answer, which concerns nobody but us then: the other one hears of it with the
/// answer.
#[test]
fn a_hold_before_the_answer_crosses_after_it() {
    for (holds, told) in [(A, B), (B, A)] {
        let mut world = with_prack();
        let caller = world.comes(A, "on", &sdp("0 8"));
        world.serve();
        let (call, ..) = world.invited();
        world.progress(call, B, 183, &sdp("0 8"));
        world.serve();
        world.deliver(A);
        world.said();
        world.updates(holds, 91, &(sdp("8") + "a=sendonly\r\n"));
        world.serve();
        let said = world.said();
        assert!(matches!(&said[..], [Said::Respond(_, 200, sdp)] if sdp.contains("a=recvonly")), "{holds}: {said:?}");
        world.answered(call, B, &sdp("0 8"));
        world.serve();
        let mut said = world.said();
        world.acked(A, "");
        said.extend(world.said());
        let reinvites: Vec<_> = said.iter().filter(|said| matches!(said, Said::Reinvite(..))).collect();
        let [Said::Reinvite(request, to, text)] = reinvites[..] else { panic!("{holds}: {said:?}") };
        assert!(*to == told && text.contains("a=sendonly"), "{holds}: {text}");
        assert_eq!(formats(text), "8", "the codec that is left as well");
        world.agrees(*request, 200, &(sdp("8") + "a=recvonly\r\n"));
        let called = world.session(caller).linked_to().unwrap();
        let directions = [caller, called].map(|id| world.spec(id).flow.direction());
        assert!(directions.contains(&Direction::Send) && directions.contains(&Direction::Receive), "{directions:?}");
        assert!(world.said().is_empty(), "nothing else is asked");
    }
}

/// A target fails after its early media: the next one is offered all that the caller has.
#[test]
fn the_next_target_is_offered_all() {
    let mut pair = going(&sdp("0 8"));
    pair.world.progress(pair.call, B, 183, &sdp("0"));
    pair.world.serve();
    pair.world.said();
    pair.world.failed(pair.call, 503);
    let (call, uri, offer) = pair.world.invited();
    assert_eq!((&*uri, formats(&offer)), ("sip:b2@192.0.2.7", "0 8"));
    pair.world.answered(call, C, &sdp("8"));
    pair.world.serve();
    assert_eq!(formats(&answered(&pair.world.said())), "8");
    pair.world.assert_heard(pair.caller, pair.called, Codec::Pcma);
}

/// A re-INVITE of one side: (what both have, what it offers, what the other one is asked, what that answers, what it is told).
#[test]
fn a_change_of_one_side_reaches_the_other() {
    for (before, offer, asked, answer, told, codec) in [
        ("0 8", "8", "8", "8", "8", Codec::Pcma),
        ("0 8", "8 0", "8 0", "8 0", "8 0", Codec::Pcma),
        ("0 8", "0 8", "0 8", "8", "8", Codec::Pcma),
        ("0", "8", "8", "8", "8", Codec::Pcma),
        ("0", "0 8", "0 8", "8 0", "0 8", Codec::Pcmu),
        ("0 101", "0", "0", "0", "0", Codec::Pcmu),
        ("0", "0 101", "0 101", "0 101", "0 101", Codec::Pcmu),
    ] {
        for from in [A, B] {
            let other = if from == A { B } else { A };
            let mut pair = pair(before, before);
            pair.world.offers(from, &sdp(offer));
            pair.world.is_reinvited(other, asked, Some(answer));
            assert_eq!(formats(&answered(&pair.world.said())), told, "{before}: {offer} from {from}");
            pair.world.acked(from, "");
            if codec == Codec::Pcmu && answer == "8 0" {
                continue; // each sends what it likes best, and the other one takes that
            }
            assert!(pair.world.said().is_empty(), "{before}: {offer} from {from}");
            pair.world.assert_heard(pair.caller, pair.called, codec);
        }
    }
}

/// The other side does not take what one side wants: that is refused, and both go on as they were.
#[test]
fn a_change_that_the_other_side_refuses_changes_nothing() {
    for from in [A, B] {
        let other = if from == A { B } else { A };
        let mut pair = pair("0", "0");
        pair.world.offers(from, &sdp("8"));
        pair.world.is_reinvited(other, "8", None);
        assert_eq!(pair.world.said(), [Said::Reject(REINVITE, 488, None)]);
        pair.world.assert_heard(pair.caller, pair.called, Codec::Pcmu);
        // What nobody here has is not even asked for.
        for nothing in [
            sdp("19"),
            SDP.replace("audio 4000", "audio 0"),
            SDP.replace("audio 4000", "audio 0") + "m=image 4002 udptl t38\r\n",
            SDP.replace("RTP/AVP 0", "RTP/SAVP 0"),
        ] {
            pair.world.offers(from, &nothing);
            assert_eq!(pair.world.said(), [Said::Reject(REINVITE, 488, None)], "{nothing}");
        }
        pair.world.assert_heard(pair.caller, pair.called, Codec::Pcmu);
        assert_eq!(pair.world.session(pair.caller).state(), SessionState::Connected);
    }
}

/// Of a call that nobody else takes part in.
#[test]
fn an_offer_of_nothing_leaves_the_call_as_it_is() {
    for offer in [
        SDP.replace("audio 4000", "audio 0"),
        SDP.replace("audio 4000", "audio 0") + "m=image 4002 udptl t38\r\n",
        "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=image 4002 udptl t38\r\n".into(),
        sdp("18"),
    ] {
        let (mut world, ..) = connected("tone");
        let before = world.session(world.id()).agreement().unwrap().clone();
        world.reinvites(DIALOG, &offer);
        assert_eq!(world.said(), [Said::Reject(REINVITE, 488, None)], "{offer}");
        let request = 90;
        world.updates(DIALOG, request, &offer);
        assert_eq!(world.said(), [Said::Respond(request, 488, String::new())], "{offer}");
        assert!(world.headers.iter().any(|(name, value)| name == "Warning" && value.starts_with("30")));
        assert!(world.asked().is_empty());
        assert_eq!(*world.session(world.id()).agreement().unwrap(), before);
        // As the first offer it is refused as well.
        let mut world = World::new(relaying(), 4);
        world.calls(DIALOG, "tone", &offer);
        assert_eq!(world.said(), [Said::Reject(INVITE, 488, None)], "{offer}");
        world.assert_empty();
    }
    // Beside fax, the second audio line is as good as the first.
    let (mut world, leg, tag) = connected("tone");
    let lines = SDP.replace("audio 4000", "audio 0") + "m=image 4002 udptl t38\r\nm=audio 4004 RTP/AVP 0\r\n";
    world.reinvites(DIALOG, &lines);
    assert_eq!(world.only_update(leg, tag).transport.remote_rtp.get().unwrap().port(), 4_004);
    let answer = answered(&world.said());
    let media: Vec<&str> = answer.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(media[..2], ["m=audio 0 RTP/AVP 0", "m=image 0 udptl t38"]);
    assert!(media[2].starts_with("m=audio 10"), "{answer}");
}

/// A caller that wants our offer gets the codecs of the called side; what it takes of them, that one hears.
#[test]
fn a_late_first_offer_crosses() {
    for (answer, late, asked) in [("0 8", "0 8", None), ("8", "8", None), ("0 8", "8", Some("8"))] {
        let (mut pair, _, to_a) = call("", &sdp(answer));
        assert_eq!(formats(&to_a), answer);
        pair.world.acked(A, &sdp(late));
        if let Some(asked) = asked {
            pair.world.is_reinvited(B, asked, Some(asked));
        }
        assert!(pair.world.said().is_empty(), "{answer} and {late}");
        let codec = if late.starts_with('0') { Codec::Pcmu } else { Codec::Pcma };
        pair.world.assert_heard(pair.caller, pair.called, codec);
    }
    // An answer of nothing ends the call on both sides.
    for late in [String::new(), sdp("18"), SDP.replace("audio 4000", "audio 0")] {
        let (mut pair, ..) = call("", &sdp("0"));
        pair.world.acked(A, &late);
        assert_eq!(pair.world.said(), [Said::Bye(A), Said::Bye(B)], "{late}");
    }
}

/// A called side that answers with nothing that we can use: it is told goodbye, and the caller why.
#[test]
fn an_answer_of_nothing_ends_the_call() {
    for answer in [String::new(), sdp("18"), SDP.replace("audio 4000", "audio 0"), SDP.replace("AVP", "SAVP")] {
        let mut pair = going(&sdp("0 8"));
        pair.world.answered(pair.call, B, &answer);
        pair.world.serve();
        let told = [Said::Bye(B), Said::Reject(A, 488, None)];
        assert_eq!(pair.world.said(), told, "{answer}");
    }
}

/// Late offers in the middle of a call.
#[test]
fn a_late_offer_of_either_side_crosses() {
    for from in [A, B] {
        let other = if from == A { B } else { A };
        let mut pair = pair("0 8", "0 8");
        pair.world.offers(from, "");
        assert_eq!(formats(&answered(&pair.world.said())), "0 8");
        pair.world.acked(from, &sdp("8"));
        pair.world.is_reinvited(other, "8", Some("8"));
        assert!(pair.world.said().is_empty());
        pair.world.assert_heard(pair.caller, pair.called, Codec::Pcma);
    }
}

/// Each answer leaves fewer codecs, so that changes which cause each other come to an end.
#[test]
fn narrowing_ends() {
    // The caller's answer to our late offer and the other side's to the offer that follows exclude each other.
    let (mut pair, ..) = call("", &sdp("0 8"));
    pair.world.acked(A, &sdp("8"));
    pair.world.is_reinvited(B, "8", None);
    // B keeps what it has, and sends PCMU first: A is asked for that, then the call ends.
    let mut rounds = 0;
    loop {
        let said = pair.world.said();
        match &said[..] {
            [Said::Reinvite(request, ..)] => pair.world.agrees(*request, 488, ""),
            [Said::Bye(_), Said::Bye(_)] => break,
            _ => panic!("{said:?}"),
        }
        rounds += 1;
        assert!(rounds < 5, "no end");
    }
}

/// Two calls of one peer, with different codecs, become one.
fn consultation(first: &str, second: &str) -> (Pair, SessionId, SessionId) {
    consultation_in(pair(first, first), second)
}

fn consultation_in(mut pair: Pair, second: &str) -> (Pair, SessionId, SessionId) {
    let asks = pair.world.comes(2, "on", &sdp(second));
    pair.world.serve();
    let (call, ..) = pair.world.invited();
    pair.world.answered(call, C, &sdp(second));
    pair.world.serve();
    pair.world.acked(2, "");
    pair.world.said();
    let third = pair.world.session(asks).linked_to().unwrap();
    (pair, asks, third)
}

/// The Refer-To that joins the two calls of a consultation.
fn join(pair: &mut Pair) -> String {
    format!("<sip:c@192.0.2.9?Replaces={}>", pair.world.replaces_of(2))
}

#[test]
fn an_attended_transfer_brings_both_onto_one_codec() {
    let is_done = |pair: &mut Pair, third, codec| {
        let said = pair.world.said();
        assert_eq!(said, [Said::Notify(REPORTS, 200, true), Said::Bye(2)]);
        pair.world.confirms(A);
        assert_eq!(pair.world.said(), [Said::Bye(A)]);
        pair.world.over(A, Cause::LocalBye);
        pair.world.over(2, Cause::LocalBye);
        pair.world.serve();
        assert!(pair.world.said().is_empty());
        pair.world.assert_heard(pair.called, third, codec);
    };
    let begun = |pair: &mut Pair| {
        let target = join(pair);
        pair.world.is_referred(A, &target);
        let said = pair.world.said.drain(..2).collect::<Vec<_>>();
        assert_eq!(said, [Said::AcceptRefer(REFER), Said::Notify(REPORTS, 100, false)]);
    };
    // The second one takes the codec of the first.
    let (mut pair, _, third) = consultation("0", "8");
    begun(&mut pair);
    pair.world.is_reinvited(C, "0", Some("0"));
    is_done(&mut pair, third, Codec::Pcmu);
    // It does not, but the first one takes its.
    let (mut pair, _, third) = consultation("0", "8");
    begun(&mut pair);
    pair.world.is_reinvited(C, "0", None);
    pair.world.is_reinvited(B, "8", Some("8"));
    is_done(&mut pair, third, Codec::Pcma);
    // Neither does: both calls go on as they were.
    let (mut pair, asks, third) = consultation("0", "8");
    begun(&mut pair);
    pair.world.is_reinvited(C, "0", None);
    pair.world.is_reinvited(B, "8", None);
    assert_eq!(pair.world.said(), [Said::Notify(REPORTS, 488, true)]);
    pair.world.assert_heard(pair.caller, pair.called, Codec::Pcmu);
    pair.world.assert_heard(asks, third, Codec::Pcma);
    // The party that is handed over hangs up meanwhile: the other call goes on.
    let (mut pair, ..) = consultation("0", "8");
    begun(&mut pair);
    pair.world.over(C, Cause::RemoteBye);
    pair.world.serve();
    let said = pair.world.said();
    assert!(matches!(said[..], [Said::Reinvite(..), Said::Bye(dialog)] if dialog == 2), "{said:?}");
    pair.world.over(2, Cause::LocalBye);
    pair.world.assert_heard(pair.caller, pair.called, Codec::Pcmu);
    pair.world.is_referred(A, "<sip:c@192.0.2.3>");
    assert!(pair.world.said().contains(&Said::AcceptRefer(REFER)), "it may ask for something else");
}

/// Phones hang up as soon as their REFER is accepted: one of the two calls, or both. The two others are one call from then
/// on, whichever of them is asked for the other codec.
#[test]
fn a_peer_that_leaves_during_an_attended_transfer_has_handed_over() {
    for (leaves, refused) in
        [(&[A][..], 0), (&[2][..], 0), (&[A, 2][..], 0), (&[2, A][..], 1), (&[A][..], 1), (&[A, 2][..], 2)]
    {
        let (mut pair, _, third) = consultation("0", "8");
        let target = join(&mut pair);
        pair.world.is_referred(A, &target);
        let mut said = pair.world.said();
        let asked = said.pop();
        assert!(matches!(asked, Some(Said::Reinvite(_, to, _)) if to == C), "{asked:?}");
        for dialog in leaves {
            pair.world.over(*dialog, Cause::RemoteBye);
            pair.world.serve();
        }
        let told = pair.world.said();
        let reported = told.contains(&Said::Notify(REPORTS, 200, true));
        assert_eq!(reported, leaves[0] != A, "{told:?}");
        assert!(![B, C].into_iter().any(|side| told.contains(&Said::Bye(side))), "{told:?}");
        pair.world.said = asked.into_iter().collect();
        if refused == 0 {
            pair.world.is_reinvited(C, "0", Some("0"));
            pair.world.assert_heard(pair.called, third, Codec::Pcmu);
            continue;
        }
        pair.world.is_reinvited(C, "0", None);
        if refused == 1 {
            pair.world.is_reinvited(B, "8", Some("8"));
            pair.world.assert_heard(pair.called, third, Codec::Pcma);
            continue;
        }
        pair.world.is_reinvited(B, "8", None);
        assert_eq!(
            pair.world.said(),
            [Said::Bye(B), Said::Bye(C)],
            "they cannot hear each other, and nobody else is there"
        );
    }
}

/// The caller could do both, and was told to use one: it is asked for the other when another party takes the called side's
/// place.
#[test]
fn a_blind_transfer_brings_both_onto_one_codec() {
    for leaves in [false, true] {
        let mut pair = pair("0 8", "0");
        pair.world.is_referred(B, "<sip:c@192.0.2.3>");
        let said = pair.world.said();
        let Some(Said::Invite(call, _, offer)) = said.last() else { panic!("{said:?}") };
        assert_eq!(formats(offer), "0 8", "the present codec first");
        let third = pair.world.session_calling(*call);
        if leaves {
            pair.world.over(B, Cause::RemoteBye);
            pair.world.serve();
        }
        pair.world.said();
        pair.world.answered(*call, C, &sdp("8"));
        pair.world.serve();
        let mut said = pair.world.said();
        said.retain(|said| matches!(said, Said::Reinvite(..)));
        pair.world.said = said;
        pair.world.is_reinvited(A, "8", Some("8"));
        assert!(pair.world.said().is_empty());
        pair.world.assert_heard(pair.caller, third, Codec::Pcma);
    }
}

/// Nobody speaks what the other one does: the call ends on both sides.
#[test]
fn a_transfer_to_somebody_without_a_common_codec_ends() {
    let mut pair = pair("0", "0");
    pair.world.is_referred(B, "<sip:c@192.0.2.3>");
    let said = pair.world.said();
    let Some(Said::Invite(call, ..)) = said.last() else { panic!("{said:?}") };
    pair.world.answered(*call, C, &sdp("8"));
    pair.world.serve();
    let mut said = pair.world.said();
    said.retain(|said| matches!(said, Said::Reinvite(..)));
    pair.world.said = said;
    pair.world.is_reinvited(A, "8", None);
    pair.world.is_reinvited(C, "0", None);
    let said = pair.world.said();
    assert!(said.len() == 2 && said.contains(&Said::Bye(A)) && said.contains(&Said::Bye(C)), "{said:?}");
}

#[test]
fn a_bridge_brings_both_onto_one_codec() {
    let two = |first: &str, second: &str| {
        let mut world = World::new(relaying(), 4);
        let one = world.comes(A, "tone", &sdp(first));
        let other = world.comes(B, "tone", &sdp(second));
        world.serve();
        world.acked(A, "");
        world.acked(B, "");
        world.said();
        world.events.clear();
        (world, one, other)
    };
    let bridge = |world: &mut World, one, other| {
        let bridge = world.turn(|sessions, turn| sessions.bridge(turn, one, other));
        world.serve();
        bridge
    };
    // The first one talks PCMU and has shown that it takes PCMA as well.
    let (mut world, one, other) = two("0 8", "8");
    bridge(&mut world, one, other).unwrap();
    world.is_reinvited(A, "8", Some("8"));
    assert!(world.said().is_empty());
    world.assert_heard(one, other, Codec::Pcma);
    // One side's later change is the other one's as well, unless that refuses.
    world.offers(A, &sdp("0"));
    world.is_reinvited(B, "0", None);
    assert_eq!(world.said(), [Said::Reject(REINVITE, 488, None)]);
    world.assert_heard(one, other, Codec::Pcma);
    world.offers(A, &sdp("0"));
    world.is_reinvited(B, "0", Some("0"));
    assert_eq!(formats(&answered(&world.said())), "0");
    world.assert_heard(one, other, Codec::Pcmu);
    // Neither takes the other's after all: the bridge is gone, the calls go on.
    let (mut world, one, other) = two("0 8", "8 0");
    bridge(&mut world, one, other).unwrap();
    assert!(world.said().is_empty(), "they fit");
    world.offers(A, &sdp("0"));
    let answer = world.said.remove(0);
    assert_eq!(formats(&answered(&[answer])), "0");
    world.acked(A, "");
    world.is_reinvited(B, "0", None);
    world.is_reinvited(A, "8 0", None);
    let failed =
        |event: &SessionEvent| matches!(event, SessionEvent::ParticipantRemoved { reason: LeaveReason::Failed, .. });
    assert_eq!(world.events.iter().filter(|event| failed(event)).count(), 2);
    assert_eq!(
        (world.session(one).state(), world.session(other).state()),
        (SessionState::Connected, SessionState::Connected)
    );
    // What cannot be is refused at once.
    let (mut world, one, other) = two("0", "8");
    assert!(matches!(bridge(&mut world, one, other), Err(SessionError::Media(_))));
}

/// No name is looked up for media: it goes to where the peer's signaling comes from, until the peer's own media comes.
#[test]
fn a_host_name_in_a_description_is_where_signaling_comes_from() {
    let named = SDP.replace("c=IN IP4 192.0.2.1", "c=IN IP4 phone.example.com");
    let (pair, ..) = call(&named, &named);
    let rtp = |id| pair.world.spec(id).transport.remote_rtp.get().map(|rtp| rtp.to_string());
    assert_eq!(rtp(pair.caller).as_deref(), Some("192.0.2.1:4000"));
    assert_eq!(rtp(pair.called).as_deref(), Some("192.0.2.7:4000"), "the target that was called");
}
