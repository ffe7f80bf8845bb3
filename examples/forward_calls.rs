//! Sends every call on to somewhere else, with signaling and media through us on both sides (a back-to-back user
//! agent).
//!
//! Type `sipp -sn uas -i 127.0.0.1 -p 5070` in one terminal, `cargo run --release --example forward_calls --
//! sip:bob@127.0.0.1:5070` in another, and `sipp -sn uac 127.0.0.1:5060 -m 10` in a third: both SIPps count ten calls.

use ringplane::prelude::*;
use std::sync::Arc;

struct Forwarder {
    to: String,
}

#[async_trait]
impl CallHandler for Forwarder {
    async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
        println!("{} goes on to {}", call.from, self.to);
        CallDecision::Forward(self.to.clone())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let to = std::env::args().nth(1).unwrap_or_else(|| "sip:bob@127.0.0.1:5070".into());
    let manager = SessionManager::new(SessionConfig::server("127.0.0.1:5060")?).await?;
    manager.set_call_handler(Arc::new(Forwarder { to })).await?;
    manager.start_server("127.0.0.1:5060".parse()?).await?;
    println!("listening on 127.0.0.1:5060");
    tokio::signal::ctrl_c().await?;
    Ok(())
}
