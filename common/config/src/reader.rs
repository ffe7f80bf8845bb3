//! Takes values out of a TOML document and remembers every mistake on the way.

use crate::keys::{KEYS, Key, default_file};
use crate::{Mistake, Mistakes, Written};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Longest value that is repeated in a mistake.
const SHOWN_CHARS: usize = 60;
/// Keys whose values are secrets: a mistake does not repeat them.
const SECRET_KEYS: [&str; 1] = ["auth.realms"];

pub(crate) struct Reader<'a> {
    text: &'a str,
    document: DeTable<'a>,
    defaults: DeTable<'static>,
    mistakes: Vec<Mistake>,
}

impl<'a> Reader<'a> {
    /// Parses `text`; an unknown key or section is a mistake from the start, as is everything that is no TOML.
    pub(crate) fn new(text: &'a str) -> Result<Self, Mistakes> {
        let (document, errors) = DeTable::parse_recoverable(text);
        let mut mistakes = Vec::new();
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            let allowed = format!("not TOML: {}", error.message().replace('\n', ", "));
            mistakes.push(Mistake { line: line(text, at), key: String::new(), value: String::new(), allowed });
        }
        let defaults = DeTable::parse(default_file_static()).expect("the table of keys is TOML").into_inner();
        let mut reader = Self { text, document: document.into_inner(), defaults, mistakes };
        if !reader.mistakes.is_empty() {
            return Err(Mistakes(reader.mistakes)); // a half-parsed document would only invent more of them
        }
        reader.find_strangers();
        Ok(reader)
    }

    /// The value of a key by `parse`: from the file, or else its default. A value that `parse` refuses is a mistake
    /// with `allowed` as its explanation.
    pub(crate) fn get<T>(
        &mut self,
        section: &str,
        name: &str,
        allowed: &str,
        parse: impl Fn(&DeValue<'_>) -> Option<T>,
    ) -> T {
        let found = self.document.get(section).and_then(|table| table.get_ref().as_table()?.get(name));
        if let Some(value) = found {
            match parse(value.get_ref()) {
                Some(parsed) => return parsed,
                None => {
                    let span = value.span();
                    self.add(span, format!("{section}.{name}"), allowed.to_owned());
                }
            }
        }
        let default = self.defaults.get(section).and_then(|table| table.get_ref().as_table()?.get(name));
        default.and_then(|value| parse(value.get_ref())).expect("every key has a sound default")
    }

    /// A mistake that only several keys together make; it is shown at one of them.
    pub(crate) fn blame(&mut self, section: &str, name: &str, allowed: String) {
        let value = self.document.get(section).and_then(|table| table.get_ref().as_table()?.get(name));
        let span = value.map_or(0..0, Spanned::span);
        self.add(span, format!("{section}.{name}"), allowed);
    }

    /// The values of all keys, those that the file does not name with their defaults.
    pub(crate) fn written(&self) -> Written {
        let in_table = |table: &'_ DeTable<'_>, key: &Key| -> bool {
            table.get(key.section).and_then(|table| table.get_ref().as_table()?.get(key.name)).is_some()
        };
        Written::new(KEYS.iter().map(|key| {
            let table = if in_table(&self.document, key) { &self.document } else { &self.defaults };
            Some(table.get(key.section)?.get_ref().as_table()?.get(key.name)?.get_ref())
        }))
    }

    /// All mistakes, in the order of lines.
    pub(crate) fn finish(mut self) -> Result<(), Mistakes> {
        self.mistakes.sort_by_key(|mistake| mistake.line);
        if self.mistakes.is_empty() { Ok(()) } else { Err(Mistakes(self.mistakes)) }
    }

    fn add(&mut self, span: Range<usize>, key: String, allowed: String) {
        let value = self.text.get(span.clone()).unwrap_or_default();
        let mut shown: String = value.chars().take(SHOWN_CHARS).collect();
        if SECRET_KEYS.contains(&key.as_str()) && !value.is_empty() {
            shown = "(not shown)".to_owned();
        } else if shown.len() < value.len() {
            shown.push_str("...");
        }
        self.mistakes.push(Mistake { line: line(self.text, span.start), key, value: shown, allowed });
    }

    fn find_strangers(&mut self) {
        let mut found = Vec::new();
        for (section, value) in &self.document {
            let name = section.get_ref().as_ref();
            let known: Vec<&str> = KEYS.iter().filter(|key| key.section == name).map(|key| key.name).collect();
            match value.get_ref() {
                _ if known.is_empty() => {
                    found.push((section.span(), name.to_owned(), format!("no such section; there are {}", sections())));
                }
                DeValue::Table(table) => {
                    for (key, _) in table.iter().filter(|(key, _)| !known.contains(&key.get_ref().as_ref())) {
                        let full = format!("{name}.{}", key.get_ref());
                        found.push((key.span(), full, format!("no such key; [{name}] has {}", known.join(", "))));
                    }
                }
                _ => found.push((value.span(), name.to_owned(), format!("must be a section: [{name}]"))),
            }
        }
        for (span, key, allowed) in found {
            let (line, value) = (line(self.text, span.start), String::new());
            self.mistakes.push(Mistake { line, key, value, allowed });
        }
    }
}

fn sections() -> String {
    let mut names: Vec<String> = KEYS.iter().map(|key| format!("[{}]", key.section)).collect();
    names.dedup();
    names.join(", ")
}

fn default_file_static() -> &'static str {
    static TEXT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    TEXT.get_or_init(default_file)
}

fn line(text: &str, at: usize) -> usize {
    1 + text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count()
}

/// A whole number in `range`.
pub(crate) fn integer(value: &DeValue<'_>, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
    let number = value.as_integer()?;
    let parsed = u64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok()?;
    range.contains(&parsed).then_some(parsed)
}

/// A list of strings.
pub(crate) fn strings<'v>(value: &'v DeValue<'_>) -> Option<Vec<&'v str>> {
    value.as_array()?.iter().map(|item| item.get_ref().as_str()).collect()
}
