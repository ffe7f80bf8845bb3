//! Ends itself: after five seconds every call that is up gets its BYE, and the program waits until all have answered.
//!
//! Type `cargo run --release --example graceful_shutdown` and, within five seconds, `sipp -sn uac 127.0.0.1:5060 -m 10
//! -d 60000`.

use ringplane::prelude::*;
use std::sync::Arc;
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manager = SessionManager::new(SessionConfig::server("127.0.0.1:5060")?).await?;
    manager.set_call_handler(Arc::new(AutoAnswerHandler)).await?;
    manager.start_server("127.0.0.1:5060".parse()?).await?;
    println!("listening on 127.0.0.1:5060");
    tokio::time::sleep(Duration::from_secs(5)).await;

    let stats = manager.coordinator().stats();
    println!("{} calls are up; they end now", stats.active_sessions);
    manager.shutdown(Duration::from_secs(10)).await?;
    let stats = manager.coordinator().stats();
    println!("{} calls were completed, {} are left", stats.completed_sessions, stats.active_sessions);
    Ok(())
}
