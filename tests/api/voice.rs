//! The voice of a call's peer is processed before anything else hears it.

use crate::fixture::builder;
use crate::phone::Phone;
use crate::recorded::{channels, started_recordable};
use ringplane::api::*;
use std::time::Duration;

/// The shipped prompt, at a level.
fn speech(dbov: f32) -> Vec<i16> {
    let prompt = audio::Prompt::decode(audio::WELCOME_WAV).expect("the shipped prompt");
    let ratio = prompt.sample_rate() as usize / 8_000;
    let mut sound = vec![0; prompt.sample_count() as usize * ratio];
    prompt.copy_samples(0, &mut sound);
    // What is above 4 kHz does not matter here.
    let sound: Vec<i16> = sound.into_iter().step_by(ratio).collect();
    let gain = 10f32.powf((dbov - audio::level_dbov(&sound)) / 20.0);
    sound.iter().map(|sample| (f32::from(*sample) * gain) as i16).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_peer_is_recorded_louder_and_it_is_told_when_it_speaks() {
    let folder = tempfile::tempdir().unwrap();
    let (coordinator, mut calls) = started_recordable(builder(), AudioSource::Silence).await;
    let mut phone = Phone::new(coordinator.local_addr().unwrap());
    assert_eq!(phone.call(&phone.offer("0")), 200);
    let id = calls.recv().await.unwrap().id;
    let call = coordinator.find_call(&id).unwrap();
    assert_eq!(call.voice_processing().await.unwrap(), VoiceProcessing::default());
    let mut events = call.events();
    let wanted = VoiceProcessing { activity: true, ..VoiceProcessing::all() };
    call.set_voice_processing(wanted).await.unwrap();
    assert_eq!(call.voice_processing().await.unwrap(), wanted);
    let path = folder.path().join("call.wav");
    call.record(path.as_path()).await.unwrap();
    let said = [speech(-40.0), speech(-40.0), vec![0; 4_000]].concat();
    let phone = tokio::task::spawn_blocking(move || {
        phone.say(&said, |_| false);
        phone
    });
    let mut told = Vec::new();
    while told.last() != Some(&false) {
        let event = tokio::time::timeout(Duration::from_secs(60), events.recv()).await.unwrap().unwrap();
        if let EventKind::VoiceActivity { is_speaking } = event.kind {
            told.push(is_speaking);
        }
    }
    assert_eq!(told, [true, false]);
    let mut phone = phone.await.unwrap();
    let _ = call.stop_recording().await.unwrap();
    let left = &channels(&path)[0];
    let second_half = &left[left.len() / 2..];
    let level = audio::level_dbov(&second_half[..second_half.len() - 4_000]);
    assert!(level > -34.0, "the speech of -40 dBov is recorded at {level:.1}");
    // Nothing any more; and a call that is over has no voice.
    call.set_voice_processing(VoiceProcessing::default()).await.unwrap();
    assert_eq!(call.voice_processing().await.unwrap(), VoiceProcessing::default());
    phone.hang_up();
    let over = async || MediaControl::set_voice_processing(&coordinator, &id, wanted).await;
    let refused = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            match over().await {
                Err(error) => break error,
                Ok(()) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    });
    let refused = refused.await.unwrap();
    assert!(matches!(refused, SessionError::InvalidState { .. } | SessionError::SessionNotFound(_)), "{refused}");
}
