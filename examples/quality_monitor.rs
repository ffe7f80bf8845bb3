//! Prints the quality of every call once a second: MOS, loss, jitter.
//!
//! Type `cargo run --release --example quality_monitor`, then call `sip:anybody@127.0.0.1` with a softphone and speak.

use ringplane::prelude::*;
use std::sync::Arc;
use std::time::Duration;

struct Monitor;

#[async_trait]
impl CallHandler for Monitor {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::Accept(None)
    }

    async fn on_call_established(&self, call: CallSession, _: Option<String>, _: Option<String>) {
        let coordinator = call.coordinator();
        let every = Duration::from_secs(1);
        let Ok(mut statistics) = MediaControl::start_statistics_monitoring(&coordinator, call.id(), every).await else {
            return;
        };
        tokio::spawn(async move {
            while let Some(now) = statistics.recv().await {
                let Some(quality) = now.quality_metrics else { continue };
                println!(
                    "{}: MOS {}, {:.1} % lost, jitter {:.1} ms, {} packets in, {} out",
                    call.id(),
                    quality.mos_score.map_or("-".into(), |mos| format!("{mos:.2}")),
                    quality.packet_loss_percent,
                    quality.jitter_ms,
                    now.packets_received,
                    now.packets_sent
                );
            }
        });
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manager = SessionManager::new(SessionConfig::server("127.0.0.1:5060")?).await?;
    manager.set_call_handler(Arc::new(Monitor)).await?;
    manager.start_server("127.0.0.1:5060".parse()?).await?;
    println!("listening on 127.0.0.1:5060");
    tokio::signal::ctrl_c().await?;
    Ok(())
}
