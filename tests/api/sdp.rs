//! Programs that look after session descriptions and media addresses themselves.

use crate::fixture::{builder, started, started_with, until};
use crate::phone::Phone;
use ringplane::api::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Defers every call and hands it to the test.
struct Waits(tokio::sync::mpsc::UnboundedSender<IncomingCall>);

#[async_trait]
impl CallHandler for Waits {
    async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
        let _ = self.0.send(call);
        CallDecision::Defer
    }
}

/// A coordinator whose calls wait, and a phone that calls it from a thread of its own; `None` after its call.
async fn ringing(
    offer: impl Fn(&Phone) -> String + Send + 'static,
) -> (Arc<SessionCoordinator>, IncomingCall, tokio::task::JoinHandle<(Phone, u16)>) {
    let (sender, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let coordinator = started_with(Waits(sender)).await;
    let mut phone = Phone::new(coordinator.local_addr().unwrap());
    let calling = tokio::task::spawn_blocking(move || {
        let offer = offer(&phone);
        let status = phone.call(&offer);
        (phone, status)
    });
    let call = calls.recv().await.unwrap();
    (coordinator, call, calling)
}

/// The port of a description's audio.
fn port(sdp: &str) -> u16 {
    let line = sdp.lines().find_map(|line| line.strip_prefix("m=audio ")).expect("audio");
    line.split(' ').next().and_then(|port| port.parse().ok()).expect("a port")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_made_first_and_accepted_with() {
    let (coordinator, call, calling) =
        ringing(|phone| phone.offer("8 0 101\r\na=rtpmap:101 telephone-event/8000")).await;
    let offer = call.sdp.clone().unwrap();
    let answer = MediaControl::generate_sdp_answer(&coordinator, &call.id, &offer).await.unwrap();
    assert!(answer.contains("RTP/AVP 0 8 101") && answer.contains("c=IN IP4 127.0.0.1"), "{answer}");
    let info = MediaControl::get_media_info(&coordinator, &call.id).await.unwrap().expect("media waits");
    assert_eq!(info.local_rtp_port.number(), Some(port(&answer)));
    // The program may say something of its own beside.
    let answer = answer.replace("s=-\r\n", "s=my own words\r\n");
    SessionControl::accept_incoming_call(&coordinator, &call, Some(answer.clone())).await.unwrap();
    let (mut phone, status) = calling.await.unwrap();
    assert_eq!((status, &phone.answer), (200, &answer));
    MediaControl::start_audio_transmission(&coordinator, &call.id, AudioSource::Tone).await.unwrap();
    assert!(phone.hears(440.0));
    let info = MediaControl::get_media_info(&coordinator, &call.id).await.unwrap().unwrap();
    assert_eq!((info.codec, info.direction), (Some(Codec::Pcmu), MediaDirection::SendReceive));
    assert_eq!(info.remote_rtp(), Some(phone.rtp.local_addr().unwrap()));
    phone.hang_up();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_without_an_offer_gets_ours() {
    let (coordinator, call, calling) = ringing(|_| String::new()).await;
    assert_eq!(call.sdp, None);
    let offer = MediaControl::generate_sdp_offer(&coordinator, &call.id).await.unwrap();
    assert!(offer.contains(" RTP/AVP 0 8 9 96 101 102\r\n") && offer.contains("a=sendrecv"), "{offer}");
    let same = MediaControl::generate_sdp_offer(&coordinator, &call.id).await.unwrap();
    assert_eq!(same, offer, "asking changes nothing");
    SessionControl::accept_incoming_call(&coordinator, &call, Some(offer.clone())).await.unwrap();
    let (mut phone, status) = calling.await.unwrap();
    assert_eq!((status, &phone.answer), (200, &offer));
    MediaControl::start_audio_transmission(&coordinator, &call.id, AudioSource::Tone).await.unwrap();
    assert!(phone.hears(440.0));
    phone.hang_up();
    assert!(until(Duration::from_secs(10), || coordinator.stats().active_sessions == 0).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_has_a_status_and_the_call_can_still_be_refused() {
    let (coordinator, call, calling) = ringing(|phone| phone.offer("0")).await;
    let foreign = call.sdp.clone().unwrap().replace("RTP/AVP 0", "RTP/AVP 18 4");
    let unfit = MediaControl::generate_sdp_answer(&coordinator, &call.id, &foreign).await.unwrap_err();
    let SessionError::Rejected { status, reason, .. } = &unfit else { panic!("{unfit}") };
    assert_eq!((*status, unfit.is_retryable()), (488, false), "{reason}");
    assert!(reason.contains("codec"), "{reason}");
    let nonsense = MediaControl::generate_sdp_answer(&coordinator, &call.id, "v=1").await.unwrap_err();
    assert!(matches!(nonsense, SessionError::Rejected { status: 400, .. }), "{nonsense}");
    // A port that waits goes back when the call is refused.
    MediaControl::generate_sdp_offer(&coordinator, &call.id).await.unwrap();
    SessionControl::reject_incoming_call_with(&coordinator, &call, 488, "").await.unwrap();
    assert_eq!(calling.await.unwrap().1, 488);
    assert!(until(Duration::from_secs(40), || coordinator.stats().active_sessions == 0).await);
    let gone = MediaControl::generate_sdp_offer(&coordinator, &call.id).await.unwrap_err();
    assert!(matches!(gone, SessionError::SessionNotFound(_)), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn media_flows_where_the_program_says() {
    let (coordinator, call, calling) = ringing(|phone| phone.offer("0")).await;
    SessionControl::accept_incoming_call(&coordinator, &call, None).await.unwrap();
    let (mut phone, _) = calling.await.unwrap();
    MediaControl::start_audio_transmission(&coordinator, &call.id, AudioSource::Tone).await.unwrap();
    assert!(phone.hears(440.0));
    // Another socket takes over, by its address and then by a description.
    let other = Phone::new(coordinator.local_addr().unwrap());
    let address = other.rtp.local_addr().unwrap();
    MediaControl::establish_media_flow(&coordinator, &call.id, &address.to_string()).await.unwrap();
    assert!(other.hears(440.0));
    let info = MediaControl::get_media_info(&coordinator, &call.id).await.unwrap().unwrap();
    assert_eq!(info.remote_rtp(), Some(address));
    let back = phone.offer("0");
    MediaControl::establish_media_flow(&coordinator, &call.id, &back).await.unwrap();
    assert!(phone.hears(440.0));
    for nowhere in ["", "somewhere", "127.0.0.1", "0.0.0.0:4000", "127.0.0.1:0"] {
        let refused = MediaControl::establish_media_flow(&coordinator, &call.id, nowhere).await.unwrap_err();
        assert_eq!(refused.category(), ErrorCategory::Usage, "{nowhere}: {refused}");
    }
    let unfit = MediaControl::establish_media_flow(&coordinator, &call.id, "v=0\r\n").await.unwrap_err();
    assert!(matches!(unfit, SessionError::Rejected { .. }), "{unfit}");
    // What it would offer now.
    let offer = MediaControl::generate_sdp_offer(&coordinator, &call.id).await.unwrap();
    assert!(offer.contains(" RTP/AVP 0\r\n"), "what was agreed on: {offer}");
    phone.hang_up();
}

/// Answers late, and sends media to where the peer said, as many programs do.
#[derive(Default)]
struct OwnSdp {
    waiting: Mutex<Option<IncomingCall>>,
    ports: Mutex<Option<(u16, u16)>>,
}

#[async_trait]
impl CallHandler for OwnSdp {
    async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
        *self.waiting.lock().unwrap() = Some(call);
        CallDecision::Defer
    }

    async fn on_call_established(&self, call: CallSession, local: Option<String>, remote: Option<String>) {
        let (Some(local), Some(remote)) = (local, remote) else { return };
        let coordinator = call.coordinator();
        let to = format!("127.0.0.1:{}", port(&remote));
        MediaControl::establish_media_flow(&coordinator, call.id(), &to).await.unwrap();
        MediaControl::start_audio_transmission(&coordinator, call.id(), AudioSource::Tone).await.unwrap();
        *self.ports.lock().unwrap() = Some((port(&local), port(&remote)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_ours_is_described_before_its_answer() {
    let own = Arc::new(OwnSdp::default());
    let called = started(builder().with_handler(own.clone())).await;
    let caller = started_with(AutoAnswerHandler).await;
    let to = format!("sip:bob@{}", called.local_addr().unwrap());
    let call = SessionControl::create_outgoing_call(&caller, "", &to, None).await.unwrap();
    assert!(until(Duration::from_secs(10), || own.waiting.lock().unwrap().is_some()).await);
    let waiting = own.waiting.lock().unwrap().take().unwrap();
    let offer = MediaControl::generate_sdp_offer(&caller, call.id()).await.unwrap();
    assert_eq!(Some(&offer), waiting.sdp.as_ref(), "it is what was offered");
    let answer = MediaControl::generate_sdp_answer(&called, &waiting.id, &offer).await.unwrap();
    SessionControl::accept_incoming_call(&called, &waiting, Some(answer.clone())).await.unwrap();
    SessionControl::wait_for_answer(&caller, call.id(), Duration::from_secs(20)).await.unwrap();
    assert!(until(Duration::from_secs(10), || own.ports.lock().unwrap().is_some()).await);
    assert_eq!(*own.ports.lock().unwrap(), Some((port(&answer), port(&offer))));
    let every = Duration::from_millis(50);
    let mut monitor = MediaControl::start_statistics_monitoring(&caller, call.id(), every).await.unwrap();
    let mut received = 0;
    while received < 20 {
        let told = tokio::time::timeout(Duration::from_secs(20), monitor.recv()).await.expect("in time");
        received = told.expect("it is up").packets_received;
    }
}
