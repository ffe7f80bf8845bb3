//! Places in a file, and what is wrong at them.

use std::ops::Range;
use toml::Spanned;
use toml::de::DeValue;

/// What is wrong inside of one table, entry by entry.
#[derive(Default)]
pub(crate) struct Faults(pub(crate) Vec<Fault>);

pub(crate) struct Fault {
    /// `None`: the whole value.
    pub(crate) span: Option<Range<usize>>,
    pub(crate) path: String,
    pub(crate) allowed: String,
}

impl Faults {
    /// Adds a mistake at an entry; `path` has the names that lead to it.
    pub(crate) fn add(&mut self, span: Range<usize>, path: &[&str], allowed: impl Into<String>) {
        self.0.push(Fault {
            span: Some(span),
            path: path.iter().map(|name| dotted(name)).collect(),
            allowed: allowed.into(),
        });
    }

    /// Adds a mistake of the whole value.
    pub(crate) fn add_whole(&mut self, allowed: impl Into<String>) {
        self.0.push(Fault { span: None, path: String::new(), allowed: allowed.into() });
    }
}

/// `.name`, in quotes where it needs some.
pub(crate) fn dotted(name: &str) -> String {
    let is_bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    if is_bare { format!(".{name}") } else { format!(".{name:?}") }
}

/// A place in the file: a key, an entry under it, a text in that.
#[derive(Clone, Copy)]
pub(crate) struct Place<'p> {
    pub(crate) section: &'p str,
    pub(crate) name: &'p str,
    pub(crate) path: &'p [&'p str],
    pub(crate) text: Option<&'p dyn Fn(&str) -> bool>,
}

impl<'p> Place<'p> {
    pub(crate) fn key(section: &'p str, name: &'p str) -> Self {
        Self { section, name, path: &[], text: None }
    }

    /// The entry of a table that these names lead to.
    pub(crate) fn entry(self, path: &'p [&'p str]) -> Self {
        Self { path, ..self }
    }

    /// The first text in it that is so.
    pub(crate) fn text(self, is_it: &'p dyn Fn(&str) -> bool) -> Self {
        Self { text: Some(is_it), ..self }
    }
}

/// Where the first text is that is so, in a value or in what it holds.
pub(crate) fn text_in(value: &Spanned<DeValue<'_>>, is_it: &dyn Fn(&str) -> bool) -> Option<Range<usize>> {
    match value.get_ref() {
        DeValue::String(text) => is_it(text).then(|| value.span()),
        DeValue::Array(items) => items.iter().find_map(|item| text_in(item, is_it)),
        DeValue::Table(table) => table.iter().find_map(|(_, item)| text_in(item, is_it)),
        _ => None,
    }
}

/// Line and character, from 1.
pub(crate) fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rfind('\n').map_or(0, |end| end + 1);
    (1 + before.bytes().filter(|byte| *byte == b'\n').count(), 1 + before[line..].chars().count())
}
