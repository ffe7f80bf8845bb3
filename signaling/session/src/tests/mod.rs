mod calls;
mod churn;
mod common;
mod fake;
mod local;
