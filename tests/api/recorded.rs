//! A program whose calls are recorded, and how what was recorded is read.

use crate::fixture::started;
use ringplane::api::*;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Answers with a tone, and hands every call that is up to the test.
pub(crate) struct Hands(UnboundedSender<CallSession>, AudioSource);

#[async_trait]
impl CallHandler for Hands {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::Accept(None)
    }

    async fn on_call_established(&self, call: CallSession, _: Option<String>, _: Option<String>) {
        let coordinator = call.coordinator();
        // The call may have ended already.
        let _ = MediaControl::start_audio_transmission(&coordinator, call.id(), self.1.clone()).await;
        let _ = self.0.send(call);
    }
}

pub(crate) type Calls = UnboundedReceiver<CallSession>;

pub(crate) async fn started_recordable(
    builder: SessionManagerBuilder,
    source: AudioSource,
) -> (Arc<SessionCoordinator>, Calls) {
    let (sender, calls) = unbounded_channel();
    (started(builder.with_handler(Arc::new(Hands(sender, source)))).await, calls)
}

/// The channels of a file, and nothing else about it that is not as it should be.
pub(crate) fn channels(path: &Path) -> Vec<Vec<i16>> {
    let mut reader = hound::WavReader::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let spec = reader.spec();
    assert_eq!((spec.sample_rate, spec.bits_per_sample), (8_000, 16));
    let count = usize::from(spec.channels);
    let samples: Vec<i16> = reader.samples().map(|sample| sample.expect("as many as the header says")).collect();
    (0..count).map(|channel| samples.iter().skip(channel).step_by(count).copied().collect()).collect()
}

/// G.711 and back.
pub(crate) fn coded(samples: &[i16]) -> Vec<i16> {
    samples.iter().map(|sample| audio::Law::Mu.decode(audio::Law::Mu.encode(*sample))).collect()
}
