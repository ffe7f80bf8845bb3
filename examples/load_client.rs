//! Places a hundred calls, twenty a second, holds each for two seconds, and says how they went.
//!
//! Type `sipp -sn uas -i 127.0.0.1 -p 5070` in one terminal and `cargo run --release --example load_client` in another.

use ringplane::prelude::*;
use std::time::{Duration, Instant};

const CALLS: usize = 100;
const TO: &str = "sip:service@127.0.0.1:5070";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manager = SessionManager::new(SessionConfig::client("127.0.0.1:5060")?).await?;
    let coordinator = manager.coordinator().clone();
    SessionControl::start(&coordinator).await?;
    println!("listening on 127.0.0.1:5060");
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        let coordinator = coordinator.clone();
        calls.push(tokio::spawn(async move {
            let begin = Instant::now();
            let call = SessionControl::create_outgoing_call(&coordinator, "", TO, None).await?;
            SessionControl::wait_for_answer(&coordinator, call.id(), Duration::from_secs(10)).await?;
            let answered_after = begin.elapsed();
            tokio::time::sleep(Duration::from_secs(2)).await;
            SessionControl::terminate_session(&coordinator, call.id()).await?;
            Ok::<_, SessionError>(answered_after)
        }));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut times = Vec::new();
    for call in calls {
        match call.await? {
            Ok(time) => times.push(time),
            Err(error) => println!("a call failed: {error}"),
        }
    }
    times.sort();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    println!("{} of {CALLS} calls answered, half of them within {median:.1?}", times.len());
    manager.shutdown(Duration::from_secs(10)).await?;
    Ok(())
}
