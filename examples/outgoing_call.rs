//! Places a call, plays the welcome prompt, and hangs up after five seconds.
//!
//! Type `sipp -sn uas -i 127.0.0.1 -p 5070` in one terminal and `cargo run --release --example outgoing_call --
//! sip:bob@127.0.0.1:5070` in another: the call is answered, and SIPp counts it.

use ringplane::prelude::*;
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let to = std::env::args().nth(1).unwrap_or_else(|| "sip:bob@127.0.0.1:5070".into());
    let manager = SessionManager::new(SessionConfig::client("127.0.0.1:5060")?).await?;
    let coordinator = manager.coordinator();
    SessionControl::start(coordinator).await?;
    println!("listening on 127.0.0.1:5060, calling {to}");

    let call = SessionControl::create_outgoing_call(coordinator, "sip:alice@127.0.0.1", &to, None).await?;
    match SessionControl::wait_for_answer(coordinator, call.id(), Duration::from_secs(30)).await {
        Ok(_) => println!("answered after {:.1?}", call.duration()),
        Err(error) => {
            println!("no call: {error}; {}", error.hint());
            return Ok(());
        }
    }
    MediaControl::start_audio_transmission(coordinator, call.id(), AudioSource::Prompt("play".into())).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    SessionControl::terminate_session(coordinator, call.id()).await?;
    manager.shutdown(Duration::from_secs(10)).await?;
    println!("{} call completed", coordinator.stats().completed_sessions);
    Ok(())
}
