//! Looks after session descriptions itself: makes the answer to each offer, adds words of its own, takes the call with
//! it, and sends media to where the caller's description says.
//!
//! Type `cargo run --release --example custom_sdp`, then call `sip:anybody@127.0.0.1` with a softphone: it hears a
//! tone, and the program prints what was offered and what was answered. A call without a common codec is refused with
//! 488.

use ringplane::prelude::*;
use std::sync::{Arc, Weak};

struct OwnSdp {
    /// Weak: the coordinator owns its handler.
    coordinator: Weak<SessionCoordinator>,
}

#[async_trait]
impl CallHandler for OwnSdp {
    async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
        let Some(coordinator) = self.coordinator.upgrade() else { return CallDecision::Defer };
        let description = match &call.sdp {
            Some(offer) => MediaControl::generate_sdp_answer(&coordinator, &call.id, offer).await,
            // The caller waits for our offer, and answers it.
            None => MediaControl::generate_sdp_offer(&coordinator, &call.id).await,
        };
        match description {
            Ok(description) => {
                let description = description.replacen("s=-\r\n", "s=words of our own\r\n", 1);
                println!("--- offered\n{}\n--- answered\n{description}", call.sdp.as_deref().unwrap_or("nothing"));
                CallDecision::Accept(Some(description))
            }
            Err(SessionError::Rejected { status, reason, .. }) => {
                println!("refused with {status}: {reason}");
                CallDecision::Reject { status, reason }
            }
            Err(error) => {
                eprintln!("{error}; {}", error.hint());
                CallDecision::Reject { status: 500, reason: String::new() }
            }
        }
    }

    async fn on_call_established(&self, call: CallSession, _: Option<String>, remote: Option<String>) {
        let Some(remote) = remote else { return };
        if let Err(error) = send_tone(&call.coordinator(), &call, &remote).await {
            eprintln!("{error}; {}", error.hint());
        }
    }
}

/// Ringplane sends to where the caller said by itself; a program may choose another place, such as this one.
async fn send_tone(
    coordinator: &Arc<SessionCoordinator>,
    call: &CallSession,
    remote: &str,
) -> Result<(), SessionError> {
    let Some(address) = address_in(remote) else { return Ok(()) };
    MediaControl::establish_media_flow(coordinator, call.id(), &address).await?;
    MediaControl::start_audio_transmission(coordinator, call.id(), AudioSource::Tone).await?;
    println!("{} hears a tone at {address}", call.from);
    Ok(())
}

/// The address and port of the audio in a description.
fn address_in(sdp: &str) -> Option<String> {
    let host = sdp.lines().find_map(|line| line.strip_prefix("c=IN IP4 "))?;
    let port = sdp.lines().find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next())?;
    Some(format!("{}:{port}", host.trim()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manager = SessionManager::new(SessionConfig::server("127.0.0.1:5060")?).await?;
    let coordinator = Arc::downgrade(manager.coordinator());
    manager.set_call_handler(Arc::new(OwnSdp { coordinator })).await?;
    manager.start_server("127.0.0.1:5060".parse()?).await?;
    println!("listening on 127.0.0.1:5060");
    tokio::signal::ctrl_c().await?;
    Ok(())
}
