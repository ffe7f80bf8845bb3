//! A SIP server in three lines: it answers every call, and the caller hears silence.
//!
//! Type `cargo run --release --example three_line_server`, then in another terminal `sipp -sn uac 127.0.0.1:5060 -m
//! 10`: SIPp reports 10 successful calls. Ctrl-C says BYE to the calls that are left.

use ringplane::prelude::*;
use std::sync::Arc;
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manager = SessionManager::new(SessionConfig::server("127.0.0.1:5060")?).await?;
    manager.set_call_handler(Arc::new(AutoAnswerHandler)).await?;
    manager.start_server("127.0.0.1:5060".parse()?).await?;

    println!("listening on 127.0.0.1:5060");
    tokio::signal::ctrl_c().await?;
    manager.shutdown(Duration::from_secs(10)).await?;
    Ok(())
}
