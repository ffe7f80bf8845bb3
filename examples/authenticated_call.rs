//! Calls a user agent that asks who calls, and takes calls only of users that prove who they are.
//!
//! The first half needs a peer that asks, such as a registrar of your provider; SIPp plays one with `sipp -sf
//! tests/api/scenarios/challenges.xml -i 127.0.0.1 -p 5070`: a proxy (407) and a server (401) in one. Type `cargo run
//! --release --example authenticated_call -- sip:bob@127.0.0.1:5070` and see that the call is answered, and that a
//! second one is, too, without having been asked again. The second half listens on 127.0.0.1:5060 for calls of Alice,
//! whose password is `secret`: `sipp -sf tests/api/scenarios/authenticates.xml` is one, with PASSWORD replaced by it.
//! Ctrl-C ends it.

use ringplane::prelude::*;
use std::sync::Arc;
use std::time::Duration;

struct Greets;

#[async_trait]
impl CallHandler for Greets {
    async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
        println!("it is {}", call.user.as_deref().unwrap_or("nobody that we know"));
        CallDecision::Accept(None)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let to = std::env::args().nth(1).unwrap_or_else(|| "sip:bob@127.0.0.1:5070".into());
    let coordinator = SessionManagerBuilder::new()
        .with_local_bind_addr("127.0.0.1:5060".parse()?)
        .with_local_address("sip:alice@example.com")
        // Who we are, by realm.
        .with_credentials(Credentials::new("example.com", "alice", "secret"))
        .with_credentials(Credentials::new("proxy.example.net", "1234", "another secret"))
        // Who may call us.
        .with_authenticator(
            Authenticator::new("home.example.org")
                .user("alice", "secret")
                .algorithms([DigestAlgorithm::Md5, DigestAlgorithm::Sha256]),
        )
        .with_handler(Arc::new(Greets))
        .build()
        .await?;
    SessionControl::start(&coordinator).await?;
    println!("listening on 127.0.0.1:5060, calling {to}");

    for number in 1..=2 {
        let call = SessionControl::create_outgoing_call(&coordinator, "", &to, None).await?;
        match SessionControl::wait_for_answer(&coordinator, call.id(), Duration::from_secs(30)).await {
            Ok(_) => println!("call {number} was answered"),
            Err(error) => println!("no call: {error}; {}", error.hint()),
        }
        // Later requests bring their credentials as well.
        let _ = SessionControl::hold_session(&coordinator, call.id()).await;
        if let Err(error) = SessionControl::transfer_session(&coordinator, call.id(), "sip:carol@127.0.0.1").await {
            println!("a transfer: {error}");
        }
        let _ = SessionControl::terminate_session(&coordinator, call.id()).await;
    }
    tokio::signal::ctrl_c().await?;
    SessionControl::stop(&coordinator).await?;
    println!("{} calls were completed", coordinator.stats().completed_sessions);
    Ok(())
}
