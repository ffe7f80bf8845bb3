//! Which ports the legs of a test have: commands and phones of a test name legs only.

use contract::{Command, LegRef, PortRef};
use shm::{ClientEnd, Exhausted, NotYours, Reservation, WorkerIndex};
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;

thread_local! {
    /// Each test has a thread of its own.
    static PORTS: RefCell<HashMap<LegRef, PortRef>> = RefCell::default();
}

/// Takes an id and a port from the pools.
pub(super) fn take(client: &ClientEnd, worker: WorkerIndex) -> Result<LegRef, Exhausted> {
    let Reservation { leg, port } = client.reserve(worker)?;
    learn(leg, port);
    Ok(leg)
}

/// Gives both back.
pub(super) fn give_back(client: &ClientEnd, leg: LegRef) -> Result<(), NotYours> {
    client.give_back(Reservation { leg, port: port_of(leg) })
}

/// A leg that another process has opened.
pub(super) fn learn(leg: LegRef, port: PortRef) {
    PORTS.with_borrow_mut(|ports| ports.insert(leg, port));
}

/// None for a leg that the test has not reserved.
pub(super) fn port_of(leg: LegRef) -> PortRef {
    PORTS.with_borrow(|ports| ports.get(&leg).copied().unwrap_or(PortRef::NONE))
}

/// Where the leg receives RTP.
pub(super) fn to(leg: LegRef) -> SocketAddr {
    ([127, 0, 0, 1], port_of(leg).rtp).into()
}

/// The command with the leg's port, where it says no other one.
pub(super) fn with_port(mut command: Command) -> Command {
    let port = port_of(command.leg());
    let transport = match &mut command {
        Command::Open { spec, .. } => Some(&mut spec.transport),
        Command::Update { update, .. } => update.transport.as_mut(),
        _ => None,
    };
    if let Some(transport) = transport.filter(|transport| transport.port.is_none()) {
        transport.port = port;
    }
    command
}
