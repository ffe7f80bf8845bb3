//! Formats that the media plane cannot decode: they go from one side of a call to the other.

use super::*;

const ANY: Settings<'static> = Settings { relays_all: true, ..SETTINGS };
const PHONE: &str = "m=audio 4000 RTP/AVP 18 97 0 98 3 101\na=rtpmap:18 G729/8000\na=fmtp:18 annexb=no\n\
    a=rtpmap:97 AMR-WB/16000/1\na=fmtp:97 octet-align=1; mode-set=0,1,2\na=rtpmap:98 iLBC/8000\na=fmtp:98 mode=20\n\
    a=rtpmap:101 telephone-event/8000\n";

fn names(agreed: &Negotiated) -> Vec<(u8, &str)> {
    let name = |id| agreed.relayed.find(id).map_or("", |format| format.name());
    agreed.payloads.entries().map(|it| (it.payload_type, name(it.format))).collect()
}

/// The formats of one side, to be offered to the other.
fn formats(agreed: &Negotiated) -> Vec<AudioFormat> {
    let of = |it: contract::PayloadMapping| match it.codec {
        Codec::Other => AudioFormat::Relayed(agreed.relayed.find(it.format).expect("it is described").clone()),
        codec => codec.into(),
    };
    agreed.payloads.entries().map(of).collect()
}

fn lines(description: &str) -> Vec<&str> {
    description
        .lines()
        .filter(|line| line.starts_with("m=audio") || line.contains("map:") || line.contains("fmtp:"))
        .collect()
}

#[test]
fn the_formats_of_one_side_are_offered_to_the_other_and_its_answer_comes_back() {
    let caller = Offer::read(&sdp(PHONE), &ANY).unwrap();
    assert_eq!(names(caller.agreed()), [(18, "G729"), (97, "AMR-WB"), (0, ""), (98, "iLBC"), (3, "GSM"), (101, "")]);
    let offered = formats(caller.agreed());
    let settings = Settings { codecs: &offered, ..SETTINGS };
    let text = write_offer(&settings, &OtherMedia::default(), local(), &mut Origin::new(4));
    let expected = [
        "m=audio 10000 RTP/AVP 18 97 0 98 3 101 102",
        "a=rtpmap:18 G729/8000",
        "a=fmtp:18 annexb=no",
        "a=rtpmap:97 AMR-WB/16000",
        "a=fmtp:97 octet-align=1; mode-set=0,1,2",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:98 iLBC/8000",
        "a=fmtp:98 mode=20",
        "a=rtpmap:3 GSM/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=rtpmap:102 telephone-event/16000",
        "a=fmtp:102 0-16",
    ];
    assert_eq!(lines(&text), expected);
    // The called side has other numbers, and iLBC in packets of 30 ms.
    let answer = "m=audio 5000 RTP/AVP 100 96\na=rtpmap:100 ilbc/8000/1\na=fmtp:100 mode=30\n\
                  a=rtpmap:96 AMR-WB/16000\na=fmtp:96 octet-align=1\n";
    let called = read_answer(&sdp(answer), &settings, &OtherMedia::default()).unwrap();
    assert_eq!(names(&called), [(100, "ilbc"), (96, "AMR-WB")]);
    let common = formats(&called);
    let caller = Offer::read(&sdp(PHONE), &Settings { codecs: &common, telephone_event: false, ..SETTINGS }).unwrap();
    assert_eq!(names(caller.agreed()), [(97, "AMR-WB"), (98, "iLBC")]);
    let answer = caller.answer(local(), &mut Origin::new(8));
    let expected = [
        "m=audio 10000 RTP/AVP 97 98",
        "a=rtpmap:97 AMR-WB/16000",
        "a=fmtp:97 octet-align=1",
        "a=rtpmap:98 ilbc/8000",
        "a=fmtp:98 mode=30",
    ];
    assert_eq!(lines(&answer), expected);
    let mapped = caller.agreed().payloads.mapped_to(Some(&called.payloads));
    let numbers: Vec<_> = mapped.iter().map(|(own, _, other)| (own, other)).collect();
    assert_eq!(
        numbers,
        [(97, 96), (98, 100)],
        "both sides use 30 ms of iLBC, and packets get the other side's numbers"
    );
    assert_eq!(spec(caller.agreed()).check(), Ok(()));
    let again = write_offer_again(&called, &settings, &OtherMedia::default(), local(), &mut Origin::new(4));
    assert_eq!(lines(&again)[..3], ["m=audio 10000 RTP/AVP 100 96", "a=rtpmap:100 iLBC/8000", "a=fmtp:100 mode=20"]);
}

#[test]
fn only_what_both_have_is_agreed_on() {
    let has = |ours: &str, theirs: &str| {
        let ours = Offer::read(&sdp(ours), &ANY).unwrap();
        let ours = formats(ours.agreed());
        Offer::read(&sdp(theirs), &Settings { codecs: &ours, ..SETTINGS }).map(|offer| offer.agreed().payloads.audio())
    };
    let line = |map: &str| format!("m=audio 4000 RTP/AVP 96\na=rtpmap:96 {map}\n");
    for (ours, theirs) in [
        ("AMR/8000", "AMR/8000\na=fmtp:96 octet-align=1"),
        ("SPEEX/8000", "SPEEX/16000"),
        ("SPEEX/8000", "SPEEX/8000/2"),
        ("X-ONE/8000", "X-TWO/8000"),
        ("G729/8000", "G729E/8000"),
    ] {
        assert_eq!(has(&line(ours), &line(theirs)), Err(SdpError::NoCodec), "{ours} {theirs}");
        assert_eq!(has(&line(theirs), &line(theirs)), Ok(Some((96, Codec::Other))), "{theirs}");
    }
    assert_eq!(has("m=audio 4000 RTP/AVP 18\n", &line("g729/8000")), Ok(Some((96, Codec::Other))), "a static number");
    assert_eq!(read(&line("AMR/8000")).unwrap_err(), SdpError::NoCodec, "nothing is relayed there");
}

#[test]
fn what_the_media_plane_cannot_decode_is_left_out_or_refused_where_it_has_to() {
    let offer = Offer::read(&sdp(PHONE), &ANY).unwrap().decodable().unwrap();
    assert_eq!(payloads(offer.agreed()), [(0, Codec::Pcmu), (101, Codec::TelephoneEvent)]);
    assert!(!offer.answer(local(), &mut Origin::new(4)).contains("G729"));
    let alone = Offer::read(&sdp("m=audio 4000 RTP/AVP 18\n"), &ANY).unwrap();
    let refused = alone.decodable().unwrap_err();
    assert_eq!((refused, refused.status(), refused.warning_code()), (SdpError::OnlyRelayed, 488, 305));
}

#[test]
fn our_order_puts_what_is_only_relayed_last() {
    let offer = Offer::read(&sdp(PHONE), &Settings { order: CodecOrder::Ours, ..ANY }).unwrap();
    assert_eq!(names(offer.agreed())[..2], [(0, ""), (18, "G729")]);
}

#[test]
fn a_number_that_means_something_else_in_our_offer_is_changed() {
    let phone = "m=audio 4000 RTP/AVP 96 101 102 50\na=rtpmap:96 EVS/16000\na=rtpmap:101 SILK/24000\n\
                 a=rtpmap:102 telephone-event/16000\na=rtpmap:50 X/8000\n";
    let offered = formats(Offer::read(&sdp(phone), &ANY).unwrap().agreed());
    let text =
        write_offer(&Settings { codecs: &offered, ..SETTINGS }, &OtherMedia::default(), local(), &mut Origin::new(4));
    assert_eq!(lines(&text)[0], "m=audio 10000 RTP/AVP 97 98 99 101 102 103");
    assert_eq!(lines(&text)[1..4], ["a=rtpmap:97 EVS/16000", "a=rtpmap:98 SILK/24000", "a=rtpmap:99 X/8000"]);
}

#[test]
fn l16_is_offered_and_taken_at_each_rate_with_packets_that_fit() {
    let ours = Codec::L16.map(AudioFormat::of);
    let settings = Settings { codecs: &ours, ..ANY };
    let text = write_offer(&settings, &OtherMedia::default(), local(), &mut Origin::new(4));
    let expected = [
        "m=audio 10000 RTP/AVP 97 98 99 101 102 103",
        "a=rtpmap:97 L16/16000",
        "a=rtpmap:98 L16/8000",
        "a=rtpmap:99 L16/24000",
    ];
    assert_eq!(lines(&text)[..4], expected);
    for (map, codec, ptime_ms) in [
        ("l16/8000/1", Codec::L16Narrow, 60),
        ("L16/16000", Codec::L16Wide, 40),
        ("L16/24000", Codec::L16SuperWide, 30),
        ("L16/44100/2", Codec::Other, 60),
        ("L16/48000", Codec::Other, 60),
    ] {
        let text = sdp(&format!("m=audio 4000 RTP/AVP 100\na=rtpmap:100 {map}\na=ptime:60\n"));
        let offer = Offer::read(&text, &settings).unwrap();
        assert_eq!((offer.agreed().payloads.audio(), offer.agreed().ptime_ms), (Some((100, codec)), ptime_ms), "{map}");
    }
    let stereo = Offer::read(&sdp("m=audio 4000 RTP/AVP 10\n"), &settings).unwrap();
    assert_eq!(names(stereo.agreed()), [(10, "L16")], "44,100 Hz is only relayed");
}

/// RFC 4733 §2.1: events share the clock of the sound beside them. Clocks of no codec are left out, and each comes once.
#[test]
fn telephone_events_of_several_clocks_are_agreed_on_beside_codecs_of_these_clocks() {
    let ours = [Codec::Opus, Codec::L16Wide, Codec::Pcmu].map(AudioFormat::of);
    let settings = Settings { codecs: &ours, ..ANY };
    let maps = "a=rtpmap:96 opus/48000/2\na=rtpmap:97 L16/16000\na=rtpmap:98 SILK/24000\n\
                a=rtpmap:100 telephone-event/48000\na=rtpmap:101 telephone-event/8000\na=rtpmap:102 telephone-event/16000\n\
                a=rtpmap:103 telephone-event/24000\na=rtpmap:104 telephone-event/32000\na=rtpmap:105 telephone-event/8000\n";
    for (codecs, events) in [
        ("96 97 0 98", vec![(100, 48_000), (101, 8_000), (102, 16_000), (103, 24_000)]),
        ("96 0", vec![(100, 48_000), (101, 8_000)]),
        ("98", vec![(103, 24_000)]),
    ] {
        let text = sdp(&format!("m=audio 4000 RTP/AVP {codecs} 100 101 102 103 104 105\n{maps}"));
        let offer = Offer::read(&text, &settings).unwrap();
        let entries = offer.agreed().payloads.entries().filter(|it| it.codec == Codec::TelephoneEvent);
        assert_eq!(entries.map(|it| (it.payload_type, it.clock_rate.hz())).collect::<Vec<_>>(), events, "{codecs}");
        let answer = offer.answer(local(), &mut Origin::new(4));
        let written = answer.lines().filter(|line| line.contains("telephone-event")).count();
        assert_eq!(written, events.len(), "{answer}");
    }
    let written = write_offer(&settings, &OtherMedia::default(), local(), &mut Origin::new(4));
    for map in ["101 telephone-event/8000", "102 telephone-event/16000", "103 telephone-event/48000"] {
        assert!(written.contains(map), "{written}");
    }
}

#[test]
fn packet_times_that_no_codec_makes_count_as_not_said() {
    for (said, is_told) in [("20", true), ("0", false), ("1", false), ("10000", false), ("-20", false), ("soon", false)]
    {
        let text = format!("m=audio 4000 RTP/AVP 0\na=ptime:{said}\na=maxptime:{said}\n");
        let agreed = agreed(&text);
        assert_eq!((agreed.packets != Packets::default(), agreed.ptime_ms), (is_told, 20), "{said}");
    }
}

#[test]
fn lies_about_formats_are_contained() {
    let codecs = |maps: &str| {
        let text = format!("m=audio 4000 RTP/AVP 96 97 0\n{maps}");
        names(Offer::read(&sdp(&text), &ANY).unwrap().agreed())
            .iter()
            .map(|(_, name)| name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(codecs("a=rtpmap:96\na=rtpmap:97 /\n"), [""], "no name");
    assert_eq!(codecs("a=rtpmap:96 EVS/99999999999\na=rtpmap:97 EVS/-1\n"), [""], "no clock");
    assert_eq!(codecs("a=rtpmap:96 AMR/8000/255\na=rtpmap:97 A\u{e9}/8000\n"), [""], "255 channels, no token");
    assert_eq!(codecs("a=rtpmap:96 EVS/16000\na=rtpmap:97 evs/16000\n"), ["EVS", ""], "the same twice");
    assert_eq!(
        codecs("a=rtpmap:96 EVS/16000\na=rtpmap:96 AMR/8000\n"),
        ["AMR", ""],
        "two meanings: the last one counts"
    );
    assert_eq!(codecs("a=rtpmap:96 red/8000\na=fmtp:96 0/0\n"), [""], "its packets name payload types");
    assert_eq!(codecs("a=rtpmap:0 EVS/16000\na=rtpmap:96 PCMU/16000\n"), ["PCMU", "EVS"], "clock-rate lies");
    let fmtp = format!("a=rtpmap:96 EVS/16000\na=fmtp:96 {}\n", "x".repeat(1_000));
    assert_eq!(codecs(&fmtp), [""], "what would not fit");
    // A hundred formats: eight of those that are only relayed are taken, and all that we decode within the first 32.
    let numbers: Vec<String> = (0..128).filter(|number| *number != 101).map(|number| number.to_string()).collect();
    let maps: String = (20..128).map(|number| format!("a=rtpmap:{number} X{number}/8000\n")).collect();
    let many = format!("m=audio 4000 RTP/AVP {}\n{maps}", numbers.join(" "));
    let offer = Offer::read(&sdp(&many), &ANY).unwrap();
    let taken = names(offer.agreed());
    assert_eq!((taken.len(), taken[0], taken.iter().filter(|(_, name)| !name.is_empty()).count()), (10, (0, ""), 8));
    assert_eq!(spec(offer.agreed()).check(), Ok(()));
}

proptest! {
    #[test]
    fn any_map_and_parameters_are_read_and_written(map in "[ -~]{0,60}", parameters in "[ -~]{0,300}") {
        let text = sdp(&format!("m=audio 4000 RTP/AVP 96 0\na=rtpmap:96 {map}\na=fmtp:96 {parameters}\n"));
        let offer = Offer::read(&text, &ANY).unwrap();
        let ours = formats(offer.agreed());
        let settings = Settings { codecs: &ours, telephone_event: false, ..SETTINGS };
        let written = write_offer(&settings, &OtherMedia::default(), local(), &mut Origin::new(4));
        let read = Offer::read(written.as_bytes(), &settings).unwrap();
        prop_assert_eq!(read.agreed().payloads.entries().count(), offer.agreed().payloads.entries().count());
        let ids = |agreed: &Negotiated| agreed.payloads.entries().map(|it| it.format).collect::<Vec<_>>();
        prop_assert_eq!(ids(read.agreed()), ids(offer.agreed()));
    }
}
