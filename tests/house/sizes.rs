//! How large files, folders and structs may be.

use crate::{Source, allowed, beyond, sources};
use std::collections::BTreeMap;

const FILE_LINES_MAX: usize = 400;
const FOLDER_FILES_MAX: usize = 14;
const STRUCT_FIELDS_MAX: usize = 18;

fn is_test(source: &Source) -> bool {
    source.path.ends_with("tests.rs") || source.path.contains("/tests/")
}

#[test]
fn files_stay_short() {
    let before_tests = |text: &str| text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
    let lengths = sources().into_iter().filter(|source| !is_test(source));
    let lengths = lengths.map(|source| (source.path.clone(), before_tests(&source.text), " lines".into())).collect();
    let long = beyond(&[], FILE_LINES_MAX, lengths);
    assert!(long.is_empty(), "look for the second concept in: {long:#?}");
}

#[test]
fn folders_show_their_concepts() {
    let mut counts = BTreeMap::<String, usize>::new();
    for source in sources() {
        let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        *counts.entry(folder.to_owned()).or_default() += 1;
    }
    let counts = counts.into_iter().map(|(folder, count)| (folder, count, " files".into())).collect();
    let full = beyond(allowed::FOLDERS, FOLDER_FILES_MAX, counts);
    assert!(full.is_empty(), "group by concept, in folders of their own: {full:#?}");
}

/// Names and numbers of fields of the structs in a file, as rustfmt writes them.
fn structs(text: &str) -> Vec<(&str, usize)> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        let Some(name) = struct_name(line.trim_start()) else { continue };
        let mut head = line;
        while !head.ends_with('{') && !head.ends_with([';', '}']) {
            let Some(next) = lines.next() else { return found };
            head = next;
        }
        if !head.ends_with('{') {
            continue;
        }
        let body = lines.by_ref().take_while(|line| !(line.trim_start() == "}" && line.find('}') == Some(indent)));
        found.push((name, body.filter(|line| is_field(line, indent + 4)).count()));
    }
    found
}

/// The name behind `struct`, with any visibility before it.
fn struct_name(line: &str) -> Option<&str> {
    let line = match line.strip_prefix("pub(").and_then(|rest| rest.split_once(") ")) {
        Some((_, rest)) => rest,
        None => line.strip_prefix("pub ").unwrap_or(line),
    };
    line.strip_prefix("struct ")?.split(|sign: char| !sign.is_alphanumeric() && sign != '_').next()
}

fn is_field(line: &str, indent: usize) -> bool {
    let Some(field) = line.get(indent..) else { return false };
    let is_at_indent = line[..indent].bytes().all(|byte| byte == b' ');
    let field = match field.strip_prefix("pub(").and_then(|rest| rest.split_once(") ")) {
        Some((_, rest)) => rest,
        None => field.strip_prefix("pub ").unwrap_or(field),
    };
    let name = field.split_once(": ").or(field.split_once(":\n")).map_or("", |(name, _)| name);
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    is_at_indent && is_name
}

#[test]
fn structs_are_read() {
    let text = "pub(crate) struct A<'a> {\n    /// one: a number\n    pub one: u8,\n    pub(crate) two: &'a [u8; 2],\n}\n\
                struct Unit;\nstruct Pair(u8, u8);\n    struct B\n    where\n        T: Copy,\n    {\n        three: \
                T,\n    }\nstruct C {}\n";
    assert_eq!(structs(text), [("A", 2), ("B", 1)]);
}

#[test]
fn structs_hold_one_machine() {
    let mut found = Vec::new();
    for source in sources() {
        for (name, count) in structs(&source.text) {
            found.push((format!("{}: {name}", source.crate_folder()), count, format!(" fields ({})", source.path)));
        }
    }
    assert!(found.len() > 500, "only {} structs found: the search is broken", found.len());
    let large = beyond(allowed::STRUCTS, STRUCT_FIELDS_MAX, found);
    assert!(large.is_empty(), "look for the second machine in: {large:#?}");
}
