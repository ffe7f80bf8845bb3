//! The four transaction machines of RFC 3261 §17 with RFC 6026. They know states and timers; they never see a message.

mod actions;
mod invite_client;
mod invite_server;
mod non_invite_client;
mod non_invite_server;
#[cfg(test)]
mod tests;

pub use actions::Actions;
pub use invite_client::{Action as InviteClientAction, Input as InviteClientInput, InviteClient};
pub use invite_server::{Action as InviteServerAction, Input as InviteServerInput, InviteServer};
pub use non_invite_client::{Action as NonInviteClientAction, Input as NonInviteClientInput, NonInviteClient};
pub use non_invite_server::{Action as NonInviteServerAction, Input as NonInviteServerInput, NonInviteServer};
