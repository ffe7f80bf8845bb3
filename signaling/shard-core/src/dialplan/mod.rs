//! What decides about calls: the dialplans that are built in, and the interface of a program that has its own.

pub mod b2bua;
pub mod builtin;
mod loops;
pub mod routes;
pub mod transfers;
pub mod words;

use session::{Decide, SessionEvent, Sessions};
use sip_core::auth::Account;

/// Decides about the calls of one shard and is told what happens to them, on the shard's thread: it must not wait.
pub trait CallHandler: Decide + Send {
    /// The account that answers peers that ask for credentials; asked once, at the start.
    fn account(&mut self) -> Option<Account> {
        None
    }
    /// Methods that it answers beyond those of calls ([`Decide::requested`]); asked once, at the start.
    fn methods(&self) -> Vec<String> {
        Vec::new()
    }
    /// What happened in this turn, in order. A session that has ended is no longer in the table.
    fn events(&mut self, sessions: &Sessions, events: &[SessionEvent]) {
        let _ = (sessions, events);
    }
}
