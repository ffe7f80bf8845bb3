//! A server that takes no calls: everybody gets 603 Decline.
//!
//! Type `cargo run --release --example reject_all`, then `sipp -sn uac 127.0.0.1:5060 -m 1`: SIPp reports a failed call
//! and shows the 603.

use ringplane::prelude::*;
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manager = SessionManager::new(SessionConfig::server("127.0.0.1:5060")?).await?;
    manager.set_call_handler(Arc::new(RejectHandler(603))).await?;
    manager.start_server("127.0.0.1:5060".parse()?).await?;
    println!("listening on 127.0.0.1:5060");
    tokio::signal::ctrl_c().await?;
    Ok(())
}
