//! A meeting point for two: a caller waits with a ringing tone until a second caller comes; then they talk.
//!
//! Type `cargo run --release --example bridge_calls`, then call `sip:meet@127.0.0.1` with two softphones.

use ringplane::prelude::*;
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct MeetingPoint {
    waiting: Mutex<Option<SessionId>>,
}

#[async_trait]
impl CallHandler for MeetingPoint {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::Accept(None)
    }

    async fn on_call_established(&self, call: CallSession, _: Option<String>, _: Option<String>) {
        let coordinator = call.coordinator();
        let id = call.id;
        let other = {
            let mut waiting = self.waiting.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            match waiting.take() {
                Some(other) => Some(other),
                None => {
                    *waiting = Some(id);
                    None
                }
            }
        };
        let done = match other {
            Some(other) => coordinator.bridge_sessions(&other, &id).await.map(|bridge| println!("bridge {bridge}")),
            None => MediaControl::start_audio_transmission(&coordinator, &id, AudioSource::Ringing).await,
        };
        if let Err(error) = done {
            eprintln!("{error}; {}", error.hint());
        }
    }

    async fn on_call_ended(&self, call: CallSession, _: &str) {
        let mut waiting = self.waiting.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if *waiting == Some(call.id) {
            *waiting = None;
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manager = SessionManager::new(SessionConfig::server("127.0.0.1:5060")?).await?;
    manager.set_call_handler(Arc::new(MeetingPoint::default())).await?;
    manager.start_server("127.0.0.1:5060".parse()?).await?;
    println!("listening on 127.0.0.1:5060");
    let mut bridges = manager.coordinator().subscribe_to_bridge_events().await;
    loop {
        tokio::select! {
            Some(event) = bridges.recv() => println!("{event:?}"),
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}
