//! An assistant that asks before it connects: it holds the caller, calls the boss, talks for a second, then hands the
//! caller over (`Replaces`, RFC 3891). Both talk to each other, and we are out of it.
//!
//! Type `cargo run --release --example attended_transfer -- sip:boss@127.0.0.1:5080`, have a phone wait there that
//! knows `Replaces`, and call `sip:assistant@127.0.0.1` with a softphone.

use ringplane::prelude::*;
use std::sync::Arc;
use std::time::Duration;

struct Assistant {
    boss: String,
}

#[async_trait]
impl CallHandler for Assistant {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::Accept(None)
    }

    async fn on_call_established(&self, call: CallSession, _: Option<String>, _: Option<String>) {
        // The consultation is established as well.
        if !call.is_incoming() {
            return;
        }
        let coordinator = call.coordinator();
        let boss = self.boss.clone();
        tokio::spawn(async move {
            match hand_over(&coordinator, &call, &boss).await {
                Ok(()) => println!("{} talks to {boss} now", call.from),
                Err(error) => println!("{} stays here: {error}", call.from),
            }
        });
    }
}

async fn hand_over(coordinator: &Arc<SessionCoordinator>, call: &CallSession, boss: &str) -> Result<(), SessionError> {
    let caller = call.id();
    SessionControl::hold_session(coordinator, caller).await?;
    println!("{} is on hold", call.from);

    let consultation = SessionControl::create_outgoing_call(coordinator, "sip:assistant@127.0.0.1", boss, None).await?;
    let id = consultation.id();
    // Should the caller hang up, the boss need not wait.
    coordinator.add_dependency(id, caller)?;
    let asked = SessionControl::wait_for_answer(coordinator, id, Duration::from_secs(30)).await;
    let done = match asked {
        Ok(_) => {
            println!("the boss is asked");
            tokio::time::sleep(Duration::from_secs(1)).await;
            coordinator.remove_dependency(id);
            SessionControl::attended_transfer(coordinator, caller, id).await
        }
        Err(error) => Err(error),
    };
    if done.is_err() {
        // Nobody there, or no: the caller is ours again. It may have hung up meanwhile.
        let _ = SessionControl::terminate_session(coordinator, id).await;
        let _ = SessionControl::resume_session(coordinator, caller).await;
    }
    done
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let boss = std::env::args().nth(1).unwrap_or_else(|| "sip:boss@127.0.0.1:5080".into());
    let manager = SessionManager::new(SessionConfig::server("127.0.0.1:5060")?).await?;
    manager.set_call_handler(Arc::new(Assistant { boss })).await?;
    manager.start_server("127.0.0.1:5060".parse()?).await?;
    println!("listening on 127.0.0.1:5060");
    tokio::signal::ctrl_c().await?;
    manager.shutdown(Duration::from_secs(10)).await?;
    Ok(())
}
