mod bridges;
mod calls;
mod churn;
mod common;
mod fake;
mod forwards;
mod local;
mod outgoing;
