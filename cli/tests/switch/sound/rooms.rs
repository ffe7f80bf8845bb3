//! PESQ of what members of rooms hear and of recordings, while other members and callers send what breaks every rule.

use super::harm::{Rule, breaking};
use super::media::{RATE, heard, stream, talk};
use super::phone::Phone;
use super::scores::{AFTER, PATH_LOSS, SECONDS, Verdicts, own_scores, played};
use super::speech::{scores, speech};
use crate::machine::{alone, plan, start};
use audio::codec::CodecKind::{self, G722, Opus, Pcma, Pcmu};
use clock::Duration;
use loadtest::is_full_run;
use loadtest::peers::{Switch, wait_for};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The same in a room: the mixer's rate, its limiter and the choice of speakers are on the way too.
const ROOM_LOSS: f64 = 0.3;
const PATIENCE: Duration = Duration::from_secs(60);

/// A phone in a room or on the echo, and what it says.
struct Member {
    phone: Phone,
    said: Vec<i16>,
}

fn member(switch: &Switch, name: &str, user: &str, codec: CodecKind, said: &[i16]) -> Member {
    let mut phone = Phone::new(name, codec);
    phone.call(switch.sip, user);
    phone.line.departures = stream(codec, 0x5eed_0001, said);
    Member { phone, said: said.to_vec() }
}

/// The channels of a WAV file.
pub(super) fn channels(file: &Path) -> Vec<Vec<i16>> {
    let mut reader = hound::WavReader::open(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert_eq!(reader.spec().sample_rate, RATE, "{}", file.display());
    let count = usize::from(reader.spec().channels);
    let samples: Vec<i16> = reader.samples().map(|sample| sample.expect("as many as the header says")).collect();
    (0..count).map(|channel| samples.iter().skip(channel).step_by(count).copied().collect()).collect()
}

/// The file of the leg of a phone, once all recordings are whole.
fn recording(folder: &Path, leg: &str) -> PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let is_of_leg = |file: &PathBuf| file.to_string_lossy().ends_with(&format!("-{leg}.wav"));
    files.into_iter().find(is_of_leg).unwrap_or_else(|| panic!("no recording of {leg}"))
}

fn leg_of(switch: &Switch, phone: &str) -> String {
    let calls = switch.ask("calls").unwrap();
    let legs = calls.as_array().expect("a list");
    let leg = legs.iter().find(|leg| leg["from"].as_str().is_some_and(|from| from.contains(&format!("{phone}@"))));
    leg.unwrap_or_else(|| panic!("{phone} is in no call: {calls}"))["id"].as_str().expect("a name").to_owned()
}

/// A conference of two, one of three, their recordings; and members of other rooms, in the same media process, that break
/// every rule of RTP: nothing of that is heard elsewhere, all of it is counted, and the switch goes on.
#[test]
fn rooms_and_recordings_keep_their_scores_beside_packets_that_break_every_rule() {
    let _turn = alone();
    played("rooms", rooms_beside_broken_streams);
}

fn rooms_beside_broken_streams() -> Verdicts {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = plan(60);
    plan.media =
        format!("rooms = [\"two\", \"three\", \"bad\"]\n[recording]\nfolder = {:?}\ncalls = \"all\"", folder.path());
    let (switch, _folder) = start(&plan);
    let media = switch.part("media").expect("it runs");
    let voices = [0, 1].map(|number| speech(number, SECONDS));
    let silence = vec![0; voices[0].len()];
    // The second voice speaks behind the first one in the room of three, so that the third member hears one after the other.
    let half = voices[0].len() / 2;
    let first = [&voices[0][..half], &silence[half..]].concat();
    let second = [&silence[..half], &voices[1][half..]].concat();
    let both: Vec<i16> = first.iter().zip(&second).map(|(one, other)| one + other).collect();
    let mut members = vec![
        member(&switch, "ann", "two", Pcmu, &voices[0]),
        member(&switch, "bob", "two", G722, &voices[1]),
        member(&switch, "cleo", "three", Pcma, &first),
        member(&switch, "dan", "three", Opus, &second),
        member(&switch, "eve", "three", Pcmu, &silence),
    ];
    let file_of_ann = leg_of(&switch, "ann");
    // One of each kind in a room, where a good member is too, and one on an echo, all recorded.
    let mut bad: Vec<Phone> = Vec::new();
    for (index, rule) in Rule::ALL.into_iter().enumerate() {
        for (place, codec) in [("bad", [Pcmu, G722, Opus][index % 3]), ("echo", Opus)] {
            let mut phone = Phone::new(&format!("bad{index}{place}"), codec);
            phone.call(switch.sip, place);
            phone.line.departures = breaking(rule, codec, &voices[0]);
            bad.push(phone);
        }
    }
    members.push(member(&switch, "fay", "bad", Pcmu, &voices[0]));
    let lines = members.iter_mut().map(|member| &mut member.phone.line).chain(bad.iter_mut().map(|it| &mut it.line));
    talk(&mut lines.collect::<Vec<_>>(), AFTER);

    let mut verdicts = Verdicts::default();
    let fay = members.last().expect("she is there");
    let heard_by_fay = heard(Pcmu, &fay.phone.line.arrivals).packets;
    verdicts.expect(heard_by_fay > SECONDS * 40, format!("a room with broken streams: {heard_by_fay} packets"));
    let malformed =
        wait_for(PATIENCE, || switch.counter("dropped_malformed_packets").ok().filter(|count| *count > 100));
    verdicts.expect(malformed.is_some(), "broken packets are counted".to_owned());
    verdicts.expect(switch.part("media") == Some(media), "the media process is the one that it was".to_owned());
    for member in &mut members {
        member.phone.hang_up();
    }
    bad.iter_mut().for_each(Phone::hang_up);
    let whole = || (switch.counter("recordings_running").ok()? == 0 && switch.call_count().ok()? == 0).then_some(());
    verdicts.expect(wait_for(PATIENCE, whole).is_some(), "all calls and recordings end".to_owned());

    let ear = |index: usize| heard(members[index].phone.codec(), &members[index].phone.line.arrivals).sound;
    let file = channels(&recording(folder.path(), &file_of_ann));
    let pairs = [
        ("ann in a room of two", (vec![G722, Pcmu], 1), ear(0), &members[1].said),
        ("bob in a room of two", (vec![Pcmu, G722], 0), ear(1), &members[0].said),
        ("eve in a room of three", (vec![Opus, Pcmu], 0), ear(4), &both),
        ("cleo in a room of three", (vec![Opus, Pcma], 1), ear(2), &second),
        ("what ann says, recorded", (vec![Pcmu], 0), file[0].clone(), &members[0].said),
        ("what ann hears, recorded", (vec![G722, Pcmu], 1), file[1].clone(), &members[1].said),
    ];
    let own = own_scores(pairs.iter().map(|(_, way, ..)| way.clone()));
    let scores = scores(pairs.iter().map(|(.., heard, said)| (&said[..], &heard[..])));
    for ((name, way, ..), score) in pairs.iter().zip(scores) {
        let least = own[way] - if way.0.len() == 1 { PATH_LOSS } else { ROOM_LOSS };
        verdicts.expect(score > least, format!("{name}: {score:.2}, at least {least:.2}"));
    }
    verdicts
}

/// A program records one call into a WAV file and an Ogg file with Opus; opusdec, of the makers of Opus, reads the latter.
#[test]
fn a_call_in_both_formats_of_recordings_keeps_its_score() {
    if !is_full_run() {
        return;
    }
    let _turn = alone();
    played("recordings", both_formats);
}

fn both_formats() -> Verdicts {
    use ringplane::api::*;
    use std::sync::Arc;
    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

    struct Answers(UnboundedSender<SessionId>);
    #[async_trait]
    impl CallHandler for Answers {
        async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
            CallDecision::Accept(None)
        }
        async fn on_call_established(&self, call: CallSession, _: Option<String>, _: Option<String>) {
            let _ = self.0.send(*call.id());
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let files = ["call.wav", "call.opus"].map(|name| folder.path().join(name));
    let voices = [0, 1].map(|number| speech(number, SECONDS));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let first = loadtest::peers::free_range([127, 0, 0, 1].into(), 40).unwrap();
        let (sender, mut calls) = unbounded_channel();
        let builder = SessionManagerBuilder::new()
            .with_local_bind_addr("127.0.0.1:0".parse().unwrap())
            .with_media_ports(first, first + 39)
            .with_local_destinations(true)
            .with_handler(Arc::new(Answers(sender)));
        let coordinator = builder.build().await.unwrap();
        SessionControl::start(&coordinator).await.unwrap();
        let address = coordinator.local_addr().unwrap();
        let phones = tokio::task::spawn_blocking(move || {
            ["ann", "bob"].map(|name| {
                let mut phone = Phone::new(name, Pcmu);
                phone.call(address, "program");
                phone
            })
        });
        let mut phones = phones.await.unwrap();
        let ids = [calls.recv().await.unwrap(), calls.recv().await.unwrap()];
        coordinator.bridge_sessions(&ids[0], &ids[1]).await.unwrap();
        MediaControl::start_recording(&coordinator, &ids[0], RecordingOptions::stereo(&files[0])).await.unwrap();
        MediaControl::start_recording(&coordinator, &ids[1], RecordingOptions::stereo(&files[1])).await.unwrap();
        let said = voices.clone();
        let phones = tokio::task::spawn_blocking(move || {
            for (phone, said) in phones.iter_mut().zip(&said) {
                phone.line.departures = stream(Pcmu, 0x5eed_0002, said);
            }
            talk(&mut phones.iter_mut().map(|phone| &mut phone.line).collect::<Vec<_>>(), AFTER);
            phones
        });
        let mut phones = phones.await.unwrap();
        for id in &ids {
            let summary = MediaControl::stop_recording(&coordinator, id).await.unwrap();
            assert_eq!((summary.lost_received, summary.overflow_packets), (0, 0), "{summary:?}");
        }
        tokio::task::spawn_blocking(move || phones.iter_mut().for_each(Phone::hang_up)).await.unwrap();
    });
    let read = folder.path().join("opus.wav");
    let decoded = Command::new("opusdec").args(["--quiet", "--rate", "8000"]).arg(&files[1]).arg(&read).output();
    let decoded = decoded.expect("opusdec is installed: `make peers` does it");
    assert!(decoded.status.success(), "{}", String::from_utf8_lossy(&decoded.stderr));
    let (wav, opus) = (channels(&files[0]), channels(&read));
    let pairs = [
        ("WAV, what ann says", vec![Pcmu], 0, &wav[0]),
        ("WAV, what ann hears", vec![Pcmu], 1, &wav[1]),
        ("Opus, what bob says", vec![Pcmu, Opus], 1, &opus[0]),
        ("Opus, what bob hears", vec![Pcmu, Opus], 0, &opus[1]),
    ];
    let own = own_scores(pairs.iter().map(|(_, codecs, voice, _)| (codecs.clone(), *voice)));
    let scores = scores(pairs.iter().map(|(.., voice, heard)| (&voices[*voice][..], &heard[..])));
    let mut verdicts = Verdicts::default();
    for ((name, codecs, voice, _), score) in pairs.iter().zip(scores) {
        let least = own[&(codecs.clone(), *voice)] - PATH_LOSS;
        verdicts.expect(score > least, format!("{name}: {score:.2}, at least {least:.2}"));
    }
    verdicts
}
