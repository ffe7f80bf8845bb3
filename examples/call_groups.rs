//! Treats the calls of a department as one: each called user has a group of two calls at most, and every five seconds
//! the calls of `sales` are ended together.
//!
//! Type `cargo run --release --example call_groups`, then `sipp -sn uac -s sales 127.0.0.1:5060 -m 3 -d 60000`: two
//! calls are answered, the third gets 486, and both end after five seconds.

use ringplane::prelude::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const CALLS_PER_DEPARTMENT: usize = 2;

#[derive(Default)]
struct Departments {
    groups: Mutex<HashMap<String, GroupId>>,
    coordinator: std::sync::OnceLock<std::sync::Weak<SessionCoordinator>>,
}

impl Departments {
    fn group_of(&self, coordinator: &SessionCoordinator, name: &str) -> Result<GroupId, SessionError> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = groups.get(name) {
            return Ok(*group);
        }
        let group = coordinator.create_group(name, CALLS_PER_DEPARTMENT)?;
        groups.insert(name.to_owned(), group);
        Ok(group)
    }
}

#[async_trait]
impl CallHandler for Departments {
    async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
        let Some(coordinator) = self.coordinator.get().and_then(std::sync::Weak::upgrade) else {
            return CallDecision::Reject { status: 503, reason: String::new() };
        };
        let group = self.group_of(&coordinator, &call.called_user);
        match group.and_then(|group| coordinator.add_session_to_group(&group, &call.id)) {
            Ok(()) => CallDecision::Accept(None),
            Err(error) => {
                println!("{}: {error}", call.called_user);
                CallDecision::Reject { status: 486, reason: String::new() }
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let departments = Arc::new(Departments::default());
    let manager = SessionManager::new(SessionConfig::server("127.0.0.1:5060")?).await?;
    let coordinator = manager.coordinator();
    // The first one that is set stays.
    let _ = departments.coordinator.set(Arc::downgrade(coordinator));
    manager.set_call_handler(departments.clone()).await?;
    manager.start_server("127.0.0.1:5060".parse()?).await?;
    println!("listening on 127.0.0.1:5060");
    loop {
        tokio::select! {
            _ = tokio::time::sleep(Duration::from_secs(5)) => {}
            _ = tokio::signal::ctrl_c() => break,
        }
        for group in coordinator.list_groups() {
            println!("{} has {} calls", group.name, group.sessions.len());
            if group.name == "sales" && !group.sessions.is_empty() {
                println!("sales is closed: {} calls end", coordinator.terminate_group(&group.id).await?);
            }
        }
    }
    Ok(())
}
