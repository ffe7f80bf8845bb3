//! The door to SIP itself, for programs that have to say more than calls, media and events can.
//!
//! [`Headers`] go into INVITEs and answers of ours; [`SipMessage`] is what a peer sent, to be read with the types of the
//! parser; [`Request`] and [`Response`] are requests of a program's own, in the dialog of a session and outside of
//! dialogs; a [`RequestHandler`] answers those of peers. [`AdvancedControl`] has the operations. What the switch writes
//! itself (Via, From, To, Call-ID, CSeq, Max-Forwards, Content-Length, Contact of a call, routes and credentials) stays
//! its own, and no text that is given here can end a line of a message.
//!
//! ```no_run
//! use ringplane::api::advanced::*;
//! use ringplane::api::*;
//!
//! # async fn example(coordinator: std::sync::Arc<SessionCoordinator>) -> Result<(), SessionError> {
//! let call = OutgoingCall::new("sip:alice@example.com", "sip:bob@192.0.2.7")
//!     .headers(Headers::new().with("X-Account", "4711")?);
//! let call = AdvancedControl::place_call(&coordinator, call).await?;
//! let ping = Request::new("OPTIONS")?;
//! let answer = AdvancedControl::send_in_dialog(&coordinator, call.id(), ping).await?;
//! println!("{} {}", answer.status, answer.message.map_or_else(String::new, |message| message.to_string()));
//! # Ok(())
//! # }
//! ```

mod control;
mod headers;
mod message;
mod pending;
mod request;
mod serving;

pub use control::{AdvancedControl, OutgoingCall};
pub use headers::Headers;
pub use message::SipMessage;
pub(crate) use pending::Pending;
pub use request::{Request, Response};
pub use serving::{Answer, IncomingRequest, RequestHandler};
pub(crate) use serving::{Served, Serving};
pub use sip_wire::{Address, Contact, Header, Message, Method, Name, Param, Uri, Via};
