//! Keeps room for those who need it most: with four sessions in all, ordinary calls may have half of them, and calls to
//! 112 all.
//!
//! Type `cargo run --release --example priority_calls`, then `sipp -sn uac -s sales 127.0.0.1:5060 -m 3 -d 5000`: two
//! calls are answered, the third gets 503. Meanwhile `sipp -sn uac -s 112 127.0.0.1:5060 -m 1` comes through.

use ringplane::prelude::*;
use std::sync::Arc;
use std::time::Duration;

struct House;

#[async_trait]
impl CallHandler for House {
    /// Asked first: what has no room is refused without another word.
    fn call_priority(&self, call: &IncomingCall) -> Option<Priority> {
        match call.called_user.as_str() {
            "112" => Some(Priority::Emergency),
            "boss" => Some(Priority::High),
            // A `Priority` header counts only from our own house.
            _ => Priority::asked_for(call).filter(|_| call.remote.ip().is_loopback()),
        }
    }

    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::Accept(None)
    }

    async fn on_call_established(&self, call: CallSession, _: Option<String>, _: Option<String>) {
        println!("{} is up, {}", call.to, call.priority().name());
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let coordinator = SessionManagerBuilder::new()
        .with_local_bind_addr("127.0.0.1:5060".parse()?)
        .with_max_sessions(4)
        .with_priority_share(Priority::High, 75)
        .with_priority_share(Priority::Normal, 50)
        .with_handler(Arc::new(House))
        .build()
        .await?;
    SessionControl::start(&coordinator).await?;
    println!("listening on 127.0.0.1:5060");
    loop {
        tokio::select! {
            _ = tokio::time::sleep(Duration::from_secs(1)) => {}
            _ = tokio::signal::ctrl_c() => break,
        }
        let used = coordinator.resources().await?;
        for level in used.levels.iter().filter(|level| level.sessions > 0 || level.refused > 0) {
            let (name, limit) = (level.priority.name(), level.limit);
            println!("{name}: {} sessions, refused from {limit} on, {} refused so far", level.sessions, level.refused);
        }
    }
    SessionControl::stop(&coordinator).await?;
    Ok(())
}
