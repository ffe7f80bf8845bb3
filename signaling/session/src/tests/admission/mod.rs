//! Who may call, and how often.

mod address_validation;
mod auth;
mod limits;
