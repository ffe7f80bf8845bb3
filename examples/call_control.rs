//! Answers a call, holds it after a second, resumes it, mutes it, and hangs up.
//!
//! Type `cargo run --release --example call_control`, then call `sip:anybody@127.0.0.1` with a softphone, such as
//! `baresip -e '/uanew <sip:me@127.0.0.1>;regint=0' -e '/dial sip:anybody@127.0.0.1'`: it shows the hold, and the call
//! ends after five seconds.

use ringplane::prelude::*;
use std::sync::Arc;
use std::time::Duration;

struct Controlled;

#[async_trait]
impl CallHandler for Controlled {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::Accept(None)
    }

    async fn on_call_established(&self, call: CallSession, _: Option<String>, _: Option<String>) {
        tokio::spawn(async move {
            if let Err(error) = play_with(&call).await {
                println!("it stopped early: {error}");
            }
        });
    }

    async fn on_media_paused(&self, call: CallSession) {
        println!("{}: media is paused", call.id());
    }

    async fn on_media_resumed(&self, call: CallSession) {
        println!("{}: media flows again", call.id());
    }

    async fn on_call_ended(&self, call: CallSession, reason: &str) {
        println!("{}: ended after {:?}: {reason}", call.id(), call.duration());
    }
}

async fn play_with(call: &CallSession) -> Result<(), SessionError> {
    let coordinator = call.coordinator();
    let id = call.id();
    MediaControl::start_audio_transmission(&coordinator, id, AudioSource::Tone).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    SessionControl::hold_session(&coordinator, id).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    SessionControl::resume_session(&coordinator, id).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    SessionControl::mute(&coordinator, id).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    SessionControl::unmute(&coordinator, id).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    SessionControl::terminate_session(&coordinator, id).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manager = SessionManager::new(SessionConfig::server("127.0.0.1:5060")?).await?;
    manager.set_call_handler(Arc::new(Controlled)).await?;
    manager.start_server("127.0.0.1:5060".parse()?).await?;
    println!("listening on 127.0.0.1:5060");
    tokio::signal::ctrl_c().await?;
    Ok(())
}
