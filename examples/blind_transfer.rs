//! A receptionist that hands every caller to a colleague after two seconds, by REFER.
//!
//! Type `cargo run --release --example blind_transfer -- sip:bob@127.0.0.1:5080`, have a softphone wait on port 5080,
//! and call `sip:reception@127.0.0.1` with another one: the two talk to each other, and we are out of it.

use ringplane::prelude::*;
use std::sync::Arc;
use std::time::Duration;

struct Receptionist {
    to: String,
}

#[async_trait]
impl CallHandler for Receptionist {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::Accept(None)
    }

    async fn on_call_established(&self, call: CallSession, _: Option<String>, _: Option<String>) {
        let coordinator = call.coordinator();
        let to = self.to.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            match SessionControl::transfer_session(&coordinator, call.id(), &to).await {
                Ok(()) => println!("{} talks to {to} now", call.from),
                Err(error) => println!("{} stays here: {error}", call.from),
            }
        });
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let to = std::env::args().nth(1).unwrap_or_else(|| "sip:bob@127.0.0.1:5080".into());
    let manager = SessionManager::new(SessionConfig::server("127.0.0.1:5060")?).await?;
    manager.set_call_handler(Arc::new(Receptionist { to })).await?;
    manager.start_server("127.0.0.1:5060".parse()?).await?;
    println!("listening on 127.0.0.1:5060");
    tokio::signal::ctrl_c().await?;
    Ok(())
}
