//! Takes calls over TLS, and calls an address back over TLS: two certificates from an authority of your own.
//!
//! Make an authority and a certificate for 127.0.0.1, and start it:
//!
//! ```text
//! openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -keyout ca.key -out ca.pem \
//!     -subj '/CN=my authority'
//! openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout switch.key -out switch.csr -subj /CN=switch
//! echo subjectAltName=IP:127.0.0.1 > switch.ext
//! openssl x509 -req -in switch.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile switch.ext -out switch.pem
//! cargo run --release --example tls_server
//! ```
//!
//! Then `openssl s_client -connect 127.0.0.1:5061 -CAfile ca.pem` shakes hands, and a phone that trusts `ca.pem` calls
//! `sip:anybody@127.0.0.1:5061;transport=tls`. With a second argument, such as `sips:bob@127.0.0.1:5081`, it calls
//! that address whenever a call has come in. Files that were replaced are read again within seconds.

use ringplane::prelude::*;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Answers, and says when a caller is gone.
struct Answers(mpsc::UnboundedSender<()>);

#[async_trait]
impl CallHandler for Answers {
    async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
        println!("a call from {} by {}", call.from, call.headers.get("Via").map_or("", String::as_str));
        CallDecision::Accept(None)
    }

    async fn on_call_established(&self, call: CallSession, _: Option<String>, _: Option<String>) {
        if call.is_incoming() {
            println!("talking over TLS");
        }
    }

    async fn on_call_ended(&self, call: CallSession, reason: &str) {
        println!("a call is over: {reason}");
        if call.is_incoming() {
            // The program may be ending.
            let _ = self.0.send(());
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (gone, mut left) = mpsc::unbounded_channel();
    let coordinator = SessionManagerBuilder::new()
        .with_local_bind_addr("127.0.0.1:5060".parse()?)
        .with_tls(TlsConfig { authorities: Some("ca.pem".into()), ..TlsConfig::server("switch.pem", "switch.key") })
        .with_handler(Arc::new(Answers(gone)))
        .build()
        .await?;
    SessionControl::start(&coordinator).await?;
    for (transport, address) in coordinator.listening() {
        println!("listening on {transport}:{address}");
    }

    let back = std::env::args().nth(1);
    loop {
        tokio::select! {
            Some(()) = left.recv() => if let Some(to) = &back {
                call_back(&coordinator, to).await;
            },
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    SessionControl::stop(&coordinator).await?;
    Ok(())
}

async fn call_back(coordinator: &Arc<SessionCoordinator>, to: &str) {
    let called = async {
        let call = SessionControl::create_outgoing_call(coordinator, "sip:switch@127.0.0.1", to, None).await?;
        SessionControl::wait_for_answer(coordinator, call.id(), Duration::from_secs(30)).await?;
        println!("{to} has answered over TLS");
        tokio::time::sleep(Duration::from_secs(1)).await;
        SessionControl::terminate_session(coordinator, call.id()).await
    };
    if let Err(error) = called.await {
        println!("no call to {to}: {error}; {}", error.hint());
    }
}
