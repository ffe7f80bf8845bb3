//! What callers hear.

use super::*;

#[test]
fn a_tone_comes_every_20_ms_without_a_hole() {
    let plane = Plane::new(1);
    let (mut client, phone) = (plane.client(), Phone::new());
    let leg = client.open(W0, phone.spec(Source::Tone440));
    let heard: Vec<Heard> = (0..50).map(|_| phone.hear()).collect();
    // A host that gives the worker no time makes it skip frames: then the clock goes on, and the counter says so.
    eventually("what was sent is published", || plane.count(MediaCounter::RtpSent) >= 50);
    let skipped = plane.count(MediaCounter::FramesSkipped) as u32;
    let ticks = heard[49].time.wrapping_sub(heard[0].time);
    assert!(ticks >= 49 * 160 && ticks <= (49 + skipped) * 160, "{ticks} ticks, {skipped} frames skipped");
    for pair in heard.windows(2) {
        assert_eq!(pair[1].seq, pair[0].seq.wrapping_add(1));
        assert_eq!(pair[1].time.wrapping_sub(pair[0].time) % 160, 0);
        assert_eq!((pair[1].ssrc, pair[1].bytes.len()), (pair[0].ssrc, 172));
    }
    let mean = (heard[49].at - heard[0].at) / (ticks / 160);
    assert!(mean > Duration::from_millis(19) && mean < Duration::from_millis(21), "{mean:?}");
    let tone: Vec<i16> =
        heard.iter().flat_map(|packet| packet.bytes[12..].iter().map(|code| audio::Law::Mu.decode(*code))).collect();
    let amplitude = audio::ToneMeter::new(440.0).amplitude(&tone);
    assert!(amplitude > 3_000.0 || skipped > 0, "440 Hz has amplitude {amplitude}");
    client.close(W0, leg);
    assert!(phone.hears_bye());
    assert_eq!(client.row(leg).state(), LegState::Closed);
    assert!(client.row(leg).sent.packets >= 50);
}

#[test]
fn closing_stops_rtp_at_once_and_frees_the_port() {
    let plane = Plane::new(1);
    let (mut client, phone, free) = (plane.client(), Phone::new(), plane.free_ports());
    let leg = client.open(W0, phone.spec(Source::Tone440));
    phone.hear();
    client.close(W0, leg);
    // What was sent before the close may wait in our socket; then nothing comes any more.
    while phone.hear_within(Duration::from_millis(1)).is_some() {}
    assert_eq!(phone.hear_within(Duration::from_millis(60)), None);
    assert_eq!(plane.free_ports(), free);
}

#[test]
fn an_echo_comes_back_byte_for_byte() {
    let plane = Plane::new(1);
    let (mut client, mut phone) = (plane.client(), Phone::new());
    let leg = take(&client.end, W0).unwrap();
    client.open_on(W0, leg, phone.spec(Source::Leg(leg)));
    for _ in 0..200 {
        let said = phone.talk(leg);
        assert_eq!(phone.hear().bytes, said);
    }
    eventually("the row tells", || {
        client.row(leg).received.packets == 200 && client.row(leg).received.lost_packets == 0
    });
}

#[test]
fn two_phones_hear_each_other_through_a_relay() {
    let plane = Plane::new(1);
    let (mut client, mut a, mut b) = (plane.client(), Phone::new(), Phone::new());
    let leg_a = client.open(W0, a.spec(Source::None));
    let leg_b = client.open(W0, b.spec(Source::Leg(leg_a)));
    client.command(W0, Command::Update { leg: leg_a, number: 3, update: a.spec(Source::Leg(leg_b)).into() });
    assert_eq!(client.answer(), Event::Updated { leg: leg_a, number: 3 });
    for _ in 0..100 {
        let (from_a, from_b) = (a.talk(leg_a), b.talk(leg_b));
        assert_eq!(b.hear().bytes, from_a);
        assert_eq!(a.hear().bytes, from_b);
    }
    let region = plane.media().host().region();
    eventually("latency is measured", || region.relay_latency(W0).read().count() >= 200);
    client.close(W0, leg_a);
    client.close(W0, leg_b);
}

#[test]
fn the_prompt_of_the_project_is_heard_to_its_end() {
    let plane = Plane::new(1);
    let (mut client, phone) = (plane.client(), Phone::new());
    let prompt = plane.config.media.prompt("play").expect("the default configuration has one");
    let leg = client.open(W0, phone.spec(Source::Prompt(prompt)));
    assert!(phone.hear().bytes.len() == 172);
    assert_eq!(client.answer(), Event::PlayerEnded { leg, player: contract::PlayerId::NONE });
}

#[test]
fn ipv6_hears_ipv4() {
    let Ok(six) = UdpSocket::bind("[::1]:0") else { return };
    six.set_read_timeout(Some(PATIENCE)).unwrap();
    let plane = Plane::new(1);
    let (mut client, mut four) = (plane.client(), Phone::new());
    let leg_four = client.open(W0, four.spec(Source::None));
    let spec =
        four.spec(Source::Leg(leg_four)).with(|spec| spec.transport.remote_rtp = six.local_addr().unwrap().into());
    client.open(W0, spec);
    let said = four.talk(leg_four);
    let mut bytes = [0; 2_048];
    let count = six.recv(&mut bytes).unwrap();
    assert_eq!(bytes[..count], said);
}
