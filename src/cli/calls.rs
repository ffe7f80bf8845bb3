//! `ringplane calls`: what is up now.

use super::{Failure, operator::Question, output, table};
use serde_json::Value;

const HEADING: [&str; 12] =
    ["call", "state", "from", "to", "age", "codec", "local", "remote", "received", "sent", "lost", "jitter"];

pub(crate) fn run(question: &Question) -> Result<(), Failure> {
    let answer = question.ask("calls")?;
    if question.json {
        return output::print(&format!("{answer}\n"));
    }
    let calls = answer.as_array().map_or(&[][..], Vec::as_slice);
    if calls.is_empty() {
        return output::print("no calls\n");
    }
    let table = table::text(&HEADING, &[4, 8, 9, 10, 11], &calls.iter().map(row).collect::<Vec<_>>());
    output::print(&format!("{table}{} calls\n", calls.len()))
}

fn row(call: &Value) -> Vec<String> {
    let text = |key: &str| match &call[key] {
        Value::Null => "-".to_string(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let unit = |key: &str, unit: &str| if call[key].is_null() { "-".into() } else { format!("{}{unit}", call[key]) };
    vec![
        text("id"),
        text("state"),
        text("from"),
        text("to"),
        unit("age_s", " s"),
        text("codec"),
        text("local"),
        text("remote"),
        text("received_packets"),
        text("sent_packets"),
        text("lost_packets"),
        unit("jitter_us", " us"),
    ]
}
