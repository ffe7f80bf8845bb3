//! Digits between sides that have different ways for them.

use super::*;
use contract::{Command, DigitPassing, Event, LegRef};

fn settings(digit_way: DigitWay, digit_passing: DigitPassing) -> Settings {
    Settings { media: MediaSettings { digit_way, digit_passing, ..MediaSettings::default() }, ..Settings::default() }
}

fn call_with(digit_way: DigitWay, digit_passing: DigitPassing, offer: &str, answer: &str) -> Pair {
    let (mut pair, ..) = call_in(settings(digit_way, digit_passing), &sdp(offer), &sdp(answer));
    pair.world.asked();
    pair.world.said();
    pair
}

impl World {
    fn port_of(&self, id: SessionId) -> LegRef {
        self.session(id).leg().expect("a leg")
    }

    /// The media plane tells a press of a key.
    fn presses(&mut self, id: SessionId, digit: u8, duration_ms: u32) {
        let leg = self.port_of(id);
        self.media(Event::Digit { leg, digit });
        self.media(Event::DigitEnded { leg, digit, duration_ms });
    }

    /// Digits that legs were told to send since the last time, with their lengths.
    fn dialled(&mut self) -> Vec<(LegRef, u8, u16)> {
        let digit = |command: Command| match command {
            Command::SendDigit { leg, digit, duration_ms, .. } => Some((leg, digit, duration_ms)),
            _ => None,
        };
        self.asked().into_iter().filter_map(digit).collect()
    }

    /// The bodies of INFO requests to a dialog since the last time, with their numbers.
    fn informed(&mut self, dialog: u64) -> Vec<(u64, String)> {
        let info = |said: Said| match said {
            Said::Info(request, to, body) if to == dialog => Some((request, body)),
            _ => None,
        };
        self.said().into_iter().filter_map(info).collect()
    }
}

#[test]
fn digits_of_the_media_become_info_as_long_as_they_were() {
    let mut pair = call_with(DigitWay::Info, DigitPassing::Pass, "0", "0");
    let world = &mut pair.world;
    world.presses(pair.caller, 7, 230);
    let sent = world.informed(B);
    let [(request, body)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(body, "Signal=7\r\nDuration=230\r\n");
    // A second and a third one before the first is answered: none is lost, none is doubled.
    world.presses(pair.caller, 7, 100);
    world.presses(pair.caller, 11, 90);
    assert!(world.informed(B).is_empty());
    world.responds(*request, 200, "");
    let sent = world.informed(B);
    assert_eq!(sent[0].1, "Signal=7\r\nDuration=100\r\n");
    world.responds(sent[0].0, 200, "");
    assert_eq!(world.informed(B)[0].1, "Signal=#\r\nDuration=90\r\n");
    assert!(world.dialled().is_empty());
}

#[test]
fn digits_of_the_media_that_the_other_leg_gets_by_itself_are_not_sent_again() {
    for (way, formats) in [(DigitWay::Auto, "0 101"), (DigitWay::Tones, "0")] {
        let mut pair = call_with(way, DigitPassing::Pass, formats, formats);
        pair.world.presses(pair.caller, 7, 230);
        assert_eq!((pair.world.informed(B), pair.world.dialled()), (vec![], vec![]), "{way:?}");
        assert!(pair.world.told().contains(&SessionEvent::Digit { id: pair.caller, digit: 7 }));
    }
}

#[test]
fn digits_by_info_become_telephone_events_or_tones_as_long_as_they_were() {
    for (way, formats) in [(DigitWay::Auto, "0 101"), (DigitWay::Tones, "0")] {
        let mut pair = call_with(way, DigitPassing::Pass, formats, formats);
        let world = &mut pair.world;
        world.infos(A, 90, "application/dtmf-relay", "Signal=4\r\nDuration=300\r\n");
        assert_eq!(world.said(), [Said::Respond(90, 200, String::new())], "{way:?}");
        assert_eq!(world.dialled(), [(world.port_of(pair.called), 4, 300)], "{way:?}");
    }
}

#[test]
fn a_peer_that_refuses_info_gets_tones_from_then_on() {
    let mut pair = call_with(DigitWay::Auto, DigitPassing::Pass, "0", "0");
    let world = &mut pair.world;
    assert!(world.spec(pair.called).flow.digits.are_sent_by_signaling());
    world.infos(A, 90, "application/dtmf-relay", "Signal=4\r\n");
    let sent = world.informed(B);
    world.responds(sent[0].0, 415, "");
    // The digit itself is not lost: it goes by the other type, then as a tone.
    let sent = world.informed(B);
    assert_eq!(sent[0].1, "4\r\n");
    world.asked();
    world.responds(sent[0].0, 415, "");
    let told = world.told();
    assert!(!told.iter().any(|event| matches!(event, SessionEvent::Failed { .. })), "{told:?}");
    assert_eq!(world.dialled(), [(world.port_of(pair.called), 4, 120)]);
    world.infos(A, 91, "application/dtmf", "5");
    assert!(world.informed(B).is_empty());
    world.wait(clock::Duration::from_secs(1));
    assert_eq!(world.dialled(), [(world.port_of(pair.called), 5, 120)]);
}

/// Where there is no other way the refusal is told: nothing can be heard on hold.
#[test]
fn a_refused_digit_without_another_way_is_told() {
    let mut pair = call_with(DigitWay::Info, DigitPassing::Pass, "0", "0");
    let (world, id) = (&mut pair.world, pair.called);
    world.infos(A, 90, "application/dtmf-relay", "Signal=4\r\n");
    for _ in 0..2 {
        let sent = world.informed(B);
        assert_eq!(sent.len(), 1);
        world.told();
        world.responds(sent[0].0, 415, "");
    }
    assert!(world.informed(B).is_empty());
    let told = world.told();
    let is_it = |event: &SessionEvent| matches!(event, SessionEvent::Failed { id: failed, operation: Operation::SendDtmf, status: 415, .. } if *failed == id);
    assert!(told.iter().any(is_it), "{told:?}");
}

/// What a phone takes and sends digits by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Events,
    InfoRelay,
    InfoPlain,
    Tones,
}

const WAYS: [Way; 4] = [Way::Events, Way::InfoRelay, Way::InfoPlain, Way::Tones];

impl Way {
    /// What the INVITE of such a phone says.
    fn lines(self) -> &'static [&'static str] {
        match self {
            Self::Events => &[],
            Self::InfoRelay => &["Accept: application/sdp, application/dtmf-relay"],
            Self::InfoPlain => &["Accept: application/sdp, application/dtmf"],
            Self::Tones => &["Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE"],
        }
    }
}

/// A digit from the called side reaches the caller by the way that the caller has, whatever way it came. Where the media plane
/// passes or converts it, signaling sends nothing of its own. Telephone events are agreed on where both phones have them.
#[test]
fn each_way_of_digits_becomes_each_other() {
    for (from, to) in WAYS.into_iter().flat_map(|from| WAYS.map(|to| (from, to))) {
        let case = format!("{from:?} to {to:?}");
        let mut world = World::new(settings(DigitWay::Auto, DigitPassing::Pass), 6);
        let has_events = [from, to].contains(&Way::Events);
        let formats = if has_events { "0 101" } else { "0" };
        world.calls_saying(A, "sip:on@192.0.2.9", to.lines(), &sdp(formats));
        let caller = world.session_of(A);
        let called = world.session(caller).linked_to().expect("the other side");
        world.serve();
        let (call, ..) = world.invited();
        world.answered(call, B, &sdp(formats));
        world.serve();
        world.acked(A, "");
        world.said();
        world.asked();
        world.told();
        match from {
            Way::InfoRelay => world.infos(B, 90, "application/dtmf-relay", "Signal=7\r\nDuration=150\r\n"),
            Way::InfoPlain => world.infos(B, 90, "application/dtmf", "7"),
            Way::Events => world.presses(called, 7, 150),
            // Tones are only told where they are listened for.
            Way::Tones if world.spec(called).flow.digits.listens() => world.presses(called, 7, 150),
            Way::Tones => {}
        }
        let is_by_info = matches!(from, Way::InfoRelay | Way::InfoPlain);
        let ms = if from == Way::InfoPlain { 120 } else { 150 };
        let (informed, dialled) = (world.informed(A), world.dialled());
        let leg = world.port_of(caller);
        let listens = world.spec(called).flow.digits.listens();
        let body = match to {
            _ if has_events || (from == Way::Tones && !listens) => None,
            Way::InfoRelay => Some(format!("Signal=7\r\nDuration={ms}\r\n")),
            Way::InfoPlain => Some("7\r\n".to_owned()),
            Way::Events | Way::Tones => None,
        };
        let bodies: Vec<String> = informed.into_iter().map(|(_, body)| body).collect();
        assert_eq!(bodies, Vec::from_iter(body), "{case}");
        let is_dialled = is_by_info && (has_events || to == Way::Tones);
        assert_eq!(dialled, Vec::from_iter(is_dialled.then_some((leg, 7, ms))), "{case}");
        let by_signaling = matches!(to, Way::InfoRelay | Way::InfoPlain);
        assert_eq!(world.spec(caller).flow.digits.are_sent_by_signaling(), by_signaling || to == Way::Events, "{case}");
        if from != Way::Tones {
            assert!(world.told().contains(&SessionEvent::Digit { id: called, digit: 7 }), "{case}");
        }
    }
}

/// The rule of one call, which outlasts hold and the settings, and is taken back.
#[test]
fn a_call_has_a_rule_of_its_own() {
    let mut pair = call_with(DigitWay::Auto, DigitPassing::Pass, "0 101", "0 101");
    let (world, id) = (&mut pair.world, pair.caller);
    let passing = |world: &World| (world.spec(id).flow.digits.passing(), world.spec(pair.called).flow.digits.passing());
    for (rule, expected) in [
        (Some(DigitPassing::Remove), DigitPassing::Remove),
        (Some(DigitPassing::Replace(11)), DigitPassing::Replace(11)),
    ] {
        world.turn(|sessions, turn| sessions.set_digit_passing(turn, id, rule)).unwrap();
        world.serve();
        assert_eq!(passing(world), (expected, DigitPassing::Pass), "the other side keeps its own");
        world.offers(A, &(sdp("0 101") + "a=sendonly\r\n"));
        let said = world.said();
        let [Said::Reinvite(request, B, _)] = &said[..] else { panic!("{said:?}") };
        world.agrees(*request, 200, &(sdp("0 101") + "a=recvonly\r\n"));
        world.acked(A, "");
        world.offers(A, &sdp("0 101"));
        let said = world.said();
        let Some(Said::Reinvite(request, B, _)) = said.iter().find(|said| matches!(said, Said::Reinvite(..))) else {
            panic!("{said:?}")
        };
        world.agrees(*request, 200, &sdp("0 101"));
        world.acked(A, "");
        world.said();
        assert_eq!(passing(world).0, expected, "after hold and resume");
        world.asked();
        world.infos(A, 90, "application/dtmf-relay", "Signal=4\r\nDuration=80\r\n");
        let dialled = world.dialled();
        match expected {
            DigitPassing::Replace(digit) => assert_eq!(dialled, [(world.port_of(pair.called), digit, 80)]),
            _ => assert!(dialled.is_empty(), "{dialled:?}"),
        }
        world.said();
    }
    world.turn(|sessions, turn| sessions.set_digit_passing(turn, id, None)).unwrap();
    world.serve();
    assert_eq!(passing(world), (DigitPassing::Pass, DigitPassing::Pass));
    let none = world.turn(|sessions, turn| sessions.set_digit_passing(turn, id, Some(DigitPassing::Replace(16))));
    assert!(matches!(none, Err(SessionError::Argument(_))));
}

#[test]
fn consumed_and_masked_digits_are_told_here_and_not_there() {
    for (passing, there) in
        [(DigitPassing::Remove, None), (DigitPassing::Replace(0), Some("Signal=0\r\nDuration=80\r\n"))]
    {
        let mut pair = call_with(DigitWay::Info, passing, "0", "0");
        let world = &mut pair.world;
        assert_eq!(world.spec(pair.caller).flow.digits.passing(), passing);
        world.told();
        world.infos(A, 90, "application/dtmf-relay", "Signal=4\r\nDuration=80\r\n");
        let told = world.told();
        assert!(told.contains(&SessionEvent::Digit { id: pair.caller, digit: 4 }), "{told:?}");
        let sent: Vec<String> = world.informed(B).into_iter().map(|(_, body)| body).collect();
        assert_eq!(sent, there.map(str::to_owned).into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn tones_are_listened_for_where_nothing_else_would_hear_them() {
    use DigitPassing::{Pass, Remove};
    for (way, passing, formats, listens) in [
        (DigitWay::Auto, Pass, "0 101", false),
        (DigitWay::Auto, Pass, "0", false),
        (DigitWay::Auto, Remove, "0", true),
        (DigitWay::Events, Remove, "0", false),
        (DigitWay::Info, Pass, "0", false),
        (DigitWay::Tones, Pass, "0", true),
    ] {
        let pair = call_with(way, passing, formats, formats);
        for id in [pair.caller, pair.called] {
            assert_eq!(pair.world.spec(id).flow.digits.listens(), listens, "{way:?} {passing:?} {formats}");
        }
    }
    // Nobody else hears a peer that is alone with the switch.
    for (formats, listens) in [("0", true), ("0 101", false)] {
        let mut world = World::new(Settings::default(), 6);
        let id = world.comes(A, "tone", &sdp(formats));
        world.serve();
        world.acknowledges(A, "");
        world.serve();
        assert_eq!(world.spec(id).flow.digits.listens(), listens, "{formats}");
    }
}
