//! Every key, once: where it stands, its default, its meaning.

mod media;
mod others;
mod sip;

use media::MEDIA;
use others::OTHERS;
use sip::SIP;

/// One key of the file.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Section, without brackets.
    pub section: &'static str,
    /// Name.
    pub name: &'static str,
    /// Default, as TOML.
    pub default: &'static str,
    /// What it means; one line each.
    pub words: &'static [&'static str],
}

const fn key(section: &'static str, name: &'static str, default: &'static str, words: &'static [&'static str]) -> Key {
    Key { section, name, default, words }
}

/// All keys, in the order of the file.
pub const KEYS: &[Key] = &ALL;

const ALL: [Key; SIP.len() + MEDIA.len() + OTHERS.len()] = {
    let mut all = [SIP[0]; SIP.len() + MEDIA.len() + OTHERS.len()];
    let mut index = 1;
    while index < all.len() {
        let behind_sip = index.saturating_sub(SIP.len());
        all[index] = if index < SIP.len() {
            SIP[index]
        } else if behind_sip < MEDIA.len() {
            MEDIA[behind_sip]
        } else {
            OTHERS[behind_sip - MEDIA.len()]
        };
        index += 1;
    }
    all
};

/// The whole file with every key at its default, each explained. Parsing it gives [`crate::Config::default`].
pub fn default_file() -> String {
    let mut text =
        String::from("# Configuration of Ringplane. Every key is optional; what stands here is its default.\n");
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            text.push_str(&format!("\n[{section}]\n"));
        }
        for words in key.words {
            text.push_str(&format!("# {words}\n"));
        }
        text.push_str(&format!("{} = {}\n", key.name, key.default));
    }
    text
}
