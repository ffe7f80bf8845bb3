//! Writes everything that happens to calls as JSON, a line each; `correlation_id` is the Call-ID of the SIP messages.
//!
//! Type `cargo run --release --example event_log`, then `sipp -sn uac 127.0.0.1:5060 -m 1`.

use ringplane::prelude::*;
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manager = SessionManager::new(SessionConfig::server("127.0.0.1:5060")?).await?;
    manager.set_call_handler(Arc::new(AutoAnswerHandler)).await?;
    manager.start_server("127.0.0.1:5060".parse()?).await?;
    println!("listening on 127.0.0.1:5060");

    let mut events = manager.coordinator().subscribe(EventFilter::all());
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => println!("{}", serde_json::to_string(&event)?),
                None => return Ok(()),
            },
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}
