//! A program that uses the library, with `ringplane media` as its media plane.

#[path = "../../../tests/api/fixture.rs"]
#[allow(dead_code, reason = "the tests of the library use the rest")]
mod fixture;
#[path = "../../../tests/api/phone.rs"]
#[allow(dead_code, reason = "the tests of the library use the rest")]
mod phone;
#[path = "../../../tests/api/recorded.rs"]
#[allow(dead_code, reason = "the tests of the library use the rest")]
mod recorded;

use fixture::builder;
use loadtest::capture::{climbing_tone, share_found, share_of};
use loadtest::peers::MediaPlane;
use phone::Phone;
use recorded::{channels, coded, started_recordable};
use ringplane::api::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_media_process_that_is_killed_leaves_a_sound_file() {
    let folder = tempfile::tempdir().unwrap();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_ringplane"));
    let media = MediaPlane::start(folder.path(), program, 1, 100, "").unwrap();
    let with_plane = builder().with_media_plane(folder.path().join("run/media-control.sock"));
    let (coordinator, mut calls) = started_recordable(with_plane, AudioSource::Tone).await;
    let mut phone = Phone::new(coordinator.local_addr().unwrap());
    assert_eq!(phone.call(&phone.offer("0")), 200);
    let id = calls.recv().await.unwrap().id;
    let paths = ["one.wav", "two.wav"].map(|name| folder.path().join(name));
    // Another process writes the file that this one has opened.
    MediaControl::start_recording(&coordinator, &id, &paths[0]).await.unwrap();
    phone.say(&climbing_tone(50 * 160), |_| false);
    let summary = MediaControl::stop_recording(&coordinator, &id).await.unwrap();
    assert_eq!((summary.packets_received, &summary.end), (50, &RecordingEnd::Stopped), "{summary:?}");
    assert!(share_of(&channels(&paths[0])[1], 440.0) > 0.9);

    MediaControl::start_recording(&coordinator, &id, &paths[1]).await.unwrap();
    phone.say(&climbing_tone(200 * 160), |_| false);
    loadtest::peers::send_signal(media.pid(), rustix::process::Signal::KILL).unwrap();
    let lost = MediaControl::stop_recording(&coordinator, &id).await;
    let words = lost.unwrap_err().to_string();
    assert!(words.contains("two.wav") || words.contains("no session"), "{words}");
    let left = &channels(&paths[1])[0];
    assert!(left.len() > 2 * 8_000, "all but the last second: {}", left.len());
    assert!(share_found(left, &coded(&climbing_tone(200 * 160))[..16_000], 1_600) > 0.9);
}
