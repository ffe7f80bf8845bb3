//! `ringplane calls --quality`: how both directions of each leg sound.

use crate::table::{self, Fit, escaped};
use serde_json::Value;

const HEADING: [&str; 14] = [
    "leg",
    "call",
    "codec",
    "direction",
    "mos now",
    "mos",
    "r",
    "loss",
    "discard",
    "burst",
    "gap",
    "delay",
    "jitter",
    "peer mos",
];
/// Columns of numbers.
const RIGHT: [usize; 10] = [4, 5, 6, 7, 8, 9, 10, 11, 12, 13];
/// What goes first where there is little room.
const MAY_GO: [usize; 9] = [1, 10, 8, 13, 12, 9, 2, 6, 11];

pub(super) fn shown(legs: &[Value], width: Option<usize>) -> String {
    let rows: Vec<_> = legs.iter().flat_map(|leg| ["received", "sent"].map(|stream| row(leg, stream))).collect();
    let degraded = legs.iter().flat_map(|leg| [&leg["quality"]["received"], &leg["quality"]["sent"]]);
    let degraded = degraded.filter(|stream| stream["degraded"] == true).count();
    let fit = Fit { width, may_go: &MAY_GO, may_shrink: &[] };
    format!("{}{} legs, {degraded} of their streams degraded\n", table::text(&HEADING, &RIGHT, &rows, fit), legs.len())
}

/// A score with two digits behind the point.
pub(super) fn score(value: &Value) -> String {
    value.as_f64().map_or("-".into(), |score| format!("{score:.2}"))
}

fn row(leg: &Value, stream: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or("-".into(), escaped);
    let of = &leg["quality"][stream];
    let is_known = !of["mos"].is_null();
    let with_unit = |value: &Value, digits: usize, unit: &str| match value.as_f64().filter(|_| is_known) {
        Some(number) => format!("{number:.digits$}{unit}"),
        None => "-".into(),
    };
    let mark = if of["degraded"] == true { "!" } else { "" };
    let jitter_ms = of["jitter_us"].as_f64().map_or(Value::Null, |us| (us / 1_000.0).into());
    let spread = |length: &str, loss: &str| match of[length].as_f64() {
        Some(ms) if is_known && ms > 0.0 => format!("{ms:.0} ms {}", with_unit(&of[loss], 0, "%")),
        _ => "-".into(),
    };
    vec![
        if stream == "received" { text(&leg["id"]) } else { String::new() },
        if stream == "received" { text(&leg["call"]) } else { String::new() },
        if stream == "received" { text(&leg["codec"]) } else { String::new() },
        stream.into(),
        format!("{}{mark}", score(&of["recent_mos"])),
        score(&of["mos"]),
        with_unit(&of["r"], 1, ""),
        with_unit(&of["loss_percent"], 1, "%"),
        with_unit(&of["discard_percent"], 1, "%"),
        spread("burst_ms", "burst_loss_percent"),
        spread("gap_ms", "gap_loss_percent"),
        with_unit(&of["delay_ms"], 0, " ms"),
        with_unit(&jitter_ms, 1, " ms"),
        score(&of["peer_mos_cq"]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_directions_of_a_leg_are_shown_and_what_is_not_known_is_a_dash() {
        let heard = json!({
            "mos": 3.2, "recent_mos": 2.9, "r": 61.5, "degraded": true, "loss_percent": 8.2, "discard_percent": 0.0,
            "burst_ms": 240, "burst_loss_percent": 33.2, "gap_ms": 1040, "gap_loss_percent": 3.9, "delay_ms": 62,
            "jitter_us": 1_500,
        });
        let unknown = json!({ "mos": null, "recent_mos": null, "r": null, "degraded": false, "loss_percent": 0.0 });
        let leg = json!({ "id": "0-1\u{1b}[2J", "call": "abcd", "codec": "PCMU", "quality": { "received": heard, "sent": unknown } });
        let whole = shown(&[leg, json!({ "id": "0-2", "quality": null })], None);
        for part in ["2.90!", "3.20", "61.5", "8.2%", "240 ms 33%", "1040 ms 4%", "62 ms", "1.5 ms", "received", "sent"]
        {
            assert!(whole.contains(part), "{part}: {whole}");
        }
        assert!(whole.ends_with("2 legs, 1 of their streams degraded\n") && !whole.contains('\u{1b}'), "{whole}");
        assert_eq!(whole.lines().count(), 1 + 4 + 1, "{whole}");
    }
}
