mod calls;
mod churn;
mod fake;
