//! All of a session at once.

mod call_stories;
mod churn;
mod operations;
mod probing;
