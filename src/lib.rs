//! Ringplane: a telephone switch for bare metal, as a library. Read [`api`] first.

#![forbid(unsafe_code)]

pub mod api;

/// Everything of [`api`], for `use ringplane::prelude::*`.
pub mod prelude {
    pub use crate::api::*;
}
