//! What is no TOML: each broken statement is a mistake of its own, and the rest of the file is checked all the same.

use crate::KEYS;
use std::ops::Range;
use toml::de::DeTable;

/// Most lines of one statement that are taken for broken before all of it is left out.
const BROKEN_LINES_MAX: usize = 16;
/// Most statements that contradict others (keys and sections that are there twice) before the search ends.
const CONTRADICTIONS_MAX: usize = 64;

/// A place where a file is no TOML.
pub(crate) struct SyntaxError {
    pub(crate) at: usize,
    pub(crate) words: String,
}

/// The text with blanks in place of what is no TOML, so that everything else stays where it was; and what was wrong.
pub(crate) fn recover(text: &str) -> (String, Vec<SyntaxError>) {
    let mut sound = text.as_bytes().to_vec();
    let mut errors = Vec::new();
    let mut section = "";
    let mut is_in_broken_section = false;
    for statement in statements(text) {
        let words = &text[statement.clone()];
        let is_header = words.trim_start().starts_with('[');
        let error = first_error(words);
        if is_header {
            is_in_broken_section = error.is_some();
            section = words.trim().trim_start_matches('[').split(']').next().unwrap_or("").trim();
        }
        match error {
            // Without its section a key means nothing.
            None if is_in_broken_section => blank(&mut sound, statement),
            None => {}
            Some((at, mut said)) => {
                if let Some(hint) = missing_quotes(section, words) {
                    said += &hint;
                }
                errors.push(SyntaxError { at: statement.start + at, words: said });
                match broken_lines(words, at).filter(|_| !is_in_broken_section) {
                    Some(lines) => lines.into_iter().for_each(|line| {
                        blank(&mut sound, statement.start + line.start..statement.start + line.end);
                    }),
                    None => blank(&mut sound, statement),
                }
            }
        }
    }
    // Each statement is sound now; together they may still say something twice.
    for _ in 0..CONTRADICTIONS_MAX {
        let kept = String::from_utf8_lossy(&sound).into_owned();
        let Some((at, said)) = first_error(&kept) else { return (kept, errors) };
        let Some(statement) = statements(&kept).into_iter().find(|statement| statement.contains(&at)) else { break };
        errors.push(SyntaxError { at, words: said });
        blank(&mut sound, statement);
    }
    (String::new(), errors)
}

fn first_error(text: &str) -> Option<(usize, String)> {
    let (_, errors) = DeTable::parse_recoverable(text);
    let at = |error: &toml::de::Error| error.span().map_or(0, |span| span.start);
    // What is left open often only follows from what else is wrong.
    let follows = |error: &toml::de::Error| error.message().starts_with("unclosed");
    errors
        .iter()
        .min_by_key(|error| (follows(error), at(error)))
        .map(|error| (at(error), error.message().replace('\n', ", ")))
}

/// The lines of a statement of several lines without which it is sound; `None`: it cannot be mended like that.
fn broken_lines(words: &str, first: usize) -> Option<Vec<Range<usize>>> {
    let mut left = words.as_bytes().to_vec();
    let (mut at, mut lines) = (first, Vec::new());
    while lines.len() < BROKEN_LINES_MAX {
        let start = words.get(..at)?.rfind('\n')? + 1;
        let end = words[start..].find('\n').map_or(words.len(), |length| start + length);
        if end == words.trim_end().len() || lines.contains(&(start..end)) {
            return None;
        }
        lines.push(start..end);
        blank(&mut left, start..end);
        match first_error(&String::from_utf8_lossy(&left)) {
            None => return Some(lines),
            Some((next, _)) => at = next,
        }
    }
    None
}

fn blank(text: &mut [u8], range: Range<usize>) {
    text[range].iter_mut().filter(|byte| !matches!(**byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
}

/// How a bare word would be written, where a key of ours has one. Never that of a secret.
fn missing_quotes(section: &str, words: &str) -> Option<String> {
    let (name, value) = words.trim().split_once('=')?;
    let (name, value) = (name.trim(), value.split('#').next()?.trim());
    let key = KEYS.iter().find(|key| key.section == section && key.name == name)?;
    let is_bare = !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || "_./:@+-*".contains(c));
    let wants_text = key.default.starts_with('"');
    (is_bare && wants_text).then(|| format!("; write {name} = \"{value}\""))
}

/// Where statements begin and end: a section's heading, or a key with its value over as many lines as its brackets take. A
/// line that can only be a statement of its own ends one whose brackets were not closed.
fn statements(text: &str) -> Vec<Range<usize>> {
    let mut all: Vec<Range<usize>> = Vec::new();
    let mut scan = Scan::default();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let begins = scan.is_closed() || (!scan.is_in_long_text() && scan.must_be_new(line));
        match all.last_mut() {
            Some(last) if !begins => last.end = at + line.len(),
            _ => {
                scan = Scan::default();
                all.push(at..at + line.len());
            }
        }
        scan.take(line);
        at += line.len();
    }
    all
}

/// What is open at the end of a line.
#[derive(Default)]
struct Scan {
    brackets: Vec<char>,
    long_text: Option<&'static str>,
}

impl Scan {
    fn is_closed(&self) -> bool {
        self.brackets.is_empty() && self.long_text.is_none()
    }

    fn is_in_long_text(&self) -> bool {
        self.long_text.is_some()
    }

    /// Whether a line cannot belong to what is open.
    fn must_be_new(&self, line: &str) -> bool {
        let line = line.split('#').next().unwrap_or("").trim();
        let heading = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let is_section = |name: &str| KEYS.iter().any(|key| key.section == name.trim().split('.').next().unwrap_or(""));
        if heading.is_some_and(is_section) {
            return true;
        }
        let Some((name, _)) = line.split_once('=') else { return false };
        let is_bare =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
        match self.brackets.last() {
            Some('[') => is_bare(name.trim()),
            _ => KEYS.iter().any(|key| key.name == name.trim()),
        }
    }

    fn take(&mut self, line: &str) {
        let mut rest = line;
        loop {
            if let Some(quotes) = self.long_text {
                let Some(end) = rest.find(quotes) else { return };
                rest = &rest[end + quotes.len()..];
                self.long_text = None;
            }
            let Some(first) = rest.chars().next() else { return };
            match first {
                '#' => return,
                '"' | '\'' => match ["\"\"\"", "'''"].into_iter().find(|quotes| rest.starts_with(quotes)) {
                    Some(quotes) => {
                        self.long_text = Some(quotes);
                        rest = &rest[quotes.len()..];
                        continue;
                    }
                    None => rest = after_text(rest, first),
                },
                '[' | '{' => {
                    self.brackets.push(first);
                    rest = &rest[1..];
                }
                ']' | '}' => {
                    self.brackets.pop();
                    rest = &rest[1..];
                }
                other => rest = &rest[other.len_utf8()..],
            }
        }
    }
}

/// What follows a text of one line; one that is not closed ends with its line.
fn after_text(text: &str, quote: char) -> &str {
    let mut escaped = true; // the quote itself
    for (at, letter) in text.char_indices() {
        if letter == quote && !escaped {
            return &text[at + 1..];
        }
        escaped = quote == '"' && letter == '\\' && !escaped;
    }
    ""
}
