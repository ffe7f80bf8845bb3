//! Several handlers, one after the other: one counts, one logs, one limits, the last answers.
//!
//! Type `RUST_LOG=info cargo run --release --example composite_handlers`, then `sipp -sn uac 127.0.0.1:5060 -m 10 -d
//! 2000`: no more than five calls are up at once, others get 486. The counts are printed once a second.

use ringplane::prelude::*;
use std::sync::Arc;
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt::init();
    let metrics = Arc::new(MetricsHandler::default());
    let handler = CompositeHandler::new()
        .add(metrics.clone(), 30)
        .add(Arc::new(LoggingHandler), 20)
        .add(Arc::new(CapacityLimitHandler::new(5)), 10)
        .add(Arc::new(AutoAnswerHandler), 0);
    let manager = SessionManager::new(SessionConfig::server("127.0.0.1:5060")?).await?;
    manager.set_call_handler(Arc::new(handler)).await?;
    manager.start_server("127.0.0.1:5060".parse()?).await?;
    println!("listening on 127.0.0.1:5060");
    let mut last = CallMetrics::default();
    loop {
        tokio::select! {
            _ = tokio::time::sleep(Duration::from_secs(1)) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
        if metrics.metrics() != last {
            last = metrics.metrics();
            println!("{} came in, {} were answered, {} are over", last.incoming, last.established, last.ended);
        }
    }
}
