//! `ringplane stats`: every counter, with unit and meaning.

use super::{Failure, operator::Question, output, table};
use serde_json::Value;

pub(crate) fn run(question: &Question) -> Result<(), Failure> {
    let answer = question.ask("stats")?;
    if question.json {
        return output::print(&format!("{answer}\n"));
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
    let rows: Vec<_> = answer
        .as_array()
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .map(|counter| ["where", "name", "value", "unit", "meaning"].map(|key| text(&counter[key])).to_vec())
        .collect();
    let heading = ["where", "name", "value", "unit", "meaning"];
    output::print(&table::text(&heading, &[2], &rows, table::Fit::WHOLE))
}
