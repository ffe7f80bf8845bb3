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
