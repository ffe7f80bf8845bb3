//! Plays a WAV file to everybody who calls, and hangs up when it is over.
//!
//! Type `cargo run --release --example play_prompt -- FILE.wav` (without a file: the welcome prompt), then call
//! `sip:prompt@127.0.0.1` with a softphone.

use ringplane::prelude::*;
use std::sync::Arc;

struct Player;

#[async_trait]
impl CallHandler for Player {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::Accept(None)
    }

    async fn on_call_established(&self, call: CallSession, _: Option<String>, _: Option<String>) {
        let coordinator = call.coordinator();
        let mut ends = coordinator.subscribe(EventFilter::all().session(call.id).class(EventClass::Media));
        let prompt = AudioSource::Prompt("play".into());
        if let Err(error) = MediaControl::start_audio_transmission(&coordinator, call.id(), prompt).await {
            return eprintln!("{error}; {}", error.hint());
        }
        // In a task of its own: a handler that waits too long is given up.
        tokio::spawn(async move {
            while let Some(event) = ends.recv().await {
                if event.kind == EventKind::AudioEnded {
                    println!("{} has heard it", call.from);
                    let _ = SessionControl::terminate_session(&coordinator, call.id()).await;
                    return;
                }
            }
        });
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder =
        SessionManagerBuilder::new().with_local_bind_addr("127.0.0.1:5060".parse()?).with_handler(Arc::new(Player));
    if let Some(file) = std::env::args().nth(1) {
        builder = builder.with_prompt("play", file);
    }
    let coordinator = builder.build().await?;
    SessionControl::start(&coordinator).await?;
    println!("listening on 127.0.0.1:5060");
    tokio::signal::ctrl_c().await?;
    SessionControl::stop(&coordinator).await?;
    Ok(())
}
