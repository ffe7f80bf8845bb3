//! Ringplane: a telephone switch for bare metal, as a library. Read [`api`] first.
//!
//! A program needs this crate and [tokio](https://docs.rs/tokio), with a runtime of several threads:
//!
//! ```toml
//! [dependencies]
//! ringplane = { path = "../ringplane" }
//! tokio = { version = "1", features = ["macros", "rt-multi-thread", "signal", "time"] }
//! ```
//!
//! ```no_run
//! use ringplane::prelude::*;
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let manager = SessionManager::new(SessionConfig::server("127.0.0.1:5060")?).await?;
//!     manager.set_call_handler(Arc::new(AutoAnswerHandler)).await?;
//!     manager.start_server("127.0.0.1:5060".parse()?).await?;
//!     tokio::signal::ctrl_c().await?;
//!     manager.shutdown(Duration::from_secs(5)).await?;
//!     Ok(())
//! }
//! ```
//!
//! What goes wrong beside the calls (a port that is taken, a handler that hangs) is logged by `tracing`; a subscriber
//! such as `tracing_subscriber::fmt().init()` shows it. `examples/` has programs to copy from; its tests, and those of
//! this crate, run by `cargo test --profile ci -p ringplane`.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod admission;
pub mod api;
mod bridge;
mod calls;
mod coordinator;
mod error;
mod events;
mod groups;
mod handlers;
mod health;
mod media;
mod settings;

/// Everything of [`api`], for `use ringplane::prelude::*`.
pub mod prelude {
    pub use crate::api::*;
}

/// The programs of `docs/PROGRAMMING.md` compile.
#[cfg(doctest)]
#[doc = include_str!("../docs/PROGRAMMING.md")]
mod programming_guide {}
