//! Two sides without a common codec hear each other by the media plane, and come back to one codec where they can.

use super::*;
use contract::PayloadMapping;

/// A switch with all codecs that transcodes.
fn settings() -> Settings {
    let codecs = vec![Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus];
    let codecs = codecs.into_iter().map(sdp_core::AudioFormat::of).collect();
    Settings { media: MediaSettings { codecs, ..MediaSettings::default() }, ..Settings::default() }
}

/// A description with these payload types; 96 is Opus.
fn sdp(formats: &str) -> String {
    let opus = if formats.contains("96") { "a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n" } else { "" };
    super::sdp(formats) + opus
}

fn call(offer: &str, answer: &str) -> (Pair, String, String) {
    call_in(settings(), offer, answer)
}

fn pair(offer: &str, answer: &str) -> Pair {
    call(&sdp(offer), &sdp(answer)).0
}

impl World {
    /// The two hear each other, each in a codec of its own that the other one has not got.
    #[track_caller]
    fn assert_transcoded(&self, one: (SessionId, Codec), other: (SessionId, Codec)) {
        for ((here, codec), (there, _)) in [(one, other), (other, one)] {
            let leg = self.session(there).leg().expect("a leg");
            assert_eq!(self.spec(here).flow.source(), Source::Leg(leg), "{here}");
            assert_eq!(self.session(here).codec(), Some(codec), "{here}");
            let formats = self.spec(here).formats.payloads;
            let first = formats.entries().next().expect("a format");
            assert_eq!((first.codec, first.peer_payload_type), (codec, PayloadMapping::NOT_THERE), "{here}");
        }
    }

    /// As [`Self::is_reinvited`], with Opus.
    #[track_caller]
    fn is_asked(&mut self, dialog: u64, offered: &str, answer: Option<&str>) {
        let said = self.said();
        let [Said::Reinvite(request, to, text)] = &said[..] else { panic!("{said:?}") };
        assert_eq!((*to, formats(text)), (dialog, offered), "{text}");
        match answer {
            Some(answer) => self.agrees(*request, 200, &sdp(answer)),
            None => self.agrees(*request, 488, ""),
        }
    }
}

#[test]
fn the_other_sides_codecs_come_first_and_the_rest_is_transcoded() {
    use Codec::{G722, Opus, Pcma, Pcmu};
    for (offer, answer, offered, told, here, there) in [
        ("96", "8", "96 0 8 9", "96", Opus, Pcma),
        ("0 8", "9", "0 8 9 96", "0 8", Pcmu, G722),
        ("8", "96", "8 0 9 96", "8", Pcma, Opus),
        // G.711 becomes G.711 at no cost, whatever the caller prefers.
        ("96 9 0", "8", "96 9 0 8", "0 9 96", Pcmu, Pcma),
        // Otherwise the caller's order counts.
        ("96 0", "9", "96 0 8 9", "96 0", Opus, G722),
    ] {
        let ipv6 = |sdp: &str| sdp.replace("IN IP4 192.0.2.1", "IN IP6 2001:db8::1");
        for (offer, answer) in [(sdp(offer), sdp(answer)), (ipv6(&sdp(offer)), sdp(answer))] {
            let (mut pair, to_b, to_a) = call(&offer, &answer);
            assert_eq!((formats(&to_b), formats(&to_a)), (offered, told), "{offer} and {answer}");
            pair.world.assert_transcoded((pair.caller, here), (pair.called, there));
            assert!(pair.world.said().is_empty(), "nobody is asked for what it has not shown");
        }
    }
}

#[test]
fn a_common_codec_is_relayed() {
    for (offer, answer, offered, told, codec) in [
        ("96 0", "0", "96 0 8 9", "0", Codec::Pcmu),
        ("0 96", "96", "0 96 8 9", "96", Codec::Opus),
        ("9 8", "8 9", "9 8 0 96", "9 8", Codec::G722),
    ] {
        let (pair, to_b, to_a) = call(&sdp(offer), &sdp(answer));
        assert_eq!((formats(&to_b), formats(&to_a)), (offered, told), "{offer} and {answer}");
        assert_eq!(pair.world.session(pair.caller).codec(), Some(codec));
        let formats = pair.world.spec(pair.caller).formats.payloads;
        assert!(formats.iter().all(|(_, _, there)| there != PayloadMapping::NOT_THERE), "{formats:?}");
    }
}

/// What a peer says of Opus reaches its leg.
#[test]
fn parameters_of_opus_reach_the_leg() {
    let wanted = "a=fmtp:96 maxplaybackrate=16000;maxaveragebitrate=24000;usedtx=1\r\n";
    let offer = sdp("96").replace("a=fmtp:96 useinbandfec=1\r\n", wanted);
    let (pair, ..) = call(&offer, &sdp("8"));
    let opus = pair.world.spec(pair.caller).formats.opus;
    assert_eq!(
        (opus.playback_rate(), opus.bitrate(), opus.has_dtx(), opus.has_inband_fec()),
        (16_000, Some(24_000), true, false)
    );
}

/// What each side wants of Opus is told to the other one, which sends it that.
#[test]
fn parameters_of_opus_cross_a_relay() {
    let with = |fmtp: &str| sdp("96").replace("useinbandfec=1", fmtp);
    let (pair, to_b, to_a) = call(&with("stereo=1;usedtx=1"), &with("maxplaybackrate=8000"));
    let fmtp = |sdp: &str| line(sdp, "a=fmtp:96 ").map(str::to_owned);
    assert_eq!(fmtp(&to_b).as_deref(), Some("stereo=1;usedtx=1"));
    assert_eq!(fmtp(&to_a).as_deref(), Some("maxplaybackrate=8000"));
    assert_eq!(pair.world.spec(pair.called).formats.opus.playback_rate(), 8_000);
    // What the media plane decodes it has its own wishes for.
    let (_, to_b, to_a) = call(&with("stereo=1"), &sdp("8"));
    assert_eq!((fmtp(&to_b).as_deref(), fmtp(&to_a).as_deref()), (Some("stereo=1"), Some("useinbandfec=1")));
}

/// Without a common codec each side has the packet time that its own peer asks for.
#[test]
fn packet_times_do_not_cross_a_transcoder() {
    let said = |sdp: String, ptime: &str| sdp + ptime;
    let (pair, _, to_a) = call(&said(sdp("96"), "a=ptime:40\r\n"), &said(sdp("8"), "a=ptime:30\r\n"));
    assert_eq!(line(&to_a, "a=ptime:"), Some("40"), "{to_a}");
    let ptime = |id| pair.world.spec(id).formats.ptime_ms;
    assert_eq!((ptime(pair.caller), ptime(pair.called)), (40, 30));
}

/// A side that sits on another codec although it has shown a common one is asked for that, once.
#[test]
fn a_common_codec_that_is_not_the_first_is_asked_for() {
    let mut agreeing = pair("0", "96 0");
    agreeing.world.is_asked(B, "0", Some("0"));
    assert!(agreeing.world.said().is_empty());
    agreeing.world.assert_heard(agreeing.caller, agreeing.called, Codec::Pcmu);
    let mut refusing = pair("0", "96 0");
    refusing.world.is_asked(B, "0", None);
    assert!(refusing.world.said().is_empty(), "neither asked again nor ended");
    for (id, codec) in [(refusing.caller, Codec::Pcmu), (refusing.called, Codec::Opus)] {
        let session = refusing.world.session(id);
        assert_eq!((session.state(), session.codec()), (SessionState::Connected, Some(codec)));
    }
}

#[test]
fn a_late_first_offer_is_transcoded() {
    let (mut pair, _, to_a) = call("", &sdp("9"));
    assert_eq!(formats(&to_a), "9 0 8 96", "what the called side has comes first");
    pair.world.acked(A, &sdp("8"));
    assert!(pair.world.said().is_empty());
    pair.world.assert_transcoded((pair.caller, Codec::Pcma), (pair.called, Codec::G722));
}

#[test]
fn changes_in_a_transcoded_call() {
    for (from, own, other, theirs) in [(A, "96", B, "8"), (B, "8", A, "96")] {
        let mut pair = pair("96", "8");
        let is_transcoded = |pair: &Pair| {
            pair.world.assert_transcoded((pair.caller, Codec::Opus), (pair.called, Codec::Pcma));
        };
        let offered = if own == "96" { "96 0 8 9" } else { "8 0 9 96" };
        for direction in ["sendonly", "sendrecv"] {
            pair.world.offers(from, &(sdp(own) + "a=" + direction + "\r\n"));
            pair.world.is_asked(other, offered, Some(theirs));
            assert_eq!(formats(&answered(&pair.world.said())), own, "{direction}");
            pair.world.acked(from, "");
            is_transcoded(&pair);
        }
        // A re-INVITE without an offer has the other side's codecs first.
        pair.world.offers(from, "");
        let late = answered(&pair.world.said());
        assert!(formats(&late).starts_with(theirs), "{late}");
        pair.world.acked(from, &sdp(own));
        is_transcoded(&pair);
        assert!(pair.world.said().is_empty());
        // What the other side has is relayed from then on.
        pair.world.offers(from, &sdp(theirs));
        pair.world.is_asked(other, theirs, Some(theirs));
        assert_eq!(formats(&answered(&pair.world.said())), theirs);
        pair.world.acked(from, "");
        let codec = if theirs == "8" { Codec::Pcma } else { Codec::Opus };
        pair.world.assert_heard(pair.caller, pair.called, codec);
        assert!(pair.world.said().is_empty());
    }
}

/// One side goes on with a codec that the other one has not got.
#[test]
fn the_codec_of_one_side_is_changed() {
    let mut pair = pair("0", "0");
    let caller = pair.caller;
    pair.world.turn(|sessions, turn| sessions.change_codec(turn, caller, Codec::Opus)).unwrap();
    pair.world.is_asked(A, "96", Some("96"));
    assert!(pair.world.said().is_empty());
    pair.world.assert_transcoded((pair.caller, Codec::Opus), (pair.called, Codec::Pcmu));
}

#[test]
fn a_bridge_transcodes() {
    let two = |first: &str, second: &str| {
        let mut world = World::new(settings(), 4);
        let one = world.comes(A, "tone", &sdp(first));
        let other = world.comes(B, "tone", &sdp(second));
        world.serve();
        world.acked(A, "");
        world.acked(B, "");
        world.said();
        world.turn(|sessions, turn| sessions.bridge(turn, one, other)).unwrap();
        world.serve();
        (world, one, other)
    };
    let (mut world, one, other) = two("96", "8");
    assert!(world.said().is_empty());
    world.assert_transcoded((one, Codec::Opus), (other, Codec::Pcma));
    // A change of one side is answered without the other one.
    world.offers(A, &sdp("9"));
    assert_eq!(formats(&answered(&world.said())), "9");
    world.acked(A, "");
    world.assert_transcoded((one, Codec::G722), (other, Codec::Pcma));
    assert!(world.said().is_empty());
    // Where one side has shown the other one's codec it is asked for it, and may refuse.
    for answer in [Some("8"), None] {
        let (mut world, one, other) = two("96 8", "8");
        world.is_asked(A, "8", answer);
        assert!(world.said().is_empty());
        assert_eq!(world.sessions.bridges().count(), 1, "the bridge stays");
        match answer {
            Some(_) => world.assert_heard(one, other, Codec::Pcma),
            None => assert_eq!(world.session(one).codec(), Some(Codec::Opus)),
        }
    }
}

#[test]
fn an_attended_transfer_transcodes() {
    let handed_over = |pair: &mut Pair, third: SessionId| {
        let said = pair.world.said();
        assert_eq!(said[said.len() - 2..], [Said::Notify(REPORTS, 200, true), Said::Bye(2)], "{said:?}");
        pair.world.confirms(A);
        assert_eq!(pair.world.said(), [Said::Bye(A)]);
        pair.world.over(A, Cause::LocalBye);
        pair.world.over(2, Cause::LocalBye);
        pair.world.serve();
        assert!(pair.world.said().is_empty());
        assert_eq!(pair.world.session(third).linked_to(), Some(pair.called));
    };
    let (mut pair, _, third) = consultation_in(pair("0", "0"), "8");
    let target = join(&mut pair);
    pair.world.is_referred(A, &target);
    handed_over(&mut pair, third);
    pair.world.assert_transcoded((pair.called, Codec::Pcmu), (third, Codec::Pcma));
    // A side that has shown the other one's codec is asked first; what it refuses is transcoded.
    for answer in [Some("8"), None] {
        let first = self::pair("0 8", "0 8");
        let (mut pair, _, third) = consultation_in(first, "8");
        pair.world.offers(B, &sdp("0"));
        pair.world.is_asked(A, "0", Some("0"));
        pair.world.said();
        pair.world.acked(B, "");
        pair.world.said();
        let target = join(&mut pair);
        pair.world.is_referred(A, &target);
        pair.world.said.drain(..2);
        pair.world.is_asked(B, "8", answer);
        handed_over(&mut pair, third);
    }
}

#[test]
fn a_blind_transfer_transcodes() {
    let mut pair = pair("0", "0");
    pair.world.is_referred(B, "<sip:c@192.0.2.3>");
    let said = pair.world.said();
    let Some(Said::Invite(call, _, offer)) = said.last() else { panic!("{said:?}") };
    assert_eq!(formats(offer), "0 8 9 96", "the present codec first");
    let third = pair.world.session_calling(*call);
    pair.world.answered(*call, C, &sdp("96"));
    pair.world.serve();
    let mut said = pair.world.said();
    said.retain(|said| matches!(said, Said::Reinvite(..)));
    assert!(said.is_empty(), "{said:?}");
    pair.world.assert_transcoded((pair.caller, Codec::Pcmu), (third, Codec::Opus));
}

/// What the media plane would have to decode, and cannot, is refused.
#[test]
fn what_cannot_be_transcoded_is_refused() {
    let mut world = World::new(settings(), 4);
    world.calls(A, "tone", &sdp("18"));
    assert_eq!(world.said(), [Said::Reject(A, 488, None)]);
    let mut pair = pair("96", "8");
    pair.world.offers(A, &sdp("18"));
    pair.world.is_asked(B, "18", None);
    assert_eq!(pair.world.said(), [Said::Reject(REINVITE, 488, None)]);
    pair.world.assert_transcoded((pair.caller, Codec::Opus), (pair.called, Codec::Pcma));
}

/// A peer that has agreed to Opus and is sent something else is offered Opus alone once its call is degraded, and only once.
#[test]
fn a_degraded_call_is_offered_opus_once() {
    let change = contract::QualityChange {
        stream: contract::LegStream::Received,
        old: contract::QualityClass::Fair,
        new: contract::QualityClass::Bad,
        was_degraded: false,
        is_degraded: true,
        mos_x100: 250,
        loss_rate: 60,
    };
    let offered = |codec_change: bool, offer: &str| {
        let mut settings = settings();
        settings.media.codec_change = codec_change;
        let mut pair = call_in(settings, &sdp(offer), &sdp(offer)).0;
        let leg = pair.world.session(pair.caller).leg().expect("a leg");
        pair.world.media(contract::Event::QualityChanged { leg, change });
        pair
    };
    assert!(offered(false, "0 96").world.said().is_empty(), "it is off unless it is wanted");
    assert!(offered(true, "0 8").world.said().is_empty(), "the peer has no Opus");
    assert!(offered(true, "96").world.said().is_empty(), "it has Opus already");
    for (answer, codec) in [(Some("96"), Codec::Opus), (None, Codec::Pcmu)] {
        let mut pair = offered(true, "0 96");
        pair.world.is_asked(A, "96", answer);
        assert_eq!(pair.world.session(pair.caller).codec(), Some(codec));
        pair.world.said();
        let leg = pair.world.session(pair.caller).leg().expect("a leg");
        pair.world.media(contract::Event::QualityChanged { leg, change });
        assert!(pair.world.said().is_empty(), "once in a call");
    }
}
