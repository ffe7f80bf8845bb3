//! Takes values out of a TOML document and remembers every mistake on the way.

use crate::keys::{KEYS, Key, default_file};
use crate::reading::place::{Fault, Faults, Place, dotted, position, text_in};
use crate::reading::suggest::{did_you_mean, either, nearest};
use crate::reading::syntax::recover;
use crate::{Mistake, Written};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Longest value that is repeated in a mistake.
const SHOWN_CHARS: usize = 60;
/// Keys whose values are secrets: a mistake does not repeat them.
const SECRET_KEYS: [&str; 1] = ["auth.realms"];
/// Most mistakes that are told of one file, and most warnings.
const FINDINGS_MAX: usize = 1_000;

pub(crate) struct Reader<'a> {
    text: &'a str,
    document: DeTable<'a>,
    defaults: DeTable<'static>,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
}

/// A text whose broken parts are blanks, with a mistake for each of them.
pub(crate) struct Readable {
    text: String,
    mistakes: Vec<Mistake>,
}

impl Readable {
    pub(crate) fn new(text: &str) -> Self {
        if DeTable::parse(text).is_ok() {
            return Self { text: text.to_owned(), mistakes: Vec::new() };
        }
        let (sound, errors) = recover(text);
        let mistakes = errors.into_iter().take(FINDINGS_MAX).map(|error| {
            let (line, column) = position(text, error.at);
            let allowed = format!("not TOML: {}", error.words);
            Mistake { line, column, key: String::new(), value: String::new(), allowed }
        });
        Self { mistakes: mistakes.collect(), text: sound }
    }
}

/// How a list is to be.
pub(crate) struct List<'w> {
    /// Fewest and most entries.
    pub(crate) count: std::ops::RangeInclusive<usize>,
    /// What the whole must be.
    pub(crate) whole: &'w str,
}

impl<'a> Reader<'a> {
    /// Of a readable text; an unknown key or section is a mistake from the start.
    pub(crate) fn new(readable: &'a Readable) -> Self {
        let (document, _) = DeTable::parse_recoverable(&readable.text);
        let defaults = DeTable::parse(default_file_static()).expect("the table of keys is TOML").into_inner();
        let (text, mistakes) = (readable.text.as_str(), readable.mistakes.clone());
        let mut reader = Self { text, document: document.into_inner(), defaults, mistakes, warnings: Vec::new() };
        reader.find_strangers();
        reader
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
        if let Some(value) = self.find(section, name) {
            match parse(value.get_ref()) {
                Some(parsed) => return parsed,
                None => {
                    let span = value.span();
                    let needless = value.get_ref().as_str().is_some_and(|text| {
                        let is_number = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty();
                        (is_number && allowed.contains("whole number"))
                            || (matches!(text, "true" | "false") && allowed.contains("true or false"))
                    });
                    let hint = if needless { "; write it without quotes" } else { "" };
                    self.add(span, format!("{section}.{name}"), format!("{allowed}{hint}"));
                }
            }
        }
        let default = self.defaults.get(section).and_then(|table| table.get_ref().as_table()?.get(name));
        default.and_then(|value| parse(value.get_ref())).expect("every key has a sound default")
    }

    /// One of some words.
    pub(crate) fn word<T: Copy>(&mut self, section: &str, name: &str, words: &[(&str, T)]) -> T {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let written = self.find(section, name).and_then(|value| value.get_ref().as_str()).unwrap_or_default();
        let allowed = format!("must be {}{}", either(&names), did_you_mean(written, names.iter().copied()));
        self.get(section, name, &allowed, |value| {
            let written = value.as_str()?;
            words.iter().find(|(word, _)| *word == written).map(|(_, value)| *value)
        })
    }

    /// Whether a key, or its default where it is not written, is this word.
    pub(crate) fn is_word(&self, section: &str, name: &str, word: &str) -> bool {
        let default = self.defaults.get(section).and_then(|table| table.get_ref().as_table()?.get(name));
        let value = self.find(section, name).map(Spanned::get_ref).or(default.map(Spanned::get_ref));
        value.and_then(DeValue::as_str) == Some(word)
    }

    /// A list of different texts, each by `parse`, which says of a bad one what it must be.
    pub(crate) fn list<T: PartialEq>(
        &mut self,
        section: &str,
        name: &str,
        list: &List<'_>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let mut faults = Faults::default();
        let found = self.find(section, name).map(|value| {
            let Some(items) = value.get_ref().as_array() else {
                faults.add(value.span(), &[], list.whole);
                return Vec::new();
            };
            let mut all = Vec::new();
            for item in items.iter().take(FINDINGS_MAX) {
                let parsed = item.get_ref().as_str().map(&parse).unwrap_or_else(|| Err(list.whole.to_owned()));
                match parsed {
                    Ok(entry) if all.contains(&entry) => faults.add(item.span(), &[], "is in the list twice"),
                    Ok(entry) => all.push(entry),
                    Err(allowed) => faults.add(item.span(), &[], allowed),
                }
            }
            // Entries that are wrong themselves are told first; without them the number may be right.
            if faults.0.is_empty() && !list.count.contains(&items.len()) {
                faults.add(value.span(), &[], list.whole);
            }
            all
        });
        self.take(section, name, faults);
        found.unwrap_or_else(|| {
            let default = self.defaults.get(section).and_then(|table| table.get_ref().as_table()?.get(name));
            let items = default.and_then(|value| strings(value.get_ref())).unwrap_or_default();
            items.into_iter().filter_map(|text| parse(text).ok()).collect()
        })
    }

    /// A table or a list by `read`, which says what is wrong with each entry; `None` of it: the whole is not `allowed`.
    pub(crate) fn entries<T>(
        &mut self,
        section: &str,
        name: &str,
        allowed: &str,
        read: impl Fn(&DeValue<'_>, &mut Faults) -> Option<T>,
    ) -> T {
        let mut faults = Faults::default();
        let found = self.find(section, name).and_then(|value| {
            let parsed = read(value.get_ref(), &mut faults);
            if parsed.is_none() {
                faults.add(value.span(), &[], allowed);
            }
            parsed
        });
        self.take(section, name, faults);
        found.unwrap_or_else(|| {
            let default = self.defaults.get(section).and_then(|table| table.get_ref().as_table()?.get(name));
            let parsed = default.and_then(|value| read(value.get_ref(), &mut Faults::default()));
            parsed.expect("every key has a sound default")
        })
    }

    fn take(&mut self, section: &str, name: &str, faults: Faults) {
        for Fault { span, path, allowed } in faults.0 {
            let whole = || self.find(section, name).map_or(0..0, Spanned::span);
            self.add(span.unwrap_or_else(whole), format!("{section}.{name}{path}"), allowed);
        }
    }

    fn find(&self, section: &str, name: &str) -> Option<&Spanned<DeValue<'a>>> {
        self.document.get(section)?.get_ref().as_table()?.get(name)
    }

    /// Whether no mistake was found so far.
    pub(crate) fn is_sound(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// Whether all of the file was TOML.
    pub(crate) fn is_whole(&self) -> bool {
        !self.mistakes.iter().any(|mistake| mistake.key.is_empty())
    }

    /// Whether keys are what the file wants them to be: not lost with something that is no TOML, and not replaced by their
    /// defaults after a mistake. What is sound of a list or table counts.
    pub(crate) fn knows(&self, keys: &[(&str, &str)]) -> bool {
        keys.iter().all(|(section, name)| {
            let key = format!("{section}.{name}");
            let has_entries = self.find(section, name).is_some_and(|value| value.get_ref().as_str().is_none());
            let is_sound = has_entries || !self.mistakes.iter().any(|mistake| mistake.key == key);
            is_sound && (self.is_whole() || self.is_written(section, name))
        })
    }

    /// Whether the file names a key.
    pub(crate) fn is_written(&self, section: &str, name: &str) -> bool {
        self.find(section, name).is_some()
    }

    /// Whether an entry is written, be it sound or not.
    pub(crate) fn has_entry(&self, section: &str, name: &str, path: &[&str]) -> bool {
        let below = |value: &'_ Spanned<DeValue<'a>>| -> bool {
            let mut at = value.get_ref();
            path.iter().all(|name| match at.as_table().and_then(|table| table.get(*name)) {
                Some(next) => {
                    at = next.get_ref();
                    true
                }
                None => false,
            })
        };
        self.find(section, name).is_some_and(below)
    }

    /// Whether a list is written and has entries, be they sound or not.
    pub(crate) fn has_entries(&self, section: &str, name: &str) -> bool {
        let list = self.find(section, name).and_then(|value| value.get_ref().as_array());
        list.is_some_and(|list| !list.is_empty())
    }

    /// A mistake that only several keys together make; it is shown at one that is written.
    pub(crate) fn blame(&mut self, places: &[Place<'_>], allowed: impl Into<String>) {
        if let Some(mistake) = self.finding(places, allowed.into()) {
            push(&mut self.mistakes, mistake);
        }
    }

    /// Something unwise.
    pub(crate) fn warn(&mut self, places: &[Place<'_>], allowed: impl Into<String>) {
        if let Some(warning) = self.finding(places, allowed.into()) {
            push(&mut self.warnings, warning);
        }
    }

    fn finding(&self, places: &[Place<'_>], allowed: String) -> Option<Mistake> {
        let is_written = |place: &&Place<'_>| self.is_written(place.section, place.name);
        let place = places.iter().find(is_written).or_else(|| places.first())?;
        let mut key = format!("{}.{}", place.section, place.name);
        let mut found = self.find(place.section, place.name);
        for name in place.path {
            let below = found.and_then(|value| value.get_ref().as_table()?.get(*name));
            key += &dotted(name);
            found = below.or(found);
        }
        let text = place.text.and_then(|is_it| found.and_then(|value| text_in(value, is_it)));
        Some(self.mistake(text.or(found.map(Spanned::span)).unwrap_or(0..0), key, allowed))
    }

    /// The values of all keys, those that the file does not name with their defaults.
    pub(crate) fn written(&self) -> Written {
        Written::new(KEYS.iter().map(|key| {
            let in_defaults = |key: &Key| self.defaults.get(key.section)?.get_ref().as_table()?.get(key.name);
            self.find(key.section, key.name).or_else(|| in_defaults(key)).map(Spanned::get_ref)
        }))
    }

    /// All mistakes and all warnings, in the order of the file.
    pub(crate) fn finish(mut self) -> (Vec<Mistake>, Vec<Mistake>) {
        for list in [&mut self.mistakes, &mut self.warnings] {
            list.sort_by_key(|mistake| (mistake.line, mistake.column));
        }
        (self.mistakes, self.warnings)
    }

    fn add(&mut self, span: Range<usize>, key: String, allowed: String) {
        let mistake = self.mistake(span, key, allowed);
        push(&mut self.mistakes, mistake);
    }

    fn mistake(&self, span: Range<usize>, key: String, allowed: String) -> Mistake {
        let value = self.text.get(span.clone()).unwrap_or_default();
        // A table of its own section is not repeated.
        let value =
            if value.starts_with('[') && !value.contains(['"', '\'', ',']) && value.len() > 2 { "" } else { value };
        let mut shown: String = value.chars().take(SHOWN_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
        if SECRET_KEYS.iter().any(|secret| key.starts_with(secret)) && !value.is_empty() {
            shown = "(not shown)".to_owned();
        } else if shown.len() < value.len() {
            shown.push_str("...");
        }
        let (line, column) = position(self.text, span.start);
        Mistake { line, column, key, value: shown, allowed }
    }

    fn find_strangers(&mut self) {
        let mut found = Vec::new();
        for (section, value) in &self.document {
            let name = section.get_ref().as_ref();
            let known: Vec<&str> = KEYS.iter().filter(|key| key.section == name).map(|key| key.name).collect();
            match value.get_ref() {
                _ if known.is_empty() => found.push((section.span(), name.to_owned(), no_such_section(name))),
                DeValue::Table(table) => {
                    for (key, _) in table.iter().filter(|(key, _)| !known.contains(&key.get_ref().as_ref())) {
                        let full = format!("{name}{}", dotted(key.get_ref()));
                        found.push((key.span(), full, no_such_key(name, key.get_ref(), &known)));
                    }
                }
                _ => found.push((value.span(), name.to_owned(), format!("must be a section: [{name}]"))),
            }
        }
        for (span, key, allowed) in found {
            let ((line, column), value) = (position(self.text, span.start), String::new());
            push(&mut self.mistakes, Mistake { line, column, key, value, allowed });
        }
    }
}

fn push(list: &mut Vec<Mistake>, mistake: Mistake) {
    if list.len() < FINDINGS_MAX {
        list.push(mistake);
    }
}

/// A key without its section, a section with a slip, or neither.
fn no_such_section(name: &str) -> String {
    let sections = || KEYS.iter().map(|key| key.section);
    if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        return format!("no such section; `{name}` is a key of [{}]: write it below that line", key.section);
    }
    let mut sections: Vec<&str> = sections().collect();
    sections.dedup();
    let all: Vec<String> = sections.iter().map(|section| format!("[{section}]")).collect();
    match nearest(name, sections.iter().copied()) {
        Some(meant) => format!("no such section; did you mean [{meant}]?"),
        None => format!("no such section; there are {}", all.join(", ")),
    }
}

fn no_such_key(section: &str, name: &str, known: &[&str]) -> String {
    if let Some(meant) = nearest(name, known.iter().copied()) {
        return format!("no such key; did you mean `{meant}`?");
    }
    match KEYS.iter().find(|key| key.name == name) {
        Some(key) => format!("no such key in [{section}]; it belongs into [{}]", key.section),
        None => format!("no such key; [{section}] has {}", known.join(", ")),
    }
}

fn default_file_static() -> &'static str {
    static TEXT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    TEXT.get_or_init(default_file)
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
