//! Answers calls with a tone and writes each into a WAV file: left what the caller says, right what it hears.
//!
//! Type `cargo run --release --example record_calls -- FOLDER` (without a folder: the current one), then call
//! `sip:anybody@127.0.0.1` with a softphone and hang up. The program says what is in the file; `play FOLDER/*.wav`
//! (sox) lets you hear it.

use ringplane::prelude::*;
use std::path::PathBuf;
use std::sync::Arc;

struct Recorder {
    folder: PathBuf,
}

#[async_trait]
impl CallHandler for Recorder {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::Accept(None)
    }

    async fn on_call_established(&self, call: CallSession, _: Option<String>, _: Option<String>) {
        let coordinator = call.coordinator();
        // A session's name is never given twice, so that no older file has it.
        let options = RecordingOptions::stereo(self.folder.join(format!("call-{}.wav", call.id())));
        if let Err(error) = MediaControl::start_recording(&coordinator, call.id(), options).await {
            return eprintln!("{error}; {}", error.hint());
        }
        println!("{} is being recorded", call.from);
        if let Err(error) = MediaControl::start_audio_transmission(&coordinator, call.id(), AudioSource::Tone).await {
            eprintln!("{error}; {}", error.hint());
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let manager = SessionManager::new(SessionConfig::server("127.0.0.1:5060")?).await?;
    manager.set_call_handler(Arc::new(Recorder { folder })).await?;
    manager.start_server("127.0.0.1:5060".parse()?).await?;
    println!("listening on 127.0.0.1:5060");

    // A recording ends with its call; its file is whole when this is told.
    let mut events = manager.coordinator().subscribe(EventFilter::all().class(EventClass::Media));
    let telling = tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let EventKind::RecordingEnded { summary } = event.kind {
                println!(
                    "{}: {:.1} s, {} packets heard and {} lost, {} sent ({:?})",
                    summary.path.display(),
                    summary.duration.as_secs_f64(),
                    summary.packets_received,
                    summary.lost_received,
                    summary.packets_sent,
                    summary.end
                );
            }
        }
    });
    tokio::signal::ctrl_c().await?;
    telling.abort();
    Ok(())
}
