//! Phones without a common codec talk through the switch: baresip with Opus, G.722 and PCMA, SIPp with Opus and PCMA.

use crate::machine::{alone, plan, start};
use clock::Duration;
use loadtest::peers::{Baresip, Scenario, Sipp, SippPlan, Switch, wait_for, write_wav};
use std::f64::consts::TAU;
use std::net::UdpSocket;
use std::path::Path;

const PATIENCE: Duration = Duration::from_secs(60);
const OPUS: &str = "opus/48000/2";
const G722: &str = "G722/16000/1";
const PCMA: &str = "PCMA/8000/1";
const GSM: &str = "GSM/8000/1";

/// A sine in place of a microphone.
fn voice(file: &Path, hertz: f64) {
    let samples: Vec<i16> =
        (0..8_000 * 60).map(|at| (8_000.0 * (TAU * hertz * f64::from(at) / 8_000.0).sin()) as i16).collect();
    write_wav(file, &samples).unwrap();
}

/// The share of the power of a second that is at this frequency, of the second in which that is highest.
fn share_of(heard: &[i16], rate: u32, hertz: f64) -> f64 {
    let share = |second: &[i16]| {
        let (mut real, mut imaginary, mut power) = (0.0, 0.0, 1.0);
        for (at, sample) in second.iter().enumerate() {
            let (angle, sample) = (TAU * hertz * at as f64 / f64::from(rate), f64::from(*sample));
            real += sample * angle.cos();
            imaginary += sample * angle.sin();
            power += sample * sample;
        }
        2.0 * (real * real + imaginary * imaginary) / (power * second.len() as f64)
    };
    heard.chunks_exact(rate as usize).map(share).fold(0.0, f64::max)
}

/// Both legs of each call, by codec and packets that came from the peer.
fn legs(switch: &Switch) -> Vec<(String, u64)> {
    let all = switch.ask("calls").unwrap();
    let legs = all.as_array().expect("a list of calls");
    let leg = |leg: &serde_json::Value| {
        (leg["codec"].as_str().unwrap_or("").to_owned(), leg["received_packets"].as_u64().unwrap_or(0))
    };
    legs.iter().map(leg).collect()
}

#[test]
fn phones_without_a_common_codec_hear_each_other() {
    let talking = hear_each_other([("a", OPUS, PCMA), ("b", G722, OPUS), ("c", PCMA, G722)], "");
    for codec in ["opus", "G722", "PCMA"] {
        assert_eq!(talking.iter().filter(|(leg, _)| leg == codec).count(), 2, "{talking:?}");
    }
}

/// GSM and G.726 are unknown to the switch and go through it as they are; L16 is decoded where it is configured.
#[test]
fn phones_with_a_codec_that_the_switch_cannot_decode_hear_each_other() {
    let more = r#"codecs = ["PCMU", "PCMA", "G722", "opus", "L16"]"#;
    let pairs = [("a", GSM, GSM), ("b", "G726-32/8000/1", "G726-32/8000/1"), ("c", "L16/16000/1", PCMA)];
    let talking = hear_each_other(pairs, more);
    for (codec, count) in [("other", 4), ("L16", 1), ("PCMA", 1)] {
        assert_eq!(talking.iter().filter(|(leg, _)| leg == codec).count(), count, "{talking:?}");
    }
}

/// Callers and called phones with a codec each say a tone of their own, and hear the one of the other side. Gives the codecs of
/// the legs and the packets that came.
fn hear_each_other(pairs: [(&str, &str, &str); 3], more: &str) -> Vec<(String, u64)> {
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let (low, high) = (folder.path().join("low.wav"), folder.path().join("high.wav"));
    voice(&low, 440.0);
    voice(&high, 1_000.0);
    let called = pairs.map(|(name, _, codec)| {
        let mut phone = Baresip::answering(&folder.path().join(format!("{name}-called")), &high, codec).unwrap();
        phone.listening(PATIENCE).unwrap();
        (name, phone)
    });
    let routes: Vec<_> = called.iter().map(|(name, phone)| format!("{name} = \"sip:phone@{}\"", phone.sip)).collect();
    let mut plan = plan(20);
    plan.sip = format!("mode = \"b2bua\"\nroutes = {{ {} }}\n{more}", routes.join(", "));
    let (switch, _switch_folder) = start(&plan);
    let callers = pairs.map(|(name, codec, _)| {
        let uri = format!("sip:{name}@{}", switch.sip);
        Baresip::dial_with(&folder.path().join(format!("{name}-caller")), &low, codec, &uri).unwrap()
    });
    let both_heard = || {
        let legs = legs(&switch);
        (legs.len() == 6 && legs.iter().all(|(_, packets)| *packets > 150)).then_some(legs)
    };
    let talking = wait_for(PATIENCE, both_heard);
    let printed =
        || callers.iter().chain(called.iter().map(|(_, phone)| phone)).map(Baresip::output).collect::<String>();
    let Some(talking) = talking else { panic!("{}\n{:?}", printed(), switch.ask("calls")) };
    for (phones, hertz) in
        [(callers.into_iter().collect::<Vec<_>>(), 1_000.0), (called.map(|(_, phone)| phone).into(), 440.0)]
    {
        for phone in phones {
            let output = phone.output();
            let (heard, rate) = phone.finish().unwrap();
            let share = share_of(&heard, rate, hertz);
            assert!(share > 0.9, "{share} of {hertz} Hz in {} samples of {rate} Hz\n{output}", heard.len());
        }
    }
    talking
}

/// SIPp's own callee has PCMU alone, whatever it is offered.
#[test]
fn a_caller_with_opus_alone_reaches_a_callee_without_it() {
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let sipp = |scenario, calls| SippPlan { scenario, user: "x".into(), calls, ..SippPlan::default() };
    let more = vec!["-m".to_owned(), "1000".to_owned()];
    let callee = SippPlan { more, ..sipp(Scenario::BuiltIn("uas"), 0) };
    let callee = Sipp::start(folder.path(), "uas", None, &callee).unwrap();
    assert!(wait_for(PATIENCE, || UdpSocket::bind(callee.address).is_err().then_some(())).is_some());
    for (is_on, good, refused) in [(true, 5, 0), (false, 0, 5)] {
        let mut plan = plan(20);
        plan.sip = format!("mode = \"b2bua\"\nroutes = {{ \"*\" = \"sip:{}\" }}", callee.address);
        plan.media = format!("transcoding = {is_on}");
        let (switch, _switch_folder) = start(&plan);
        let name = format!("opus-{is_on}");
        let caller =
            Sipp::start(folder.path(), &name, Some(switch.sip), &sipp(Scenario::ours("opus_only"), 5)).unwrap();
        let result = caller.finish(PATIENCE).unwrap();
        assert_eq!((result.count("SuccessfulCall"), result.count("FailedCall")), (good, refused), "{}", result.errors);
        assert_eq!(result.errors.contains("SIP/2.0 488 "), !is_on, "{}", result.errors);
    }
}
