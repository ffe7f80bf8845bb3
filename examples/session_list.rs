//! Prints once a second who is on the phone: state, parties, addresses, codec.
//!
//! Type `cargo run --release --example session_list`, then `sipp -sn uac 127.0.0.1:5060 -m 5 -d 5000`.

use ringplane::prelude::*;
use std::sync::Arc;
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manager = SessionManager::new(SessionConfig::server("127.0.0.1:5060")?).await?;
    manager.set_call_handler(Arc::new(AutoAnswerHandler)).await?;
    manager.start_server("127.0.0.1:5060".parse()?).await?;
    println!("listening on 127.0.0.1:5060");
    let coordinator = manager.coordinator();
    loop {
        tokio::select! {
            _ = tokio::time::sleep(Duration::from_secs(1)) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
        for id in SessionControl::list_active_sessions(coordinator).await? {
            // It may have ended since the list was made.
            let Some(call) = SessionControl::get_session(coordinator, &id).await? else { continue };
            let Ok(Some(media)) = MediaControl::get_media_info(coordinator, &id).await else { continue };
            println!("{id}  {:?}  {} to {}  {:.0?}  {media}", call.state(), call.from, call.to, call.duration());
        }
    }
}
