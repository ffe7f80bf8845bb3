//! A call center: callers hear ringing and wait in a queue, agents are called longest idle first, and a bridge joins
//! the two. An agent that does not answer is left alone for a while; one that has talked gets a second to wrap up.
//!
//! Type `cargo run --release --example call_center -- sip:anna@127.0.0.1:5070 sip:ben@127.0.0.1:5072`, have two phones
//! wait there (`sipp -sn uas -p 5070`), and call `sip:support@127.0.0.1` as often as you like.

use ringplane::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Most callers that wait; further ones are told to come back.
const QUEUE_MAX: usize = 100;
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
const WRAP_UP: Duration = Duration::from_secs(1);
const AFTER_NO_ANSWER: Duration = Duration::from_secs(5);

/// What the dispatcher hears of.
enum Word {
    Waits(CallSession),
    /// An agent is free from then on.
    Free(String, Duration),
}

/// Hands every caller to the dispatcher.
struct Entrance {
    dispatcher: mpsc::Sender<Word>,
}

#[async_trait]
impl CallHandler for Entrance {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        // A place in the queue, and one for the answer.
        if self.dispatcher.capacity() < 2 {
            return CallDecision::Reject { status: 503, reason: "All lines are busy".into() };
        }
        CallDecision::Accept(None)
    }

    async fn on_call_established(&self, call: CallSession, _: Option<String>, _: Option<String>) {
        if !call.is_incoming() {
            return;
        }
        // It may have hung up at once.
        let _ = MediaControl::start_audio_transmission(&call.coordinator(), call.id(), AudioSource::Ringing).await;
        println!("{} waits", call.id());
        if self.dispatcher.try_send(Word::Waits(call)).is_err() {
            eprintln!("the queue is full");
        }
    }
}

/// Brings callers and agents together, until the program ends.
async fn dispatch(
    coordinator: Arc<SessionCoordinator>,
    agents: Vec<String>,
    mut words: mpsc::Receiver<Word>,
    back: mpsc::Sender<Word>,
) {
    let mut waiting: VecDeque<CallSession> = VecDeque::new();
    let mut free: VecDeque<String> = agents.into();
    while let Some(word) = words.recv().await {
        match word {
            Word::Waits(call) => waiting.push_back(call),
            Word::Free(agent, pause) if pause.is_zero() => free.push_back(agent),
            Word::Free(agent, pause) => {
                let back = back.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(pause).await;
                    // The dispatcher is gone when the program ends.
                    let _ = back.send(Word::Free(agent, Duration::ZERO)).await;
                });
            }
        }
        waiting.retain(|call| call.state() == SessionState::Connected);
        while let (Some(_), Some(_)) = (waiting.front(), free.front()) {
            let (Some(caller), Some(agent)) = (waiting.pop_front(), free.pop_front()) else { break };
            let (coordinator, back) = (coordinator.clone(), back.clone());
            tokio::spawn(async move {
                let pause = match serve(&coordinator, &caller, &agent).await {
                    Ok(()) => WRAP_UP,
                    Err(error) => {
                        println!("{agent} does not talk to {}: {error}", caller.id());
                        let _ = back.send(Word::Waits(caller)).await;
                        AFTER_NO_ANSWER
                    }
                };
                let _ = back.send(Word::Free(agent, pause)).await;
            });
        }
    }
}

/// Calls an agent for a caller, and waits until they have talked.
async fn serve(coordinator: &Arc<SessionCoordinator>, caller: &CallSession, agent: &str) -> Result<(), SessionError> {
    let from = Instant::now();
    let call = coordinator.create_call_with_priority("sip:support@127.0.0.1", agent, None, Priority::High).await?;
    let (a_leg, b_leg) = (caller.id(), call.id());
    // When either hangs up, the other one need not stay: also while it rings.
    let sequence = match coordinator.sequence_of(a_leg) {
        Some(earlier) => earlier.id,
        None => coordinator.create_sequence(a_leg, SequenceRule::WithA)?,
    };
    coordinator.add_b_leg(&sequence, b_leg)?;
    let mut ends = coordinator.subscribe(EventFilter::all().session(*b_leg).class(EventClass::Ended));
    let talking = match SessionControl::wait_for_answer(coordinator, b_leg, ANSWER_WITHIN).await {
        Ok(_) => coordinator.bridge_sessions(a_leg, b_leg).await.map(drop),
        Err(error) => Err(error),
    };
    if let Err(error) = talking {
        // It may have ended by itself.
        let _ = SessionControl::terminate_session(coordinator, b_leg).await;
        return Err(error);
    }
    println!("{a_leg} talks to {agent}, after {:.1?}", from.elapsed());
    ends.recv().await;
    let _ = SessionControl::terminate_session(coordinator, a_leg).await;
    println!("{a_leg} is served");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut agents: Vec<String> = std::env::args().skip(1).collect();
    if agents.is_empty() {
        agents = vec!["sip:anna@127.0.0.1:5070".into(), "sip:ben@127.0.0.1:5072".into()];
    }
    let (dispatcher, words) = mpsc::channel(QUEUE_MAX);
    let manager = SessionManager::new(SessionConfig::server("127.0.0.1:5060")?).await?;
    manager.set_call_handler(Arc::new(Entrance { dispatcher: dispatcher.clone() })).await?;
    manager.start_server("127.0.0.1:5060".parse()?).await?;
    println!("listening on 127.0.0.1:5060, {} agents", agents.len());
    tokio::spawn(dispatch(manager.coordinator().clone(), agents, words, dispatcher));
    tokio::signal::ctrl_c().await?;
    manager.shutdown(Duration::from_secs(10)).await?;
    Ok(())
}
