//! The test number of every office: callers hear themselves.
//!
//! Type `cargo run --release --example echo_test`, then call `sip:echo@127.0.0.1` with a softphone and speak.

use ringplane::prelude::*;
use std::sync::Arc;

struct Echo;

#[async_trait]
impl CallHandler for Echo {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::Accept(None)
    }

    async fn on_call_established(&self, call: CallSession, _: Option<String>, _: Option<String>) {
        let coordinator = call.coordinator();
        // The call may end at any time; then there is nobody left to hear it.
        match MediaControl::start_audio_transmission(&coordinator, call.id(), AudioSource::Echo).await {
            Ok(()) => println!("{} hears an echo", call.from),
            Err(error) => eprintln!("{error}; {}", error.hint()),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manager = SessionManager::new(SessionConfig::server("127.0.0.1:5060")?).await?;
    manager.set_call_handler(Arc::new(Echo)).await?;
    manager.start_server("127.0.0.1:5060".parse()?).await?;
    println!("listening on 127.0.0.1:5060");
    tokio::signal::ctrl_c().await?;
    Ok(())
}
