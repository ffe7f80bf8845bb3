//! A menu by keys: 1 plays the welcome prompt, 2 a tone, 3 lets the caller hear itself, # hangs up.
//!
//! Type `cargo run --release --example dtmf_menu`, then call `sip:menu@127.0.0.1` with a softphone and press keys.

use ringplane::prelude::*;
use std::sync::Arc;

struct Menu;

#[async_trait]
impl CallHandler for Menu {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::Accept(None)
    }

    async fn on_dtmf(&self, call: CallSession, digit: char) {
        println!("{} pressed {digit}", call.from);
        let coordinator = call.coordinator();
        let id = call.id();
        let done = match digit {
            '1' => MediaControl::start_audio_transmission(&coordinator, id, AudioSource::Prompt("play".into())).await,
            '2' => MediaControl::start_audio_transmission(&coordinator, id, AudioSource::Tone).await,
            '3' => MediaControl::start_audio_transmission(&coordinator, id, AudioSource::Echo).await,
            '#' => SessionControl::terminate_session(&coordinator, id).await,
            _ => Ok(()),
        };
        if let Err(error) = done {
            eprintln!("{error}; {}", error.hint());
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manager = SessionManager::new(SessionConfig::server("127.0.0.1:5060")?).await?;
    manager.set_call_handler(Arc::new(Menu)).await?;
    manager.start_server("127.0.0.1:5060".parse()?).await?;
    println!("listening on 127.0.0.1:5060");
    tokio::signal::ctrl_c().await?;
    Ok(())
}
