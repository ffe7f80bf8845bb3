//! Puts every caller on hold with music for four seconds, then takes the call back.
//!
//! Type `cargo run --release --example hold_music`, then call `sip:anybody@127.0.0.1` with a softphone: after two
//! seconds it shows that it is held, and plays what we send. A WAV file as first argument is played instead of the
//! built-in prompt.

use ringplane::prelude::*;
use std::sync::Arc;
use std::time::Duration;

struct Busy;

#[async_trait]
impl CallHandler for Busy {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::Accept(None)
    }

    async fn on_call_established(&self, call: CallSession, _: Option<String>, _: Option<String>) {
        let coordinator = call.coordinator();
        tokio::spawn(async move {
            if let Err(error) = hold_for_a_while(&coordinator, &call).await {
                println!("{}: {error}; {}", call.id(), error.hint());
            }
        });
    }
}

async fn hold_for_a_while(coordinator: &Arc<SessionCoordinator>, call: &CallSession) -> Result<(), SessionError> {
    let id = call.id();
    tokio::time::sleep(Duration::from_secs(2)).await;
    coordinator.hold_with_audio(id, AudioSource::Prompt("music".into())).await?;
    let media = MediaControl::get_media_info(coordinator, id).await?;
    println!("{} is on hold ({:?}) and hears music", call.from, media.map(|media| media.direction));

    tokio::time::sleep(Duration::from_secs(4)).await;
    SessionControl::resume_session(coordinator, id).await?;
    println!("{} is back: {:?}", call.from, call.state());
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let music = std::env::args().nth(1).unwrap_or_else(|| "voice.wav".into());
    let coordinator = SessionManagerBuilder::new()
        .with_local_bind_addr("127.0.0.1:5060".parse()?)
        .with_prompt("music", music)
        .with_handler(Arc::new(Busy))
        .build()
        .await?;
    SessionControl::start(&coordinator).await?;
    println!("listening on 127.0.0.1:5060");
    tokio::signal::ctrl_c().await?;
    SessionControl::stop(&coordinator).await?;
    Ok(())
}
