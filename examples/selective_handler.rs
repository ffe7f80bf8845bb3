//! A handler that looks at the called user: calls to `sales` are answered, those to `ceo` are busy, the rest is unknown.
//!
//! Type `cargo run --release --example selective_handler`, then `sipp -sn uac -s sales 127.0.0.1:5060 -m 1` (a call),
//! `-s ceo` (486) or `-s nobody` (404).

use ringplane::prelude::*;
use std::sync::Arc;

struct Reception;

#[async_trait]
impl CallHandler for Reception {
    async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
        println!("{} calls {}", call.from, call.called_user);
        match call.called_user.as_str() {
            "sales" => CallDecision::Accept(None),
            "ceo" => CallDecision::Reject { status: 486, reason: "Busy Here".into() },
            _ => CallDecision::Reject { status: 404, reason: "Not Found".into() },
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manager = SessionManager::new(SessionConfig::server("127.0.0.1:5060")?).await?;
    manager.set_call_handler(Arc::new(Reception)).await?;
    manager.start_server("127.0.0.1:5060".parse()?).await?;
    println!("listening on 127.0.0.1:5060");
    tokio::signal::ctrl_c().await?;
    Ok(())
}
