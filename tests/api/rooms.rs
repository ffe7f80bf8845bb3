//! Calls that are members of a room.

use crate::fixture::{builder, until};
use crate::phone::Phone;
use crate::recorded::started_recordable;
use ringplane::api::*;
use std::f64::consts::TAU;
use std::time::Duration;

/// What each phone says.
const TONES: [f64; 3] = [400.0, 700.0, 1_100.0];

/// How loud a tone is, as an amplitude.
fn amplitude(samples: &[i16], hertz: f64) -> f64 {
    let (mut sine, mut cosine) = (0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let phase = TAU * hertz * at as f64 / 8_000.0;
        sine += f64::from(*sample) * phase.sin();
        cosine += f64::from(*sample) * phase.cos();
    }
    2.0 * (sine * sine + cosine * cosine).sqrt() / samples.len().max(1) as f64
}

/// All say their tones for so many packets; the amplitudes of all tones in what each heard in the last 800 ms.
async fn talk(mut phones: Vec<Phone>, packets: usize) -> (Vec<Phone>, Vec<[f64; 3]>) {
    let talking = tokio::task::spawn_blocking(move || {
        std::thread::scope(|scope| {
            for (phone, hertz) in phones.iter_mut().zip(TONES) {
                let sample = |at: usize| (6_000.0 * (TAU * hertz * at as f64 / 8_000.0).sin()) as i16;
                let samples: Vec<i16> = (0..packets * 160).map(sample).collect();
                scope.spawn(move || phone.say(&samples, |_| false));
            }
        });
        let heard = phones.iter().map(|phone| {
            phone.rtp.set_nonblocking(true).unwrap();
            let (mut samples, mut bytes) = (Vec::new(), [0; 2_048]);
            while let Ok((count, _)) = phone.rtp.recv_from(&mut bytes) {
                samples.extend(bytes[12..count].iter().map(|code| audio::Law::Mu.decode(*code)));
            }
            let last = &samples[samples.len().saturating_sub(6_400)..];
            assert!(last.len() > 3_200, "{} samples", last.len());
            TONES.map(|hertz| amplitude(last, hertz))
        });
        let heard = heard.collect();
        (phones, heard)
    });
    talking.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_in_a_room_hear_each_other() {
    let (coordinator, mut calls) = started_recordable(builder(), AudioSource::Silence).await;
    let (mut phones, mut ids) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let mut phone = Phone::new(coordinator.local_addr().unwrap());
        assert_eq!(phone.call(&phone.offer("0")), 200);
        phones.push(phone);
        let call = calls.recv().await.unwrap();
        MediaControl::join_room(&coordinator, call.id(), "sales", RoomRole::default()).await.unwrap();
        ids.push(*call.id());
    }
    assert_eq!(coordinator.rooms(), ["sales"]);
    assert_eq!(coordinator.room_members("sales").iter().map(|(id, _)| *id).collect::<Vec<_>>().len(), 3);
    let (phones, heard) = talk(phones, 75).await;
    for (n, tones) in heard.iter().enumerate() {
        for (other, amplitude) in tones.iter().enumerate() {
            let is_right = if n == other { *amplitude < 500.0 } else { *amplitude > 2_500.0 };
            assert!(is_right, "phone {n} hears phone {other} at {amplitude}: {heard:?}");
        }
    }
    // The first is muted, the second whispers to the third.
    MediaControl::join_room(&coordinator, &ids[0], "sales", RoomRole::default().muted(true)).await.unwrap();
    let whisper = RoomRole::default().whispering_to(ids[2]);
    MediaControl::join_room(&coordinator, &ids[1], "sales", whisper).await.unwrap();
    let (mut phones, heard) = talk(phones, 75).await;
    assert!(heard[1][0] < 500.0 && heard[2][0] < 500.0, "a muted caller is heard: {heard:?}");
    assert!(heard[2][1] > 2_500.0 && heard[0][1] < 500.0, "a whisper is for one: {heard:?}");
    assert!(heard[0][2] > 2_500.0 && heard[1][2] > 2_500.0, "{heard:?}");
    // One leaves, one hangs up, one plays something else: the room is gone.
    MediaControl::leave_room(&coordinator, &ids[0]).await.unwrap();
    phones[1].hang_up();
    let coordinator_of = coordinator.clone();
    assert!(until(Duration::from_secs(60), || coordinator_of.room_members("sales").len() == 1).await);
    MediaControl::start_audio_transmission(&coordinator, &ids[2], AudioSource::Tone).await.unwrap();
    assert!(coordinator.rooms().is_empty());
    assert!(phones[2].hears(440.0));
    // A call that is over cannot join.
    let refused = MediaControl::join_room(&coordinator, &ids[1], "sales", RoomRole::default()).await;
    assert!(refused.is_err() && coordinator.rooms().is_empty(), "{refused:?}");
    let to_nobody = RoomRole::default().whispering_to(ids[1]);
    assert!(MediaControl::join_room(&coordinator, &ids[0], "sales", to_nobody).await.is_err());
    SessionControl::stop(&coordinator).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_is_told_something_and_tells_who_speaks() {
    let (coordinator, mut calls) = started_recordable(builder(), AudioSource::Silence).await;
    let (mut phones, mut members) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let mut phone = Phone::new(coordinator.local_addr().unwrap());
        assert_eq!(phone.call(&phone.offer("0")), 200);
        phones.push(phone);
        members.push(coordinator.find_call(calls.recv().await.unwrap().id()).unwrap());
    }
    let tone = || AudioSource::CallTone { country: "de".into(), tone: CallTone::Dial }; // 425 Hz
    let nowhere = members[0].announce(tone(), AnnounceOptions::default()).await;
    assert!(matches!(nowhere, Err(SessionError::Media { .. })), "{nowhere:?}");
    let mut events = members[0].events();
    let role = RoomRole::default().telling_speaking(true);
    members[0].join_room("sales", role).await.unwrap();
    members[1].join_room("sales", RoomRole::default()).await.unwrap();
    assert!(members[0].announce(AudioSource::Echo, AnnounceOptions::default()).await.is_err());
    // One for all goes on until it is stopped, while one speaks, and one for the second member beside it.
    let long = AnnounceOptions::default().tone_for(Duration::from_secs(60));
    let first = members[0].announce(tone(), long).await.unwrap();
    let second = members[0].announce(tone(), long.to(*members[1].id())).await.unwrap();
    assert_ne!(first, second);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("room.wav");
    members[1].record(RecordingOptions::room(&path)).await.unwrap();
    let heard = tokio::task::spawn_blocking(move || {
        let sample = |at: usize| (6_000.0 * (TAU * TONES[1] * at as f64 / 8_000.0).sin()) as i16;
        phones[0].say(&(0..75 * 160).map(sample).collect::<Vec<_>>(), |_| false);
        let heard = phones.iter().map(|phone| phone.hears(425.0)).collect::<Vec<_>>();
        (phones, heard)
    });
    let (_phones, heard) = heard.await.unwrap();
    assert_eq!(heard, [true, true]);
    members[1].stop_recording().await.unwrap();
    // It has what the first one said, and what all were told; at 16 kHz, so that a tone looks like one of half its pitch.
    let recorded = audio::Prompt::decode(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(recorded.sample_rate(), 16_000);
    let mut spoken = vec![0; 8_000];
    recorded.copy_samples(8_000 / 2, &mut spoken);
    assert!(amplitude(&spoken, TONES[1] / 2.0) > 1_000.0, "{}", amplitude(&spoken, TONES[1] / 2.0));
    assert!(amplitude(&spoken, 425.0 / 2.0) > 300.0, "{}", amplitude(&spoken, 425.0 / 2.0));
    members[1].stop_announcement(second).await.unwrap();
    members[0].stop_announcements().await.unwrap();
    let (mut ended, mut spoke) = (Vec::new(), Vec::new());
    while ended.len() < 2 || spoke.len() < 2 {
        let event = tokio::time::timeout(Duration::from_secs(60), events.recv()).await.unwrap().unwrap();
        match event.kind {
            EventKind::AnnouncementEnded { announcement, is_refused: false } => ended.push(announcement),
            EventKind::RoomSpeaking { is_speaking } => spoke.push(is_speaking),
            _ => {}
        }
    }
    assert!(ended.contains(&first) && ended.contains(&second), "{ended:?}");
    assert_eq!(spoke, [true, false]);
    SessionControl::stop(&coordinator).await.unwrap();
}
