//! Digest authentication (RFC 7616, RFC 8760; RFC 3261 §22), both sides.
//!
//! As a server: [`Authenticator`] writes challenges and judges credentials; it keeps no nonces, only which counts of
//! proven ones were used. As a client: an [`Account`] given to the endpoint answers challenges by itself. Passwords are
//! in [`Secret`]s, which never show what they hold. [`Realms`] are a whole server's side: realms with their [`Users`] and
//! the [`Identities`] of these, and which requests need credentials.

mod account;
mod algorithm;
mod claim;
mod digest;
mod failures;
mod identities;
mod known;
mod nonce;
mod realms;
mod replay;
mod server;
mod users;

pub use account::Account;
pub use algorithm::Algorithm;
pub use claim::Claim;
pub use digest::Secret;
pub(crate) use digest::same;
pub use failures::{Failure, FailureKind};
pub use identities::Identities;
pub(crate) use known::Sending;
pub use realms::{Failed, Judgement, Realms, RealmsSettings, Request, Scope};
pub use server::{AuthSettings, Authenticator, Place, Presented, Verdict};
pub use users::Users;
