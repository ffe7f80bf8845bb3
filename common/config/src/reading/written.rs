//! What a configuration says, key by key, so that a later one can be compared with it.

use crate::keys::KEYS;
use std::hash::{DefaultHasher, Hash, Hasher};
use toml::de::DeValue;

/// The value of every key as a number: enough to see that it changed, and nothing that could show a secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written(Vec<u64>);

impl Written {
    /// From the values of all keys, in the order of [`KEYS`].
    pub(crate) fn new<'v, 'd: 'v>(values: impl Iterator<Item = Option<&'v DeValue<'d>>>) -> Self {
        Self(values.map(number_of).collect())
    }

    /// The keys, as `sip.listen`, whose values are others in a newer configuration.
    pub fn changes(&self, newer: &Self) -> Vec<String> {
        let pairs = KEYS.iter().zip(self.0.iter().zip(&newer.0));
        pairs.filter(|(_, (old, new))| old != new).map(|(key, _)| full_name(key)).collect()
    }

    /// Takes the values of these keys from a newer configuration.
    pub fn adopt(&mut self, newer: &Self, keys: &[String]) {
        for ((key, old), new) in KEYS.iter().zip(&mut self.0).zip(&newer.0) {
            if keys.contains(&full_name(key)) {
                *old = *new;
            }
        }
    }
}

fn full_name(key: &crate::Key) -> String {
    format!("{}.{}", key.section, key.name)
}

fn number_of(value: Option<&DeValue<'_>>) -> u64 {
    let mut hasher = DefaultHasher::new();
    if let Some(value) = value {
        add(value, &mut hasher);
    }
    hasher.finish()
}

/// Hashes what a value means: spaces, comments and notation make no difference.
fn add(value: &DeValue<'_>, hasher: &mut DefaultHasher) {
    match value {
        DeValue::String(text) => text.hash(hasher),
        DeValue::Integer(number) => (number.as_str(), number.radix()).hash(hasher),
        DeValue::Float(number) => number.as_str().hash(hasher),
        DeValue::Boolean(is_on) => is_on.hash(hasher),
        DeValue::Datetime(at) => at.to_string().hash(hasher),
        DeValue::Array(list) => {
            list.len().hash(hasher);
            list.iter().for_each(|item| add(item.get_ref(), hasher));
        }
        DeValue::Table(table) => {
            table.len().hash(hasher);
            for (key, item) in table.iter() {
                key.get_ref().hash(hasher);
                add(item.get_ref(), hasher);
            }
        }
    }
}
