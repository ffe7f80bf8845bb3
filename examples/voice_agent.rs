//! A voice agent without a mind: when the caller has said something and falls silent, it answers with a beep; when the caller
//! speaks while it beeps, it stops at once (barge-in).
//!
//! Type `cargo run --release --example voice_agent`, then call `sip:agent@127.0.0.1` with a softphone and talk.

use ringplane::prelude::*;
use std::sync::Arc;

const RATE: u32 = 16_000;
/// Louder than this is speech: the average of a frame's samples.
const LOUD: u64 = 300;
/// Frames of silence after which the caller is taken to have said it: 300 ms.
const SILENT_FRAMES: u32 = 15;

struct Agent;

#[async_trait]
impl CallHandler for Agent {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::Accept(None)
    }

    async fn on_call_established(&self, call: CallSession, _: Option<String>, _: Option<String>) {
        println!("{} is connected", call.from);
        // A handler has little time; the conversation has a task of its own.
        tokio::spawn(async move {
            if let Err(error) = talk(&call.handle()).await {
                eprintln!("{error}; {}", error.hint());
            }
        });
    }
}

async fn talk(call: &Call) -> Result<(), SessionError> {
    let stream = call.audio_stream(AudioStreamOptions::rate(RATE)).await?;
    let beep: Vec<i16> = (0..RATE / 2).map(|n| (6_000.0 * (n as f32 * 0.3).sin()) as i16).collect();
    // A greeting, so that the caller knows that somebody listens.
    stream.send(&beep).await?;
    stream.mark("greeting").await?;
    let (mut silent_frames, mut has_spoken) = (0, false);
    loop {
        tokio::select! {
            frame = stream.next() => {
                let Some(frame) = frame else { break };
                let sum: u64 = frame.samples.iter().map(|sample| u64::from(sample.unsigned_abs())).sum();
                let is_loud = sum / frame.samples.len() as u64 > LOUD;
                silent_frames = if is_loud { 0 } else { silent_frames + 1 };
                if is_loud && !has_spoken {
                    has_spoken = true;
                    stream.flush().await?;
                } else if has_spoken && silent_frames == SILENT_FRAMES {
                    has_spoken = false;
                    println!("{} has said something", call.from);
                    stream.send(&beep).await?;
                    stream.mark("answer").await?;
                }
            }
            event = stream.next_event() => match event {
                Some(AudioStreamEvent::MarkHeard(name)) => println!("{} has heard the {name}", call.from),
                Some(AudioStreamEvent::Digit(digit)) => println!("{} pressed {digit}", call.from),
                Some(_) => {}
                None => break,
            },
        }
    }
    println!("{} is gone, {} frames lost", call.from, stream.lost_frames());
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manager = SessionManager::new(SessionConfig::server("127.0.0.1:5060")?).await?;
    manager.set_call_handler(Arc::new(Agent)).await?;
    manager.start_server("127.0.0.1:5060".parse()?).await?;
    println!("listening on 127.0.0.1:5060");
    tokio::signal::ctrl_c().await?;
    Ok(())
}
