//! Lets calls ring until another task has decided: here one that thinks for a second and takes every other call.
//!
//! Type `cargo run --release --example deferred_decision`, then `sipp -sn uac 127.0.0.1:5060 -m 2 -r 1`: each call
//! rings for a second, the first is answered, the second gets 486.

use ringplane::prelude::*;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Hands every call to the task that decides.
struct Desk(mpsc::Sender<IncomingCall>);

#[async_trait]
impl CallHandler for Desk {
    async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
        match self.0.try_send(call) {
            Ok(()) => CallDecision::Defer,
            Err(_) => CallDecision::Reject { status: 503, reason: "Too many calls wait".into() },
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (desk, mut waiting) = mpsc::channel(100);
    let coordinator = SessionManagerBuilder::new()
        .with_local_bind_addr("127.0.0.1:5060".parse()?)
        .with_handler(Arc::new(Desk(desk)))
        .build()
        .await?;
    SessionControl::start(&coordinator).await?;
    println!("listening on 127.0.0.1:5060");

    let decider = coordinator.clone();
    tokio::spawn(async move {
        let mut count = 0;
        while let Some(call) = waiting.recv().await {
            tokio::time::sleep(Duration::from_secs(1)).await;
            count += 1;
            let done = if count % 2 == 1 {
                SessionControl::accept_incoming_call(&decider, &call, None).await.map(drop)
            } else {
                SessionControl::reject_incoming_call_with(&decider, &call, 486, "Busy Here").await
            };
            println!(
                "call {count} from {}: {}",
                call.from,
                done.map_or_else(|error| error.to_string(), |()| "decided".into())
            );
        }
    });
    tokio::signal::ctrl_c().await?;
    SessionControl::stop(&coordinator).await?;
    Ok(())
}
