//! Prints once a second how the switch is, as JSON for a health page, and at the end whether anything was left behind.
//!
//! Type `cargo run --release --example health_report`, then `sipp -sn uac 127.0.0.1:5060 -m 20 -d 3000`. Ctrl-C ends it
//! with `0 leaks`.

use ringplane::prelude::*;
use std::sync::Arc;
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let coordinator = SessionManagerBuilder::new()
        .with_local_bind_addr("127.0.0.1:5060".parse()?)
        .with_max_sessions(20)
        .with_handler(Arc::new(AutoAnswerHandler))
        .build()
        .await?;
    SessionControl::start(&coordinator).await?;
    println!("listening on 127.0.0.1:5060");
    loop {
        tokio::select! {
            _ = tokio::time::sleep(Duration::from_secs(1)) => {}
            _ = tokio::signal::ctrl_c() => break,
        }
        let health = coordinator.health().await;
        println!("{}", serde_json::to_string(&health)?);
        if let Some(id) = SessionControl::list_active_sessions(&coordinator).await?.first()
            && let Ok(one) = coordinator.session_resources(id).await
        {
            println!("{id} takes {} bytes, {} dialog, port {:?}", one.bytes, one.dialogs, one.media_port);
        }
    }
    // It may be asked at any time, beside live calls.
    println!("{}", coordinator.find_leaks().await?);
    SessionControl::stop(&coordinator).await?;
    println!("{:?} now", coordinator.health().await.status);
    Ok(())
}
