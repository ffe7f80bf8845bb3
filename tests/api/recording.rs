//! Calls are written into WAV files, and the files are what was said.

use crate::fixture::{builder, callers, sipp, started, until};
use crate::phone::Phone;
use crate::recorded::{channels, coded, started_recordable};
use loadtest::callers::CallPlan;
use loadtest::capture::{climbing_tone, share_found, share_of};
use loadtest::peers::{Scenario, SippPlan};
use ringplane::api::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where in the recording what was said begins, by the first of it that is loud.
fn beginning(recorded: &[i16], said: &[i16]) -> usize {
    let piece = &said[800..1_600];
    let found = recorded.windows(piece.len()).position(|window| window == piece);
    found.expect("its second tenth is there") - 800
}

#[tokio::test(flavor = "multi_thread")]
async fn the_peer_is_left_we_are_right_and_losses_are_silence() {
    let folder = tempfile::tempdir().unwrap();
    let (coordinator, mut calls) = started_recordable(builder(), AudioSource::Tone).await;
    let mut phone = Phone::new(coordinator.local_addr().unwrap());
    assert_eq!(phone.call(&phone.offer("0")), 200);
    let id = calls.recv().await.unwrap().id;
    let mut events = coordinator.subscribe(EventFilter::all().class(EventClass::Media));
    let path = folder.path().join("call.wav");
    let before = Instant::now();
    MediaControl::start_recording(&coordinator, &id, path.as_path()).await.unwrap();
    let begun = Instant::now();
    // Ten seconds would not be better than two. Packets 30 to 39 never arrive.
    let said = climbing_tone(100 * 160);
    phone.say(&said, |number| (30..40).contains(&number));
    let ending = Instant::now();
    let summary = MediaControl::stop_recording(&coordinator, &id).await.unwrap();
    let (shortest, longest) = (ending - begun, before.elapsed());
    let frames = Duration::from_millis(60);
    assert!(summary.duration + frames >= shortest && summary.duration <= longest + frames, "{summary:?} {shortest:?}");
    assert_eq!((summary.packets_received, summary.lost_received), (90, 10), "{summary:?}");
    assert_eq!((summary.lost_sent, summary.overflow_packets, summary.undecoded_packets), (0, 0, 0), "{summary:?}");
    assert_eq!((&summary.path, &summary.end), (&path, &RecordingEnd::Stopped));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), summary.file_bytes);

    let channels = channels(&path);
    let [left, right] = &channels[..] else { panic!("stereo") };
    assert_eq!((left.len(), right.len()), (left.len(), left.len()));
    assert_eq!(Duration::from_micros(125 * left.len() as u64), summary.duration);
    let said = coded(&said);
    let start = beginning(left, &said);
    for (index, sample) in left[start..start + said.len()].iter().enumerate() {
        let expected = if (30..40).contains(&(index / 160)) { 0 } else { said[index] };
        assert_eq!(*sample, expected, "{index}");
    }
    // Frames that a busy machine skipped are silent; there are few.
    assert!(share_of(right, 440.0) > 0.9, "{}", share_of(right, 440.0));
    let silent = right.iter().filter(|sample| **sample == 0).count();
    assert!(silent < right.len() / 4, "{silent} of {}", right.len());

    // It is told as well, and what is over can be asked for once.
    let first = tokio::time::timeout(Duration::from_secs(60), events.recv()).await.unwrap().unwrap();
    assert_eq!(first.kind, EventKind::RecordingStarted { path: path.clone() });
    assert_eq!(*summaries(&mut events, 1).await[0], summary);
    let again = MediaControl::stop_recording(&coordinator, &id).await.unwrap_err();
    assert!(matches!(again, SessionError::InvalidState { operation: Operation::StopRecording, .. }), "{again}");
    phone.hang_up();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forwarded_call_has_each_side_in_its_ear_and_mono_has_both() {
    struct On(String);
    #[async_trait]
    impl CallHandler for On {
        async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
            CallDecision::Forward(self.0.clone())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let (called, mut calls) = started_recordable(builder(), AudioSource::Tone).await;
    let target = format!("sip:bob@{}", called.local_addr().unwrap());
    let coordinator = started(builder().with_handler(Arc::new(On(target)))).await;
    let mut events = coordinator.subscribe(EventFilter::all().class(EventClass::State));
    let mut phone = Phone::new(coordinator.local_addr().unwrap());
    assert_eq!(phone.call(&phone.offer("0")), 200);
    calls.recv().await.unwrap();
    let (mut caller, mut other) = (None, None);
    while let Some(event) = events.try_recv() {
        if let EventKind::Forwarded { to } = event.kind {
            (caller, other) = (Some(event.session_id), Some(to));
        }
    }
    let (caller, other) = (caller.expect("it went on"), other.expect("to somebody"));
    let paths = ["stereo.wav", "mono.wav"].map(|name| folder.path().join(name));
    MediaControl::start_recording(&coordinator, &caller, &paths[0]).await.unwrap();
    MediaControl::start_recording(&coordinator, &other, RecordingOptions::mono(&paths[1])).await.unwrap();
    let said = climbing_tone(75 * 160);
    phone.say(&said, |_| false);
    for id in [caller, other] {
        let summary = MediaControl::stop_recording(&coordinator, &id).await.unwrap();
        assert!(summary.packets_received > 60 && summary.packets_sent > 60, "{summary:?}");
        assert_eq!((summary.lost_received, summary.lost_sent, summary.overflow_packets), (0, 0, 0), "{summary:?}");
    }
    phone.hang_up();
    let stereo = channels(&paths[0]);
    let said = coded(&said);
    let start = beginning(&stereo[0], &said);
    assert_eq!(stereo[0][start..start + said.len()], said, "what the caller said, left");
    assert!(share_of(&stereo[1][1_600..], 440.0) > 0.9, "what the other side said, right");
    let mono = channels(&paths[1]);
    assert_eq!(mono.len(), 1);
    let share = share_of(&mono[0][1_600..], 440.0);
    assert!((0.1..0.9).contains(&share), "{share}: both are in it");
    assert!(share_found(&mono[0], &stereo[1][1_600..8_000], 800) > 0.1 || share > 0.2, "{share}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_bridged_phones_hear_each_other_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (coordinator, mut calls) = started_recordable(builder(), AudioSource::Silence).await;
    let address = coordinator.local_addr().unwrap();
    let mut phones = [Phone::new(address), Phone::new(address)];
    let mut ids = Vec::new();
    for phone in &mut phones {
        assert_eq!(phone.call(&phone.offer("0")), 200);
        ids.push(calls.recv().await.unwrap().id);
    }
    let path = folder.path().join("bridge.wav");
    // It begins before they are together, and goes on when their legs meet on one worker.
    MediaControl::start_recording(&coordinator, &ids[0], &path).await.unwrap();
    coordinator.bridge_sessions(&ids[0], &ids[1]).await.unwrap();
    let said = [climbing_tone(100 * 160), coded(&climbing_tone(110 * 160)).into_iter().rev().collect::<Vec<i16>>()];
    let [mut one, mut other] = phones;
    std::thread::scope(|scope| {
        scope.spawn(|| one.say(&said[0], |_| false));
        scope.spawn(|| other.say(&said[1], |_| false));
    });
    // The call ends first; its file is asked for afterwards.
    one.hang_up();
    let summary = MediaControl::stop_recording(&coordinator, &ids[0]).await.unwrap();
    // What came for it while the two legs were on their way to one worker was not heard: that is said as well.
    assert_eq!((&summary.end, summary.lost_received), (&RecordingEnd::CallEnded, 0), "{summary:?}");
    other.hang_up();
    let channels = channels(&path);
    assert!(share_found(&channels[0], &coded(&said[0]), 1_600) > 0.9);
    assert!(share_found(&channels[1], &coded(&said[1]), 1_600) > 0.8, "a few packets may fall into the joining");
    let gone = MediaControl::stop_recording(&coordinator, &ids[0]).await.unwrap_err();
    assert!(matches!(gone, SessionError::SessionNotFound(_)), "{gone}");
}

/// Records every call from its answer, into a file named by its session.
struct Records(std::path::PathBuf);

#[async_trait]
impl CallHandler for Records {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::Accept(None)
    }

    async fn on_call_established(&self, call: CallSession, _: Option<String>, _: Option<String>) {
        let coordinator = call.coordinator();
        let path = self.0.join(format!("{}.wav", call.id()));
        MediaControl::start_audio_transmission(&coordinator, call.id(), AudioSource::Tone).await.unwrap();
        MediaControl::start_recording(&coordinator, call.id(), path).await.unwrap();
    }
}

/// The summaries of so many recordings, as they are told.
async fn summaries(events: &mut Receiver<SessionEvent>, count: usize) -> Vec<Arc<RecordingSummary>> {
    let mut summaries = Vec::new();
    while summaries.len() < count {
        let event = tokio::time::timeout(Duration::from_secs(60), events.recv()).await.expect("in time").expect("open");
        if let EventKind::RecordingEnded { summary } = event.kind {
            summaries.push(summary);
        }
    }
    summaries
}

#[tokio::test(flavor = "multi_thread")]
async fn hold_and_resume_by_the_caller_stay_in_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = started(builder().with_handler(Arc::new(Records(folder.path().into())))).await;
    let mut events = coordinator.subscribe(EventFilter::all());
    let plan = SippPlan { scenario: Scenario::ours("hold_resume"), calls: 3, rate: 3, ..SippPlan::default() };
    sipp(folder.path(), coordinator.local_addr().unwrap(), plan).await.assert_all_good(3);
    for summary in summaries(&mut events, 3).await {
        assert_eq!((&summary.end, summary.overflow_packets), (&RecordingEnd::CallEnded, 0), "{summary:?}");
        let channels = channels(&summary.path);
        assert_eq!(Duration::from_micros(125 * channels[0].len() as u64), summary.duration);
        assert_eq!(std::fs::metadata(&summary.path).unwrap().len(), summary.file_bytes);
        assert!(share_of(&channels[1], 440.0) > 0.8, "{summary:?}");
    }
    assert!(until(Duration::from_secs(10), || coordinator.stats().active_sessions == 0).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_calls_at_once_and_no_sound_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = started(builder().with_handler(Arc::new(Records(folder.path().into())))).await;
    let mut events = coordinator.subscribe(EventFilter::all().class(EventClass::Media));
    let hold = clock::Duration::from_secs(4);
    let plan = CallPlan { calls: 50, rate: 50.0, hold, ..CallPlan::tone(coordinator.local_addr().unwrap()) };
    let report = callers(plan).await;
    assert_eq!(report.completed, 50, "{}", report.to_text());
    for summary in summaries(&mut events, 50).await {
        assert!(summary.packets_received > 150 && summary.packets_sent > 150, "{summary:?}");
        assert_eq!((summary.lost_received, summary.overflow_packets, summary.late_packets), (0, 0, 0), "{summary:?}");
        let channels = channels(&summary.path);
        assert!(channels[0].len() > 3 * 8_000 && share_of(&channels[1], 440.0) > 0.9, "{summary:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_says_why_and_a_limit_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let (coordinator, mut calls) = started_recordable(builder(), AudioSource::Tone).await;
    let mut phone = Phone::new(coordinator.local_addr().unwrap());
    assert_eq!(phone.call(&phone.offer("0")), 200);
    let id = calls.recv().await.unwrap().id;
    let record = |options: RecordingOptions| {
        let coordinator = coordinator.clone();
        async move { MediaControl::start_recording(&coordinator, &id, options).await }
    };
    let missing = record(folder.path().join("none/call.wav").into()).await.unwrap_err();
    assert_eq!(missing.category(), ErrorCategory::Usage);
    let words = missing.to_string();
    assert!(words.contains("none/call.wav") && words.contains("create the directory"), "{words}");
    let directory = record(RecordingOptions::stereo(folder.path()).overwrite()).await.unwrap_err().to_string();
    assert!(directory.contains("not a file"), "{directory}");
    let taken = folder.path().join("taken.wav");
    std::fs::write(&taken, b"precious").unwrap();
    let words = record(taken.as_path().into()).await.unwrap_err().to_string();
    assert!(words.contains("overwrite") && std::fs::read(&taken).unwrap() == b"precious", "{words}");
    let endless = record(RecordingOptions::mono(folder.path().join("x.wav")).max_length(Duration::MAX)).await;
    assert!(endless.unwrap_err().to_string().contains("24 hours"));
    assert!(!folder.path().join("x.wav").exists(), "nothing was recorded, so there is no file");
    let unknown = MediaControl::stop_recording(&coordinator, &"1-0-77".parse().unwrap()).await.unwrap_err();
    assert!(matches!(unknown, SessionError::SessionNotFound(_)), "{unknown}");

    record(RecordingOptions::mono(&taken).overwrite().max_length(Duration::from_secs(1))).await.unwrap();
    let second = record(folder.path().join("second.wav").into()).await.unwrap_err();
    let SessionError::InvalidState { operation, allowed, .. } = &second else { panic!("{second}") };
    assert!(*operation == Operation::StartRecording && allowed.contains(&Operation::StopRecording), "{second}");
    assert!(!folder.path().join("second.wav").exists());
    let mut events = coordinator.subscribe(EventFilter::all().class(EventClass::Media));
    let told = summaries(&mut events, 1).await.remove(0);
    let summary = MediaControl::stop_recording(&coordinator, &id).await.unwrap();
    assert_eq!((&*told, &summary.end), (&summary, &RecordingEnd::LimitReached));
    assert_eq!((summary.duration, channels(&taken)[0].len()), (Duration::from_secs(1), 8_000));
    // The call goes on, and may be recorded again.
    phone.listen(5);
    record(folder.path().join("again.wav").into()).await.unwrap();
    phone.hang_up();
    assert_eq!(MediaControl::stop_recording(&coordinator, &id).await.unwrap().end, RecordingEnd::CallEnded);
}

/// The packets of both legs of a call go into one file, beside the sound of one of them; a pause leaves packets out.
#[tokio::test(flavor = "multi_thread")]
async fn packets_of_two_legs_lie_in_one_file() {
    struct On(String);
    #[async_trait]
    impl CallHandler for On {
        async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
            CallDecision::Forward(self.0.clone())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let (called, mut calls) = started_recordable(builder(), AudioSource::Tone).await;
    let target = format!("sip:bob@{}", called.local_addr().unwrap());
    let coordinator = started(builder().with_handler(Arc::new(On(target))).with_recording_folder(folder.path())).await;
    let mut events = coordinator.subscribe(EventFilter::all().class(EventClass::State));
    let mut phone = Phone::new(coordinator.local_addr().unwrap());
    assert_eq!(phone.call(&phone.offer("0")), 200);
    calls.recv().await.unwrap();
    let mut legs = None;
    while let Some(event) = events.try_recv() {
        if let EventKind::Forwarded { to } = event.kind {
            legs = Some([event.session_id, to]);
        }
    }
    let legs = legs.expect("it went on");
    let session = async |id: SessionId| SessionControl::get_session(&coordinator, &id).await.unwrap().unwrap().handle();
    let (caller, other) = (session(legs[0]).await, session(legs[1]).await);
    for bad in ["../call.pcapng", "/tmp/call.pcapng", "a\0b.pcapng"] {
        assert!(matches!(caller.capture_packets(bad).await, Err(SessionError::Config { .. })), "{bad:?}");
    }
    let path = folder.path().join("call.pcapng");
    let missing = other.capture_packets(RecordingOptions::packets("call.pcapng").join()).await;
    assert!(missing.is_err() && !path.exists(), "there is nothing to join");
    caller.capture_packets("call.pcapng").await.unwrap();
    other.capture_packets(RecordingOptions::packets("call.pcapng").join()).await.unwrap();
    let again = caller.capture_packets("again.pcapng").await.unwrap_err();
    assert!(matches!(again, SessionError::InvalidState { operation: Operation::StartCapture, .. }), "{again}");
    assert!(!folder.path().join("again.pcapng").exists());
    caller.record("call.wav").await.unwrap();
    phone.say(&climbing_tone(50 * 160), |_| false);
    caller.pause_capture().await.unwrap();
    let before = std::fs::metadata(&path).unwrap().len();
    caller.resume_capture().await.unwrap();
    let sound = caller.stop_recording().await.unwrap();
    assert!(sound.packets_received >= 50 && sound.path.ends_with("call.wav"), "{sound:?}");
    let first = caller.stop_capture().await.unwrap();
    assert!(first.packets_received >= 50 && first.packets_sent >= 40 && first.overflow_packets == 0, "{first:?}");
    assert!(before > 0);
    // The other leg ends with the call.
    phone.hang_up();
    let second = other.stop_capture().await.unwrap();
    assert!(second.packets_received >= 40 && second.packets_sent >= 50, "{second:?}");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), second.file_bytes);
    let bytes = std::fs::read(&path).unwrap();
    let (mut rest, mut kinds) = (&bytes[..], Vec::new());
    while !rest.is_empty() {
        let number = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        kinds.push(number(0));
        rest = &rest[number(4) as usize..];
    }
    let count = |kind: u32| kinds.iter().filter(|other| **other == kind).count() as u64;
    assert_eq!((count(0x0a0d_0d0a), count(1)), (1, 2), "one section with an interface for each leg");
    let packets = [&first, &second].iter().map(|summary| summary.packets_received + summary.packets_sent).sum::<u64>();
    assert_eq!(count(6), packets);
}

/// A caller hears the ringback while the target rings without media, and the target from its answer on.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_hears_a_tone_while_the_target_rings() {
    struct On(String);
    #[async_trait]
    impl CallHandler for On {
        async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
            CallDecision::Forward(self.0.clone())
        }
    }
    struct Later(tokio::sync::mpsc::UnboundedSender<IncomingCall>);
    #[async_trait]
    impl CallHandler for Later {
        async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
            self.0.send(call).unwrap();
            CallDecision::Defer
        }
    }
    for source in [AudioSource::Echo, AudioSource::Prompt("none".into())] {
        let refused = builder().with_ringback(source.clone()).build().await;
        assert!(matches!(refused, Err(SessionError::Config { .. })), "{source:?}");
    }
    let (sender, mut ringing) = tokio::sync::mpsc::unbounded_channel();
    let called = started(builder().with_handler(Arc::new(Later(sender)))).await;
    let target = format!("sip:bob@{}", called.local_addr().unwrap());
    let coordinator = started(builder().with_handler(Arc::new(On(target))).with_ringback(AudioSource::Tone)).await;
    let mut events = coordinator.subscribe(EventFilter::all().class(EventClass::State));
    let mut phone = Phone::new(coordinator.local_addr().unwrap());
    let calling = tokio::task::spawn_blocking(move || (phone.call(&phone.offer("0")), phone));
    let call = ringing.recv().await.unwrap();
    // Its address is not proven, so that it is sent 160 ms and no more: they wait in its socket.
    let caller = loop {
        let event = tokio::time::timeout(Duration::from_secs(60), events.recv()).await.unwrap().unwrap();
        if let EventKind::Forwarded { .. } = event.kind {
            break event.session_id;
        }
    };
    let sent = async || {
        let statistics = MediaControl::get_media_statistics(&coordinator, &caller).await.ok().flatten();
        statistics.map_or(0, |statistics| statistics.packets_sent)
    };
    let early = async {
        while sent().await < 7 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), early).await.expect("the ringback is sent");
    SessionControl::accept_incoming_call(&called, &call, None).await.unwrap();
    let (status, phone) = calling.await.unwrap();
    assert_eq!(status, 200);
    let heard = &phone.waiting()[..7 * 160];
    assert!(share_of(heard, 440.0) > 0.8, "{}", share_of(heard, 440.0));
}
