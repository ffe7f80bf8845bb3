//! SIP's own words: header fields in calls and answers, messages in a dialog and outside, redirections.
//!
//! Type `cargo run --release --example advanced_headers`, then `sipp -sn uac 127.0.0.1:5060 -m 1`: the call is answered
//! with a header field of ours, its INVITE is shown, and it gets an INFO, which SIPp does not know: it gives the call
//! up, where a phone answers. Calls to `moved` (`sipp -sn uac 127.0.0.1:5060 -m 1 -s moved`) get a 302 to
//! `sip:there@127.0.0.1:5070`.

use ringplane::api::advanced::*;
use ringplane::prelude::*;
use std::sync::{Arc, Weak};

/// Answers calls with more than a handler can say.
struct Answers(tokio::sync::OnceCell<Weak<SessionCoordinator>>);

#[async_trait]
impl CallHandler for Answers {
    async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
        let Some(coordinator) = self.0.get().and_then(Weak::upgrade) else { return CallDecision::Defer };
        let answered = async {
            if call.called_user == "moved" {
                return AdvancedControl::redirect(&coordinator, &call, 302, &["sip:there@127.0.0.1:5070"]).await;
            }
            let headers = Headers::new().with("X-Agent", "7")?.with("Subject", "Welcome")?;
            AdvancedControl::accept_with(&coordinator, &call, None, headers).await.map(drop)
        };
        match answered.await {
            Ok(()) => println!("answered a call to {}", call.called_user),
            Err(error) => println!("{error}; {}", error.hint()),
        }
        // It has been decided on.
        CallDecision::Defer
    }

    async fn on_call_established(&self, call: CallSession, _: Option<String>, _: Option<String>) {
        let coordinator = call.coordinator();
        if let Err(error) = look(&coordinator, &call).await {
            println!("{error}; {}", error.hint());
        }
    }
}

async fn look(coordinator: &Arc<SessionCoordinator>, call: &CallSession) -> Result<(), SessionError> {
    if let Some(message) = AdvancedControl::message(coordinator, call.id())? {
        let invite = message.parse()?;
        for header in invite.headers() {
            println!("  {}: {}", String::from_utf8_lossy(header.raw_name), String::from_utf8_lossy(header.value));
        }
    }
    if let Some(dialog) = call.dialog() {
        println!("the dialog is {dialog}");
    }
    let note = Request::new("INFO")?.headers(Headers::new().with("X-Note", "a")?).body("text/plain", "hello")?;
    match AdvancedControl::send_in_dialog(coordinator, call.id(), note).await {
        Ok(answer) => println!("our INFO got {}", answer.status),
        // SIPp's built-in caller knows no INFO: it hangs up instead.
        Err(error) => println!("our INFO got no answer: {error}"),
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let answers = Arc::new(Answers(tokio::sync::OnceCell::new()));
    let coordinator = SessionManagerBuilder::new()
        .with_local_bind_addr("127.0.0.1:5060".parse()?)
        .with_kept_messages(true)
        .with_handler(answers.clone())
        .build()
        .await?;
    answers.0.set(Arc::downgrade(&coordinator))?;
    SessionControl::start(&coordinator).await?;
    println!("listening on 127.0.0.1:5060");
    tokio::signal::ctrl_c().await?;
    SessionControl::stop(&coordinator).await?;
    Ok(())
}
