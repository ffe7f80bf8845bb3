//! Comments are plain sentences: no riddles, and a name instead of "whoever".

use crate::{allowed, beyond, sources};
use std::collections::BTreeMap;

/// Words that stand for a subject that has a name: the peer, the caller, the worker.
const NAMELESS: [&str; 5] = ["whom", "whomever", "whoever", "somebody", "someone"];
/// Whole comments, or sentences at their beginning, that say nothing by themselves.
const RIDDLES: [&str; 9] = ["Ours", "Theirs", "Which", "Whose", "Likewise", "Above", "Below", "Which one", "The same"];

fn comment(line: &str) -> Option<&str> {
    let (before, comment) = line.split_once("//")?;
    // Two slashes within a string or an address are none.
    let is_comment =
        before.trim().is_empty() || before.ends_with("  ") || before.ends_with(' ') && !before.contains('"');
    is_comment.then(|| comment.trim_start_matches(['/', '!']).trim())
}

fn offends(comment: &str) -> bool {
    let lower = comment.to_lowercase();
    let mut words = lower.split(|sign: char| !sign.is_alphanumeric());
    let first_sentence = comment.split(['.', ',', ';', ':']).next().unwrap_or("");
    words.any(|word| NAMELESS.contains(&word)) || RIDDLES.contains(&first_sentence)
}

#[test]
fn riddles_are_found() {
    for riddle in
        ["/// Ours.", "    /// Whom it ends.", "let a = 1; // Which, by the way", "/// Somebody talks.", "//! Above."]
    {
        assert!(comment(riddle).is_some_and(offends), "{riddle}");
    }
    for plain in
        ["/// Which port the leg has.", "let url = \"https://whom\";", "/// The dialog that this call replaces."]
    {
        assert!(!comment(plain).is_some_and(offends), "{plain}");
    }
}

#[test]
fn comments_have_subjects() {
    let mut places = BTreeMap::<String, Vec<String>>::new();
    for source in sources() {
        for (index, line) in source.text.lines().enumerate() {
            if let Some(comment) = comment(line).filter(|comment| offends(comment)) {
                let place = format!("\n      {}:{}: {comment}", source.path, index + 1);
                places.entry(source.crate_folder().to_owned()).or_default().push(place);
            }
        }
    }
    let found = places.into_iter().map(|(folder, lines)| (folder, lines.len(), format!(" comments{}", lines.concat())));
    let riddles = beyond(allowed::WORDS, 0, found.collect());
    assert!(riddles.is_empty(), "say who and what, in a sentence that stands alone:\n{}", riddles.join("\n"));
}
