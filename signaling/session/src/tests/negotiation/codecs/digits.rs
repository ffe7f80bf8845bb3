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
    world.serve();
    assert!(!world.spec(pair.called).flow.digits.are_sent_by_signaling());
    world.asked();
    world.infos(A, 91, "application/dtmf", "5");
    assert!(world.informed(B).is_empty());
    assert_eq!(world.dialled(), [(world.port_of(pair.called), 5, 120)]);
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
